// Journals for tests: made up bytes of segments, and writers and readers of them.
import { seededRandom } from '../../src/base/random.ts';
import type { JsonObject } from '../../src/base/json.ts';
import type { StoredBranch } from '../../src/repository/journal/branches.ts';
import { FrameSealer } from '../../src/repository/journal/frame-sealer.ts';
import { listJournal, type JournalListing } from '../../src/repository/journal/listing.ts';
import { readSegment, type SegmentBytes } from '../../src/repository/journal/read.ts';
import type { SegmentSource } from '../../src/repository/journal/replace.ts';
import { openJournal, type JournalWriter } from '../../src/repository/journal/writer.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { noSignal } from './repository.ts';

export const testBranch: StoredBranch = { lineage: 'test/1', segmentBytes: 1000, about: { history: 'none' } };

/** The same for the same segment, hard to compress. */
export function segmentContent(segment: number, sizeBytes = testBranch.segmentBytes): Buffer {
  const random = seededRandom(segment + 1);
  return Buffer.from(Uint8Array.from({ length: sizeBytes }, () => Math.floor(random() * 256)));
}

export const writerId = (number: number): string => number.toString(16).padStart(16, '0');

export function openTestJournal(
  repository: Repository,
  epoch: number,
  { branch = testBranch, writer = writerId(epoch) }: { branch?: StoredBranch; writer?: string } = {},
): Promise<JournalWriter> {
  // Closed by nobody: what tests write is sealed on the main thread, and idle threads keep no process alive.
  const sealer = new FrameSealer(repository);
  return openJournal(repository, { branch, epoch, writer, sealer, signal: noSignal });
}

export function sourceOf(
  segment: number,
  content: Buffer,
  { from = 0, facts = {} }: { from?: number; facts?: JsonObject } = {},
): SegmentSource {
  const read = async (offset: number, into: Uint8Array): Promise<void> => {
    into.set(content.subarray(offset, offset + into.length));
  };
  return { segment, from, sizeBytes: content.length, facts, read };
}

export const list = (repository: Repository, branch = testBranch): Promise<JournalListing> =>
  listJournal(repository, branch, noSignal);

export async function readBytes(repository: Repository, segment: number, branch = testBranch): Promise<SegmentBytes> {
  return readSegment(repository, await list(repository, branch), { segment, signal: noSignal });
}
