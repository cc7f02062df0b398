// Reads a server's backup_manifest as it comes: one line a file, a million of them if need be, none kept. The system identifier
// has more digits than a number of JavaScript holds, so it is taken from the text.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { nameFromBytes } from '../../../base/byte-name.ts';
import { AppError } from '../../../base/errors.ts';
import { type Lsn, parseLsn } from '../wal/lsn.ts';

export interface ManifestFile {
  /** From the data directory on, tablespaces below `pg_tblspc/<oid>`; a byte name. */
  readonly path: string;
  readonly sizeBytes: number;
  /** `SHA256`, `CRC32C` …; undefined if the manifest was made without. */
  readonly algorithm: string | undefined;
  /** Lower-case hexadecimal. */
  readonly checksum: string | undefined;
}

export interface WalRange {
  readonly timeline: number;
  readonly startLsn: Lsn;
  readonly endLsn: Lsn;
}

export interface ManifestSummary {
  readonly version: 1 | 2;
  /** From version 2 on. */
  readonly systemIdentifier: bigint | undefined;
  readonly files: number;
  /** What must be replayed for the backup to be usable. */
  readonly walRanges: readonly WalRange[];
  /** SHA-256 of the manifest, verified. */
  readonly checksum: string;
}

/** A path of 1024 bytes, each written as six, and the rest of a line. */
const lineBytesMax = 16_384;
/** One per timeline crossed while the backup was taken. */
const walRangesMax = 10_000;

const hex = z.string().regex(/^(?:[0-9a-f]{2})+$/i);
const fileSchema = z.object({
  Path: z.string().min(1).optional(),
  'Encoded-Path': hex.optional(),
  Size: z.int().min(0),
  'Last-Modified': z.string().optional(),
  'Checksum-Algorithm': z.string().optional(),
  Checksum: hex.optional(),
});
const lsnSchema = z.string().transform((text, context) => {
  const lsn = parseLsn(text);
  if (lsn === undefined) context.addIssue('no LSN');
  return lsn ?? 0n;
});
const rangeSchema = z.object({ Timeline: z.int().min(1), 'Start-LSN': lsnSchema, 'End-LSN': lsnSchema });

type Part = 'version' | 'identifier or files' | 'files' | 'ranges' | 'checksum' | 'end';

export class ManifestReader {
  readonly #hash = createHash('sha256');
  readonly #collected = Buffer.alloc(4 * lineBytesMax);
  #collectedBytes = 0;
  #rest = Buffer.alloc(0);
  #part: Part = 'version';
  #version: 1 | 2 = 1;
  #systemIdentifier: bigint | undefined;
  #files = 0;
  readonly #walRanges: WalRange[] = [];
  #checksum: string | undefined;

