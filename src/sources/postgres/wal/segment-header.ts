// Whether a segment is what its name and its repository say: a clone, another cluster or another version must not get in.
import { formatLsn, lsnOf } from './lsn.ts';
import {
  longHeaderBytes,
  majorOfMagic,
  pageFlags,
  readSegmentHeader,
  type SegmentHeader,
  walMagic,
  walPageBytes,
} from './page-header.ts';

export interface ExpectedSegment {
  readonly major: number;
  readonly systemIdentifier: bigint;
  readonly timeline: number;
  readonly segment: number;
  readonly segmentBytes: number;
}

/**
 * What is wrong with the segment that begins with `start`, as a lower-case fact; undefined if it is the expected one.
 * The first segment of a timeline is a copy of its parent's up to the switch, so its first pages name an older timeline.
 */
export function segmentProblem(start: Buffer, expected: ExpectedSegment): string | undefined {
  if (start.length < longHeaderBytes) return `only ${start.length} bytes, too few for the header of a segment`;
  return segmentHeaderProblem(readSegmentHeader(start), expected);
}

export function segmentHeaderProblem(header: SegmentHeader, expected: ExpectedSegment): string | undefined {
  if (header.magic !== walMagic(expected.major)) return magicProblem(header.magic, expected.major);
  if ((header.flags & ~pageFlags.known) !== 0) return `unknown page flags ${header.flags.toString(16)}`;
  if ((header.flags & pageFlags.long) === 0) return 'its first page lacks the header of a segment';
  if (header.systemIdentifier !== expected.systemIdentifier) {
    return `it belongs to the system ${header.systemIdentifier}, not to ${expected.systemIdentifier}`;
  }
  if (header.segmentBytes !== expected.segmentBytes) {
    return `its segments have ${header.segmentBytes} bytes, not ${expected.segmentBytes}`;
  }
  if (header.pageBytes !== walPageBytes) return `its WAL pages have ${header.pageBytes} bytes, not ${walPageBytes}`;
  const lsn = lsnOf({ segment: expected.segment, offset: 0 }, expected.segmentBytes);
  if (header.lsn !== lsn) return `it begins at ${formatLsn(header.lsn)}, not at ${formatLsn(lsn)}`;
  if (header.timeline === 0 || header.timeline > expected.timeline) {
    return `it belongs to timeline ${header.timeline}, not to ${expected.timeline}`;
  }
  return undefined;
}

export function magicProblem(magic: number, major: number): string {
  const other = majorOfMagic(magic);
  if (other !== undefined) return `its WAL is of PostgreSQL ${other}, not of ${major}`;
  return `a WAL page begins with ${magic.toString(16)}, which is not the mark of PostgreSQL ${major}`;
}
