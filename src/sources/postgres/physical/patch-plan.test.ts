import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PatchPlan, type PatchRange } from './patch-plan.ts';
import { pageBytes } from './relation-file.ts';

/** Each page holds its number in a byte of its own, those of the parent from 100 on. */
function pageOf(value: number): Uint8Array {
  return new Uint8Array(pageBytes).fill(value);
}

const change = fc.record({
  parentPages: fc.nat(12),
  truncationBlocks: fc.nat(14),
  blocks: fc
    .uniqueArray(fc.nat(14), { maxLength: 10 })
    .map((found) => Uint32Array.from(found.toSorted((a, b) => a - b))),
});

interface Change {
  readonly parentPages: number;
  readonly truncationBlocks: number;
  readonly blocks: Uint32Array;
}

function planOf({ parentPages, truncationBlocks, blocks }: Change): PatchPlan {
  const resultBytes = Math.max(truncationBlocks, (blocks.at(-1) ?? -1) + 1) * pageBytes;
  return new PatchPlan({ blocks, truncationBlocks, isClamped: false, resultBytes }, parentPages * pageBytes);
}

/** By the rule as pg_combinebackup has it: page by page. */
function expected({ parentPages, truncationBlocks, blocks }: Change, pages: number): number[] {
  return Array.from({ length: pages }, (_, page) => {
    if (blocks.includes(page)) return page + 1;
    return page < truncationBlocks && page < parentPages ? page + 100 : 0;
  });
}

test('a patched file holds what came, else what the parent kept, else zeros', async () => {
  await fc.assert(
    fc.asyncProperty(change, async (made) => {
      const plan = planOf(made);
      // eslint-disable-next-line typescript/require-await -- An async iterable is wanted.
      const came = async function* (): AsyncGenerator<PatchRange> {
        for (const page of made.blocks) yield { offset: page * pageBytes, bytes: pageOf(page + 1) };
      };
      const result = Array.from({ length: plan.resultPages }, (_, page) => (page < made.parentPages ? page + 100 : -1));
      const written = new Set<number>();
      let end = 0;
      for await (const { offset, bytes } of plan.ranges(came())) {
        expect(offset).toBeGreaterThanOrEqual(end);
        end = offset + bytes.length;
        for (let at = 0; at < bytes.length; at += pageBytes) {
          result[(offset + at) / pageBytes] = bytes[at] ?? -1;
          written.add((offset + at) / pageBytes);
        }
      }
      expect(result).toEqual(expected(made, plan.resultPages));
      const spanned = plan
        .spans()
        .flatMap(({ offset, length }) => Array.from({ length: length / pageBytes }, (_, n) => offset / pageBytes + n));
      expect(spanned).toEqual([...written].toSorted((a, b) => a - b));
      expect(plan.isWhole).toBe(result.every((value) => value < 100));
      for (let page = 0; page < 15; page += 1) expect(plan.has(page)).toBe(made.blocks.includes(page));
    }),
  );
});
