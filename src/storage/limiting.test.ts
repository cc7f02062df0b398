import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { limitingStore } from './limiting.ts';
import { memoryStore } from './memory/store.ts';
import { describeStore } from './store-contract.ts';

/** A clock that only sleeping moves, with a line of sleepers in the order of their waking. */
function simulatedTime() {
  let nowMs = 1_000;
  return {
    clock: { now: () => nowMs },
    sleep: async (delayMs: number) => {
      const wakeMs = nowMs + delayMs;
      await Promise.resolve();
      nowMs = Math.max(nowMs, wakeMs);
    },
    elapsedMs: () => nowMs - 1_000,
  };
}

describeStore('the limiting store', async () =>
  limitingStore(memoryStore(), { uploadBytesPerSecond: 1_000, downloadBytesPerSecond: 1_000, ...simulatedTime() }),
);

test('uploads take the time that the limit says, together as one after the other', async () => {
  const time = simulatedTime();
  await using store = limitingStore(memoryStore(), { uploadBytesPerSecond: 1_000, ...time });
  for (let index = 0; index < 5; index += 1) await store.put(`data/${index}`, [Buffer.alloc(2_000)]);
  expect(time.elapsedMs()).toBe(8_000); // The first goes at once, each further one waits for those before.
  await Promise.all([5, 6, 7].map((index) => store.put(`data/${index}`, [Buffer.alloc(2_000)])));
  expect(time.elapsedMs()).toBe(14_000);
  await store.get('data/0');
  expect(time.elapsedMs()).toBe(14_000);
});

test('a lock does not wait behind what is sent: late, it would count as abandoned', async () => {
  const time = simulatedTime();
  await using store = limitingStore(memoryStore(), {
    uploadBytesPerSecond: 1_000,
    downloadBytesPerSecond: 1_000,
    ...time,
  });
  await store.put('data/0', [Buffer.alloc(600_000)]);
  await store.put('locks/own', [Buffer.alloc(300)]);
  await store.get('data/0');
  await store.get('locks/own');
  expect(time.elapsedMs()).toBe(0);
});

/** As above, for many sleepers: each wakes when all that happened before has come to rest. */
function simulatedSleepers() {
  let nowMs = 1_000;
  const sleepers: { readonly wakeMs: number; readonly wake: () => void }[] = [];
  return {
    clock: { now: () => nowMs },
    sleep: (delayMs: number) =>
      new Promise<void>((wake) => {
        sleepers.push({ wakeMs: nowMs + delayMs, wake });
      }),
    async runUntil(work: Promise<unknown>): Promise<void> {
      const state = { isDone: false };
      const done = work.finally(() => (state.isDone = true));
      while (!state.isDone) {
        await setImmediate();
        sleepers.sort((left, right) => left.wakeMs - right.wakeMs);
        const next = sleepers.shift();
        if (next === undefined) continue;
        nowMs = Math.max(nowMs, next.wakeMs);
        next.wake();
      }
      await done;
    },
  };
}

test('no second has more than the limit and one object, however many calls there are at once', async () => {
  const time = simulatedSleepers();
  const names = Array.from({ length: 12 }, (_, index) => `data/${index}`);
  const moves: { readonly atMs: number; readonly bytes: number }[] = [];
  const inner = memoryStore(names.map((name, index) => [name, Buffer.alloc(500 + 300 * index)]));
  const move = (bytes: number) => moves.push({ atMs: time.clock.now(), bytes });
  const watched: typeof inner = {
    ...inner,
    async get(name, options) {
      const bytes = await inner.get(name, options);
      move(bytes.length);
      await Promise.resolve();
      return bytes;
    },
    async put(name, parts, options) {
      move(parts[0]?.length ?? 0);
      await inner.put(name, parts, options);
    },
  };
  const bytesPerSecond = 1_000;
  const most = (): number =>
    Math.max(
      ...moves.map(({ atMs: from }) =>
        moves.filter(({ atMs }) => atMs >= from && atMs < from + 1_000).reduce((sum, { bytes }) => sum + bytes, 0),
      ),
    );
  const limits = { uploadBytesPerSecond: bytesPerSecond, downloadBytesPerSecond: bytesPerSecond, ...time };
  await using store = limitingStore(watched, limits);
  await time.runUntil(Promise.all(names.map((name, at) => store.get(name, at % 3 === 0 ? { length: 10_000 } : {}))));
  const largest = 500 + 300 * 11;
  expect(moves).toHaveLength(12);
  expect(most()).toBeLessThanOrEqual(bytesPerSecond + largest);
  moves.length = 0;
  await time.runUntil(Promise.all(names.map((name, at) => store.put(name, [Buffer.alloc(500 + 300 * at)]))));
  expect(moves).toHaveLength(12);
  expect(most()).toBeLessThanOrEqual(bytesPerSecond + largest);
});

test('downloads count what came, not what was asked for', async () => {
  const time = simulatedTime();
  const inner = memoryStore([['data/1', Buffer.alloc(3_000)]]);
  await using store = limitingStore(inner, { downloadBytesPerSecond: 1_000, ...time });
  await store.get('data/1');
  expect(time.elapsedMs()).toBe(0);
  await store.get('data/1', { offset: 2_500, length: 1_000_000 });
  expect(time.elapsedMs()).toBe(3_000);
  await store.get('data/1', { length: 2_000 });
  expect(time.elapsedMs()).toBe(3_500);
  await store.get('data/1', { length: 1 });
  expect(time.elapsedMs()).toBe(5_500);
});

test('a call that is interrupted while it waits gives its place free', async () => {
  const time = simulatedTime();
  const stop = new AbortController();
  const sleep = async (delayMs: number, signal?: AbortSignal) => {
    if (signal !== undefined) throw new Error('interrupted');
    await time.sleep(delayMs);
  };
  await using store = limitingStore(memoryStore(), { uploadBytesPerSecond: 1_000, clock: time.clock, sleep });
  await store.put('data/1', [Buffer.alloc(1_000)]);
  const waiting = store.put('data/2', [Buffer.alloc(60_000)], { signal: stop.signal });
  await expect(waiting).rejects.toThrow('interrupted');
  await store.put('data/3', [Buffer.alloc(1_000)]);
  expect(time.elapsedMs()).toBe(1_000);
});
