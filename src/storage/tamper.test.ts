// Stores that give way, that refuse, and that say yes and do nothing.
import { expect, test } from 'vitest';
import { noSignal } from '../../test/support/repository.ts';
import { AppError } from '../base/errors.ts';
import { memoryStore } from './memory/store.ts';
import type { Store } from './store.ts';
import { tamperWithStore } from './tamper.ts';

const refuse = async (): Promise<never> => {
  throw new AppError('STORE_DENIED', 'could not remove it: EPERM', { hint: 'Look for an immutable flag.' });
};
const doNothing = async (): Promise<void> => undefined;

async function tamper(change: (store: Store) => Partial<Store>) {
  const inner = memoryStore();
  const store: Store = {
    properties: inner.properties,
    get: (name, options) => inner.get(name, options),
    put: (name, parts, options) => inner.put(name, parts, options),
    stat: (name, options) => inner.stat(name, options),
    list: (prefix, options) => inner.list(prefix, options),
    remove: (name, options) => inner.remove(name, options),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
    ...change(inner),
  };
  const report = await tamperWithStore(store, 'tamper-test-1', noSignal);
  return { ...report, outcomes: report.trials.map(({ trial, outcome }) => `${trial}: ${outcome}`) };
}

test('a folder that lets its files be replaced and removed is told so, and nothing is left in it', async () => {
  const { outcomes, left } = await tamper(() => ({}));
  expect(outcomes).toEqual(['overwrite: allowed', 'delete: allowed', 'destroy a version: not applicable']);
  expect(left).toEqual([]);
});

test('what can not be removed is refused, and named as left', async () => {
  const { outcomes, left } = await tamper(() => ({ remove: refuse }));
  expect(outcomes.slice(0, 2)).toEqual(['overwrite: allowed', 'delete: refused']);
  expect(left).toEqual([expect.stringMatching(/\/tamper-test-1$/)]);
});

test('a store that says yes and keeps what it had is believed by what it gives back', async () => {
  const { outcomes } = await tamper((inner) => {
    let puts = 0;
    return {
      put: async (name, parts, options) => ((puts += 1) === 1 ? await inner.put(name, parts, options) : undefined),
      remove: doNothing,
    };
  });
  expect(outcomes.slice(0, 2)).toEqual(['overwrite: kept', 'delete: kept']);
});

test('a store that breaks off has neither refused nor allowed', async () => {
  const { trials } = await tamper(() => ({
    remove: async () => {
      throw new AppError('STORE_UNREACHABLE', 'no answer', { hint: 'Try again.' });
    },
  }));
  expect(trials[1]).toMatchObject({ outcome: 'inconclusive', hint: 'Try again.' });
});

test('a test that is stopped in the middle leaves nothing behind', async () => {
  const inner = memoryStore();
  const stopping = new AbortController();
  const store: Store = {
    ...inner,
    async get(name, options) {
      const content = await inner.get(name, options);
      stopping.abort(new Error('stopped'));
      return content;
    },
  };
  await expect(tamperWithStore(store, 'tamper-test-1', stopping.signal)).rejects.toMatchObject({ code: 'INTERRUPTED' });
  expect(await Array.fromAsync(inner.list(''))).toEqual([]);
});
