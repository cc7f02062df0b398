import { describe, expect, test } from 'vitest';
import { scheduleSchema } from './schedule.ts';
import { describeSchedule, describeWindow } from './schedule-words.ts';
import { opensAt, timeWindowSchema } from './time-window.ts';

const at = (text: string): number => Temporal.Instant.from(text).epochMilliseconds;

describe('scheduleSchema', () => {
  test.each([
    '0 0 31 2 *',
    '0 0 30 FEB +MON',
    '61 * * * *',
    '0 25 * * *',
    '0 0 * * *  *',
    '0 22-2 * * *',
    '5/15 * * * *',
    '0 0 * * MON#6',
    'soon',
    '',
    '@reboot',
  ])("refuses the cron text '%s'", (cron) => {
    expect(scheduleSchema.safeParse({ cron }).success).toBe(false);
  });

  test('keeps cron text with one space between its fields, and writes out what has a name', () => {
    expect(scheduleSchema.parse({ cron: ' 0  2 * * * ' })).toMatchObject({ cron: '0 2 * * *' });
    expect(scheduleSchema.parse({ cron: '@Monthly' })).toMatchObject({ cron: '0 0 1 * *' });
  });

  test.each([
    [{ window: '03:00-03:00' }],
    [{ window: '3-4' }],
    [{ window: '24:00-01:00' }],
    [{ window: '03:00-25:00' }],
    [{ window: 'sun:04:00-05:00' }],
    [{ window: 'sun:04:00-sun:05:00', days: ['mon'] }],
    [{ window: '03:00-04:00', days: [] }],
    [{ window: '03:00-04:00', days: [32] }],
    [{ window: '03:00-04:00', days: ['mon#6'] }],
    [{ window: '03:00-04:00', days: ['someday'] }],
    [{ every: '500ms' }],
    [{ every: '1h', cron: '0 2 * * *' }],
    [{ after: 'lunch' }],
    [{ before: 'a deployment' }],
    [{}],
  ])('refuses %j', (settings) => {
    expect(scheduleSchema.safeParse(settings).success).toBe(false);
  });
});

test.each([
  [{ cron: '0 2 * * *', timeZone: 'Europe/Berlin' }, 'daily at 02:00 (Europe/Berlin)'],
  [{ cron: '0 2 * * *', jitter: '15m' }, 'daily at 02:00, up to 15m later'],
  [{ cron: '30 4 * * 7' }, 'Sunday at 04:30'],
  [{ cron: '0 9 * * MON#1' }, 'first Monday of the month at 09:00'],
  [{ cron: '0 9 * * fri#L' }, 'last Friday of the month at 09:00'],
  [{ cron: '0 5 1 * *' }, 'day 1 of the month at 05:00'],
  [{ cron: '0 5 L * *' }, 'last day of the month at 05:00'],
  [{ cron: '*/15 * * * *' }, 'every 15 minutes'],
  [{ cron: '*/7 * * * *' }, "cron '*/7 * * * *'"],
  [{ cron: '@hourly' }, 'hourly at minute 0'],
  [{ cron: '0 9 1 * MON' }, "cron '0 9 1 * MON'"],
  [{ every: '90m' }, 'every 1h 30m'],
  [{ window: '03:00–04:00', timeZone: 'UTC' }, 'daily in 03:00-04:00 (UTC)'],
  [
    { window: '22:00-24:00', days: ['sat', 'sun#1', 15] },
    'Saturday, first Sunday of the month, day 15 of the month in 22:00-24:00',
  ],
  [{ window: 'sat:22:00-mon:01:00' }, 'Saturday in 27h from 22:00'],
  [{ after: 'backup' }, 'after backup'],
  [{ after: 'backup', of: 'database' }, 'after backup of database'],
  [{ before: 'deployment' }, 'before deployment'],
])('%j reads: %s', (settings, words) => {
  expect(describeSchedule(scheduleSchema.parse(settings))).toBe(words);
});

describe('opensAt', () => {
  const night = timeWindowSchema.parse({ window: '22:00-02:00', timeZone: 'Europe/Berlin' });
  const sunday = timeWindowSchema.parse({ window: 'sun:02:00-sun:05:00', timeZone: 'Europe/Berlin' });

  test.each([
    ['2026-05-02T19:59Z', '2026-05-02T19:59Z'],
    ['2026-05-01T20:00Z', '2026-05-02T00:00Z'],
    ['2026-05-02T00:00Z', '2026-05-02T00:00Z'],
    // From one window into the next.
    ['2026-05-02T22:00Z', '2026-05-03T03:00Z'],
  ])('lets what comes at %s begin at %s', (from, to) => {
    expect(opensAt([night, sunday], at(from))).toBe(at(to));
  });

  test('lets begin at once what has no maintenance, and never what has nothing else', () => {
    expect(opensAt([], 5)).toBe(5);
    const always = timeWindowSchema.parse({ window: '00:00-24:00', timeZone: 'UTC' });
    expect(opensAt([always], 5)).toBeUndefined();
    expect(describeWindow(always)).toBe('daily in 00:00-24:00 (UTC)');
  });
});
