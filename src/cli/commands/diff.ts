// `diff`: what changed between two snapshots.
import { count } from '../../base/count.ts';
import type { IndexedRepository } from '../../repository/blob-reader.ts';
import { diffTrees, type Difference, type DiffSide } from '../../repository/diff.ts';
import { loadIndex } from '../../repository/load-index.ts';
import { defineCommand } from '../command.ts';
import { requiredArgument, switchOption, textOption } from '../option.ts';
import type { OpenedRepository } from '../context.ts';
import { exitCodeOf, noteUnread, PointSearch, type FoundPoint, type UnreadRepository } from '../point-search.ts';
import { snapshotWords } from '../snapshot-argument.ts';
import { bytes, shortId, shortTime, type Paint } from '../style.ts';

interface DiffEnd {
  readonly id: string;
  readonly time: string;
  readonly repository: string;
}

export interface DiffData {
  readonly before: DiffEnd;
  readonly after: DiffEnd;
  /** Repositories that could not be looked at. */
  readonly unread: readonly UnreadRepository[];
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
  summary: 'Show what changed between two snapshots',
  details:
    'Looks for both in all repositories, or that of --repository, as restore does. One that cannot be read is told; the exit code is then 3.',
  examples: ['lifeboat diff 46c536f7 latest', 'lifeboat diff before:2026-11-20 latest --component uploads --metadata'],
  arguments: {
    first: requiredArgument('<snapshot>', snapshotWords),
    second: requiredArgument('<snapshot2>', snapshotWords),
  },
  options: {
    component: textOption('--component <name>', 'the component whose snapshots count'),
    showsMetadata: switchOption('--metadata', 'also entries of which only mode, owner or times changed'),
  },
  async run(context, { first, second, component, showsMetadata }): Promise<DiffData> {
    const { signal } = context;
    await using search = new PointSearch(context, 'read');
    const before = await search.find({ from: first, component });
    const after = await search.find({ from: second, component });
    noteUnread(search.unread, context);
    const sides = await sidesOf({ before, after }, search, signal);
    const differences: DiffData['differences'][number][] = [];
    const counts = { added: 0, removed: 0, type: 0, content: 0, metadata: 0 };
    const sums = { addedBytes: 0, removedBytes: 0 };
    for await (const found of diffTrees(sides, signal)) {
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
    return {
      before: endOf(before),
      after: endOf(after),
      unread: search.unread,
      differences,
      counts,
      ...sums,
    };
  },
  render({ before, after, differences, counts, addedBytes, removedBytes }, style) {
    const lines = differences.map(({ kind, path }) => {
      const { sign, paint } = signs[kind];
      return `${style.paint(paint, sign)} ${path.replaceAll(/\p{Cc}/gu, '?')}`;
    });
    const ends = `${shortId(before.id)} (${shortTime(before.time, style)}) to ${shortId(after.id)} (${shortTime(after.time, style)})`;
    const changed = counts.content + counts.type;
    return [
      ends,
      ...lines,
      `${counts.added} added, ${counts.removed} removed, ${changed} changed, ${count(counts.metadata, 'entry', 'entries')} with other metadata`,
      `${bytes(addedBytes)} came, ${bytes(removedBytes)} went`,
    ].join('\n');
  },
  exitCode: ({ unread }) => exitCodeOf(unread),
});

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
