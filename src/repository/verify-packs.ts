// Verification of stored bytes: each pack is read once in stretches, hashed against its name, its header compared with
// the index, each blob opened on a worker thread.
import { createHash } from 'node:crypto';
import { count } from '../base/count.ts';
import { forEachLimited } from '../base/for-each-limited.ts';
import type { BlobIndex, BlobLocation } from './blob-index.ts';
import type { PackId } from './ids.ts';
import { fetchMaxBytes } from './fetch-plan.ts';
import { fileName } from './layout.ts';
import type { PackEntry } from './pack-header.ts';
import { parsePackTail } from './read-pack-header.ts';
import type { Repository } from './repository.ts';
import { fetchSlabs, getInto, oversizeSlab, type SlabPool } from './slab-pool.ts';
import type { VerifyFindings } from './verify-findings.ts';
import type { Workers } from './worker-pool.ts';

export interface VerifyPacksOptions {
  readonly pool: Workers;
  readonly findings: VerifyFindings;
  readonly signal: AbortSignal;
  onPack(sizeBytes: number): void;
}

/** No program writes larger blobs; one that is listed so is not read. */
const blobMaxBytes = 512 * 1024 * 1024;

/** `wanted` are packs that are there with the size that the index tells. */
export async function verifyPacks(
  repository: Repository,
  { index, wanted }: { readonly index: BlobIndex; readonly wanted: ReadonlySet<PackId> },
  options: VerifyPacksOptions,
): Promise<void> {
  const byPack = recordsByPack(index);
  const numbers = index.packs.map((_, number) => number).filter((number) => wanted.has(index.packs[number] as PackId));
  const slabs = fetchSlabs(options.pool.threadsMax, repository.store);
  await forEachLimited(numbers, slabs.slabsMax, async (number) => {
    options.signal.throwIfAborted();
    const places = byPack(number);
    const pack = index.packs[number] as PackId;
    try {
      await verifyPack(repository, { pack, places, slabs }, options);
    } catch (error) {
      options.signal.throwIfAborted();
      options.findings.unreadable(fileName('data', pack), error);
    }
  });
}

/** Four bytes a blob: records grouped by pack, in the order of their places. */
function recordsByPack(index: BlobIndex): (packNumber: number) => BlobLocation[] {
  const ends = new Uint32Array(index.packs.length + 1);
  for (let record = 0; record < index.size; record += 1) {
    const next = index.packNumberAt(record) + 1;
    ends[next] = (ends[next] ?? 0) + 1;
  }
  for (let number = 1; number < ends.length; number += 1) ends[number] = (ends[number] ?? 0) + (ends[number - 1] ?? 0);
  const at = ends.slice();
  const records = new Uint32Array(index.size);
  for (let record = 0; record < index.size; record += 1) {
    const number = index.packNumberAt(record);
    records[at[number] ?? 0] = record;
    at[number] = (at[number] ?? 0) + 1;
  }
  return (number) =>
    Array.from(records.subarray(ends[number], ends[number + 1]), (record) => index.at(record)).toSorted(
      (left, right) => left.offsetBytes - right.offsetBytes,
    );
}

interface PackToVerify {
  readonly pack: PackId;
  readonly places: readonly BlobLocation[];
  readonly slabs: SlabPool;
}

async function verifyPack(
  repository: Repository,
  { pack, places, slabs }: PackToVerify,
  options: VerifyPacksOptions,
): Promise<void> {
  const { findings, signal } = options;
  const name = fileName('data', pack);
  const problem = layoutProblem(places);
  if (problem !== undefined) {
    findings.error(name, problem);
    return;
  }
  const hash = createHash('sha256');
  let endBytes = 0;
  for (const stretch of stretchesOf(places)) {
    const offset = stretch[0]?.offsetBytes ?? 0;
    const length = stretch.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    using slab = length > fetchMaxBytes ? oversizeSlab(length) : await slabs.acquire();
    const bytes = await getInto(slab, repository.store, { name, offset, length, signal });
    const opening = openBlobs(bytes, stretch, options);
    hash.update(bytes);
    for (const message of await opening) findings.error(name, message);
    endBytes = offset + length;
  }
  const tail = await repository.store.get(name, { offset: endBytes, signal });
  if (hash.update(tail).digest('hex') !== pack) findings.error(name, 'its content does not fit its name');
  const entries = parsePackTail(repository.keys, tail, endBytes + tail.length);
  const difference = headerDifference(entries, places);
  if (difference !== undefined) findings.error(name, difference);
  options.onPack(endBytes + tail.length);
}

function layoutProblem(places: readonly BlobLocation[]): string | undefined {
  let endBytes = 0;
  for (const { id, offsetBytes, lengthBytes } of places) {
    if (offsetBytes !== endBytes) return `the index has blob ${id} at ${offsetBytes} instead of ${endBytes}`;
    if (lengthBytes > blobMaxBytes) return `the index says that blob ${id} has ${lengthBytes} bytes`;
    endBytes += lengthBytes;
  }
  return undefined;
}

function* stretchesOf(places: readonly BlobLocation[]): Generator<BlobLocation[]> {
  let stretch: BlobLocation[] = [];
  let lengthBytes = 0;
  for (const place of places) {
    if (stretch.length > 0 && lengthBytes + place.lengthBytes > fetchMaxBytes) {
      yield stretch;
      stretch = [];
      lengthBytes = 0;
    }
    stretch.push(place);
    lengthBytes += place.lengthBytes;
  }
  if (stretch.length > 0) yield stretch;
}

/** What is wrong with blobs of one stretch. */
async function openBlobs(
  bytes: Uint8Array,
  stretch: readonly BlobLocation[],
  { pool }: VerifyPacksOptions,
): Promise<string[]> {
  const from = stretch[0]?.offsetBytes ?? 0;
  const blobs = stretch.map(({ id, offsetBytes, lengthBytes, plainLengthBytes }) => ({
    id,
    offsetBytes: offsetBytes - from,
    lengthBytes,
    plainLengthBytes,
  }));
  const opened = await pool.run('open', { bytes, blobs, wantsContent: false });
  return opened.flatMap((blob, at) =>
    blob.outcome === 'damaged' ? [`blob ${stretch[at]?.id ?? ''} at ${stretch[at]?.offsetBytes}: ${blob.message}`] : [],
  );
}

function headerDifference(entries: readonly PackEntry[], places: readonly BlobLocation[]): string | undefined {
  if (entries.length !== places.length)
    return `its header lists ${count(entries.length, 'blob')}, the index ${places.length}`;
  const at = entries.findIndex((entry, number) => {
    const place = places[number];
    return (
      place?.id !== entry.id ||
      place.type !== entry.type ||
      place.lengthBytes !== entry.lengthBytes ||
      place.plainLengthBytes !== entry.plainLengthBytes
    );
  });
  return at < 0 ? undefined : `its header and the index differ in blob ${at + 1} of ${entries.length}`;
}
