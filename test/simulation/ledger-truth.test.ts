// The truth that recoveries are compared with must itself tell right from wrong.
import { expect, test } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { md5, randomChanges, rowsAfter, type LedgerChange } from './ledger.ts';
import type { SentTransaction } from './ledger-load.ts';
import { compareWithModel } from './ledger-truth.ts';

const random = seededRandom(7);
const transaction = (at: number, changes: readonly LedgerChange[]): SentTransaction => ({
  id: at + 1,
  xid: 1000 + at,
  changes,
  begunLsn: 0n,
});
const put = (value: string): SentTransaction => transaction(60, [{ table: 'shelf', key: 1, act: 'put', value }]);
const sent = [...Array.from({ length: 60 }, (_, at) => transaction(at, randomChanges(random))), put('as it was sent')];

type Row = Record<string, unknown>;

/** Answers as a server would that holds what these transactions leave, in this order. */
function serverWith(transactions: readonly SentTransaction[]): (text: string) => Promise<Row[]> {
  const rows = rowsAfter(transactions.map(({ changes }) => changes));
  const answer = (text: string): Row[] => {
    if (text.includes('FROM ledger'))
      return transactions
        .map(({ id, xid }) => ({ id, xid: String(xid) }))
        .toSorted((left, right) => left.id - right.id);
    const table = text.includes('FROM shelf') ? rows.shelf : rows.papers;
    return [...table].toSorted(([left], [right]) => left - right).map(([key, value]) => ({ key, hash: md5(value) }));
  };
  return (text) => Promise.resolve(answer(text));
}

test('a copy that holds the committed prefix passes', async () => {
  await expect(compareWithModel(serverWith(sent), sent)).resolves.toBeUndefined();
});

test.each<[string, SentTransaction[]]>([
  ['one transaction too few', sent.slice(0, -1)],
  ['one too few in the middle', sent.toSpliced(30, 1)],
  ['one too many', [...sent, transaction(61, [])]],
  ['the same ones in another order', sent.toReversed()],
  ['a change that is not as it was sent', [...sent.slice(0, -1), put('otherwise')]],
])('a copy with %s does not', async (_, held) => {
  await expect(compareWithModel(serverWith(held), sent)).rejects.toThrow(/ledger has|rows instead/);
});
