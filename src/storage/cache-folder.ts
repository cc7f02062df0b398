// The local copies of one repository's metadata, laid out as restic's cache: `<folder>/<repository id>/<type>/<2 hex>/<id>`.
// Copies are byte-identical, so still encrypted, and their names are the SHA-256 of their bytes: that alone decides
// whether a copy may be trusted, so nothing here needs to be synced, and damage costs only another download.
import { hash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, errnoOf } from '../base/errors.ts';
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { isUnfinished, writeAtomically } from './atomic-write.ts';
import { readRange, type ReadRange } from './read-range.ts';

export interface CacheFolderOptions {
  /** Holds the caches of all repositories. */
  readonly folder: string;
  /** As in the repository's `config`: 64 hex digits. */
  readonly repositoryId: string;
  readonly clock: Clock;
  readonly random: Random;
}

export interface CacheFolder {
  /** The object or a range of it; nothing if there is no copy, or none that is intact. */
  read(object: CachedObject, range: ReadRange): Promise<Buffer | undefined>;
  write(object: CachedObject, parts: readonly Uint8Array[]): Promise<void>;
  remove(object: CachedObject): Promise<void>;
  objects(type: CachedType): Promise<CachedObject[]>;
}

export type CachedType = 'index' | 'snapshots' | 'data';

export interface CachedObject {
  readonly type: CachedType;
  /** SHA-256 of the object's bytes, in hex. */
  readonly id: string;
}

const cacheVersion = '1';
/** Tells backup programs to leave the folder out; see https://bford.info/cachedir/. */
const cacheTag = `Signature: 8a477f597d28d172789f06886806bc55
# This folder holds copies of repository metadata that lifeboat fetches anew when they are gone.
`;
/** Copies that this process has checked; beyond this many the memory of them starts afresh. */
const checkedMax = 100_000;

/** Makes the folder where missing; refuses one of another version. */
export async function openCacheFolder(options: CacheFolderOptions): Promise<CacheFolder> {
  const root = await prepareFolder(options);
  /** Id → size. A checked copy is read in ranges without a look at the rest. */
  const checkedSizes = new Map<string, number>();
  const pathOf = ({ type, id }: CachedObject): string => join(root, type, id.slice(0, 2), id);

  async function remove(object: CachedObject): Promise<void> {
    checkedSizes.delete(object.id);
    await rm(pathOf(object), { force: true });
  }

  async function readChecked(object: CachedObject, sizeBytes: number, range: ReadRange): Promise<Buffer | undefined> {
    const bytes = await readRange(pathOf(object), range);
    const restBytes = Math.max(0, sizeBytes - range.offset);
    if (bytes.length === Math.min(range.length ?? restBytes, restBytes)) return bytes;
    await remove(object);
    return undefined;
  }

  async function readAndCheck(object: CachedObject, range: ReadRange): Promise<Buffer | undefined> {
    const bytes = await readRange(pathOf(object), { offset: 0, signal: range.signal });
    if (hash('sha256', bytes) !== object.id) {
      await remove(object);
      return undefined;
    }
    if (checkedSizes.size >= checkedMax) checkedSizes.clear();
    checkedSizes.set(object.id, bytes.length);
    // What is used stays longest when the cache is cut down to size.
    await touch(pathOf(object), options.clock);
    return cut(bytes, range);
  }

  return {
    async read(object, range) {
      const sizeBytes = checkedSizes.get(object.id);
      try {
        return await (sizeBytes === undefined ? readAndCheck(object, range) : readChecked(object, sizeBytes, range));
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT') throw error;
        checkedSizes.delete(object.id);
        return undefined;
      }
    },

    async write(object, parts) {
      const path = pathOf(object);
      await mkdir(join(path, '..'), { recursive: true, mode: 0o700 });
      await writeAtomically(path, parts, { fileMode: 0o600, isDurable: false, random: options.random });
    },

    remove,

    async objects(type) {
      const names = await filesBelow(join(root, type));
      return names.map((id) => ({ type, id }));
    },
  };
}

/** A range of bytes that are at hand whole, as a copy: a small range must not hold on to a large object. */
export function cut(bytes: Buffer, { offset, length = Infinity }: Pick<ReadRange, 'offset' | 'length'>): Buffer {
  return offset === 0 && length >= bytes.length ? bytes : Buffer.from(bytes.subarray(offset, offset + length));
}

async function prepareFolder({ folder, repositoryId, clock }: CacheFolderOptions): Promise<string> {
  const root = join(folder, repositoryId);
  await mkdir(root, { recursive: true, mode: 0o700 });
  await writeIfMissing(join(folder, 'CACHEDIR.TAG'), cacheTag);
  await writeIfMissing(join(root, 'version'), cacheVersion);
  const version = (await readFile(join(root, 'version'), 'utf8')).trim();
  // Another process may have made the file this moment and not yet written it.
  if (version !== cacheVersion && version !== '') {
    throw new AppError('STORE_FAILED', `the cache ${root} has version ${version} instead of ${cacheVersion}`, {
      hint: 'Remove that folder; what it held is fetched anew.',
    });
  }
  // Its age, for the clean-up.
  await touch(root, clock);
  return root;
}

async function writeIfMissing(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
}

async function touch(path: string, clock: Clock): Promise<void> {
  const nowSeconds = clock.now() / 1000;
  await utimes(path, nowSeconds, nowSeconds);
}

async function filesBelow(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile() && !isUnfinished(entry.name)).map(({ name }) => name);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
