import { expect, test } from 'vitest';
import { measuredLines, measuredRpo } from './measured-rpo.ts';
import { plainStyle } from './style.ts';

const nowMs = Date.parse('2026-11-28T12:00:00Z');
const sentinelMs = nowMs - 67_200;
const reaches = { position: '0/5000060', timeUs: (nowMs - 60_000) * 1000 };
const time = { kind: 'time', timeUs: (nowMs - 60_000) * 1000, isInclusive: true } as const;

test('what was lost is counted up to the instant that was asked for, or to now at the end of the journal', () => {
  const known = { sentinelMs, reaches, nowMs };
  expect(measuredRpo({ ...known, target: time })).toMatchObject({ measuredRpoSeconds: 7.2, against: 'the instant' });
  expect(measuredRpo({ ...known, target: { kind: 'end' } })).toMatchObject({
    measuredRpoSeconds: 67.2,
    against: 'now',
  });
  expect(measuredRpo({ ...known, target: { kind: 'restore-point', name: 'x' } })).toMatchObject({
    measuredRpoSeconds: 7.2,
  });
});

test('without a sentinel, or a time to compare it with, nothing is claimed', () => {
  expect(measuredRpo({ sentinelMs: undefined, target: time, reaches, nowMs })).toBeUndefined();
  const lsn = { kind: 'lsn', lsn: '0/5', isInclusive: true } as const;
  expect(measuredRpo({ sentinelMs, target: lsn, reaches: { position: '0/5' }, nowMs })).toBeUndefined();
});

test('a clock that is ahead measures no loss below nothing', () => {
  const early = { ...time, timeUs: (sentinelMs - 1000) * 1000 };
  expect(measuredRpo({ sentinelMs, target: early, reaches, nowMs })?.measuredRpoSeconds).toBe(0);
});

test('it reads as one sentence', () => {
  const measured = measuredRpo({ sentinelMs, target: { kind: 'end' }, reaches, nowMs });
  expect(measuredLines(measured, plainStyle()).join('\n')).toMatchInlineSnapshot(`
    "  measured RPO 1m 7s: the newest sentinel was written at
      2026-11-28T11:58:52.800Z, so long before now"
  `);
  expect(measuredLines(undefined, plainStyle())).toEqual([]);
});
