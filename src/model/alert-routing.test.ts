// When people may be told: business hours by the calendar of a place, holidays left out.
import { expect, test } from 'vitest';
import { insideAt } from './alert-routing.ts';
import { describeWindow } from './schedule-words.ts';
import { timeWindowSchema } from './time-window.ts';

const hours = timeWindowSchema.parse({
  window: '08:00-18:00',
  days: ['mon', 'tue', 'wed', 'thu', 'fri'],
  timeZone: 'Europe/Berlin',
  except: ['12-25', '12-26', '01-01', '2027-03-26', '02-29'],
});
const at = (text: string): number => Temporal.Instant.from(text).epochMilliseconds;
const shown = (ms: number | undefined): string | undefined =>
  ms === undefined ? undefined : Temporal.Instant.fromEpochMilliseconds(ms).toString();

test.each([
  ['an hour of work itself', '2026-12-24T10:00+01:00', '2026-12-24T09:00:00Z'],
  // Christmas Day is a Friday; Saturday is none of the days, whatever it is else.
  ['the eve of a holiday, after work', '2026-12-24T18:00+01:00', '2026-12-28T07:00:00Z'],
  ['a holiday that would be an hour of work', '2026-12-25T11:00+01:00', '2026-12-28T07:00:00Z'],
  ['a holiday of every year', '2032-12-31T19:00+01:00', '2033-01-03T07:00:00Z'],
  // Good Friday moves: the same date of another year is a day like others.
  ['a holiday of one year', '2027-03-26T11:00+01:00', '2027-03-29T06:00:00Z'],
  ['its date in another year', '2029-03-26T11:00+02:00', '2029-03-26T09:00:00Z'],
  ['a day that few years have', '2028-02-29T11:00+01:00', '2028-03-01T07:00:00Z'],
])('%s', (_, from, expected) => {
  expect(shown(insideAt([hours], at(from)))).toBe(expected);
});

test('hours that never come are said to be none, and others count beside them', () => {
  const never = timeWindowSchema.parse({ window: '08:00-18:00', days: [31], except: endsOfMonths });
  expect(insideAt([never], at('2026-12-24T10:00Z'))).toBeUndefined();
  expect(shown(insideAt([never, hours], at('2026-12-25T10:00Z')))).toBe('2026-12-28T07:00:00Z');
});

test('they can be read', () => {
  expect(describeWindow(hours)).toBe(
    'Monday, Tuesday, Wednesday, Thursday, Friday in 08:00-18:00 (Europe/Berlin), but on 5 dates',
  );
});

test.each(['2027-02-29', '13-01', '00-10', '04-31', '1-1', 'christmas', '2027-3-26', '', '12-25-2027'])(
  'refuses %j as a date',
  (date) => {
    const result = timeWindowSchema.safeParse({ window: '08:00-18:00', except: [date] });
    expect(result.error?.issues).toMatchObject([
      { path: ['except', 0], message: expect.stringContaining('expected a date such as 2027-03-26') },
    ]);
  },
);

const endsOfMonths = ['01-31', '03-31', '05-31', '07-31', '08-31', '10-31', '12-31'];
