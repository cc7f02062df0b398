import fc from 'fast-check';
import { expect, test } from 'vitest';
import { mergeRows, type MergedRow } from './compare-rows.ts';

// eslint-disable-next-line typescript/require-await -- Rows come from a server elsewhere.
async function* stream(rows: readonly MergedRow[]): AsyncGenerator<MergedRow> {
  yield* rows;
}

const rowsOf = (keys: readonly string[]): MergedRow[] =>
  keys.toSorted().map((key, at) => ({ key, hash: key, place: String(at) }));

const countOf = (keys: readonly string[], key: string): number => keys.filter((one) => one === key).length;

test('pairs every row of both sides once, with one of the same key as long as there are some', async () => {
  const keys = fc.array(
    fc.nat({ max: 60 }).map((number) => number.toString(16)),
    { maxLength: 200 },
  );
  await fc.assert(
    fc.asyncProperty(keys, keys, async (left, right) => {
      const pairs = await Array.fromAsync(mergeRows(stream(rowsOf(left)), stream(rowsOf(right))));
      expect(pairs.flatMap(({ first }) => first?.key ?? [])).toEqual(left.toSorted());
      expect(pairs.flatMap(({ second }) => second?.key ?? [])).toEqual(right.toSorted());
      for (const key of new Set([...left, ...right])) {
        const both = pairs.filter(({ first, second }) => first?.key === key && second?.key === key);
        expect(both).toHaveLength(Math.min(countOf(left, key), countOf(right, key)));
      }
    }),
  );
});
