// What is promised decides what the same answers of a store mean.
import { expect, test } from 'vitest';
import { dayMs } from '../base/duration.ts';
import { judgeTampering } from './tamper-verdict.ts';

const atMs = Date.UTC(2026, 10, 28);
const lockedFor = (days: number) => ({ state: 'locked', untilMs: atMs + days * dayMs }) as const;
const none = { state: 'none' } as const;
const unknown = { state: 'unknown' } as const;
const tried = (outcome: string) => [
  { trial: 'overwrite', outcome: 'kept' },
  { trial: 'destroy a version', outcome },
];
const nothing = { outlivesRansomware: false, lockDays: undefined };
const ransomware = { outlivesRansomware: true, lockDays: undefined };
const locked = { outlivesRansomware: false, lockDays: 14 };

test.each([
  ['nothing is promised and all refused', { promise: nothing, outcome: 'refused', lock: none }, 'holds'],
  ['nothing is promised and something allowed', { promise: nothing, outcome: 'allowed', lock: none }, 'exposed'],
  ['nothing is promised and something unknown', { promise: nothing, outcome: 'inconclusive', lock: unknown }, 'holds'],
  ['ransomware is outlived by rights alone', { promise: ransomware, outcome: 'refused', lock: none }, 'holds'],
  ['ransomware is not outlived', { promise: ransomware, outcome: 'allowed', lock: lockedFor(14) }, 'broken'],
  ['ransomware is perhaps outlived', { promise: ransomware, outcome: 'inconclusive', lock: none }, 'inconclusive'],
  ['the lock is as promised', { promise: locked, outcome: 'refused', lock: lockedFor(14) }, 'holds'],
  ['the lock is longer than promised', { promise: locked, outcome: 'refused', lock: lockedFor(30) }, 'holds'],
  ['the lock is shorter than promised', { promise: locked, outcome: 'refused', lock: lockedFor(7) }, 'broken'],
  ['there is no lock, but rights', { promise: locked, outcome: 'refused', lock: none }, 'broken'],
  ['the lock can not be seen', { promise: locked, outcome: 'refused', lock: unknown }, 'inconclusive'],
  ['the lock gave way', { promise: locked, outcome: 'allowed', lock: lockedFor(14) }, 'broken'],
] as const)('%s', (_, { promise, outcome, lock }, verdict) => {
  const judged = judgeTampering(promise, { trials: tried(outcome), lock, atMs });
  expect(judged.verdict).toBe(verdict);
  expect(judged.reasons.length > 0).toBe(verdict !== 'holds');
});

test('the reason names what gave way, and how long the lock lasts', () => {
  const judged = judgeTampering(locked, { trials: tried('allowed'), lock: lockedFor(7), atMs });
  expect(judged.reasons).toEqual([
    'destroy a version: allowed',
    'what is written is locked for 7d, and lock: 14d is promised',
  ]);
});
