// The order in which a server committed, out of its own WAL files: what a copy at an instant must hold is decided by that order alone.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lsn } from '../../src/sources/postgres/wal/lsn.ts';
import { readSegmentHeader } from '../../src/sources/postgres/wal/page-header.ts';
import type { WalEvent } from '../../src/sources/postgres/wal/record-event.ts';
import { RecordWalker } from '../../src/sources/postgres/wal/record-walker.ts';
import { parseWalFileName, segmentName } from '../../src/sources/postgres/wal/segment-name.ts';

export const walSegmentBytes = 16 * 2 ** 20;

export type TransactionEnd = Extract<WalEvent, { kind: 'transaction-end' }>;

export interface CommitLog {
  /** In the order of the log. */
  readonly ends: readonly TransactionEnd[];
  /** Of the last complete record. */
  readonly end: Lsn;
}

export interface CommitLogOptions {
  readonly major: number;
  readonly timeline: number;
  /** Where segments lie; the first that has one counts. */
  readonly folders: readonly string[];
}

/** From the oldest segment of the timeline that is there; throws if one is missing in between. */
export function readCommitLog({ major, timeline, folders }: CommitLogOptions): CommitLog {
  const numbers = new Set<number>();
  for (const name of folders.flatMap((folder) => readdirSync(folder))) {
    const parsed = parseWalFileName(name, walSegmentBytes);
    if (parsed?.kind === 'segment' && parsed.timeline === timeline) numbers.add(parsed.segment);
  }
  const ends: TransactionEnd[] = [];
  const [first = 0, ...others] = [...numbers].toSorted((left, right) => left - right);
  let walker: RecordWalker | undefined;
  for (const [at, segment] of [first, ...others].entries()) {
    if (segment !== first + at) throw new Error(`the server's segment ${first + at} is missing`);
    const bytes = readSegment(folders, segmentName(timeline, segment, walSegmentBytes));
    walker ??= new RecordWalker(
      {
        startLsn: BigInt(segment) * BigInt(walSegmentBytes),
        segmentBytes: walSegmentBytes,
        major,
        systemIdentifier: readSegmentHeader(bytes).systemIdentifier,
        timeline,
      },
      (event) => {
        if (event.kind === 'transaction-end') ends.push(event);
      },
    );
    walker.push(bytes);
    // Beyond the end lie segments that were made ahead.
    if (walker.stop !== undefined) break;
  }
  return { ends, end: walker?.recordsEnd ?? 0n };
}

function readSegment(folders: readonly string[], name: string): Buffer {
  const folder = folders.find((one) => readdirSync(one).includes(name));
  if (folder === undefined) throw new Error(`no ${name}`);
  return readFileSync(join(folder, name));
}
