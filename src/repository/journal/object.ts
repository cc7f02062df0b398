// One journal object. A header, sealed by itself at the beginning, says what the object is and where it belongs; frames of
// payload follow, if there are any. The seal binds no name, so the header does: an object that was swapped, renamed,
// cut, or brought from another place, lineage or repository is found out before a byte of it is used.
//
// Stored form: `LBJ1` ‖ length of the sealed header (32 bits, little-endian) ‖ sealed header ‖ sealed frames
import assert from 'node:assert/strict';
import { z } from 'zod';
import { isAppError } from '../../base/errors.ts';
import type { JsonValue } from '../../base/json.ts';
import { damaged, type Repository } from '../repository.ts';
import type { KeyTriple } from '../seal.ts';
import { subkeys } from '../subkeys.ts';
import { decodeUnpacked, encodeUnpacked } from '../unpacked.ts';
import type { JournalRank } from './object-name.ts';

export type ObjectKind = 'part' | 'segment' | 'gap' | 'branch' | 'lease';

export interface ObjectPlace {
  readonly kind: ObjectKind;
  /** The whole name in the store. */
  readonly name: string;
  /** The lineage; of a lease the family. */
  readonly subject: string;
}

export interface NewObject extends ObjectPlace {
  readonly rank: JournalRank;
  readonly body: JsonValue;
}

export interface OpenedHeader {
  readonly subject: string;
  readonly writtenAtMs: number;
  readonly body: JsonValue;
  /** How many bytes come before the payload. */
  readonly headerBytes: number;
}

const magic = 'lifeboat journal 1';
const mark = Buffer.from('LBJ1');
const prefixBytes = 8;
/** Enough for all but headers with many facts, which take a second request. */
const firstReadBytes = 4096;
/** Facts and the history of a branch are small; anything larger is not ours. */
const headerMaxBytes = 4 * 1024 * 1024;

const headerSchema = z.object({
  magic: z.literal(magic),
  repository: z.string(),
  kind: z.string(),
  name: z.string(),
  subject: z.string(),
  epoch: z.number(),
  writer: z.string(),
  writtenAtMs: z.number(),
  body: z.json(),
});

const headerKeys = (keys: KeyTriple, kind: ObjectKind): KeyTriple => subkeys(keys, `journal ${kind} header`);
export const payloadKeys = (keys: KeyTriple, kind: ObjectKind): KeyTriple => subkeys(keys, `journal ${kind} payload`);

/** What goes before the payload; checked by opening it again. */
export function sealHeader(repository: Repository, { kind, name, subject, rank, body }: NewObject): Buffer[] {
  const writtenAtMs = repository.clock.now();
  const { epoch, writer } = rank;
  const header = { magic, repository: repository.config.id, kind, name, subject, epoch, writer, writtenAtMs, body };
  const text = JSON.stringify(header);
  const sealed = encodeUnpacked(headerKeys(repository.keys, kind), text);
  assert.ok(sealed.length <= headerMaxBytes, `the header of ${name} has ${sealed.length} bytes`);
  const prefix = Buffer.alloc(prefixBytes);
  prefix.set(mark);
  prefix.writeUInt32LE(sealed.length, mark.length);
  if (decodeUnpacked(headerKeys(repository.keys, kind), sealed) !== text)
    throw new Error(`sealing the header of ${name} did not round-trip`);
  return [prefix, sealed];
}

/** Stores an object without payload. */
export async function putHeader(repository: Repository, object: NewObject, signal: AbortSignal): Promise<void> {
  await repository.store.put(object.name, sealHeader(repository, object), { signal });
}

/** Throws `REPOSITORY_DAMAGED` if the bytes are not the object of that kind, name and subject. */
export function openHeader(
  repository: Repository,
  bytes: Buffer,
  { kind, name, subject }: Omit<ObjectPlace, 'subject'> & { readonly subject?: string | undefined },
): OpenedHeader {
  try {
    const headerBytes = headerBytesOf(bytes);
    if (bytes.length < headerBytes) throw new Error('it is cut short');
    const text = decodeUnpacked(headerKeys(repository.keys, kind), bytes.subarray(prefixBytes, headerBytes));
    const header = headerSchema.parse(JSON.parse(text));
    if (header.repository !== repository.config.id) throw new Error('it belongs to another repository');
    if (header.kind !== kind) throw new Error(`it is a ${header.kind}`);
    if (header.name !== name) throw new Error(`it was written as ${header.name}`);
    if (subject !== undefined && header.subject !== subject) throw new Error(`it belongs to ${header.subject}`);
    return { subject: header.subject, writtenAtMs: header.writtenAtMs, body: header.body, headerBytes };
  } catch (error) {
    throw isAppError(error) ? error : damaged(name, error);
  }
}

function headerBytesOf(bytes: Buffer): number {
  if (bytes.length < prefixBytes) throw new Error(`it has only ${bytes.length} bytes`);
  if (!bytes.subarray(0, mark.length).equals(mark)) throw new Error('it does not begin as a journal object does');
  const sealedBytes = bytes.readUInt32LE(mark.length);
  if (sealedBytes > headerMaxBytes) throw new Error(`it says that its header has ${sealedBytes} bytes`);
  return prefixBytes + sealedBytes;
}

/** Reads only the header. Rejects with `OBJECT_MISSING` or `REPOSITORY_DAMAGED`. */
export async function readHeader(
  repository: Repository,
  place: Omit<ObjectPlace, 'subject'> & { readonly subject?: string | undefined },
  signal: AbortSignal,
): Promise<OpenedHeader> {
  const { store } = repository;
  let bytes = await store.get(place.name, { offset: 0, length: firstReadBytes, signal });
  const missingBytes = missingBytesOf(bytes, place.name);
  if (missingBytes > 0) {
    const rest = await store.get(place.name, { offset: bytes.length, length: missingBytes, signal });
    bytes = Buffer.concat([bytes, rest]);
  }
  return openHeader(repository, bytes, place);
}

function missingBytesOf(bytes: Buffer, name: string): number {
  try {
    // What is shorter than the first request has no more.
    return bytes.length < firstReadBytes ? 0 : headerBytesOf(bytes) - bytes.length;
  } catch (error) {
    throw damaged(name, error);
  }
}

/** Of objects that are nothing but a header: also that nothing follows it. */
export async function readWhole(repository: Repository, place: Parameters<typeof readHeader>[1], signal: AbortSignal) {
  const bytes = await repository.store.get(place.name, { signal });
  const header = openHeader(repository, bytes, place);
  if (header.headerBytes !== bytes.length) throw damaged(place.name, new Error('something follows its end'));
  return header;
}
