// Which month of an archive is meant where none is named.
import { expect, test } from 'vitest';
import { noSignal } from '../test/support/repository.ts';
import { repositorySchema } from './model/repository-settings.ts';
import { memoryStore } from './storage/memory/store.ts';
import { monthsHolding, placeOf } from './store-parts.ts';

const settings = { ...repositorySchema.parse({ archive: 'monthly' }), name: 'archive', location: '/srv/archive' };
const clock = { now: () => Date.UTC(2026, 10, 1, 6) };

test('whoever reads gets the newest month that holds a backup, and the newest that there is where none does', async () => {
  const store = memoryStore();
  const ports = { clock, signal: noSignal, openStore: () => Promise.resolve(store) };
  const place = async (access: 'read' | 'write', month?: 'newest' | '2026-01') =>
    (await placeOf(settings, ports, { access, month })).name;
  const put = (...names: string[]) => Promise.all(names.map((name) => store.put(name, [Buffer.from('x')])));
  await put('config', 'keys/a');
  expect([await place('read'), await place('write')]).toEqual(['archive', 'archive']);
  await put('2026-08/config');
  expect(await place('read')).toBe('archive/2026-08');
  await put('2026-09/config', '2026-09/snapshots/a', '2026-11/config', '2026-11/keys/a');
  expect([await place('read'), await place('write', 'newest')]).toEqual(['archive/2026-09', 'archive/2026-09']);
  await put('2026-11/snapshots/b');
  expect(await place('read')).toBe('archive/2026-11');
  expect([await place('write'), await place('read', '2026-01')]).toEqual(['archive', 'archive/2026-01']);
  expect(await Array.fromAsync(monthsHolding(settings, ports))).toEqual(['2026-11', '2026-09']);
});
