import { beforeEach, expect, test } from 'vitest';
import { writerId } from '../../../test/support/journal.ts';
import { noSignal } from '../../../test/support/repository.ts';
import { namesIn, sampleRepository, type SampleRepository } from '../../../test/support/sample-repository.ts';
import type { Store } from '../../storage/store.ts';
import type { Repository } from '../repository.ts';
import { acquireJournalLease, leaseRefreshMs, type JournalLease, type LeaseOptions } from './lease.ts';

let sample: SampleRepository;
let nowMs = 1_700_000_000_000;
const repositoryOn = (store: Store = sample.store, hostName = 'here'): Repository => ({
  ...sample.repository,
  store,
  lockSettings: { settleMs: 0, hostName },
  clock: { now: () => nowMs },
});
const acquire = (options: Partial<LeaseOptions> = {}, repository: Repository = repositoryOn()): Promise<JournalLease> =>
  acquireJournalLease(repository, { family: 'database', takesOver: false, signal: noSignal, ...options });
const fenced = { code: 'JOURNAL_FENCED' };
const names = () => namesIn(sample.store, 'journals/leases/');

beforeEach(async () => {
  sample = await sampleRepository();
});

test('each receiver has an epoch above all before it, also after the last one let go', async () => {
  const epochs: number[] = [];
  for (let turn = 0; turn < 3; turn += 1) {
    await using lease = await acquire();
    epochs.push(lease.epoch);
    await lease.refresh(noSignal);
    await lease.check(noSignal);
  }
  expect(epochs).toEqual([1, 2, 3]);
  expect(await names()).toHaveLength(1);
  await using other = await acquire({ family: 'cache' });
  expect(other.epoch).toBe(1);
  await using later = await acquire({ seenEpoch: 40 });
  expect(later.epoch).toBe(41);
});

test('a healthy holder is not pushed aside unless that is asked for; then it learns so and stays fenced', async () => {
  const first = await acquire();
  await expect(acquire({}, repositoryOn(sample.store, 'elsewhere'))).rejects.toMatchObject(fenced);
  await first.check(noSignal);
  const second = await acquire({ takesOver: true }, repositoryOn(sample.store, 'elsewhere'));
  expect(await first.isFenced(noSignal)).toBe(true);
  expect(first.signal.aborted).toBe(true);
  await expect(first.refresh(noSignal)).rejects.toMatchObject(fenced);
  await second[Symbol.asyncDispose]();
  await expect(first.check(noSignal)).rejects.toMatchObject(fenced);
  await first[Symbol.asyncDispose]();
  expect((await acquire()).epoch).toBe(3);
});

test('a holder that gave no sign for long is passed over, and one whose process is gone from this machine', async () => {
  await acquire({}, repositoryOn(sample.store, 'elsewhere'));
  nowMs += 5 * leaseRefreshMs;
  await expect(acquire()).rejects.toMatchObject(fenced);
  nowMs += leaseRefreshMs;
  const lease = await acquire();
  expect(lease.epoch).toBe(2);
  await expect(acquire()).rejects.toMatchObject(fenced);
});

test('clocks that jump fence nobody and unfence nobody', async () => {
  const first = await acquire();
  nowMs += 1e12;
  await first.check(noSignal);
  const second = await acquire({ takesOver: true });
  nowMs -= 2e12;
  await second.refresh(noSignal);
  expect([await first.isFenced(noSignal), await second.isFenced(noSignal)]).toEqual([true, false]);
});

test('of two that take the same epoch the higher id stays, whichever was first', async () => {
  for (const order of [
    [1, 2],
    [2, 1],
  ]) {
    sample = await sampleRepository();
    const twins = order.map((id) => acquire({ takesOver: true, writer: writerId(id) }));
    const [left, right] = await Promise.allSettled(twins);
    const outcomes = { [order[0] ?? 0]: left?.status, [order[1] ?? 0]: right?.status };
    expect(outcomes).toEqual({ 1: 'rejected', 2: 'fulfilled' });
    expect(await names()).toHaveLength(1);
  }
});

test('a forged or damaged lease fences nobody, and the epochs go on above it', async () => {
  const first = await acquire();
  const [name = ''] = await names();
  const bytes = await sample.store.get(name);
  await sample.store.put(name.replace('00000001-', '00000009-'), [bytes]);
  await sample.store.put(name.replace('00000001-', 'ffffffff-'), [bytes]);
  expect(await first.isFenced(noSignal)).toBe(false);
  const next = await acquire({ takesOver: true });
  expect(next.epoch).toBe(10);
});

test('a lease whose writing failed leaves the epoch of the one before it in memory', async () => {
  {
    await using _ = await acquire();
  }
  const refusing: Store = {
    ...sample.store,
    async put(name, parts, options) {
      await sample.store.put(name, parts, options);
      throw new Error('the answer was lost');
    },
  };
  await expect(acquire({}, repositoryOn(refusing))).rejects.toThrow('the answer was lost');
  expect((await acquire()).epoch).toBe(2);
});
