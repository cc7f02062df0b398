import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  formatInstantUs,
  parseInstantUs,
  parseLsnText,
  parseTimelineChoice,
  parseTransactionId,
} from './recovery-target.ts';

const berlin = 'Europe/Berlin';
const at = (iso: string): number => new Date(iso).getTime() * 1000;

test('an instant is taken in every form that people and servers write, to the microsecond', () => {
  const whole = at('2026-11-20T09:15:00Z');
  for (const text of [
    '2026-11-20 10:15:00+01',
    '2026-11-20 10:15+0100',
    '2026-11-20T10:15:00+01:00',
    '2026-11-20T09:15Z',
    '2026-11-20 09:15:00 UTC',
    '2026-11-20 05:15:00.000-04:00',
    ' 2026-11-20 09:15:00,0z ',
  ])
    expect(parseInstantUs(text, berlin)).toBe(whole);
  expect(parseInstantUs('2026-11-20 09:15:00.123456789Z', berlin)).toBe(whole + 123_456);
  expect(parseInstantUs('2026-11-20 09:15:00.5Z', berlin)).toBe(whole + 500_000);
});

test('an instant without a zone is one of this machine, unless its clock showed it twice or never', () => {
  expect(parseInstantUs('2026-11-20 10:15', berlin)).toBe(at('2026-11-20T09:15:00Z'));
  expect(parseInstantUs('2026-07-20', berlin)).toBe(at('2026-07-19T22:00:00Z'));
  expect(() => parseInstantUs('2026-10-25 02:30', berlin)).toThrow(/no single instant/);
  expect(() => parseInstantUs('2026-03-29 02:30', berlin)).toThrow(/no single instant/);
  expect(parseInstantUs('2026-10-25 02:30+02', berlin)).toBe(at('2026-10-25T00:30:00Z'));
});

test('what is no instant is refused', () => {
  for (const text of [
    '',
    'yesterday',
    '2026-13-01',
    '2026-02-30 10:00Z',
    '2026-11-20 25:00Z',
    '10:15',
    '2026-11-20 10Z',
  ])
    expect(() => parseInstantUs(text, berlin)).toThrow(/is not a time|no single instant/);
});

test('a shown instant reads back as itself', () => {
  const instants = fc.integer({ min: 0, max: 4_102_444_800_000_000 });
  fc.assert(
    fc.property(instants, (timeUs) => {
      expect(parseInstantUs(formatInstantUs(timeUs), berlin)).toBe(timeUs);
    }),
  );
});

test('positions, transactions and timelines are taken as servers write them', () => {
  expect(parseLsnText('16/b374d848')).toBe('16/B374D848');
  for (const text of ['16', '16/', 'x/1', '123456789/0']) expect(parseLsnText(text)).toBeUndefined();
  expect(parseTransactionId('759')).toBe(759);
  expect(parseTransactionId('4294968055')).toBe(759);
  for (const text of ['2', '-5', '1e3', '99999999999999999999']) expect(parseTransactionId(text)).toBeUndefined();
  expect(parseTimelineChoice('latest')).toEqual({ kind: 'latest' });
  expect(parseTimelineChoice('2')).toEqual({ kind: 'number', timeline: 2 });
  expect(parseTimelineChoice('2-4f1c')).toEqual({ kind: 'number', timeline: 2, origin: '4f1c' });
  for (const text of ['0', 'newest', '2-', '-1', '2-XY']) expect(parseTimelineChoice(text)).toBeUndefined();
});
