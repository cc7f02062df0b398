import { expect, test } from 'vitest';
import { proofSchema, type JournalProof, type Proof } from '../../model/proof.ts';
import { withThrough } from './prove-through.ts';

const alone: Proof = {
  version: 1,
  component: 'database',
  tree: 'a'.repeat(64),
  snapshot: 'b'.repeat(64),
  time: '2026-11-28T00:00:00Z',
  outcome: 'passed',
  message: '2 tables with 10 rows came back as they were',
  sandbox: 'PostgreSQL 15.18',
  durationSeconds: 2,
  restoredBytes: 1000,
  compared: 2,
  rows: 10,
  differences: [],
  checks: [],
  program: 'test',
};
const journal: JournalProof = {
  base: 'c'.repeat(64),
  baseTime: '2026-11-27T00:00:00Z',
  position: '0/5000060',
  replayedBytes: 16 * 2 ** 20,
  durationSeconds: 3,
  outcome: 'passed',
  message: '2 tables with 10 rows came back as they were',
};
const difference = { name: 'shop.public.orders', kind: 'changed' as const, rowsExpected: 5, rowsFound: 4 };

function both(changes: Partial<JournalProof>, differences: Proof['differences'] = []): Proof {
  const proof = withThrough(alone, { kind: 'proven', proof: { ...journal, ...changes }, differences });
  expect(proofSchema.parse(JSON.parse(JSON.stringify(proof)))).toEqual(proof);
  return proof;
}

test('a proof of both says from which base the journal was replayed', () => {
  expect(both({})).toMatchObject({
    outcome: 'passed',
    durationSeconds: 5,
    message:
      '2 tables with 10 rows came back as they were, and through the journal from base cccccccc as well (16 MiB, to 0/5000060)',
  });
});

test('what comes back otherwise through the journal fails the whole proof', () => {
  expect(both({ outcome: 'failed', message: '1 difference' }, [difference])).toMatchObject({
    outcome: 'failed',
    message: 'through the journal from base cccccccc: 1 difference',
    differences: [difference],
  });
});

test('what could not be found out of the journal is said, and the backup stays proven', () => {
  expect(both({ outcome: 'inconclusive', message: 'no space' })).toMatchObject({
    outcome: 'passed',
    message: expect.stringMatching(/; not proven through the journal from base cccccccc: no space$/),
  });
  const unreachable = withThrough(alone, { kind: 'unreachable', reason: 'it lies in a hole' });
  expect(unreachable.message).toMatch(/; not proven through the journal: it lies in a hole$/);
  expect(unreachable.outcome).toBe('passed');
  expect(withThrough(alone, { kind: 'none' })).toBe(alone);
});
