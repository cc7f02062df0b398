// `diff`: what changed between two snapshots.
import { count } from '../../base/count.ts';
import { selectPoint } from '../../operations/restore/select-point.ts';
import { diffTrees, type Difference } from '../../repository/diff.ts';
import { loadIndex } from '../../repository/load-index.ts';
import { defineCommand } from '../command.ts';
import { requiredArgument, switchOption, textOption } from '../option.ts';
import { isProvenFor } from '../proofs.ts';
import { readableSnapshots } from '../readable-snapshots.ts';
import { openFirst } from '../repository-choice.ts';
import { snapshotWords } from '../snapshot-argument.ts';
import { bytes, shortId, shortTime, type Paint } from '../style.ts';

export interface DiffData {
  readonly before: { readonly id: string; readonly time: string };
  readonly after: { readonly id: string; readonly time: string };
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
    await using opened = await openFirst(context, 'read');
    const { repository } = opened;
    const all = await readableSnapshots(repository, context);
    const own = component === undefined ? {} : { component };
    const isProven = await isProvenFor([first, second], repository, signal);
    const before = selectPoint(all, { from: first, ...own }, isProven);
    const after = selectPoint(all, { from: second, ...own }, isProven);
    const indexed = { repository, index: await loadIndex(repository, signal) };
    const differences: DiffData['differences'][number][] = [];
    const counts = { added: 0, removed: 0, type: 0, content: 0, metadata: 0 };
    const sums = { addedBytes: 0, removedBytes: 0 };
    for await (const found of diffTrees(indexed, { before: before.tree, after: after.tree }, signal)) {
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
      before: { id: before.id, time: before.time },
      after: { id: after.id, time: after.time },
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
});

const signs: Readonly<Record<Difference['kind'], { readonly sign: string; readonly paint: Paint }>> = {
  added: { sign: '+', paint: 'green' },
  removed: { sign: '-', paint: 'red' },
  content: { sign: 'M', paint: 'yellow' },
  type: { sign: 'T', paint: 'yellow' },
  metadata: { sign: 'U', paint: 'dim' },
};
