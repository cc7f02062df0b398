// A store that tells what is read from it, and lets a test act before a read or a write is carried out.
import type { Repository } from '../../src/repository/repository.ts';
import type { Store } from '../../src/storage/store.ts';

export interface Watch {
  beforeGet?(name: string): Promise<void> | void;
  beforePut?(name: string): Promise<void> | void;
  afterPut?(name: string): Promise<void> | void;
}

export interface WatchedStore extends Store {
  /** Of packs only. */
  readonly packBytesRead: number;
  readonly packBytesWritten: number;
}

export function watchedStore(inner: Store, watch: Watch = {}): WatchedStore {
  const counts = { read: 0, written: 0 };
  return {
    properties: inner.properties,
    get packBytesRead() {
      return counts.read;
    },
    get packBytesWritten() {
      return counts.written;
    },
    async get(name, options) {
      await watch.beforeGet?.(name);
      const bytes = await inner.get(name, options);
      if (name.startsWith('data/')) counts.read += bytes.length;
      return bytes;
    },
    async put(name, parts, options) {
      await watch.beforePut?.(name);
      await inner.put(name, parts, options);
      if (name.startsWith('data/')) counts.written += parts.reduce((sum, { length }) => sum + length, 0);
      await watch.afterPut?.(name);
    },
    stat: (name, options) => inner.stat(name, options),
    list: (prefix, options) => inner.list(prefix, options),
    remove: (name, options) => inner.remove(name, options),
    settle: inner.settle,
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}

/** The repository as seen through a watched store. */
export function watchRepository(repository: Repository, watch: Watch = {}): Repository & { store: WatchedStore } {
  return { ...repository, store: watchedStore(repository.store, watch) };
}
