// `diff`: what changed between two snapshots, or between one and what is there now.
import { existsSync } from 'node:fs';
import { fsPath } from '../../base/byte-name.ts';
import { count } from '../../base/count.ts';
import { AppError } from '../../base/errors.ts';
import { diffLive } from '../../operations/diff-live.ts';
import { componentOf } from '../../operations/restore/select-point.ts';
import type { IndexedRepository } from '../../repository/blob-reader.ts';
import { diffTrees, type Difference, type DiffSide } from '../../repository/diff.ts';
import { loadIndex } from '../../repository/load-index.ts';
import type { EntryProblem } from '../../sources/source.ts';
import { defineCommand } from '../command.ts';
import { requireConfiguration } from '../component-choice.ts';
import { optionalArgument, requiredArgument, switchOption, textOption } from '../option.ts';
import type { CommandContext, OpenedRepository } from '../context.ts';
import { exitCodeOf, noteUnread, PointSearch, type FoundPoint, type UnreadRepository } from '../point-search.ts';
import { snapshotWords } from '../snapshot-argument.ts';
import { bytes, shortId, shortTime, visiblePath, type Paint } from '../style.ts';

interface DiffEnd {
  readonly id: string;
  readonly time: string;
  readonly repository: string;
}

export interface DiffData {
  readonly before: DiffEnd;
  /** `now`: what lies on this machine. */
  readonly after: DiffEnd | { readonly now: true; readonly time: string };
  /** Repositories that could not be looked at. */
  readonly unread: readonly UnreadRepository[];
  /** Of what is there now: what could not be looked at. */
  readonly problems: readonly EntryProblem[];
  readonly differences: readonly {
    readonly kind: Difference['kind'];
    readonly path: string;
    readonly bytesBefore: number | undefined;
    readonly bytesAfter: number | undefined;
  }[];
  readonly counts: Readonly<Record<Difference['kind'], number>>;
  readonly addedBytes: number;
  readonly removedBytes: number;
}

export const diffCommand = defineCommand({
  summary: 'Show what changed between two snapshots, or since one',
  details:
    'Looks for both in all repositories, or that of --repository, as restore does. With --live in place of the second one it compares with what lies on this machine now, and finds what is missing (-), changed or damaged (M) there. What cannot be read is told; the exit code is then 3.',
  examples: [
    'lifeboat diff 46c536f7 latest',
    'lifeboat diff before:2026-11-20 latest --component uploads --metadata',
    'lifeboat diff latest --component uploads --live --read-data',
  ],
  arguments: {
    first: requiredArgument('<snapshot>', snapshotWords),
    second: optionalArgument('[snapshot2]', snapshotWords),
  },
  options: {
    component: textOption('--component <name>', 'the component whose snapshots count'),
    isLive: switchOption('--live', 'compare with the files of this machine as they are now'),
    readsData: switchOption('--read-data', 'with --live: read also files whose size and time are as they were'),
    showsMetadata: switchOption('--metadata', 'also entries of which only mode, owner or times changed'),
  },
  async run(context, { first, second, component, showsMetadata, isLive, readsData }): Promise<DiffData> {
    const hasSecond = second !== undefined;
    if (isLive === hasSecond || (readsData && !isLive)) throw wrongEnds({ isLive, hasSecond });
    const { signal } = context;
    await using search = new PointSearch(context, 'read');
    const before = await search.find({ from: first, component });
    const after = second === undefined ? undefined : await search.find({ from: second, component });
    noteUnread(search.unread, context);
    const problems: EntryProblem[] = [];
    const found =
      after === undefined
        ? await liveDifferences(before, { context, readsData, problems })
        : diffTrees(await sidesOf({ before, after }, search, signal), signal);
    const summed = await sumUp(found, { showsMetadata });
    const now = { now: true, time: new Date(context.clock.now()).toISOString() } as const;
    return {
      before: endOf(before),
      after: after === undefined ? now : endOf(after),
      unread: search.unread,
      problems,
      ...summed,
    };
  },
  render({ before, after, differences, counts, addedBytes, removedBytes, problems }, style) {
    const lines = differences.map(({ kind, path }) => {
      const { sign, paint } = signs[kind];
      return `${style.paint(paint, sign)} ${visiblePath(path)}`;
    });
    const name = 'now' in after ? 'what is there now' : `${shortId(after.id)} (${shortTime(after.time, style)})`;
    const ends = `${shortId(before.id)} (${shortTime(before.time, style)}) to ${name}`;
    const changed = counts.content + counts.type;
    return [
      ends,
      ...lines,
      ...problems.map(({ path, message }) => style.paint('yellow', `? ${visiblePath(path)}: ${message}`)),
      `${counts.added} added, ${counts.removed} removed, ${changed} changed, ${count(counts.metadata, 'entry', 'entries')} with other metadata`,
      `${bytes(addedBytes)} came, ${bytes(removedBytes)} went`,
    ].join('\n');
  },
  exitCode: ({ unread, problems }) => (problems.length > 0 ? 3 : exitCodeOf(unread)),
});

