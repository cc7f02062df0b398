// What a recovering server may be given: the segments on its way, and the histories of all timelines that ever were, so that it
// numbers its own so as nobody has before.
import { AppError } from '../../../base/errors.ts';
import { freeMemory } from '../../../base/free-memory.ts';
import type { JournalReader } from '../../journal.ts';
import type { ReplayFile } from '../../replay.ts';
import { ancestorHistory } from '../lineage.ts';
import { longHeaderBytes, majorOfMagic, readSegmentHeader } from '../wal/page-header.ts';
import { segmentProblem } from '../wal/segment-header.ts';
import { historyName, segmentName } from '../wal/segment-name.ts';
import type { Recovery } from './choose-recovery.ts';
import type { ReplaySegment } from './reach.ts';
import type { ReplayMap } from './replay-map.ts';
import type { KeptTimeline } from './timeline-tree.ts';

/** Histories first; then segments in order, those behind the target too: the record that ends it may reach into them. */
export function replayFiles(recovery: Recovery, map: ReplayMap, journal: JournalReader): ReplayFile[] {
  const histories = [...historyFiles(recovery.goal, map.timelines)].map(([name, bytes]) => ({
    name,
    sizeBytes: bytes.length,
    read: () => Promise.resolve(Buffer.from(bytes)),
  }));
  const { goal, stop, reach } = recovery;
  // Where the backup itself is the target nothing may follow it.
  const segments = stop.kind === 'base' ? [] : reach.segments;
  return [...histories, ...segments.map((segment) => segmentFile(segment, goal, journal))];
}

export function segmentFile(segment: ReplaySegment, goal: KeptTimeline, journal: JournalReader): ReplayFile {
  const { segmentBytes } = goal;
  return {
    name: segmentName(segment.timeline, segment.segment, segmentBytes),
    sizeBytes: segmentBytes,
    async read(signal) {
      const bytes = await journal.read(segment.lineage, segment.segment, signal);
      checkSegment(bytes, segment, goal);
      if (bytes.length === segmentBytes) return bytes;
      const padded = Buffer.alloc(segmentBytes); // The server takes files of the right size only, and zeros for their end.
      padded.set(bytes);
      freeMemory(bytes);
      return padded;
    },
  };
}

/** Rejects what is not that segment of that system. */
export function checkSegment(bytes: Buffer, { segment, timeline }: ReplaySegment, goal: KeptTimeline): void {
  const magic = bytes.length < longHeaderBytes ? 0 : readSegmentHeader(bytes).magic;
  const major = goal.major ?? majorOfMagic(magic);
  const name = segmentName(timeline, segment, goal.segmentBytes);
  const expected = {
    systemIdentifier: BigInt(goal.systemIdentifier),
    timeline,
    segment,
    segmentBytes: goal.segmentBytes,
  };
  const problem = major === undefined ? 'its version is not known' : segmentProblem(bytes, { ...expected, major });
  if (problem === undefined && bytes.length <= goal.segmentBytes) return;
  throw new AppError('REPOSITORY_DAMAGED', `segment ${name} of the journal is not what its name says: ${problem}`, {
    hint: 'Restore to an instant before it, or from another repository.',
  });
}

/** By name. A number of which nothing is kept but its children is taken all the same. */
export function historyFiles(goal: KeptTimeline, timelines: readonly KeptTimeline[]): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  const own = timelines.filter(({ systemIdentifier }) => systemIdentifier === goal.systemIdentifier);
  const newest = own.reduce((most, { timeline }) => Math.max(most, timeline), goal.timeline);
  for (let number = 2; number <= newest; number += 1) {
    const bytes = historyFor(number, goal, own);
    if (bytes !== undefined) files.set(historyName(number), bytes);
  }
  return files;
}

/** Of the goal it must be the very one, which may lie in the backup; of others it is only asked whether there is any. */
function historyFor(number: number, goal: KeptTimeline, own: readonly KeptTimeline[]): Buffer | undefined {
  for (const one of [goal, ...own]) {
    if (one.historyFile === undefined) continue;
    if (one.timeline === number) return one.historyFile;
    const ofAncestor = ancestorHistory(one.historyFile, number);
    if (ofAncestor !== undefined) return ofAncestor;
  }
  if (number <= goal.timeline) return undefined;
  return Buffer.from(`1\t0/0\tof timeline ${number} nothing is kept\n`);
}
