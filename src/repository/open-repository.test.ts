import { expect, test } from 'vitest';
import { cheapScrypt, noSignal, testPassword } from '../../test/support/repository.ts';
import { memoryStore } from '../storage/memory/store.ts';
import {
  addPassword,
  changePassword,
  initRepository,
  listKeys,
  openRepository,
  removePassword,
} from './open-repository.ts';

const lockSettings = { settleMs: 0 };

async function withTwoPasswords() {
  const store = memoryStore();
  const options = { signal: noSignal, scryptCost: cheapScrypt, chunkerDefault: 'gear', lockSettings } as const;
  const first = await initRepository(store, { ...options, password: testPassword });
  await addPassword(first, { ...options, password: 'second' });
  return { first, second: await openRepository(store, { ...options, password: 'second' }) };
}

test('two that each remove the key of the other leave one', async () => {
  const { first, second } = await withTwoPasswords();
  await removePassword(first, second.keyId, { signal: noSignal });
  await expect(removePassword(second, first.keyId, { signal: noSignal })).rejects.toMatchObject({
    code: 'PASSWORD_WRONG',
  });
  expect(await listKeys(first, noSignal)).toMatchObject([{ id: first.keyId, isCurrent: true }]);
});

test('a key is removed by one at a time', async () => {
  const { first, second } = await withTwoPasswords();
  const outcomes = await Promise.allSettled([
    removePassword(first, second.keyId, { signal: noSignal }),
    removePassword(second, first.keyId, { signal: noSignal }),
  ]);
  expect(outcomes.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(0);
  expect((await listKeys(first, noSignal)).length).toBeGreaterThan(0);
});

test('a changed password opens what the old one opened, which opens nothing any more', async () => {
  const { first } = await withTwoPasswords();
  await changePassword(first, { password: 'new', signal: noSignal, scryptCost: cheapScrypt });
  const reopened = await openRepository(first.store, { password: 'new', signal: noSignal });
  expect(reopened.keys).toEqual(first.keys);
  await expect(openRepository(first.store, { password: testPassword, signal: noSignal })).rejects.toMatchObject({
    code: 'PASSWORD_WRONG',
  });
});

test('a damaged config or key file is not answered with a verify that could not open the repository either', async () => {
  const { first, second } = await withTwoPasswords();
  await removePassword(first, second.keyId, { signal: noSignal });
  for (const name of [`keys/${first.keyId}`, 'config']) {
    const sound = await first.store.get(name, { signal: noSignal });
    await first.store.put(name, [Uint8Array.from(sound, (byte, at) => (at === 40 ? byte ^ 1 : byte))], {
      signal: noSignal,
    });
    await expect(openRepository(first.store, { password: testPassword, signal: noSignal })).rejects.toMatchObject({
      code: 'REPOSITORY_DAMAGED',
      hint: expect.stringContaining('a copy of this very repository'),
    });
    await first.store.put(name, [sound], { signal: noSignal });
  }
});
