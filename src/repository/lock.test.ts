import { hostname } from 'node:os';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { namesIn, sampleRepository, type SampleRepository } from '../../test/support/sample-repository.ts';
import { noSignal } from '../../test/support/repository.ts';
import { faultyStore } from '../storage/faulty.ts';
import type { Store } from '../storage/store.ts';
import { acquireLock, locksToRemove, readLocks, refreshIntervalMs, unlock, type Lock } from './lock.ts';
import type { LockSettings, Repository } from './repository.ts';

let sample: SampleRepository;
let nowMs = 1_700_000_000_000;
const repositoryOn = (store: Store, lockSettings: LockSettings = { settleMs: 0 }): Repository => ({
  ...sample.repository,
  store,
  lockSettings,
  clock: { now: () => nowMs },
});
const take = (isExclusive: boolean, repository = repositoryOn(sample.store)): Promise<Lock> =>
  acquireLock(repository, { isExclusive, signal: noSignal });
/** As another machine sees the store. */
const elsewhere = (): Repository => repositoryOn(sample.store, { settleMs: 0, hostName: 'another-machine' });
const locked = { code: 'REPOSITORY_LOCKED' };

beforeEach(async () => {
  sample = await sampleRepository();
});

test('locks that add stand side by side; one that deletes stands alone', async () => {
  {
    await using _ = await take(false);
    await using second = await take(false, elsewhere());
    await second.check();
    await expect(take(true)).rejects.toMatchObject(locked);
  }
  await using _ = await take(true);
  await expect(take(false, elsewhere())).rejects.toMatchObject(locked);
});

test('a lock that is let go or refused leaves no file', async () => {
  {
    await using _ = await take(true);
    await expect(take(true)).rejects.toMatchObject(locked);
    expect(await namesIn(sample.store, 'locks/')).toHaveLength(1);
  }
  expect(await namesIn(sample.store, 'locks/')).toEqual([]);
});

test('a store that no longer answers keeps nobody who was stopped, neither in a check nor in letting go', async () => {
  const silent = { hang: 1 };
  const chances: { hang?: number } = {};
  const store = faultyStore(sample.store, { random: () => 0.5, chances });
  const stop = new AbortController();
  const repository = repositoryOn(store, { settleMs: 0, closingMaxMs: 20 });
  const lock = await acquireLock(repository, { isExclusive: true, signal: stop.signal });
  Object.assign(chances, silent);
  const check = lock.check();
  await new Promise((resolve) => setImmediate(resolve)); // It has asked by now.
  stop.abort();
  await expect(check).rejects.toMatchObject({ code: 'INTERRUPTED' });
  await lock[Symbol.asyncDispose]();
  expect(store.fired.map(({ method }) => method)).toEqual(['stat', 'remove']);
});

test('a lock whose writing was not confirmed leaves no file', async () => {
  const store = faultyStore(sample.store, { random: () => 0.5, chances: {} });
  let puts = 0;
  const lossy: Store = {
    ...store,
    properties: store.properties,
    async put(name, parts, options) {
      puts += 1;
      await store.put(name, parts, options);
      throw new Error('the answer was lost');
    },
  };
  await expect(take(true, repositoryOn(lossy))).rejects.toThrow('the answer was lost');
  expect([puts, await namesIn(sample.store, 'locks/')]).toEqual([1, []]);
});

test('a removal that fails at the end does not hide the outcome of the work', async () => {
  const refusing: Store = {
    ...sample.store,
    properties: sample.store.properties,
    remove: () => Promise.reject(new Error('no')),
  };
  const work = async (): Promise<string> => {
    await using _ = await take(false, repositoryOn(refusing));
    return 'done';
  };
  expect(await work()).toBe('done');
  // The process that left it is this one, which holds no such lock any more.
  expect(await readLocks(repositoryOn(sample.store), noSignal)).toMatchObject([
    { hostname: hostname(), isOrphan: true },
  ]);
  await using _ = await take(true);
});

