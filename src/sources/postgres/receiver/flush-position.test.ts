import { expect, test } from 'vitest';
import { flushPosition } from './flush-position.ts';

const size = 2 ** 20;
const at = (segment: number, offset: number) => ({ segment, offset });
const lsn = (segment: number, offset: number): bigint => BigInt(segment * size + offset);

const cases = [
  ['nothing is durable', undefined, undefined, 0n],
  ['nothing is promised yet', at(3, 10), undefined, 0n],
  ['all is everywhere', at(3, 10), at(3, 10), lsn(3, 10)],
  ['only the open segment is still missing somewhere', at(3, 10), at(3, 0), lsn(3, 10)],
  ['an earlier segment is missing somewhere', at(3, 10), at(2, 500), lsn(2, 500)],
  ['the newest segment is complete here and not everywhere', at(4, 0), at(3, 700), lsn(3, 700)],
  ['the newest segment is complete everywhere', at(4, 0), at(4, 0), lsn(4, 0)],
] as const;

for (const [what, durable, promised, expected] of cases) {
  test(`if ${what}, the server may forget as much as is safe`, () => {
    expect(flushPosition(durable, promised, size)).toBe(expected);
  });
}
