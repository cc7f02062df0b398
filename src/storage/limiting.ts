// Leaves room on the line for others: so many bytes a second up and down, over all calls together. One object goes at
// full speed, since a put can't be cut and a get in pieces might mix two versions of an object; what comes after it waits
// until the line has been idle long enough. So no second has more than the limit and one object.
import { systemClock, type Clock } from '../base/clock.ts';
import { Semaphore } from '../base/semaphore.ts';
import { systemSleep, throwIfAborted, untilAborted, type Sleep } from './interruption.ts';
import type { Store } from './store.ts';

export interface Limits {
  /** No limit if absent. */
  readonly uploadBytesPerSecond?: number | undefined;
  readonly downloadBytesPerSecond?: number | undefined;
  readonly clock?: Clock;
  readonly sleep?: Sleep;
}

/** A lock that waits behind packs would count as abandoned; it has some hundred bytes. */
const isUrgent = (name: string): boolean => name.startsWith('locks/');

export function limitingStore(inner: Store, limits: Limits): Store {
  const upload = makeLine(limits.uploadBytesPerSecond, limits);
  const download = makeLine(limits.downloadBytesPerSecond, limits);
  const turns = new Semaphore(1);
  return {
    properties: inner.properties,
    async get(name, options = {}) {
      const { length: expectedBytes, signal } = options;
      if (limits.downloadBytesPerSecond === undefined || isUrgent(name)) return inner.get(name, options);
      const turn = await turnOf(turns, signal);
      try {
        await download.take(expectedBytes ?? 0, signal);
        // How much will come is known only of ranges, at most. Of others it is known when they are there: many at once
        // would all find the line free.
        if (expectedBytes !== undefined) turn[Symbol.dispose]();
        const bytes = await inner.get(name, options);
        download.correct(bytes.length - (expectedBytes ?? 0));
        return bytes;
      } finally {
        turn[Symbol.dispose]();
      }
    },
    async put(name, parts, options = {}) {
      const sizeBytes = parts.reduce((sum, part) => sum + part.length, 0);
      if (!isUrgent(name)) await upload.take(sizeBytes, options.signal);
      await inner.put(name, parts, options);
    },
    stat: (name, options) => inner.stat(name, options),
    list: (prefix, options) => inner.list(prefix, options),
    remove: (name, options) => inner.remove(name, options),
    settle: inner.settle,
    removeUnfinished: inner.removeUnfinished,
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}

async function turnOf(turns: Semaphore, signal: AbortSignal | undefined): Promise<Disposable> {
  const turn = turns.acquire();
  try {
    return await untilAborted(turn, signal);
  } catch (error) {
    void turn.then((unused) => unused[Symbol.dispose]());
    throw error;
  }
}

interface Line {
  /** Waits for its turn, and has the line busy for as long as the bytes take. */
  take(bytes: number, signal: AbortSignal | undefined): Promise<void>;
  /** Adds what came beyond what was taken, or gives back what did not come. */
  correct(bytes: number): void;
}

function makeLine(bytesPerSecond: number | undefined, { clock = systemClock, sleep = systemSleep }: Limits): Line {
  let freeAtMs = 0;
  const correct = (bytes: number): void => {
    if (bytesPerSecond === undefined) return;
    freeAtMs = Math.max(clock.now(), freeAtMs) + (bytes / bytesPerSecond) * 1000;
  };
  return {
    correct,
    async take(bytes, signal) {
      throwIfAborted(signal);
      const waitMs = freeAtMs - clock.now();
      correct(bytes);
      try {
        if (waitMs > 0) await sleep(waitMs, signal);
      } catch (error) {
        correct(-bytes);
        throw error;
      }
    },
  };
}
