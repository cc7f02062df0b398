// The steps of the demonstration, each by the command a user would run.
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { count } from '../base/count.ts';
import { AppError } from '../base/errors.ts';
import { backupCommand, type BackupOutcome } from '../cli/commands/backup.ts';
import { proveCommand } from '../cli/commands/prove.ts';
import { repositoryInitCommand } from '../cli/commands/repository-init.ts';
import { requireConfiguration } from '../cli/component-choice.ts';
import type { CommandContext } from '../cli/context.ts';
import { bytes } from '../cli/style.ts';
import type { Narrator, StepResult } from './narrator.ts';
import { compareAll, restoreAll, type Restored } from './recovery.ts';
import { sumOf, type BackupFigures, type DemoReport } from './report.ts';
import type { Shop, ShopState } from './shop.ts';

export const storySteps = 8;

export async function createRepository(context: CommandContext): Promise<void> {
  await repositoryInitCommand.run(context, {
    from: undefined,
    fromPasswordFile: undefined,
    chunker: undefined,
    createsBucket: false,
    enablesVersioning: false,
  });
}

export async function runStory(
  shop: Shop,
  context: CommandContext,
  narrator: Narrator,
): Promise<Pick<DemoReport, 'backups' | 'proofs' | 'recoveries' | 'recoverySeconds'>> {
  const { signal, clock } = context;
  const { application } = await requireConfiguration(context);
  await narrator.step('create', () => create(shop, context));
  const first = await narrator.step('back up', () => backUp(context));
  const before = await narrator.step('go on', () => goOn(shop, signal));
  const second = await narrator.step('back up', () => backUp(context));
  const proofs = await narrator.step('prove', () => proveAll(context));
  const after = await narrator.step('disaster', () => destroy(shop, { before, signal }));
  const disasterMs = clock.now();
  const restored = await narrator.step('restore', async (): Promise<StepResult<Restored[]>> => {
    const result = await restoreAll(application.components, context);
    const words = result.map(({ component, seconds }) => `${component.name} ${seconds.toFixed(1)} s`);
    return { text: words.join(', '), facts: { restored: result.map(restoredFacts) }, result };
  });
  const recoveries = await narrator.step('compare', () => compareAll(restored, { shop, context, before, after }));
  return { backups: { first, second }, proofs, recoveries, recoverySeconds: (clock.now() - disasterMs) / 1000 };
}

const restoredFacts = ({ component, ...rest }: Restored) => ({ component: component.name, ...rest });

async function create(shop: Shop, { progress, signal }: CommandContext): Promise<StepResult<void>> {
  await shop.create(
    (itemsDone, itemsTotal) => progress.update({ work: 'create', itemsDone, itemsTotal, item: 'file' }),
    signal,
  );
  const state = await shop.measure(signal);
  return { text: `a shop with ${stateWords(state)}`, facts: stateFacts(state), result: undefined };
}

async function goOn(shop: Shop, signal: AbortSignal): Promise<StepResult<ShopState>> {
  await shop.goOn(signal);
  const result = await shop.measure(signal);
  return { text: `customers buy, prices change: ${stateWords(result)}`, facts: stateFacts(result), result };
}

async function destroy(
  shop: Shop,
  { before, signal }: { readonly before: ShopState; readonly signal: AbortSignal },
): Promise<StepResult<ShopState>> {
  await shop.destroy(signal);
  const result = await shop.measure(signal);
  const parts = [
    ...(before.rows === undefined ? [] : ['tables dropped and emptied']),
    ...(before.keys === undefined ? [] : ['the cache flushed']),
    'uploads deleted and overwritten',
    'the configuration scrambled',
  ];
  return { text: `${parts.join(', ')}: ${stateWords(result)} are left`, facts: stateFacts(result), result };
}

const stateFacts = ({ rows, keys, uploads, configuration }: ShopState) => ({
  rows,
  keys,
  uploads: uploads.size,
  configurationFiles: configuration.size,
});

function stateWords({ rows, keys, uploads, configuration }: ShopState): string {
  const parts = [
    ...(rows === undefined ? [] : [count(rows, 'row')]),
    ...(keys === undefined ? [] : [count(keys, 'key')]),
    count(uploads.size, 'upload'),
    count(configuration.size, 'configuration file'),
  ];
  return `${parts.slice(0, -1).join(', ')} and ${parts.at(-1) ?? ''}`;
}

async function backUp(context: CommandContext): Promise<StepResult<BackupFigures[]>> {
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
  });
  const result = backups.map(figuresOf);
  const read = sumOf(result, 'totalBytes');
  const added = sumOf(result, 'addedBytes');
  const stored = bytes(sumOf(result, 'storedBytes'));
  const text = `${count(result.length, 'component')}, ${bytes(read)} read; new with metadata: ${bytes(added)}, stored as ${stored}`;
  return { text, facts: { backups: result }, result };
}

function figuresOf({ component, elapsedMs, result, error }: BackupOutcome): BackupFigures {
  if (result === undefined) {
    const reason = error?.message ?? 'no result';
    throw new AppError('SOURCE_FAILED', `the backup of ${component} failed: ${reason}`, {
      hint: error?.hint ?? 'Run the demonstration again.',
    });
  }
  const { snapshot, files, totalBytes, addedBytes, storedBytes, problems } = result;
  return {
    component,
    snapshot: snapshot.id,
    files,
    totalBytes,
    addedBytes,
    storedBytes,
    seconds: elapsedMs / 1000,
    problems: problems.map(({ path, message }) => `${path}: ${message}`),
  };
}

async function proveAll(context: CommandContext): Promise<StepResult<DemoReport['proofs']>> {
  const { proofs } = await proveCommand.run(context, { component: undefined, from: undefined, workFolder: undefined });
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

/** Bytes of all files in a folder. */
export async function folderSize(folder: string): Promise<number> {
  let sizeBytes = 0;
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) sizeBytes += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return sizeBytes;
}
