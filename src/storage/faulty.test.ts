import { expect, test } from 'vitest';
import { seededRandom } from '../base/random.ts';
import { CrashError, faultyStore, type FaultKind, type FaultPlan } from './faulty.ts';
import { memoryStore } from './memory/store.ts';
import { describeStore } from './store-contract.ts';

const always = (kind: Exclude<FaultKind, 'crash'>): FaultPlan => ({ random: seededRandom(7), chances: { [kind]: 1 } });
const old = Buffer.from('old');
const fresh = Buffer.from('a new one');

describeStore('the faulty store without faults', async () => faultyStore(memoryStore(), { random: seededRandom(1) }));

test('refused: nothing was done', async () => {
  const inner = memoryStore([['config', old]]);
  await using store = faultyStore(inner, always('refused'));
  await expect(store.put('config', [fresh])).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' });
  await expect(store.remove('config')).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' });
  await expect(Array.fromAsync(store.list(''))).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' });
  expect(await inner.get('config')).toEqual(old);
  expect(store.fired.map(({ kind, method, call }) => [kind, method, call])).toEqual([
    ['refused', 'put', 1],
    ['refused', 'remove', 2],
    ['refused', 'list', 3],
  ]);
});

test('answerLost: done all the same', async () => {
  const inner = memoryStore([['config', old]]);
  await using store = faultyStore(inner, always('answerLost'));
  await expect(store.put('config', [fresh])).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' });
  expect(await inner.get('config')).toEqual(fresh);
  await expect(store.remove('config')).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' });
  expect(await Array.fromAsync(inner.list(''))).toEqual([]);
});

test('torn: the old object stays, and the debris shows in no listing', async () => {
  const inner = memoryStore([['config', old]]);
  const plan = { random: seededRandom(7), chances: { torn: 1 } };
  await using store = faultyStore(inner, plan);
  await expect(store.put('config', [fresh])).rejects.toMatchObject({ code: 'STORE_FAILED' });
  plan.chances.torn = 0;
  expect(await store.get('config')).toEqual(old);
  expect(await Array.fromAsync(store.list(''))).toEqual([{ name: 'config', sizeBytes: 3 }]);
  expect(await Array.fromAsync(inner.list(''))).toHaveLength(2);
});

test('torn: a listing breaks off', async () => {
  const inner = memoryStore(Array.from({ length: 100 }, (_, index) => [`index/${index}`, old]));
  await using store = faultyStore(inner, always('torn'));
  let seen = 0;
  const listing = (async () => {
    for await (const _ of store.list('')) seen += 1;
  })();
  await expect(listing).rejects.toMatchObject({ code: 'STORE_FAILED' });
  expect(seen).toBeLessThan(100);
});

test('hang: no answer before the signal aborts, and the work is done or not', async () => {
  const inner = memoryStore();
  await using store = faultyStore(inner, always('hang'));
  for (let index = 0; index < 20; index += 1) {
    const stop = new AbortController();
    const call = store.put(`index/${index}`, [fresh], { signal: stop.signal });
    let isSettled = false;
    const settled = call.finally(() => {
      isSettled = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isSettled).toBe(false);
    stop.abort();
    await expect(settled).rejects.toMatchObject({ code: 'INTERRUPTED' });
  }
  const done = (await Array.fromAsync(inner.list(''))).length;
  expect(done).toBeGreaterThan(0);
  expect(done).toBeLessThan(20);
});

test('staleList: lacks some of what came lately, shows some of what went, and never lies about the rest', async () => {
  const inner = memoryStore([['config', old]]);
  const plan = { random: seededRandom(3), chances: { staleList: 0 } };
  await using store = faultyStore(inner, plan);
  for (let index = 0; index < 12; index += 1) await store.put(`index/${index}`, [fresh]);
  for (let index = 0; index < 6; index += 1) await store.remove(`index/${index}`);
  plan.chances.staleList = 1;
  const names = (await Array.fromAsync(store.list(''))).map(({ name }) => name);
  expect(names).toContain('config');
  const shown = names.filter((name) => /^index\/[0-5]$/.test(name)).length;
  const present = names.filter((name) => /^index\/(?:[6-9]|1\d)$/.test(name)).length;
  expect([shown > 0, shown < 6, present > 0, present < 6]).toEqual([true, true, true, true]);
  expect(await store.get('index/11')).toEqual(fresh);
});

test('crash: after so many calls nothing happens any more, and calls under way never tell', async () => {
  const inner = memoryStore();
  const gate = Promise.withResolvers<void>();
  const slow: typeof inner.put = async (name, parts) => {
    if (name === 'index/slow') await gate.promise;
    return inner.put(name, parts);
  };
  await using store = faultyStore({ ...inner, put: slow }, { random: seededRandom(1), callsBeforeCrash: 3 });
  await store.put('index/1', [fresh]);
  const underWay = store.put('index/slow', [fresh]);
  await store.get('index/1');
  for (let turn = 0; turn < 3; turn += 1) {
    await expect(store.put('index/lost', [fresh])).rejects.toBeInstanceOf(CrashError);
    await expect(Array.fromAsync(store.list(''))).rejects.toBeInstanceOf(CrashError);
  }
  gate.resolve();
  await expect(underWay).rejects.toBeInstanceOf(CrashError);
  expect((await Array.fromAsync(inner.list(''))).map(({ name }) => name)).toEqual(['index/1', 'index/slow']);
  expect(store.fired).toEqual([{ kind: 'crash', method: 'put', name: 'index/lost', call: 4 }]);
});

test('the same seed gives the same faults, another seed others', async () => {
  expect(await faultsOf(5)).toBe(await faultsOf(5));
  expect(await faultsOf(5)).not.toBe(await faultsOf(6));
});

async function faultsOf(seed: number): Promise<string> {
  const chances = { refused: 0.2, torn: 0.2, answerLost: 0.2 };
  const store = faultyStore(memoryStore(), { random: seededRandom(seed), chances });
  for (let index = 0; index < 40; index += 1) await store.put('config', [fresh]).catch(() => {});
  return store.fired.map(({ kind, call }) => `${call}${kind}`).join();
}
