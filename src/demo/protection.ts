// The steps that protect the shop: what the server did by its schedules, with the numbers of its jobs; and what follows a recovery.
import { z } from 'zod';
import { count } from '../base/count.ts';
import { AppError } from '../base/errors.ts';
import { backupCommand } from '../cli/commands/backup.ts';
import { proveCommand } from '../cli/commands/prove.ts';
import { repositoryInitCommand } from '../cli/commands/repository-init.ts';
import { requireConfiguration } from '../cli/component-choice.ts';
import type { CommandContext } from '../cli/context.ts';
import { bytes } from '../cli/style.ts';
import { proofSchema } from '../model/proof.ts';
import type { StepResult } from './narrator.ts';
import { sumOf, type BackupFigures, type DemoReport } from './report.ts';
import { scheduledWork, type Awaited } from './scheduled.ts';

export async function createRepository(context: CommandContext): Promise<void> {
  await repositoryInitCommand.run(context, {
    from: undefined,
    fromPasswordFile: undefined,
    chunker: undefined,
    createsBucket: false,
    enablesVersioning: false,
  });
}

/** As `lifeboat backup --json` says it. */
const backupSchema = z.object({
  component: z.string(),
  elapsedMs: z.number(),
  result: z.object({
    snapshot: z.object({ id: z.string() }),
    files: z.object({ new: z.number(), changed: z.number(), unmodified: z.number() }),
    totalBytes: z.number(),
    addedBytes: z.number(),
    storedBytes: z.number(),
    problems: z.array(z.object({ path: z.string(), message: z.string() })),
    facts: z.object({ type: z.enum(['full', 'incremental']).optional().catch(undefined) }),
  }),
});

export async function awaitBackups(context: CommandContext, sinceMs: number): Promise<StepResult<BackupFigures[]>> {
  const digests = await scheduledWork(context, await ofAll(context, { kind: 'backup', sinceMs }));
  const schema = z.object({ backups: z.array(backupSchema) });
  const result = digests.flatMap((digest) => schema.parse(digest).backups.map(figuresOf));
  const read = sumOf(result, 'totalBytes');
  const added = sumOf(result, 'addedBytes');
  const stored = bytes(sumOf(result, 'storedBytes'));
  const text = `${count(result.length, 'component')} with ${bytes(read)}${typeWords(result)}; new with metadata: ${bytes(added)}, stored as ${stored}`;
  return { text, facts: { backups: result }, result };
}

async function ofAll(context: CommandContext, wish: Omit<Awaited, 'components'>): Promise<Awaited> {
  const { application } = await requireConfiguration(context);
  return { ...wish, components: application.components.map(({ name }) => name) };
}

function typeWords(backups: readonly BackupFigures[]): string {
  return backups
    .filter(({ type }) => type !== undefined)
    .map(({ component, type }) => `, ${component} ${type ?? ''}`)
    .join('');
}

function figuresOf({ component, elapsedMs, result }: z.output<typeof backupSchema>): BackupFigures {
  const { snapshot, files, totalBytes, addedBytes, storedBytes, problems, facts } = result;
  const { type } = facts;
  return {
    component,
    snapshot: snapshot.id,
    ...(type !== undefined && { type }),
    files,
    totalBytes,
    addedBytes,
    storedBytes,
    seconds: elapsedMs / 1000,
    problems: problems.map(({ path, message }) => `${path}: ${message}`),
  };
}

const provenSchema = proofSchema.pick({
  component: true,
  outcome: true,
  message: true,
  rows: true,
  content: true,
  durationSeconds: true,
  sandbox: true,
});

/** By hand: nobody waits for a schedule then. */
export async function secure(context: CommandContext): Promise<StepResult<DemoReport['proofs']>> {
  const { backups } = await backupCommand.run(context, {
    names: [],
    paths: [],
    name: undefined,
    excludes: [],
    oneFileSystem: false,
    host: undefined,
    description: 'after the recovery',
    tags: [],
    isForced: false,
    type: undefined,
    chunker: undefined,
    compressionLevel: undefined,
    isDryRun: false,
  });
  const failed = backups.find(({ error }) => error !== undefined);
  if (failed?.error !== undefined) {
    const { message, hint } = failed.error;
    throw new AppError('SOURCE_FAILED', `the backup of ${failed.component} failed: ${message}`, { hint });
  }
  const options = { component: undefined, from: undefined, workFolder: undefined, leavesJournal: true };
  const { proofs } = await proveCommand.run(context, options);
  const result = proofs.map((proof) => provenSchema.parse(proof));
  return { text: `backed up at once; ${proofWords(result)}`, facts: { proofs: result }, result };
}

export async function awaitProofs(context: CommandContext, sinceMs: number): Promise<StepResult<DemoReport['proofs']>> {
  const digests = await scheduledWork(context, await ofAll(context, { kind: 'proof', sinceMs }));
  const schema = z.object({ proofs: z.array(provenSchema) });
  const result = digests.flatMap((digest) => schema.parse(digest).proofs);
  return { text: proofWords(result), facts: { proofs: result }, result };
}

function proofWords(proofs: DemoReport['proofs']): string {
  const passed = proofs.filter(({ outcome }) => outcome === 'passed').length;
  const items = proofs
    .flatMap(({ content = [] }) => content)
    .reduce((sum, { what, count: number }) => (['table', 'byte'].includes(what) ? sum : sum + number), 0);
  return `${passed} of ${count(proofs.length, 'component')} proven in throw-away places: ${count(items, 'item', 'rows, keys, files and schema objects')} came back as they were`;
}
