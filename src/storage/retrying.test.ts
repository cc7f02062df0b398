import { expect, test } from 'vitest';
import { AppError, type ErrorCode } from '../base/errors.ts';
import { seededRandom, systemRandom } from '../base/random.ts';
import { faultyStore } from './faulty.ts';
import { memoryStore } from './memory/store.ts';
import { retryingStore } from './retrying.ts';
import { describeStore } from './store-contract.ts';
import type { Store } from './store.ts';

const noWait = async (): Promise<void> => {};

const seed = Math.floor(systemRandom() * 2 ** 32);
const chances = { refused: 0.1, torn: 0.1, answerLost: 0.1 };
describeStore(`retrying over a faulty memory store (seed ${seed})`, async () =>
  retryingStore(faultyStore(memoryStore(), { random: seededRandom(seed), chances }), {
    sleep: noWait,
    attemptsMax: 50,
  }),
);

/** Fails with `code` as often as told, then works; tells how often it was asked. */
function failing(code: ErrorCode, times: number): { store: Store; asked: () => number } {
  const inner = memoryStore([['config', Buffer.from('x')]]);
  let asked = 0;
  const get: Store['get'] = async (name) => {
    asked += 1;
    if (asked <= times) throw new AppError(code, 'planted', { hint: 'None.' });
    return inner.get(name);
  };
  return { store: { ...inner, get }, asked: () => asked };
}

test.each(['STORE_UNREACHABLE', 'STORE_FAILED'] as const)('tries again after %s, as often as allowed', async (code) => {
  const passing = failing(code, 3);
  const told: number[] = [];
  const policy = { sleep: noWait, attemptsMax: 4, onRetry: (_: AppError, attempt: number) => told.push(attempt) };
  expect(await retryingStore(passing.store, policy).get('config')).toEqual(Buffer.from('x'));
  expect(told).toEqual([1, 2, 3]);

  const lasting = failing(code, 4);
  await expect(retryingStore(lasting.store, policy).get('config')).rejects.toMatchObject({ code });
  expect(lasting.asked()).toBe(4);
});

test.each([
  'OBJECT_MISSING',
  'STORE_DENIED',
  'STORE_FULL',
  'STORE_READ_ONLY',
  'REPOSITORY_MISSING',
  'INTERRUPTED',
  'TIMED_OUT',
] as const)('does not try again after %s', async (code) => {
  const { store, asked } = failing(code, 1);
  await expect(retryingStore(store, { sleep: noWait }).get('config')).rejects.toMatchObject({ code });
  expect(asked()).toBe(1);
});

test('does not try again after a fault of the program or a crash', async () => {
  const crashed = faultyStore(memoryStore(), { random: seededRandom(1), callsBeforeCrash: 0 });
  await expect(retryingStore(crashed, { sleep: noWait }).get('config')).rejects.toThrow('dead');
  expect(crashed.callCount).toBe(1);
});

test('waits up to twice as long each time, by chance, never longer than the bound', async () => {
  const waitedMs: number[] = [];
  const policy = {
    attemptsMax: 8,
    delayFirstMs: 100,
    delayMaxMs: 1_000,
    random: () => 0.5,
    sleep: async (delayMs: number) => void waitedMs.push(delayMs),
  };
  await expect(retryingStore(failing('STORE_FAILED', 9).store, policy).get('config')).rejects.toThrow('planted');
  expect(waitedMs).toEqual([50, 100, 200, 400, 500, 500, 500]);
});

test('stops waiting when the signal aborts', async () => {
  const { store, asked } = failing('STORE_FAILED', 9);
  const stop = new AbortController();
  const call = retryingStore(store, { delayFirstMs: 1e9, delayMaxMs: 1e9, onRetry: () => stop.abort() });
  await expect(call.get('config', { signal: stop.signal })).rejects.toMatchObject({ code: 'INTERRUPTED' });
  expect(asked()).toBe(1);
});

test('a listing that breaks off goes on without repeating itself, however often, as long as it gets further', async () => {
  const inner = memoryStore(Array.from({ length: 30 }, (_, index) => [`index/${index}`, Buffer.of(1)]));
  let broken = 0;
  const list: Store['list'] = async function* (prefix) {
    let given = 0;
    for await (const found of inner.list(prefix)) {
      if (given > broken) {
        broken += 1;
        throw new AppError('STORE_UNREACHABLE', 'planted', { hint: 'None.' });
      }
      given += 1;
      yield found;
    }
  };
  const store = retryingStore({ ...inner, list }, { sleep: noWait, attemptsMax: 2 });
  const names = (await Array.fromAsync(store.list('index/'))).map(({ name }) => name);
  expect(new Set(names).size).toBe(30);
  expect(names).toHaveLength(30);
  expect(broken).toBe(29);
});
