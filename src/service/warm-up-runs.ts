// Filling caches again as a run: somebody asked for it from afar.
import { z } from 'zod';
import { AppError } from '../base/errors.ts';
import type { NewRun } from '../catalog/runs.ts';
import type { RunContext } from '../workflow/run-context.ts';
import { defineRun, type RunDefinition } from '../workflow/worker.ts';
import { hasFailed, runCommandStep } from './command-step.ts';
import type { Launcher } from './job-process.ts';
import type { RunOrigin } from './job-runs.ts';
import { listInDigest } from './outcome-digest.ts';
import { configOption, type Tenant } from './tenant.ts';

export const warmUpKind = 'warm-up';

const inputSchema = z.object({
  application: z.string(),
  /** Steps by name; all if there is none. */
  steps: z.array(z.string()),
});

export function runOfWarmUp(input: z.infer<typeof inputSchema>, origin: RunOrigin): NewRun {
  const { application } = input;
  return { kind: warmUpKind, application, input, concurrencyKey: `${application}/warm-up`, priority, origin };
}

/** Users wait for it. */
const priority = 20;

export interface WarmUpRunsParts {
  readonly launcher: Launcher;
  readonly tenantOf: (application: string) => Tenant | undefined;
}

export function warmUpDefinition(parts: WarmUpRunsParts): RunDefinition {
  return defineRun({ input: inputSchema, execute: (run, input) => carryOut(run, input, parts) });
}

const digestSchema = z.object({
  steps: listInDigest(z.object({ name: z.string(), outcome: z.string(), message: z.string() })).default([]),
});

const undoneOutcomes: ReadonlySet<string> = new Set(['failed', 'left out']);

async function carryOut(
  run: RunContext,
  { application, steps }: z.infer<typeof inputSchema>,
  { launcher, tenantOf }: WarmUpRunsParts,
): Promise<object> {
  const tenant = tenantOf(application);
  if (tenant === undefined) {
    throw new AppError('NOT_FOUND', `${application} is not configured here any more`, {
      hint: 'Start the server with its configuration file.',
    });
  }
  const args = ['warm-up', ...steps, ...configOption(tenant)];
  const outcome = await runCommandStep(run, 'warm-up', { ...launcher, args });
  // Whoever asked from afar sees no more than whether it succeeded: what was left out was not filled.
  const undone = digestSchema.parse(outcome.digest).steps.find((step) => undoneOutcomes.has(step.outcome));
  if (!hasFailed(outcome) && undone === undefined) return { outcome };
  const why = undone === undefined ? '' : `: ${undone.name}: ${undone.message}`;
  throw new AppError('JOB_FAILED', `warming up ended with ${outcome.exitCode}${why}`, {
    hint: "Run 'lifeboat warm-up' by hand to see it in full.",
  });
}