test('the owner learns that its lock was taken away, or that it slept too long', async () => {
  await using lock = await take(false);
  await lock.check();
  const [name = ''] = await namesIn(sample.store, 'locks/');
  const bytes = await sample.store.get(name);
  await sample.store.remove(name);
  await expect(lock.check()).rejects.toMatchObject({ code: 'LOCK_LOST' });
  expect(lock.signal.aborted).toBe(true);
  await using slept = await take(false);
  nowMs += 23 * 60_000;
  expect(() => slept.checkTime()).toThrow(expect.objectContaining({ code: 'LOCK_LOST' }));
  await sample.store.put(name, [bytes]);
  await sample.store.remove(name);
});

test("another machine's lock is removed only when it is stale and only by unlock", async () => {
  await using _ = await take(true);
  expect(await unlock(elsewhere(), { removeAll: false, signal: noSignal })).toEqual([]);
  nowMs += 31 * 60_000;
  await expect(take(false, elsewhere())).rejects.toMatchObject(locked);
  const looked = await Array.fromAsync(locksToRemove(elsewhere(), { removeAll: false, signal: noSignal }));
  expect(await unlock(elsewhere(), { removeAll: false, signal: noSignal })).toEqual(looked);
  expect(looked).toHaveLength(1);
  await using second = await take(false, elsewhere());
  await second.check();
});

test('the signal by which restic asks whether an owner lives does not end it', async () => {
  const before = process.listenerCount('SIGHUP');
  {
    await using _ = await take(false);
    await using second = await take(false);
    await second.check();
    expect(process.listenerCount('SIGHUP')).toBe(before + 1);
    process.kill(process.pid, 'SIGHUP');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(process.listenerCount('SIGHUP')).toBe(before);
});

test('the age of a lock counts from the time in its file, however long the writing took', async () => {
  const slow: Store = {
    ...sample.store,
    async put(name, parts, options) {
      await sample.store.put(name, parts, options);
      nowMs += 10 * 60_000;
    },
  };
  await using lock = await take(false, repositoryOn(slow));
  lock.checkTime();
  nowMs += 20 * 60_000;
  expect(() => lock.checkTime()).toThrow(expect.objectContaining({ code: 'LOCK_LOST' }));
});

describe('a lock that is held for long', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('is written anew with the time of now, and the old file goes', async () => {
    await using lock = await take(false);
    const [before] = await readLocks(sample.repository, noSignal);
    nowMs += refreshIntervalMs;
    vi.advanceTimersByTime(refreshIntervalMs);
    await lock.check();
    const after = await readLocks(sample.repository, noSignal);
    expect(after).toHaveLength(1);
    expect(after[0]?.id).not.toBe(before?.id);
    expect(Date.parse(after[0]?.time ?? '')).toBe(nowMs);
  });

  test('is lost once somebody removed its file', async () => {
    await using lock = await take(false);
    await unlock(sample.repository, { removeAll: true, signal: noSignal });
    vi.advanceTimersByTime(refreshIntervalMs);
    await expect(lock.check()).rejects.toMatchObject({ code: 'LOCK_LOST' });
    expect(lock.signal.aborted).toBe(true);
  });

  test('goes when it is let go, also where an earlier file of it can not be removed', async () => {
    const first = new Set<string>();
    const store: Store = {
      ...sample.store,
      async remove(name, options) {
        if (first.has(name)) throw new Error('refused');
        await sample.store.remove(name, options);
      },
    };
    {
      await using lock = await take(false, repositoryOn(store));
      for (const name of await namesIn(sample.store, 'locks/')) first.add(name);
      vi.advanceTimersByTime(refreshIntervalMs);
      await lock.check();
      expect(await namesIn(sample.store, 'locks/')).toHaveLength(2);
    }
    expect(new Set(await namesIn(sample.store, 'locks/'))).toEqual(first);
  });
});

test('a damaged lock file stops everybody until it is removed on request', async () => {
  const name = `locks/${'0'.repeat(64)}`;
  await sample.store.put(name, [Buffer.from('damaged')]);
  await expect(take(false)).rejects.toMatchObject({
    code: 'REPOSITORY_DAMAGED',
    message: expect.stringContaining(name),
  });
  await expect(unlock(sample.repository, { removeAll: false, signal: noSignal })).rejects.toMatchObject({
    code: 'REPOSITORY_DAMAGED',
  });
  expect(await unlock(sample.repository, { removeAll: true, signal: noSignal })).toMatchObject([{ hostname: '' }]);
  await using _ = await take(true);
});
