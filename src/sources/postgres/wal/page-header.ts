// The header of a WAL page, and the longer one that begins a segment: whose WAL it is and where it belongs.
import { AppError } from '../../../base/errors.ts';
import type { Lsn } from './lsn.ts';

export const walPageBytes = 8192;
export const shortHeaderBytes = 24;
export const longHeaderBytes = 40;

/** Bits of a page's `info`. */
export const pageFlags = { continued: 1, long: 2, removableImages: 4, overwritten: 8, known: 15 } as const;

const magicByMajor: Readonly<Record<number, number>> = {
  14: 0xd10d,
  15: 0xd110,
  16: 0xd113,
  17: 0xd116,
  18: 0xd118,
};

/** The number at the beginning of each page that a server of this major version writes. */
export function walMagic(major: number): number {
  const magic = magicByMajor[major];
  if (magic !== undefined) return magic;
  throw new AppError('SOURCE_UNSUPPORTED', `the WAL format of PostgreSQL ${major} is not known`, {
    hint: 'Use PostgreSQL 14 to 18, or update this program.',
  });
}

/** The major version whose servers write this magic number, if it is known. */
export function majorOfMagic(magic: number): number | undefined {
  const entry = Object.entries(magicByMajor).find(([, one]) => one === magic);
  return entry === undefined ? undefined : Number(entry[0]);
}

export interface PageHeader {
  readonly magic: number;
  readonly flags: number;
  readonly timeline: number;
  readonly lsn: Lsn;
  /** Bytes of a record begun earlier that are still to come, from this page on. */
  readonly continuedBytes: number;
}

export interface SegmentHeader extends PageHeader {
  readonly systemIdentifier: bigint;
  readonly segmentBytes: number;
  readonly pageBytes: number;
}

/** `bytes` holds at least `shortHeaderBytes`. */
export function readPageHeader(bytes: Buffer): PageHeader {
  return {
    magic: bytes.readUInt16LE(0),
    flags: bytes.readUInt16LE(2),
    timeline: bytes.readUInt32LE(4),
    lsn: bytes.readBigUInt64LE(8),
    continuedBytes: bytes.readUInt32LE(16),
  };
}

/** `bytes` holds at least `longHeaderBytes`. */
export function readSegmentHeader(bytes: Buffer): SegmentHeader {
  return {
    ...readPageHeader(bytes),
    systemIdentifier: bytes.readBigUInt64LE(24),
    segmentBytes: bytes.readUInt32LE(32),
    pageBytes: bytes.readUInt32LE(36),
  };
}