  /** Yields the files that are listed in the bytes; the caller must take all before it pushes again. */
  *push(bytes: Uint8Array): Generator<ManifestFile, void, void> {
    let from = 0;
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, from)) {
      const piece = bytes.subarray(from, end + 1);
      const line = this.#rest.length === 0 ? asBuffer(piece) : Buffer.concat([this.#rest, piece]);
      if (this.#rest.length > 0) this.#rest = Buffer.alloc(0);
      from = end + 1;
      if (line.length > lineBytesMax) throw tooLong();
      if (this.#part !== 'checksum') this.#collect(line);
      const file = this.#takeLine(line.toString('utf8').trim());
      if (file !== undefined) yield file;
    }
    this.#rest = Buffer.concat([this.#rest, bytes.subarray(from)]);
    if (this.#rest.length > lineBytesMax) throw tooLong();
  }

  /** Rejects a manifest that is cut short or does not have the checksum it names. */
  finish(): ManifestSummary {
    if (this.#part !== 'end' || this.#rest.length > 0) throw manifestDamaged('it is cut short');
    const found = this.#hash.update(this.#collected.subarray(0, this.#collectedBytes)).digest('hex');
    if (this.#checksum !== found) throw manifestDamaged(`it has the SHA-256 ${found}, but says ${this.#checksum}`);
    return {
      version: this.#version,
      systemIdentifier: this.#systemIdentifier,
      files: this.#files,
      walRanges: this.#walRanges,
      checksum: found,
    };
  }

  /** Lines are hashed many at a time: a call for each of a million costs as much as reading them. */
  #collect(line: Buffer): void {
    if (this.#collectedBytes + line.length > this.#collected.length) {
      this.#hash.update(this.#collected.subarray(0, this.#collectedBytes));
      this.#collectedBytes = 0;
    }
    this.#collectedBytes += line.copy(this.#collected, this.#collectedBytes);
  }

  #takeLine(text: string): ManifestFile | undefined {
    switch (this.#part) {
      case 'version':
        this.#version = readVersion(text);
        this.#part = 'identifier or files';
        return undefined;
      case 'identifier or files': {
        const digits = /^"System-Identifier": (\d{1,20}),$/.exec(text)?.[1];
        if (digits !== undefined && this.#systemIdentifier === undefined) this.#systemIdentifier = BigInt(digits);
        else if (text === '"Files": [') this.#part = 'files';
        else throw manifestDamaged('its files are missing');
        return undefined;
      }
      case 'files':
        return this.#takeFile(text);
      case 'ranges':
        this.#takeRange(text);
        return undefined;
      case 'checksum':
        this.#checksum = /^"Manifest-Checksum": "([0-9a-f]{64})"\}$/i.exec(text)?.[1]?.toLowerCase();
        this.#part = 'end';
        return undefined;
      case 'end':
        throw manifestDamaged('lines follow its end');
      default:
        return this.#part satisfies never;
    }
  }

  #takeFile(text: string): ManifestFile | undefined {
    if (text === '],') return undefined;
    if (text === '"WAL-Ranges": [') {
      this.#part = 'ranges';
      return undefined;
    }
    this.#files += 1;
    return readFile(text);
  }

  #takeRange(text: string): void {
    if (text === '],') {
      this.#part = 'checksum';
      return;
    }
    const range = parsed(rangeSchema, text);
    if (this.#walRanges.length === walRangesMax) throw manifestDamaged(`it has more than ${walRangesMax} WAL ranges`);
    this.#walRanges.push({ timeline: range.Timeline, startLsn: range['Start-LSN'], endLsn: range['End-LSN'] });
  }
}

function readVersion(text: string): 1 | 2 {
  const version = /^\{ "PostgreSQL-Backup-Manifest-Version": (\d+),$/.exec(text)?.[1];
  if (version === '1') return 1;
  if (version === '2') return 2;
  if (version === undefined) throw manifestDamaged('it does not begin like one');
  throw new AppError('SOURCE_UNSUPPORTED', `the backup manifest has version ${version}`, {
    hint: 'Update this program to one that knows the version of the server.',
  });
}

function readFile(text: string): ManifestFile {
  const file = parsed(fileSchema, text);
  const encoded = file['Encoded-Path'];
  const path = encoded === undefined ? file.Path : nameFromBytes(Buffer.from(encoded, 'hex'));
  if (path === undefined) throw manifestDamaged('a file has no path');
  return {
    path,
    sizeBytes: file.Size,
    algorithm: file['Checksum-Algorithm'],
    checksum: file.Checksum?.toLowerCase(),
  };
}

/** A line of a list: an object, and a comma if more follow. */
function parsed<T>(schema: z.ZodType<T>, text: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text.endsWith(',') ? text.slice(0, -1) : text);
  } catch (error) {
    throw manifestDamaged('a line is no JSON', error);
  }
  const outcome = schema.safeParse(value);
  if (outcome.success) return outcome.data;
  throw manifestDamaged('a line lacks what belongs there', outcome.error);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function tooLong(): AppError {
  return manifestDamaged(`a line is longer than ${lineBytesMax} bytes`);
}

function manifestDamaged(what: string, cause?: unknown): AppError {
  return new AppError('SOURCE_FAILED', `the backup manifest is damaged: ${what}`, {
    hint: 'Take the backup again.',
    cause,
  });
}
