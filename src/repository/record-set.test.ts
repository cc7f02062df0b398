import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RecordSet } from './record-set.ts';

test('whatever is added, it holds just what a Set of numbers holds, and counts it', () => {
  const runs = fc.integer({ min: 1, max: 300 }).chain((recordsMax) =>
    fc.record({
      recordsMax: fc.constant(recordsMax),
      added: fc.array(fc.integer({ min: 0, max: recordsMax - 1 }), { maxLength: 400 }),
    }),
  );
  fc.assert(
    fc.property(runs, ({ recordsMax, added }) => {
      const records = new RecordSet(recordsMax);
      const model = new Set<number>();
      for (const record of added) {
        expect(records.add(record)).toBe(!model.has(record));
        model.add(record);
      }
      expect(records.count).toBe(model.size);
      const all = Array.from({ length: recordsMax + 20 }, (_, record) => record);
      expect(all.filter((record) => records.has(record))).toEqual([...model].toSorted((left, right) => left - right));
    }),
  );
});

test.each([
  [5, -1],
  [5, 5],
  [5, 7],
  [8, 8],
  [0, 0],
])('a set of %i does not take record %i, and does not have it', (recordsMax, record) => {
  const records = new RecordSet(recordsMax);
  expect(() => records.add(record)).toThrow(RangeError);
  expect([records.has(record), records.count]).toEqual([false, 0]);
});
