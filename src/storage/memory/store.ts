// The store in memory: for simulations and tests. It keeps the contract, except that nothing survives the process.
import { objectMissing } from '../file-errors.ts';
import { throwIfAborted } from '../interruption.ts';
import type { Store } from '../store.ts';

export interface MemoryStore extends Store {
  /** An independent store with the same objects: what a crash at this instant would leave. */
  clone(): MemoryStore;
}

export function memoryStore(contents: Iterable<readonly [string, Uint8Array]> = []): MemoryStore {
  // The buffers in here are never changed, so clones may share them.
  const objects = new Map<string, Buffer>();
  for (const [name, bytes] of contents) objects.set(name, Buffer.from(bytes));
  return open(objects);
}

function open(objects: Map<string, Buffer>): MemoryStore {
  function find(name: string): Buffer {
    const bytes = objects.get(name);
    if (bytes === undefined) throw objectMissing(name, 'memory');
    return bytes;
  }
  return {
    properties: { location: 'memory', connectionsMax: 8, isRemote: false },

    async get(name, { offset = 0, length = Infinity, signal } = {}) {
      throwIfAborted(signal);
      return Buffer.from(find(name).subarray(offset, offset + length));
    },

    async put(name, parts, { signal } = {}) {
      throwIfAborted(signal);
      objects.set(name, Buffer.concat(parts));
    },

    async stat(name, { signal } = {}) {
      throwIfAborted(signal);
      return { name, sizeBytes: find(name).length };
    },

    async *list(prefix, { signal } = {}) {
      throwIfAborted(signal);
      for (const [name, bytes] of objects.entries().toArray()) {
        throwIfAborted(signal);
        if (name.startsWith(prefix)) yield { name, sizeBytes: bytes.length };
      }
    },

    async remove(name, { signal } = {}) {
      throwIfAborted(signal);
      objects.delete(name);
    },

    async [Symbol.asyncDispose]() {},

    clone: () => open(new Map(objects)),
  };
}
