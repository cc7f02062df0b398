import { beforeEach, expect, test } from 'vitest';
import { namesIn, sampleRepository, type SampleRepository } from '../../test/support/sample-repository.ts';
import { noSignal } from '../../test/support/repository.ts';
import { readNotes, removeNote, writeNote, type Note } from './note.ts';
import { seal } from './seal.ts';

const tree = 'c0ffee'.padEnd(64, '0');
let sample: SampleRepository;
const write = (subject: string, json: Note['json']): Promise<Note> =>
  writeNote(sample.repository, { purpose: 'proof', subject, json }, noSignal);
const read = (subject?: string) => readNotes(sample.repository, { purpose: 'proof', subject }, noSignal);

beforeEach(async () => {
  sample = await sampleRepository();
});

test('notes come back by subject, oldest first, and can be removed', async () => {
  let nowMs = 5000;
  const repository = { ...sample.repository, clock: { now: () => (nowMs += 1000) } };
  sample = { ...sample, repository };
  await write(tree, { outcome: 'failed' });
  const later = await write(tree, { outcome: 'passed' });
  await write('another', { outcome: 'inconclusive' });
  const { notes, problems } = await read(tree);
  expect(problems).toEqual([]);
  expect(notes.map(({ json, writtenAtMs }) => [json, writtenAtMs])).toEqual([
    [{ outcome: 'failed' }, 6000],
    [{ outcome: 'passed' }, 7000],
  ]);
  expect((await read()).notes).toHaveLength(3);
  await removeNote(sample.repository, later.name, noSignal);
  expect((await read(tree)).notes).toHaveLength(1);
});

test('neither names nor contents tell a stranger what a note is about', async () => {
  await write(tree, { secret: 'kept' });
  const [name = ''] = await namesIn(sample.store, 'notes/');
  expect(name).toMatch(/^notes\/proof\/[0-9a-f]{64}\/[0-9a-f]{12}-[0-9a-f]{16}$/);
  expect(name).not.toContain('c0ffee');
  expect((await sample.store.get(name)).toString('latin1')).not.toContain('kept');
  const other = await sampleRepository();
  await writeNote(other.repository, { purpose: 'proof', subject: tree, json: {} }, noSignal);
  const [elsewhere = ''] = await namesIn(other.store, 'notes/');
  expect(elsewhere.split('/')[2]).not.toBe(name.split('/')[2]);
});

test('a note moved to another subject is reported and not believed', async () => {
  const passed = await write(tree, { outcome: 'passed' });
  const other = await write('other', { outcome: 'failed' });
  await sample.store.put(other.name, [await sample.store.get(passed.name)]);
  const { notes, problems } = await read('other');
  expect(notes).toEqual([]);
  expect(problems).toEqual([{ name: other.name, message: expect.stringContaining('it was written as') }]);
});

test('a note under another name of its own folder is reported: it could pose as newer', async () => {
  const passed = await write(tree, { outcome: 'passed' });
  const copy = passed.name.replace(/[^/]+$/, 'ffffffffffff-0000000000000000');
  await sample.store.put(copy, [await sample.store.get(passed.name)]);
  const { notes, problems } = await read(tree);
  expect([notes.length, problems.map(({ name }) => name)]).toEqual([1, [copy]]);
});

test('each flipped byte of a note is reported', async () => {
  const { name } = await write(tree, { outcome: 'passed' });
  const bytes = await sample.store.get(name);
  for (let at = 0; at < bytes.length; at += 1) {
    const flipped = Buffer.from(bytes);
    flipped[at] = (flipped[at] ?? 0) ^ 0x10;
    await sample.store.put(name, [flipped]);
    const { notes, problems } = await read(tree);
    expect({ at, notes, problems: problems.length }).toEqual({ at, notes: [], problems: 1 });
  }
});

test('a file sealed with the master key itself is no note: purposes have keys of their own', async () => {
  const { name } = await write(tree, { outcome: 'passed' });
  await sample.store.put(name, [seal(sample.repository.keys, Buffer.from('{"magic":"lifeboat note 1"}'))]);
  expect(await read(tree)).toMatchObject({ notes: [], problems: [{ name }] });
});
