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

/** Sealed segments, a hole that is recorded as lost, sealed ones behind it, and parts of the open one, cut where they are told. */
export async function journalWithGap(
  repository: Repository,
  { before, behind, parts, epoch = 1 }: GappedJournal,
): Promise<JournalWriter> {
  const journal = await openTestJournal(repository, epoch);
  for (const segment of before) await sealWhole(journal, segment);
  const [from, to] = [(before.at(-1) ?? 0) + 1, behind[0] ?? 0];
  const gap = { from: { segment: from, offset: 0 }, to: { segment: to, offset: 0 }, reason: 'lost' };
  await journal.recordGap(gap, noSignal);
  for (const segment of behind) await sealWhole(journal, segment);
  const open = (behind.at(-1) ?? 0) + 1;
  for (const [at, end] of parts.entries()) await putPart(journal, open, [parts[at - 1] ?? 0, end]);
  return journal;
}

interface GappedJournal {
  readonly before: readonly number[];
  readonly behind: readonly number[];
  readonly parts: readonly number[];
  readonly epoch?: number;
}

/** With facts that name the segment. */
export function sealWhole(writer: JournalWriter, segment: number, content = segmentContent(segment)): Promise<unknown> {
  return writer.sealSegment(sourceOf(segment, content, { facts: { sealed: segment } }), noSignal);
}

/** With facts that name its end. */
export function putPart(writer: JournalWriter, segment: number, [from, to]: [number, number]): Promise<unknown> {
  const bytes = segmentContent(segment).subarray(from, to);
  return writer.putPart({ segment, offset: from, bytes, facts: { to } }, noSignal);
}
