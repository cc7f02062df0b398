import { describe, expect, test } from 'vitest';
import { reachWords, supersedes, verifiedTrees, type VerificationRecord, type Verified } from './verification.ts';

const time = '2026-11-20T12:00:00Z';
const structure: Verified = { level: 'structure', time };
const data: Verified = { level: 'data', time };
const sample = (part: number, of = 7): Verified => ({ level: 'sample', sample: { part, of }, time });

describe('a newer verification', () => {
  test.each([
    [data, structure, true],
    [data, data, true],
    [data, sample(1), true],
    [sample(1), structure, true],
    [sample(1), sample(1), true],
    [sample(2), sample(1), false],
    [sample(2, 5), sample(1), true],
    [sample(1), data, false],
    [structure, sample(1), false],
    [structure, structure, true],
  ])('%o makes %o superfluous: %s', (newer, older, expected) => {
    expect(supersedes(newer, older)).toBe(expected);
  });
});

function record(verified: Verified, hour: number, trees: readonly string[]): VerificationRecord {
  const at = `2026-11-20T${String(hour).padStart(2, '0')}:00:00Z`;
  return { version: 1, ...verified, time: at, trees: [...trees], packsRead: 0, bytesRead: 0, program: 'test' };
}

test('a tree has what was last found of it, and what went deeper before', () => {
  const trees = verifiedTrees([
    record(structure, 1, ['old', 'both']),
    record(data, 2, ['both']),
    record(structure, 3, ['both', 'new']),
  ]);
  expect(trees.get('old')?.map(reachWords)).toEqual(['structure']);
  expect(trees.get('both')?.map(reachWords)).toEqual(['structure', 'all data']);
  expect(trees.get('new')?.map(({ time: at }) => at)).toEqual(['2026-11-20T03:00:00Z']);
  expect(trees.has('other')).toBe(false);
});
