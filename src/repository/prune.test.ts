import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { IndexId, PackId } from './ids.ts';
import type { PackUse } from './pack-use.ts';
import { copiesToCheck, decidePrune, type PruneOptions } from './prune.ts';

const id = (number: number): PackId => number.toString(16).padStart(64, '0') as PackId;
const target = { data: 1000, tree: 1000 };
const keepAll: PruneOptions = { maxUnused: 'unlimited', packTargetBytes: target };

function pack(number: number, use: Partial<PackUse> & { unusedShare?: number } = {}): PackUse {
  const { unusedShare = 0, ...rest } = use;
  const sizeBytes = use.sizeBytes ?? 1000;
  return {
    pack: id(number),
    type: 'data',
    sizeBytes,
    usedBlobs: unusedShare === 1 ? 0 : 10,
    usedBytes: unusedShare === 1 ? 0 : Math.round(sizeBytes * (1 - unusedShare)),
    unusedBlobs: unusedShare === 0 ? 0 : 5,
    hasRawTrees: false,
    ...rest,
  };
}

const decide = (packs: readonly PackUse[], options: Partial<PruneOptions> = {}, files = new Map<IndexId, PackId[]>()) =>
  decidePrune(
    {
      packs,
      unindexed: [],
      indexFiles: new Map([...files].map(([name, listed]) => [name, { packs: listed, blobs: 20_000 }])),
    },
    { ...keepAll, ...options },
  );

test('a pack without a needed blob goes, one that is needed throughout stays', () => {
  const decision = decide([pack(1, { unusedShare: 1 }), pack(2)], { maxUnused: { bytes: 0 } });
  expect(decision).toMatchObject({ keep: [id(2)], repack: [], remove: [id(1)] });
  expect(decision.bytes).toMatchObject({ freed: 1000, unusedAfter: 0 });
});

test('the most wasteful packs are rewritten first, until the waste is within the limit', () => {
  const packs = [pack(1, { unusedShare: 0.2 }), pack(2, { unusedShare: 0.8 }), pack(3, { unusedShare: 0.5 })];
  // 1500 used; 25 % of the result are 500 bytes: without pack 2, 700 would stay; without 3 as well, 200.
  expect(decide(packs, { maxUnused: { percent: 25 } }).repack).toEqual([id(2), id(3)]);
  expect(decide(packs, { maxUnused: { bytes: 700 } }).repack).toEqual([id(2)]);
  expect(decide(packs, { maxUnused: 'unlimited' }).repack).toEqual([]);
  expect(decide(packs, { maxUnused: { percent: 100 } }).repack).toEqual([]);
});

test('with nothing to spare only whole packs go', () => {
  const packs = [pack(1, { unusedShare: 0.9 }), pack(2, { unusedShare: 1 }), pack(3, { type: 'mixed' })];
  expect(decide(packs, { maxUnused: { bytes: 0 }, maxRepackBytes: 0 })).toMatchObject({ repack: [], remove: [id(2)] });
});

test('packs that hold data and trees are separated even if nothing in them is unused', () => {
  expect(decide([pack(1, { type: 'mixed' }), pack(2)]).repack).toEqual([id(1)]);
});

test('packs of trees that are not compressed are rewritten even if nothing in them is unused, within the limit', () => {
  const packs = [pack(1, { type: 'tree', hasRawTrees: true }), pack(2, { type: 'tree' })];
  expect(decide(packs).repack).toEqual([id(1)]);
  expect(decide(packs, { maxRepackBytes: 999 }).repack).toEqual([]);
});

test('a kept copy is looked at if it stays in its place while another one goes', () => {
  const packOf = (record: number): PackId => id(record);
  const decision = { repack: [id(1), id(2)], remove: [id(3)] };
  const check = (kept: number, ...others: number[]): number[] => copiesToCheck([{ kept, others }], decision, packOf);
  expect(check(7, 3)).toEqual([7]);
  expect(check(7, 8, 1)).toEqual([7]);
  expect(check(7, 8)).toEqual([]);
  expect(check(1, 3)).toEqual([]);
});

test('small packs of one type are merged once there are ten of them', () => {
  const small = Array.from({ length: 9 }, (_, at) => pack(at, { sizeBytes: 200 }));
  expect(decide(small).repack).toEqual([]);
  expect(decide([...small, pack(9, { type: 'tree', sizeBytes: 200 })]).repack).toEqual([]);
  expect(decide([...small, pack(9, { sizeBytes: 200 })]).repack).toHaveLength(10);
});

test('index files that list a pack which goes are rewritten, others are not', () => {
  const files = new Map<IndexId, PackId[]>([
    ['a' as IndexId, [id(1), id(2)]],
    ['b' as IndexId, [id(3)]],
    ['c' as IndexId, [id(1)]],
  ]);
  const packs = [pack(1, { unusedShare: 1 }), pack(2), pack(3)];
  expect(decide(packs, {}, files).rewriteIndexes).toEqual(['a', 'c']);
});

test('many small index files are merged though no pack goes', () => {
  const files = new Map(
    Array.from({ length: 10 }, (_, at) => [`${at}` as IndexId, { packs: [id(at)], blobs: 3 }] as const),
  );
  const packs = Array.from({ length: 10 }, (_, at) => pack(at));
  expect(decidePrune({ packs, unindexed: [], indexFiles: files }, keepAll).rewriteIndexes).toHaveLength(10);
});

test('whatever the packs and limits, no pack with a needed blob is removed and the limits hold', () => {
  const anyPack = fc.record({
    sizeBytes: fc.integer({ min: 100, max: 5000 }),
    unusedShare: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  fc.assert(
    fc.property(
      fc.array(anyPack, { maxLength: 30 }),
      fc.integer({ min: 0, max: 10_000 }),
      fc.integer({ min: 0, max: 20_000 }),
      (shapes, maxUnusedBytes, maxRepackBytes) => {
        const packs = shapes.map((shape, at) => pack(at, shape));
        const decision = decide(packs, { maxUnused: { bytes: maxUnusedBytes }, maxRepackBytes });
        const all = [...decision.keep, ...decision.repack, ...decision.remove];
        expect(all.toSorted()).toEqual(packs.map((each) => each.pack).toSorted());
        for (const removed of decision.remove) expect(packs.find((each) => each.pack === removed)?.usedBlobs).toBe(0);
        expect(decision.bytes.repacked).toBeLessThanOrEqual(maxRepackBytes);
        const unlimited = decide(packs, { maxUnused: { bytes: maxUnusedBytes } });
        expect(unlimited.bytes.unusedAfter).toBeLessThanOrEqual(maxUnusedBytes);
        expect(unlimited.bytes.freed).toBe(unlimited.bytes.unused - unlimited.bytes.unusedAfter);
      },
    ),
  );
});
