import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../../test/support/temporary-folder.ts';
import { seededRandom } from '../../base/random.ts';
import { readSeen, seenIn, SeenNotes } from './seen.ts';

const lineage = 'postgresql/1/00000001';
const at = (offset: number, timeMs: number) => ({
  lineage,
  complete: { position: { segment: 3, offset }, timeMs },
});

const fail = (error: Error): void => {
  throw error;
};

test('the newest moment is read again, and counts for whoever has all up to there', async () => {
  await using folder = await temporaryFolder();
  expect(await readSeen(folder.path)).toBeUndefined();
  {
    await using notes = new SeenNotes(folder.path, { random: seededRandom(1), onFailed: fail });
    notes.note({ lineage, complete: undefined });
    notes.note(at(10, 10_000));
    notes.note(at(12, 10_100)); // Too soon to be worth a write.
    notes.note(at(20, 13_000));
    notes.note(at(20, 5000)); // The clock was set back.
  }
  const seen = await readSeen(folder.path);
  expect(seen).toMatchObject({ position: { segment: 3, offset: 20 }, timeMs: 5000 });
  const end = (offset: number) => ({ lineage, end: { segment: 3, offset } });
  expect(seenIn(seen, end(20))).toBe(5000);
  expect(seenIn(seen, { lineage, end: { segment: 4, offset: 0 } })).toBe(5000);
  expect(seenIn(seen, end(19))).toBeUndefined();
  expect(seenIn(seen, { ...end(20), lineage: 'postgresql/2/00000001' })).toBeUndefined();
  await writeFile(join(folder.path, 'seen.json'), '{"format":1,');
  expect(await readSeen(folder.path)).toBeUndefined();
});

test('a folder that takes nothing is told of once, and stops nobody', async () => {
  await using folder = await temporaryFolder();
  const failures: string[] = [];
  const notes = new SeenNotes(join(folder.path, 'gone'), {
    random: seededRandom(1),
    onFailed: ({ message }) => void failures.push(message),
  });
  notes.note(at(10, 10_000));
  notes.note(at(20, 20_000));
  await notes[Symbol.asyncDispose]();
  expect(failures).toHaveLength(1);
});
