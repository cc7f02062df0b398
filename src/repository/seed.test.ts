// A repository from another one's keys and parameters.
import { expect, test } from 'vitest';
import { noSignal, testPassword } from '../../test/support/repository.ts';
import { systemClock } from '../base/clock.ts';
import { systemRandom } from '../base/random.ts';
import { memoryStore } from '../storage/memory/store.ts';
import { initRepository, openRepository } from './open-repository.ts';
import { seedRepository } from './seed.ts';

const options = {
  password: testPassword,
  clock: systemClock,
  random: systemRandom,
  signal: noSignal,
  chunkerDefault: 'gear' as const,
};

test('it opens with the same password, holds nothing else, and two that make it at once make the same', async () => {
  const origin = memoryStore();
  const { config } = await initRepository(origin, options);
  await origin.put('data/ab/abcd', [Buffer.from('not of a repository that begins')]);
  const target = memoryStore();
  const made = await Promise.all([1, 2, 3].map(() => seedRepository(origin, target, noSignal)));
  expect(made).toContain(true);
  const opened = await openRepository(target, options);
  expect(opened.config.id).toBe(config.id);
  expect(opened.config.chunker).toEqual(config.chunker);
  const names = (await Array.fromAsync(target.list(''))).map(({ name }) => name.split('/')[0]);
  expect(names.toSorted()).toEqual(['config', 'keys']);
  expect(await seedRepository(origin, target, noSignal)).toBe(false);
});

test('without a repository to begin from there is none after it', async () => {
  const target = memoryStore();
  await expect(seedRepository(memoryStore(), target, noSignal)).rejects.toMatchObject({ code: 'OBJECT_MISSING' });
  expect(await Array.fromAsync(target.list(''))).toEqual([]);
});
