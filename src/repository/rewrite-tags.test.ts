import { beforeEach, expect, test } from 'vitest';
import { sampleRepository, type SampleRepository } from '../../test/support/sample-repository.ts';
import { noSignal } from '../../test/support/repository.ts';
import { acquireLock } from './lock.ts';
import { changeTags, rewriteTags } from './rewrite-tags.ts';
import { loadSnapshots, saveSnapshot, withoutId, type StoredSnapshot } from './snapshot.ts';

let sample: SampleRepository;
let snapshot: StoredSnapshot;
const all = (): Promise<StoredSnapshot[]> => loadSnapshots(sample.repository, noSignal);

beforeEach(async () => {
  sample = await sampleRepository();
  const { id } = await sample.save({ a: 'a' }, ['red']);
  const [made] = await all();
  const later = { ...withoutId(made ?? snapshot), field_of_a_later_version: { kept: [1, 2] } };
  snapshot = await saveSnapshot(sample.repository, later, noSignal);
  await sample.store.remove(`snapshots/${id}`);
});

test.each([
  [{ add: ['blue', 'red'] }, ['red', 'blue']],
  [{ remove: ['red'] }, []],
  [{ set: ['x', 'x'] }, ['x']],
  [{ set: ['x'], add: ['y'], remove: ['x'] }, ['y']],
  [{}, ['red']],
])('%j turns [red] into %j', (change, expected) => {
  expect(changeTags(['red'], change)).toEqual(expected);
});

test('the new snapshot replaces the old one, names it as its original, and keeps every other field', async () => {
  const [rewritten] = await rewriteTags(sample.repository, {
    snapshots: [snapshot.id],
    add: ['blue'],
    signal: noSignal,
  });
  const [found, ...others] = await all();
  expect(others).toEqual([]);
  expect(found).toEqual({
    ...snapshot,
    id: rewritten?.to,
    original: snapshot.id,
    tags: ['component=app', 'red', 'blue'],
  });
});

test('a second change keeps the first original', async () => {
  const [first] = await rewriteTags(sample.repository, { snapshots: [snapshot.id], add: ['b'], signal: noSignal });
  await rewriteTags(sample.repository, { snapshots: [first?.to ?? snapshot.id], add: ['c'], signal: noSignal });
  expect(await all()).toMatchObject([{ original: snapshot.id, tags: ['component=app', 'red', 'b', 'c'] }]);
});

test('a snapshot whose tags stay the same is not written again', async () => {
  expect(await rewriteTags(sample.repository, { snapshots: [snapshot.id], add: ['red'], signal: noSignal })).toEqual(
    [],
  );
  expect(await all()).toMatchObject([{ id: snapshot.id }]);
});

test('a lock of a backup keeps it from starting', async () => {
  await using _ = await acquireLock(sample.repository, { isExclusive: false, signal: noSignal });
  const change = rewriteTags(sample.repository, { snapshots: [snapshot.id], add: ['b'], signal: noSignal });
  await expect(change).rejects.toMatchObject({ code: 'REPOSITORY_LOCKED' });
});
