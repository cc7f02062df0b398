// The steps that protect the shop, each by the command a user would run, and the numbers that they give.
import { count } from '../base/count.ts';
import { AppError } from '../base/errors.ts';
import { backupCommand, type BackupOutcome } from '../cli/commands/backup.ts';
import { proveCommand } from '../cli/commands/prove.ts';
import { repositoryInitCommand } from '../cli/commands/repository-init.ts';
import type { CommandContext } from '../cli/context.ts';
import { bytes } from '../cli/style.ts';
import type { StepResult } from './narrator.ts';
import { sumOf, type BackupFigures, type DemoReport } from './report.ts';

export async function createRepository(context: CommandContext): Promise<void> {
  await repositoryInitCommand.run(context, {
    from: undefined,
    fromPasswordFile: undefined,
    chunker: undefined,
    createsBucket: false,
    enablesVersioning: false,
  });
}

export async function backUp(context: CommandContext): Promise<StepResult<BackupFigures[]>> {
  const { backups } = await backupCommand.run(context, {
    names: [],
    paths: [],
    name: undefined,
    excludes: [],
    oneFileSystem: false,
    host: undefined,
    description: undefined,
    tags: [],
    isForced: false,
    type: undefined,
    chunker: undefined,
    compressionLevel: undefined,
    isDryRun: false,
  });
  const result = backups.map(figuresOf);
  const read = sumOf(result, 'totalBytes');
  const added = sumOf(result, 'addedBytes');
  const stored = bytes(sumOf(result, 'storedBytes'));
  const text = `${count(result.length, 'component')} with ${bytes(read)}${typeWords(result)}; new with metadata: ${bytes(added)}, stored as ${stored}`;
  return { text, facts: { backups: result }, result };
}

function typeWords(backups: readonly BackupFigures[]): string {
  return backups
    .filter(({ type }) => type !== undefined)
    .map(({ component, type }) => `, ${component} ${type ?? ''}`)
    .join('');
}

function figuresOf({ component, elapsedMs, result, error }: BackupOutcome): BackupFigures {
  if (result === undefined) {
    const reason = error?.message ?? 'no result';
    throw new AppError('SOURCE_FAILED', `the backup of ${component} failed: ${reason}`, {
      hint: error?.hint ?? 'Run the demonstration again.',
    });
  }
  const { snapshot, files, totalBytes, addedBytes, storedBytes, problems, facts } = result;
  const type = facts['type'];
  return {
    component,
    snapshot: snapshot.id,
    ...(type === 'full' || type === 'incremental' ? { type } : {}),
    files,
    totalBytes,
    addedBytes,
    storedBytes,
    seconds: elapsedMs / 1000,
    problems: problems.map(({ path, message }) => `${path}: ${message}`),
  };
}

export async function proveAll(context: CommandContext): Promise<StepResult<DemoReport['proofs']>> {
  const { proofs } = await proveCommand.run(context, {
    component: undefined,
    from: undefined,
    workFolder: undefined,
    leavesJournal: true,
  });
  const result = proofs.map(({ component, outcome, message, rows, content, durationSeconds, sandbox }) => ({
    component,
    outcome,
    message,
    rows,
    content,
    durationSeconds,
    sandbox,
  }));
  const passed = result.filter(({ outcome }) => outcome === 'passed').length;
  const items = result
    .flatMap(({ content = [] }) => content)
    .reduce((sum, { what, count: number }) => (['table', 'byte'].includes(what) ? sum : sum + number), 0);
  const text = `${passed} of ${count(result.length, 'component')} proven in throw-away places: ${count(items, 'item', 'rows, keys, files and schema objects')} came back as they were`;
  return { text, facts: { proofs: result }, result };
}