function wrongEnds({ isLive, hasSecond }: { readonly isLive: boolean; readonly hasSecond: boolean }): AppError {
  const hint = 'Name two snapshots, or one and --live; --read-data is for --live alone.';
  if (isLive) return new AppError('USAGE', '--live stands in place of a second snapshot, and there is one', { hint });
  const what = hasSecond
    ? '--read-data says nothing of two snapshots'
    : 'there is one snapshot, and none to compare it with';
  return new AppError('USAGE', what, { hint });
}

/** With the files of the component that the snapshot is of, as it is configured here. */
async function liveDifferences(
  { snapshot, opened: { repository } }: FoundPoint,
  parts: { readonly context: CommandContext; readonly readsData: boolean; readonly problems: EntryProblem[] },
): Promise<AsyncGenerator<Difference>> {
  const { context, readsData, problems } = parts;
  const { signal } = context;
  const name = componentOf(snapshot);
  const { application } = await requireConfiguration(context);
  const component = application.components.find((one) => one.name === name);
  if (component?.type !== 'files') {
    const what = component === undefined ? 'is not configured here' : `is of type ${component.type}`;
    const message = `--live compares components of type files; ${name ?? 'what the snapshot is of'} ${what}`;
    throw new AppError('NOT_SUPPORTED', message, {
      hint: "Choose another one with --component; 'lifeboat prove' compares others on a restore.",
    });
  }
  // A folder that is gone is what is looked for here; a backup refuses it.
  const paths = component.paths.filter((path) => existsSync(fsPath(path)));
  const source = paths.length === 0 ? undefined : await context.sourceOf({ ...component, paths });
  const indexed = { repository, index: await loadIndex(repository, signal) };
  const work = `compare ${component.name}`;
  let itemsDone = 0;
  const onEntry = (detail: string): void => context.progress.update({ work, itemsDone: (itemsDone += 1), detail });
  const onProblem = (problem: EntryProblem): void => void problems.push(problem);
  return diffLive({ indexed, snapshot }, source, { readsData, onEntry, onProblem, signal });
}

type Summed = Pick<DiffData, 'differences' | 'counts' | 'addedBytes' | 'removedBytes'>;

async function sumUp(
  all: AsyncIterable<Difference>,
  { showsMetadata }: { readonly showsMetadata: boolean },
): Promise<Summed> {
  const differences: DiffData['differences'][number][] = [];
  const counts = { added: 0, removed: 0, type: 0, content: 0, metadata: 0 };
  const sums = { addedBytes: 0, removedBytes: 0 };
  for await (const found of all) {
    counts[found.kind] += 1;
    if (found.kind === 'metadata' && !showsMetadata) continue;
    const bytesBefore = found.kind === 'added' ? undefined : found.before.sizeBytes;
    const bytesAfter = found.kind === 'removed' ? undefined : found.after.sizeBytes;
    if (found.kind !== 'metadata') {
      sums.addedBytes += bytesAfter ?? 0;
      sums.removedBytes += bytesBefore ?? 0;
    }
    differences.push({ kind: found.kind, path: found.path, bytesBefore, bytesAfter });
  }
  return { differences, counts, ...sums };
}

function endOf({ snapshot: { id, time }, opened }: FoundPoint): DiffEnd {
  return { id, time, repository: opened.settings.name };
}

interface Ends {
  readonly before: FoundPoint;
  readonly after: FoundPoint;
}

interface Sides {
  readonly before: DiffSide;
  readonly after: DiffSide;
}

/** Both are read in one repository if one has both trees: a copy of a snapshot will do. */
async function sidesOf({ before, after }: Ends, search: PointSearch, signal: AbortSignal): Promise<Sides> {
  const trees = [before.snapshot.tree, after.snapshot.tree];
  const holding = (await search.all()).find(({ snapshots }) =>
    trees.every((tree) => snapshots.some((one) => one.tree === tree)),
  );
  const open = async ({ repository }: OpenedRepository): Promise<IndexedRepository> => ({
    repository,
    index: await loadIndex(repository, signal),
  });
  const old = await open((holding ?? before).opened);
  const now = holding === undefined ? await open(after.opened) : old;
  return { before: { indexed: old, tree: before.snapshot.tree }, after: { indexed: now, tree: after.snapshot.tree } };
}

const signs: Readonly<Record<Difference['kind'], { readonly sign: string; readonly paint: Paint }>> = {
  added: { sign: '+', paint: 'green' },
  removed: { sign: '-', paint: 'red' },
  content: { sign: 'M', paint: 'yellow' },
  type: { sign: 'T', paint: 'yellow' },
  metadata: { sign: 'U', paint: 'dim' },
};
