// Keeps local copies of what every command reads: indexes, snapshots and the packs that hold trees. Without them each
// command would fetch all of it again over the network.
import type { AppError } from '../base/errors.ts';
import { hash } from 'node:crypto';
import { systemClock, type Clock } from '../base/clock.ts';
import { systemRandom, type Random } from '../base/random.ts';
import { removeUnusedCaches } from './cache-cleanup.ts';
import { cut, openCacheFolder, type CachedObject, type CachedType, type CacheFolder } from './cache-folder.ts';
import { storeErrorOfFile } from './file-errors.ts';
import { throwIfAborted, untilAborted } from './interruption.ts';
import type { GetOptions, Store } from './store.ts';

export interface CachingOptions {
  /** Holds the caches of all repositories. */
  readonly folder: string;
  /** As in the repository's `config`. */
  readonly repositoryId: string;
  /**
   * Whether a copy of an object is worth keeping: the repository says so for indexes, snapshots and packs of trees, and
   * may change its mind as it learns which packs those are. Asked at each call, before a put too. Only objects below
   * `index/`, `snapshots/` and `data/` whose names are the SHA-256 of their bytes are ever kept.
   */
  isCacheable(name: string): boolean;
  /** Told once if the cache can't be used; from then on everything goes to the store. */
  onProblem(problem: AppError): void;
  readonly clock?: Clock;
  readonly random?: Random;
}

/**
 * Reads of objects worth a copy fetch the whole object once, even for a range, and are answered from the copy from then
 * on, also after another process removed the object: their names are hashes, so a copy is never out of date. Work that
 * must know what the store really holds (verification) takes the store without its cache.
 */
export function cachingStore(inner: Store, options: CachingOptions): Store {
  const cache = optionalCache(options);
  const fetchShared = sharedFetches(async (name, object, signal) => {
    const bytes = await inner.get(name, { signal });
    // Damage in the store is for the caller to find; a copy of it would outlive its repair.
    if (hash('sha256', bytes) === object.id) await cache.use((folder) => folder.write(object, [bytes]));
    return bytes;
  });

  function worthACopy(name: string): CachedObject | undefined {
    const object = cachedObjectOf(name);
    return object !== undefined && options.isCacheable(name) ? object : undefined;
  }

  async function getThroughCache(name: string, object: CachedObject, getOptions: GetOptions): Promise<Buffer> {
    const { offset = 0, length, signal } = getOptions;
    throwIfAborted(signal);
    const copy = await cache.use((folder) => folder.read(object, { offset, length, signal }));
    throwIfAborted(signal);
    if (copy !== undefined) return copy;
    const bytes = cut(await fetchShared(name, object, signal), { offset, length });
    // Others may have been given the very same buffer.
    return Buffer.from(bytes);
  }

  return {
    properties: inner.properties,

    async get(name, getOptions = {}) {
      const object = worthACopy(name);
      return object === undefined ? inner.get(name, getOptions) : getThroughCache(name, object, getOptions);
    },

    async put(name, parts, putOptions) {
      const object = worthACopy(name);
      await inner.put(name, parts, putOptions);
      if (object !== undefined) await cache.use((folder) => folder.write(object, parts));
    },

    stat: (name, callOptions) => inner.stat(name, callOptions),

    async *list(prefix, callOptions) {
      // Copies of what a complete listing lacks will not be asked for again.
      const gone = new Map<string, CachedObject>();
      for (const type of typesBelow(prefix)) {
        const objects = (await cache.use((folder) => folder.objects(type))) ?? [];
        for (const object of objects) gone.set(nameOf(object), object);
      }
      for await (const found of inner.list(prefix, callOptions)) {
        gone.delete(found.name);
        yield found;
      }
      for (const object of gone.values()) await cache.use((folder) => folder.remove(object));
    },

    async remove(name, callOptions) {
      await inner.remove(name, callOptions);
      const object = cachedObjectOf(name);
      if (object !== undefined) await cache.use((folder) => folder.remove(object));
    },

    settle: inner.settle,
    removeUnfinished: inner.removeUnfinished,
    async [Symbol.asyncDispose]() {
      await cache.removeUnused();
      await inner[Symbol.asyncDispose]();
    },
  };
}

type FetchWhole<Signal> = (name: string, object: CachedObject, signal: Signal) => Promise<Buffer>;

/** One download for all who want the object at this moment; it goes on as long as one of them does. */
function sharedFetches(fetchWhole: FetchWhole<AbortSignal>): FetchWhole<AbortSignal | undefined> {
  const fetches = new Map<
    string,
    { readonly work: Promise<Buffer>; readonly stop: AbortController; waiting: number }
  >();
  return async (name, object, signal) => {
    let fetch = fetches.get(name);
    if (fetch === undefined) {
      const stop = new AbortController();
      fetch = { work: fetchWhole(name, object, stop.signal), stop, waiting: 0 };
      fetches.set(name, fetch);
    }
    fetch.waiting += 1;
    try {
      return await untilAborted(fetch.work, signal);
    } finally {
      fetch.waiting -= 1;
      if (fetch.waiting === 0) {
        fetches.delete(name);
        fetch.stop.abort();
      }
    }
  };
}

interface OptionalCache {
  /** What `work` gives; nothing where there is no cache, or none any more. */
  use<T>(work: (folder: CacheFolder) => Promise<T>): Promise<T | undefined>;
  /** Caches of other repositories, if this one was used. */
  removeUnused(): Promise<void>;
}

/** A cache that breaks (disk full, no rights) must slow work down, never fail it: it is reported once and left alone. */
function optionalCache(options: CachingOptions): OptionalCache {
  const { folder, repositoryId, clock = systemClock, random = systemRandom } = options;
  let opening: Promise<CacheFolder> | undefined;
  let isBroken = false;
  async function use<T>(work: (folder: CacheFolder) => Promise<T>): Promise<T | undefined> {
    if (isBroken) return undefined;
    try {
      opening ??= openCacheFolder({ folder, repositoryId, clock, random });
      return await work(await opening);
    } catch (error) {
      const problem = storeErrorOfFile(error, `use the cache ${folder}`);
      if (problem.code === 'INTERRUPTED' || problem.code === 'TIMED_OUT') throw error;
      if (!isBroken) options.onProblem(problem);
      isBroken = true;
      return undefined;
    }
  }
  return {
    use,
    async removeUnused() {
      if (opening !== undefined) await use(() => removeUnusedCaches(folder, clock));
    },
  };
}

const cachedName = /^(?:(?<type>index|snapshots)|(?<data>data)\/(?<shard>[0-9a-f]{2}))\/(?<id>[0-9a-f]{64})$/;

function cachedObjectOf(name: string): CachedObject | undefined {
  const { type, shard, id = '' } = cachedName.exec(name)?.groups ?? {};
  if (type === 'index' || type === 'snapshots') return { type, id };
  return shard !== undefined && id.startsWith(shard) ? { type: 'data', id } : undefined;
}

function nameOf({ type, id }: CachedObject): string {
  return type === 'data' ? `data/${id.slice(0, 2)}/${id}` : `${type}/${id}`;
}

function typesBelow(prefix: string): CachedType[] {
  return (['index', 'snapshots', 'data'] as const).filter((type) => prefix === '' || prefix === `${type}/`);
}
