// A restore that somebody asked for from afar: first it is decided and shown, then, where data would be replaced, somebody who may approve
// it names the component, and only then it is done. Beside, it goes to a folder that nobody from afar can choose.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { AppError } from '../base/errors.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { NewRun, RunRow } from '../catalog/runs.ts';
import { openStates } from '../catalog/tables.ts';
import type { Component } from '../model/component.ts';
import { concurrencyKeyOf } from './job-commands.ts';
import type { Launcher } from './job-process.ts';
import { hasFailed, runCommandStep, type StepOutcome } from './command-step.ts';
import type { RunOrigin } from './job-runs.ts';
import { listInDigest } from './outcome-digest.ts';
import { configOption, type Tenant } from './tenant.ts';
import type { RunContext } from '../workflow/run-context.ts';
import { defineRun, type RunDefinition } from '../workflow/worker.ts';

export const restoreKind = 'restore';
/** Of the signal that lets it go on. */
export const approvalTopic = 'approval';
/** What somebody wanted so long ago is not what they want now. */
const approvalMaxMs = 24 * 3_600_000;

export const restoreInputSchema = z.object({
  application: z.string(),
  component: z.string(),
  snapshot: z.string(),
  repository: z.string(),
  /** `original`: where the data came from. */
  target: z.enum(['beside', 'original']),
  include: z.array(z.string()),
});
export type RestoreInput = z.output<typeof restoreInputSchema>;

/** Of a run that waits for an approval, or will: whose data it would replace. */
export function approvableComponent({
  kind,
  state,
  input,
}: Pick<RunRow, 'kind' | 'state' | 'input'>): string | undefined {
  const wish = kind === restoreKind ? restoreInputSchema.parse(JSON.parse(input)) : undefined;
  return wish?.target === 'original' && openStates.some((open) => open === state) ? wish.component : undefined;
}

export function nothingToApprove(id: string): AppError {
  return new AppError('REQUEST_INVALID', `run ${id} waits for no approval`, {
    hint: 'Only a restore over the original waits for one, until it has ended.',
  });
}

export const approvalSchema = z.object({ by: z.string() });

export interface RestoreRunsParts {
  readonly catalog: Catalog;
  readonly launcher: Launcher;
  readonly tenantOf: (application: string) => Tenant | undefined;
  /** On each worker, for what is restored beside: one folder for each run. */
  readonly restoresFolder: string;
}

export function runOfRestore(input: RestoreInput, { labels }: Pick<Component, 'labels'>, origin: RunOrigin): NewRun {
  const { application, component } = input;
  return {
    kind: restoreKind,
    application,
    component,
    input,
    labels,
    concurrencyKey: concurrencyKeyOf(application, { kind: 'backup', component, repositories: [] }),
    priority: restorePriority,
    origin,
  };
}

/** Whoever restores waits for it. */
const restorePriority = 20;

export function restoreDefinition(parts: RestoreRunsParts): RunDefinition {
  return defineRun({ input: restoreInputSchema, execute: (run, input) => carryOut(run, input, parts) });
}

/** What of the answer of `restore` is used here. */
const digestSchema = z.object({
  replaces: z.string().optional(),
  findings: listInDigest(z.object({ aspect: z.string(), outcome: z.string(), message: z.string() })).default([]),
});

async function carryOut(run: RunContext, input: RestoreInput, parts: RestoreRunsParts): Promise<object> {
  const { catalog, launcher, restoresFolder } = parts;
  const tenant = parts.tenantOf(input.application);
  if (tenant === undefined) throw gone(input);
  const folder = input.target === 'beside' ? join(restoresFolder, run.id) : undefined;
  // For its owner alone: what is restored is as secret as what it came from.
  if (folder !== undefined) await mkdir(restoresFolder, { recursive: true, mode: 0o700 });
  const command = (...more: string[]) => ({
    ...launcher,
    args: [...restoreArgs(input, folder), ...more, ...configOption(tenant)],
  });
  const decision = await runCommandStep(run, 'decision', command('--dry-run'));
  if (hasFailed(decision)) throw refused(input, decision);
  if (input.target === 'original') {
    const { replaces } = digestSchema.parse(decision.digest);
    // It is carried out anew when the approval has come.
    await run.step('question', z.object({}), async () => {
      await run.tell('approval', `waits for an approval: replaces ${replaces ?? 'nothing that exists'}`);
      return {};
    });
    const approval = await run.waitForSignal(approvalTopic, { deadlineMs: (await catalog.nowMs()) + approvalMaxMs });
    if (approval === undefined) throw notApproved(input);
    await run.tell('approval', `approved by ${approvalSchema.parse(approval.data).by}`);
  }
  const outcome = await runCommandStep(run, 'restore', command('--yes'));
  if (hasFailed(outcome)) throw refused(input, outcome);
  return { folder, decision, outcome };
}

/** Words of people follow their option in the same word: they may begin with a dash. */
export function restoreArgs(
  { component, snapshot, repository, include }: RestoreInput,
  folder: string | undefined,
): string[] {
  return [
    'restore',
    snapshot,
    '--component',
    component,
    '--repository',
    repository,
    ...include.map((path) => `--include=${path}`),
    ...(folder === undefined ? [] : [`--to=${folder}`]),
    '--retry-lock',
    '1h',
  ];
}

const byHand = "Run 'lifeboat restore' by hand to see it in full: 'lifeboat runs show' has its command lines.";

function gone({ application }: RestoreInput): AppError {
  return new AppError('NOT_FOUND', `${application} is not configured here any more`, {
    hint: 'Start the server with its configuration file.',
  });
}

function refused({ component }: RestoreInput, { exitCode, digest }: StepOutcome): AppError {
  const { findings } = digestSchema.parse(digest);
  const found = findings.find(({ outcome }) => outcome === 'failed');
  const why = found === undefined ? '' : `: ${found.aspect}: ${found.message}`;
  return new AppError('JOB_FAILED', `the restore of ${component} ended with ${exitCode}${why}`, { hint: byHand });
}

function notApproved({ component }: RestoreInput): AppError {
  return new AppError('TIMED_OUT', `nobody approved the restore of ${component} in a day`, {
    hint: 'Ask for it again, and somebody who may approve it to be there.',
  });
}
