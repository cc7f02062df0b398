// Objects that carry bytes of a segment: parts, and pieces of sealed segments. Their headers hold a chain of hashes over all
// bytes from the beginning of the stretch, so that what different writers kept can be put together only where it is the same.
import assert from 'node:assert/strict';
import { createHash, hash, type Hash } from 'node:crypto';
import { z } from 'zod';
import { isAppError } from '../../base/errors.ts';
import { freeMemory } from '../../base/free-memory.ts';
import type { JsonObject } from '../../base/json.ts';
import { damaged, type Repository } from '../repository.ts';
import { fillArea, type Slab } from '../slab-pool.ts';
import type { FrameSealer } from './frame-sealer.ts';
import { frameBytes, openFrames, objectMaxBytes } from './frames.ts';
import { openHeader, payloadKeys, readHeader, sealHeader, type OpenedHeader } from './object.ts';
import { endOfName, type DataName } from './object-name.ts';

const sha256Form = z.string().regex(/^[0-9a-f]{64}$/);
const factsSchema = z.record(z.string(), z.json());
const bodySchema = z.object({
  segment: z.number(),
  offset: z.number(),
  lengthBytes: z.number(),
  /** Of a sealed segment: where it ends. */
  segmentEnd: z.number().optional(),
  /** Where the unbroken stretch begins that the chain covers: 0, or the end of a gap. */
  start: z.number(),
  /** Of the bytes here. */
  sha256: sha256Form,
  /** Of all bytes from `start` to here: what this object goes on from. */
  before: sha256Form,
  /** Of all bytes from `start` to the end of this object. */
  through: sha256Form,
  /** Stored lengths of the frames. */
  frames: z.array(z.number().int().positive()),
  facts: factsSchema,
});

export type DataHeader = z.infer<typeof bodySchema> & { readonly writtenAtMs: number; readonly facts: JsonObject };

export interface DataPlace {
  readonly lineage: string;
  readonly data: DataName;
}

export interface NewData {
  readonly lineage: string;
  /** `name` is whole. */
  readonly data: Omit<DataName, 'storedBytes'>;
  readonly start: number;
  /** Its fill area holds the bytes; they are gone afterwards. */
  readonly slab: Slab;
  /** Of everything from `start` up to these bytes. */
  readonly before: string;
  /** Of everything from `start` to their end; absent where these bytes are all of it. */
  readonly through: string | undefined;
  readonly facts: JsonObject;
  readonly level: number;
  readonly sealer: FrameSealer;
}

export const chainStart = (): Hash => createHash('sha256');
export const chainText = (chain: Hash): string => chain.copy().digest('hex');

/** Compresses, seals, checks, stores. */
export async function putData(repository: Repository, object: NewData, signal: AbortSignal): Promise<DataName> {
  const { lineage, data, start, slab, before, facts, level, sealer } = object;
  const { segment, offset, lengthBytes, segmentEnd } = data;
  assert.ok(lengthBytes > 0 && lengthBytes <= objectMaxBytes && (object.through !== undefined || offset === start));
  const expected = object.through && hash('sha256', fillArea(slab.memory).subarray(0, lengthBytes), 'hex');
  const keys = payloadKeys(repository.keys, data.kind);
  const { lengthsBytes: frames, sha256 } = await sealer.seal(slab, { lengthBytes, keys, level });
  signal.throwIfAborted();
  // Bytes that changed in memory while they were worked on would make a chain that nothing fits.
  assert.equal(sha256, expected ?? sha256, `the bytes of ${data.name} changed while they were sealed`);
  const through = object.through ?? sha256;
  assert.ok(offset !== start || through === sha256, `the hashes of ${data.name} contradict one another`);
  const place = { segment, offset, lengthBytes, ...(segmentEnd !== undefined && { segmentEnd }), start };
  const body = { ...place, sha256, before, through, frames, facts };
  const header = sealHeader(repository, { kind: data.kind, name: data.name, subject: lineage, rank: data, body });
  const sealedBytes = frames.reduce((sum, length) => sum + length, 0);
  const stored = [...header, new Uint8Array(slab.memory, 0, sealedBytes)];
  await repository.store.put(data.name, stored, { signal, isBulkData: data.kind === 'segment' });
  return { ...data, storedBytes: stored.reduce((sum, part) => sum + part.length, 0) };
}

/** The header alone. Rejects with `OBJECT_MISSING` or `REPOSITORY_DAMAGED`. */
export async function readDataHeader(
  repository: Repository,
  { lineage, data }: DataPlace,
  signal: AbortSignal,
): Promise<DataHeader> {
  const place = { kind: data.kind, name: data.name, subject: lineage };
  return parseDataHeader(await readHeader(repository, place, signal), data);
}

function parseDataHeader({ body, writtenAtMs, headerBytes }: OpenedHeader, data: DataName): DataHeader {
  try {
    const header = bodySchema.parse(body);
    const { segment, offset, lengthBytes, segmentEnd, frames } = header;
    const isSame = segment === data.segment && offset === data.offset && lengthBytes === data.lengthBytes;
    if (!isSame || segmentEnd !== data.segmentEnd || header.start > offset)
      throw new Error('its header does not fit its name');
    if (lengthBytes > objectMaxBytes || frames.length !== Math.ceil(lengthBytes / frameBytes))
      throw new Error(`it says that ${lengthBytes} bytes are in ${frames.length} frames`);
    const storedBytes = frames.reduce((sum, length) => sum + length, headerBytes);
    if (storedBytes !== data.storedBytes)
      throw new Error(`it has ${data.storedBytes} bytes, by its header it should have ${storedBytes}`);
    return { ...header, writtenAtMs };
  } catch (error) {
    throw isAppError(error) ? error : damaged(data.name, error);
  }
}

export interface ReadData {
  readonly header: DataHeader;
  readonly bytes: Buffer;
}

/** Everything of it, checked against its name, its place and its hash. Rejects with `OBJECT_MISSING` or `REPOSITORY_DAMAGED`. */
export async function readData(
  repository: Repository,
  { lineage, data }: DataPlace,
  signal: AbortSignal,
): Promise<ReadData> {
  // A listed size is no promise: what is longer by now is not ours.
  const stored = await repository.store.get(data.name, { signal, offset: 0, length: data.storedBytes + 1 });
  try {
    const opened = openHeader(repository, stored, { kind: data.kind, name: data.name, subject: lineage });
    const header = parseDataHeader(opened, { ...data, storedBytes: stored.length });
    const { frames, lengthBytes } = header;
    const keys = payloadKeys(repository.keys, data.kind);
    const bytes = await openFrames(keys, stored.subarray(opened.headerBytes), { frames, lengthBytes, signal });
    freeMemory(stored);
    if (hash('sha256', bytes, 'hex') !== header.sha256) throw new Error('its bytes do not fit the hash in its header');
    return { header, bytes };
  } catch (error) {
    signal.throwIfAborted();
    throw isAppError(error) ? error : damaged(data.name, error);
  }
}

/** Whether two names stand for overlapping bytes. */
export const doOverlap = (left: DataName, right: DataName): boolean =>
  left.offset < endOfName(right) && right.offset < endOfName(left);
