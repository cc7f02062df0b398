import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatCalendarDuration, instantBeforeNs, parseCalendarDuration } from './calendar-duration.ts';

const none = { years: 0, months: 0, days: 0, hours: 0 };

describe('parseCalendarDuration', () => {
  test.each([
    ['1y5m7d2h', { years: 1, months: 5, days: 7, hours: 2 }],
    ['7d', { ...none, days: 7 }],
    ['2 weeks', { ...none, days: 14 }],
    ['1 week 3 days', { ...none, days: 10 }],
    ['15m', { ...none, months: 15 }],
    ['36h', { ...none, hours: 36 }],
  ])('reads %s', (text, duration) => {
    expect(parseCalendarDuration(text)).toEqual(duration);
  });

  test.each(['', '0d', '15 minutes', '1d1y', '7', '-1d', '1.5d', '999999y'])('refuses "%s"', (text) => {
    expect(parseCalendarDuration(text)).toBeUndefined();
  });

  test('reads back what was formatted', () => {
    const count = fc.nat({ max: 500 });
    const durations = fc.record({ years: count, months: count, days: count, hours: count });
    fc.assert(
      fc.property(durations, (duration) => {
        fc.pre(Object.values(duration).some((value) => value > 0));
        expect(parseCalendarDuration(formatCalendarDuration(duration))).toEqual(duration);
      }),
    );
  });
});

function before(time: string, span: string): string {
  const zoned = Temporal.Instant.from(time).toZonedDateTimeISO(/[+-]\d\d:\d\d$/.exec(time)?.[0] ?? 'UTC');
  const duration = parseCalendarDuration(span) ?? none;
  return Temporal.Instant.fromEpochNanoseconds(instantBeforeNs(zoned, duration)).toString();
}

describe('instantBeforeNs', () => {
  test('lets a day that the earlier month lacks run over into the next', () => {
    expect(before('2026-03-31T10:00:00Z', '1m')).toBe('2026-03-03T10:00:00Z');
    expect(before('2024-02-29T10:00:00Z', '1y')).toBe('2023-03-01T10:00:00Z');
  });

  test("goes by the calendar of the time's own offset", () => {
    expect(before('2026-03-01T00:30:00+02:00', '1m')).toBe('2026-01-31T22:30:00Z');
  });

  test('keeps nanoseconds', () => {
    expect(before('2026-03-01T00:00:00.123456789Z', '1d1h')).toBe('2026-02-27T23:00:00.123456789Z');
  });
});
