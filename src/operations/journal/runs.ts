// What of a branch can be replayed: runs of segments without a hole. Pure.
import type { KeptSegment } from '../../sources/journal.ts';

export interface JournalRun {
  readonly firstSegment: number;
  readonly lastSegment: number;
  /** Of the last: less than a full segment if it is open, or if the branch or a gap cut it. */
  readonly lastBytes: number;
  /** False if more may come. */
  readonly isSealed: boolean;
}

/** Oldest first. A segment is followed without a hole by the next number if it is sealed, or full and only not sealed yet. */
export function unbrokenRuns(segments: readonly KeptSegment[], segmentBytes: number): JournalRun[] {
  const runs: JournalRun[] = [];
  let isComplete = false;
  for (const { segment, sizeBytes, isSealed } of segments) {
    const run = { lastSegment: segment, lastBytes: sizeBytes, isSealed };
    const last = runs.at(-1);
    if (last !== undefined && isComplete && segment === last.lastSegment + 1)
      runs[runs.length - 1] = { ...last, ...run };
    else runs.push({ firstSegment: segment, ...run });
    isComplete = isSealed || sizeBytes === segmentBytes;
  }
  return runs;
}
