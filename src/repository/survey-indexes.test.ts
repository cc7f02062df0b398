import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { noSignal } from '../../test/support/repository.ts';
import { sampleRepository } from '../../test/support/sample-repository.ts';
import { AppError } from '../base/errors.ts';
import { memoryStore, type MemoryStore } from '../storage/memory/store.ts';
import type { BlobId, IndexId, PackId } from './ids.ts';
import { encodeIndex, placeEntries, type IndexedPack } from './index-file.ts';
import { fileName } from './layout.ts';
import { packSizeOf, type PackEntry } from './pack-header.ts';
import { saveJson, type Repository } from './repository.ts';
import { surveyIndexes, type IndexSurvey } from './survey-indexes.ts';

let sample: Repository;
beforeAll(async () => {
  ({ repository: sample } = await sampleRepository());
});

const freshRepository = (): Repository & { readonly store: MemoryStore } => ({ ...sample, store: memoryStore() });
const saveIndex = (repository: Repository, packs: readonly IndexedPack[]): Promise<IndexId> =>
  saveJson(repository, { kind: 'index', json: encodeIndex(packs) }, noSignal);
const survey = (repository: Repository, unreadable: string[] = []): Promise<IndexSurvey> =>
  surveyIndexes(repository, { signal: noSignal, onUnreadable: (name) => void unreadable.push(name) });

const hex = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => bytes.toHex());
const anyEntry: fc.Arbitrary<PackEntry> = fc.record({
  type: fc.constantFrom('data', 'tree'),
  id: hex.map((id) => id as BlobId),
  lengthBytes: fc.integer({ min: 32, max: 5000 }),
  plainLengthBytes: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 9000 })),
});
const anyEntries = fc.array(anyEntry, { minLength: 1, maxLength: 5 });
/** A pack with what index files say of it: mostly the same. */
const anyPack = fc.record({
  id: hex.map((id) => id as PackId),
  entries: anyEntries,
  others: fc.array(fc.oneof(fc.constant(undefined), anyEntries), { maxLength: 3 }),
});

test('it tells of each pack what the index files list, whichever is read first', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(anyPack, { selector: ({ id }) => id, maxLength: 6 }), async (packs) => {
      const repository = freshRepository();
      const listed = new Map<IndexId, IndexedPack[]>();
      const files: IndexedPack[][] = [[], [], [], []];
      for (const { id, entries, others } of packs)
        for (const [at, listing] of [entries, ...others].entries())
          files[at]?.push({ id, entries: placeEntries(listing ?? entries) });
      for (const file of files) listed.set(await saveIndex(repository, file), file);
      const found = await survey(repository);
      expect(new Set(found.files.keys())).toEqual(new Set(listed.keys()));
      for (const [id, file] of listed) {
        const blobs = file.reduce((sum, { entries }) => sum + entries.length, 0);
        expect(found.files.get(id)).toEqual({ packs: file.map((pack) => pack.id), blobs });
      }
      expect(found.packs.size).toBe(packs.length);
      for (const { id, entries, others } of packs) {
        const listings = [entries, ...others.map((other) => other ?? entries)];
        const shapes = new Set(listings.map((each) => `${packSizeOf(each)} ${each.length}`));
        const pack = found.packs.get(id);
        expect(pack).toMatchObject({ listings: listings.length, isListedDifferently: shapes.size > 1 });
        expect(listings.map((each) => describe(each))).toContainEqual({
          sizeBytes: pack?.sizeBytes,
          type: pack?.type,
          blobs: pack?.blobs,
          hasRawTrees: pack?.hasRawTrees,
        });
      }
      expect(new Set(found.index.packs)).toEqual(new Set(packs.map(({ id }) => id)));
      expect(found.index.size).toBe([...found.packs.values()].reduce((sum, { blobs }) => sum + blobs, 0));
    }),
    { numRuns: 60 },
  );
});

/** As the format says, in other words than the code's. */
function describe(entries: readonly PackEntry[]): Record<string, unknown> {
  const types = entries.map(({ type }) => type).join(' ');
  const isMixed = types.includes('data') && types.includes('tree');
  const stored = entries.map(({ lengthBytes, plainLengthBytes }) => lengthBytes + (plainLengthBytes > 0 ? 41 : 37));
  return {
    sizeBytes: stored.reduce((sum, bytes) => sum + bytes, 36),
    type: isMixed ? 'mixed' : (entries[0]?.type ?? 'data'),
    blobs: entries.length,
    hasRawTrees: entries.some(
      (entry) => entry.type === 'tree' && entry.plainLengthBytes === 0 && entry.lengthBytes > 32,
    ),
  };
}

test('listings of equal size are different if they list another number of blobs', async () => {
  const repository = freshRepository();
  const id = 'a'.repeat(64) as PackId;
  const blob = { type: 'data' as const, id: 'b'.repeat(64) as BlobId, plainLengthBytes: 0 };
  const one = [{ ...blob, lengthBytes: 40 + 50 + 37 }];
  const two = [
    { ...blob, lengthBytes: 40 },
    { ...blob, lengthBytes: 50 },
  ];
  expect(packSizeOf(one)).toBe(packSizeOf(two));
  for (const entries of [one, two]) await saveIndex(repository, [{ id, entries: placeEntries(entries) }]);
  expect((await survey(repository)).packs.get(id)?.isListedDifferently).toBe(true);
});

test('an index file that can’t be read is named, and all others are surveyed', async () => {
  const repository = freshRepository();
  const packs = ['a', 'b', 'c'].map((letter) => ({
    id: letter.repeat(64) as PackId,
    entries: placeEntries([
      { type: 'data' as const, id: letter.repeat(64) as BlobId, lengthBytes: 40, plainLengthBytes: 0 },
    ]),
  }));
  const names: string[] = [];
  for (const pack of packs) names.push(fileName('index', await saveIndex(repository, [pack])));
  const [, broken = ''] = names;
  await repository.store.put(broken, [Buffer.from('not an index')]);
  const unreadable: string[] = [];
  const found = await survey(repository, unreadable);
  expect(unreadable).toEqual([broken]);
  expect(new Set(found.packs.keys())).toEqual(new Set(['a', 'c'].map((letter) => letter.repeat(64))));
  expect(found.files.size).toBe(2);
});

test('it ends with what the caller makes of an index file that can’t be read, and when it is told to', async () => {
  const repository = freshRepository();
  await repository.store.put(fileName('index', 'a'.repeat(64) as IndexId), [Buffer.from('not an index')]);
  const onUnreadable = (name: string, error: unknown): void => {
    expect(error).toBeInstanceOf(AppError);
    throw new Error(`stopped at ${name}`);
  };
  await expect(surveyIndexes(repository, { signal: noSignal, onUnreadable })).rejects.toThrow('stopped at index/aaaa');
  const signal = AbortSignal.abort();
  await expect(surveyIndexes(repository, { signal, onUnreadable })).rejects.toMatchObject({ code: 'INTERRUPTED' });
});
