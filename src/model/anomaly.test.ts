import fc from 'fast-check';
import { expect, test } from 'vitest';
import { anomaliesOf, earlierMin, limitOf, type BackupMeasures } from './anomaly.ts';

const usual: BackupMeasures = {
  hasParent: true,
  filesChanged: 2,
  filesUnmodified: 98,
  files: 100,
  bytes: 10 * 2 ** 20,
  addedBytes: 200_000,
  storedBytes: 60_000,
  elapsedMs: 5000,
};
const series = Array.from({ length: 10 }, () => usual);

const found = (backup: Partial<BackupMeasures>, earlier = series): string[] =>
  anomaliesOf({ ...usual, ...backup }, { earlier, before: earlier.at(-1) }).map(({ measure }) => measure);

test('each kind of loss is found, and a usual backup is none', () => {
  expect(found({})).toEqual([]);
  expect(found({ filesUnmodified: 40, files: 42 })).toEqual(['deleted']);
  const rewritten = { filesChanged: 90, filesUnmodified: 10 };
  expect(found({ ...rewritten, addedBytes: 9 * 2 ** 20, storedBytes: 2_800_000 })).toEqual([
    'rewritten',
    'deduplication',
  ]);
  expect(found(rewritten)).toEqual([]); // Only touched, or read again by force.
  expect(found({ bytes: 6 * 2 ** 20 })).toEqual(['size']);
  expect(found({ addedBytes: 9 * 2 ** 20, storedBytes: 9 * 2 ** 20 })).toEqual(['deduplication', 'entropy']);
  expect(found({ addedBytes: 40 * 2 ** 20, storedBytes: 12 * 2 ** 20, bytes: 400 * 2 ** 20 })).toEqual(['added']);
  expect(found({ elapsedMs: 3 * 3_600_000 })).toEqual(['duration']);
});

test('a table that loses many of its rows is found, one that comes and goes or is emptied each time is not', () => {
  const rows = (orders: number, staging: number, more: readonly (readonly [string, number])[] = []) => ({
    rows: new Map([['orders', orders], ['staging', staging], ['small', 20], ...more]),
  });
  // Each day the staging table is filled, each night emptied.
  const days = Array.from({ length: 9 }, (_, day) => ({ ...usual, ...rows(1000 + 10 * day, day % 2 === 0 ? 500 : 0) }));
  const facts = (backup: Partial<BackupMeasures>) =>
    anomaliesOf({ ...usual, ...backup }, { earlier: days, before: days.at(-1) });
  expect(facts(rows(1100, 0))).toEqual([]);
  expect(facts(rows(800, 0))).toEqual([]);
  expect(facts(rows(0, 0))).toMatchObject([
    { measure: 'rows', value: 1, message: 'orders lost 100 % of its rows (1080 → 0), usually 0 %' },
  ]);
  expect(facts({ rows: new Map() })).toHaveLength(1);
  expect(facts({})).toEqual([]);
  const seldom = days.with(3, { ...usual, ...rows(1030, 0, [['import', 900]]) });
  expect(
    anomaliesOf(
      { ...usual, ...rows(1100, 0) },
      { earlier: seldom, before: { ...usual, ...rows(1090, 0, [['import', 900]]) } },
    ),
  ).toEqual([]);
});

test('a backup without one to build on says nothing of files that went', () => {
  expect(found({ hasParent: false, filesChanged: 0, filesUnmodified: 0 })).toEqual([]);
});

test('nothing is said before enough is known', () => {
  const gone = { filesUnmodified: 0, filesChanged: 0, files: 0, bytes: 0 };
  expect(found(gone, series.slice(0, earlierMin - 1))).toEqual([]);
  expect(found(gone, series.slice(0, earlierMin))).toEqual(['deleted', 'size']);
});

const values = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 7, maxLength: 30 });

test('fewer than half of the earlier ones, however odd, do not lift the limit beyond what the others give', () => {
  fc.assert(
    fc.property(values, fc.double({ min: 0.01, max: 1, noNaN: true }), (good, floor) => {
      const odd = good.slice(1).slice(0, Math.floor((good.length - 1) / 2));
      const { median, limit } = limitOf([...good, ...odd.map(() => 1e9)], floor);
      expect(median).toBeLessThanOrEqual(Math.max(...good));
      // No distance of a good one from a median among them is more than 1.
      expect(limit).toBeLessThanOrEqual(median + 6 * Math.max(floor, 1.4826));
    }),
  );
});

test('the order of the earlier ones does not matter, and moving them all moves the limit alike', () => {
  fc.assert(
    fc.property(values, fc.double({ min: -5, max: 5, noNaN: true }), (some, by) => {
      expect(limitOf(some.toReversed(), 0.1)).toEqual(limitOf(some, 0.1));
      const moved = limitOf(
        some.map((value) => value + by),
        0.1,
      );
      expect(moved.limit).toBeCloseTo(limitOf(some, 0.1).limit + by, 6);
    }),
  );
});
