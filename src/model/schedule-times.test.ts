import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { scheduleSchema, type Schedule } from './schedule.ts';
import { lastTime, nextTimes, timesBetween, type Schedules } from './schedule-times.ts';
import { windowSpans } from './time-window.ts';

const at = (text: string): number => Temporal.Instant.from(text).epochMilliseconds;
const schedule = (settings: unknown): Schedule => scheduleSchema.parse(settings);
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** The next runs, as the clock of a zone shows them. */
function nextShown(settings: unknown, after: string, { count = 3, zone = 'UTC', seed = 'shop/backup/database' } = {}) {
  return [...nextTimes(schedule(settings), { after: at(after), seed }).take(count)].map((time) =>
    Temporal.Instant.fromEpochMilliseconds(time)
      .toZonedDateTimeISO(zone)
      .toString({ smallestUnit: 'minute', timeZoneName: 'never' }),
  );
}

/** Instants around which the clocks of these zones change; where they do not, one all the same. */
const changes: readonly (readonly [zone: string, instant: string])[] = [
  ['Europe/Berlin', '2026-03-29T01:00Z'],
  ['Europe/Berlin', '2026-10-25T01:00Z'],
  ['America/New_York', '2026-03-08T07:00Z'],
  ['America/New_York', '2026-11-01T06:00Z'],
  // Half an hour.
  ['Australia/Lord_Howe', '2026-04-04T15:00Z'],
  ['Australia/Lord_Howe', '2026-10-03T15:30Z'],
  // At midnight, so that a day begins at 01:00.
  ['America/Sao_Paulo', '2018-11-04T03:00Z'],
  ['America/Sao_Paulo', '2018-02-18T02:00Z'],
  ['Africa/Casablanca', '2026-02-15T02:00Z'],
  ['UTC', '2026-03-29T01:00Z'],
  ['Asia/Kolkata', '2026-10-25T01:00Z'],
];

const change = fc.constantFrom(...changes);
const nearbyMs = fc.integer({ min: -3 * dayMs, max: 3 * dayMs });
const numbers = (max: number) => fc.uniqueArray(fc.integer({ min: 0, max }), { minLength: 1, maxLength: 3 });

const clockSettings = (timeZone: string) =>
  fc.oneof(
    fc.record({
      cron: fc.oneof(
        fc.tuple(numbers(59), numbers(23)).map(([minutes, hours]) => `${minutes.join()} ${hours.join()} * * *`),
        fc.integer({ min: 1, max: 59 }).map((step) => `*/${step} * * * *`),
        fc
          .tuple(numbers(59), fc.integer({ min: 1, max: 11 }))
          .map(([minutes, step]) => `${minutes.join()} */${step} * * *`),
        fc.constantFrom('0 9 * * MON#1', '30 2 L * *', '15 2 * * 1-5', '0 0 LW * *', '0 3 15W * *', '30 1 1 * +SUN'),
      ),
      timeZone: fc.constant(timeZone),
      jitter: fc.constantFrom(undefined, '10m', '3h'),
    }),
    fc.record({ every: fc.constantFrom('5s', '7m', '4h', '1d', '30h', '2w') }),
    fc.record({
      window: fc
        .tuple(fc.integer({ min: 0, max: 287 }), fc.integer({ min: 1, max: 287 }))
        .map(([from, length]) => `${clock(from * 5)}-${clock(((from + length) * 5) % 1440)}`),
      timeZone: fc.constant(timeZone),
      days: fc.constantFrom(undefined, ['sun'], ['mon', 'thu'], ['sat#L', 15], [1]),
    }),
  );

function clock(minutes: number): string {
  return `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`;
}

const situation = change.chain(([zone, instant]) =>
  fc.record({
    settings: fc.array(clockSettings(zone), { minLength: 1, maxLength: 2 }),
    seed: fc.string(),
    after: nearbyMs.map((ms) => at(instant) + ms),
    zone: fc.constant(zone),
  }),
);

const take = (schedules: Schedules, options: { after: number; seed: string }, count: number): number[] => [
  ...nextTimes(schedules, options).take(count),
];

describe('nextTimes', () => {
  test('gives moments after the instant, in order, each once, and the same from every instant between', () => {
    fc.assert(
      fc.property(situation, fc.nat(), ({ settings, seed, after }, pick) => {
        const schedules = settings.map(schedule);
        const times = take(schedules, { after, seed }, 12);
        expect(times[0]).toBeGreaterThan(after);
        expect(times).toEqual([...new Set(times)].toSorted((left, right) => left - right));
        for (const [index, time] of times.slice(0, -1).entries()) {
          const next = times[index + 1] ?? 0;
          expect(take(schedules, { after: time, seed }, 1)).toEqual([next]);
          const between = time + (pick % (next - time));
          expect(take(schedules, { after: between, seed }, 1)).toEqual([next]);
        }
      }),
    );
  });

  test('agrees with lastTime and timesBetween', () => {
    fc.assert(
      fc.property(situation, ({ settings, seed, after }) => {
        const schedules = settings.map(schedule);
        const times = take(schedules, { after, seed }, 6);
        const [first = 0, second = 0] = times;
        const last = times.at(-1) ?? 0;
        expect(lastTime(schedules, { until: last, seed })).toBe(last);
        expect(lastTime(schedules, { until: second - 1, seed })).toBe(first);
        const before = lastTime(schedules, { until: first - 1, seed }) ?? 0;
        expect(before).toBeLessThanOrEqual(after);
        expect(take(schedules, { after: before, seed }, 1)).toEqual([first]);
        expect(timesBetween(schedules, { after, until: last, seed, max: 100 })).toEqual(times);
        expect(timesBetween(schedules, { after, until: last, seed, max: 2 })).toEqual(times.slice(0, 2));
      }),
    );
  });

  test('means by cron text without wildcards each moment the clock shows once, skipped ones as soon as it goes on', () => {
    fc.assert(
      fc.property(change, numbers(59), numbers(23), ([zone, instant], minutes, hours) => {
        const from = at(instant) - 3 * dayMs;
        const cron = schedule({ cron: `${minutes.join()} ${hours.join()} * * *`, timeZone: zone });
        const expected = new Set<number>();
        const start = Temporal.Instant.fromEpochMilliseconds(from).toZonedDateTimeISO(zone).toPlainDate();
        for (let day = -1; day < 7; day += 1)
          for (const hour of hours)
            for (const minute of minutes) {
              const time = start.add({ days: day }).toPlainDateTime({ hour, minute });
              const earlier = time.toZonedDateTime(zone, { disambiguation: 'earlier' });
              const isShown = earlier.toPlainDateTime().equals(time);
              const run = isShown ? earlier : earlier.getTimeZoneTransition('next');
              expected.add(run?.epochMilliseconds ?? 0);
            }
        const until = from + 6 * dayMs;
        const wanted = [...expected].filter((time) => time > from && time <= until);
        expect(timesBetween(cron, { after: from, until, seed: '', max: 1000 })).toEqual(
          wanted.toSorted((left, right) => left - right),
        );
      }),
    );
  });

  test('means by cron text with a wildcard or a step whatever the clock shows as it runs', () => {
    fc.assert(
      fc.property(
        change,
        fc.integer({ min: 1, max: 59 }),
        fc.constantFrom('*', '*/2', '*/5'),
        ([zone, instant], step, hour) => {
          const from = at(instant) - dayMs;
          const cron = schedule({ cron: `*/${step} ${hour} * * *`, timeZone: zone });
          const hours = Number(hour.slice(2) || 1);
          const wanted: number[] = [];
          for (let time = from + 60_000; time <= from + 2 * dayMs; time += 60_000) {
            const shown = Temporal.Instant.fromEpochMilliseconds(time).toZonedDateTimeISO(zone);
            if (shown.minute % step === 0 && shown.hour % hours === 0) wanted.push(time);
          }
          expect(timesBetween(cron, { after: from, until: from + 2 * dayMs, seed: '', max: 5000 })).toEqual(wanted);
        },
      ),
      { numRuns: 20 },
    );
  });

  test('keeps a window: the clock is inside when it runs, once on each of its days', () => {
    fc.assert(
      fc.property(situation, ({ settings, seed, after, zone }) => {
        for (const each of settings.map(schedule)) {
          if (each.kind !== 'window') continue;
          const { startMinute, lengthMinutes } = each.window;
          const spans = [...windowSpans(each.window, after).take(5)];
          const times = take(each, { after: (spans[0]?.startMs ?? 0) - 1, seed }, 5);
          for (const [index, { startMs, endMs }] of spans.entries()) {
            const time = times[index] ?? 0;
            expect(time).toBeGreaterThanOrEqual(startMs);
            expect(time).toBeLessThanOrEqual(Math.max(startMs, endMs - 1));
            if (startMs === endMs) continue; // The night skipped all of it.
            const shown = Temporal.Instant.fromEpochMilliseconds(time).toZonedDateTimeISO(zone);
            const minute = (shown.hour * 60 + shown.minute - startMinute + 1440) % 1440;
            expect(minute).toBeLessThan(lengthMinutes);
          }
        }
      }),
    );
  });

  test.each([
    [
      'daily over the night that skips 02:30',
      '30 2 * * *',
      '2026-03-28T00:00Z',
      ['03-28T02:30+01:00', '03-29T03:00+02:00', '03-30T02:30+02:00'],
    ],
    [
      'daily over the night that has 02:30 twice',
      '30 2 * * *',
      '2026-10-24T12:00Z',
      ['10-25T02:30+02:00', '10-26T02:30+01:00', '10-27T02:30+01:00'],
    ],
    [
      'every half hour over that night',
      '*/30 * * * *',
      '2026-10-25T00:00Z',
      ['10-25T02:30+02:00', '10-25T02:00+01:00', '10-25T02:30+01:00'],
    ],
    [
      'the first Monday',
      '0 9 * * MON#1',
      '2026-10-25T00:00Z',
      ['11-02T09:00+01:00', '12-07T09:00+01:00', '01-04T09:00+01:00'],
    ],
    [
      'the last Friday, in small letters',
      '0 9 * * fri#l',
      '2026-10-25T00:00Z',
      ['10-30T09:00+01:00', '11-27T09:00+01:00', '12-25T09:00+01:00'],
    ],
    [
      'the last day of the month',
      '0 0 L * *',
      '2026-10-25T00:00Z',
      ['10-31T00:00+01:00', '11-30T00:00+01:00', '12-31T00:00+01:00'],
    ],
    [
      'the last working day',
      '0 9 LW * *',
      '2026-10-25T00:00Z',
      ['10-30T09:00+01:00', '11-30T09:00+01:00', '12-31T09:00+01:00'],
    ],
    [
      'the working day next to the 15th',
      '0 9 15W * *',
      '2026-10-25T00:00Z',
      ['11-16T09:00+01:00', '12-15T09:00+01:00', '01-15T09:00+01:00'],
    ],
    [
      'the 1st or a Monday',
      '0 9 1 * MON',
      '2026-10-27T00:00Z',
      ['11-01T09:00+01:00', '11-02T09:00+01:00', '11-09T09:00+01:00'],
    ],
    [
      'the 1st if it is a Monday',
      '0 9 1 * +MON',
      '2026-10-27T00:00Z',
      ['02-01T09:00+01:00', '03-01T09:00+01:00', '11-01T09:00+01:00'],
    ],
    [
      'quarters by name',
      '0 9 1 JAN,APR,JUL,OCT *',
      '2026-10-27T00:00Z',
      ['01-01T09:00+01:00', '04-01T09:00+02:00', '07-01T09:00+02:00'],
    ],
    ['@weekly', '@weekly', '2026-10-27T00:00Z', ['11-01T00:00+01:00', '11-08T00:00+01:00', '11-15T00:00+01:00']],
  ])('knows %s', (...[, cron, after, shown]) => {
    const times = nextShown({ cron, timeZone: 'Europe/Berlin' }, after, { zone: 'Europe/Berlin' });
    expect(times.map((time) => time.slice('2026-'.length))).toEqual(shown);
  });

  test('lets a window over midnight begin late on its day and end on the next', () => {
    const window = { window: '22:00-02:00', days: ['fri'], timeZone: 'Europe/Berlin' };
    const spans = [...windowSpansOf(window, '2026-10-24T02:00Z').take(2)];
    // On Saturday at 04:00 the one of Friday is over.
    expect(spans).toEqual([
      ['2026-10-30T21:00:00Z', '2026-10-31T01:00:00Z'],
      ['2026-11-06T21:00:00Z', '2026-11-07T01:00:00Z'],
    ]);
    expect([...windowSpansOf(window, '2026-10-23T23:59Z').take(1)]).toEqual([
      ['2026-10-23T20:00:00Z', '2026-10-24T00:00:00Z'],
    ]);
  });

  test.each([
    ['02:00-03:00', '2026-03-29', '03:00+02:00', '03:00+02:00'],
    ['01:00-03:00', '2026-03-29', '01:00+01:00', '03:00+02:00'],
    ['02:30-04:00', '2026-03-29', '03:00+02:00', '04:00+02:00'],
    ['02:00-03:00', '2026-10-25', '02:00+01:00', '03:00+01:00'],
    ['01:30-02:30', '2026-10-25', '01:30+02:00', '02:30+02:00'],
    ['01:30-03:30', '2026-10-25', '01:30+02:00', '03:30+01:00'],
    ['02:10-02:50', '2026-10-25', '02:10+01:00', '02:50+01:00'],
  ])('opens the window %s on %s from %s to %s', (window, date, ...ends) => {
    const [span] = windowSpansOf({ window, timeZone: 'Europe/Berlin' }, `${date}T00:00+01:00`);
    expect(span).toEqual(ends.map((time) => Temporal.Instant.from(`${date}T${time}`).toString()));
  });

  test('spreads 200 components over a window, each at the same moment every day', () => {
    const window = schedule({ window: '03:00-04:00', timeZone: 'UTC' });
    const runs = Array.from({ length: 200 }, (_, index) =>
      take(window, { after: at('2026-05-01T00:00Z'), seed: `shop/backup/component${index}` }, 3),
    );
    const quarters = Map.groupBy(runs, ([first = 0]) => Math.floor((first % hourMs) / (hourMs / 4)));
    expect(new Set(quarters.keys())).toEqual(new Set([0, 1, 2, 3]));
    expect(Math.max(...[...quarters.values()].map(({ length }) => length))).toBeLessThan(80);
    for (const [first = 0, second, third] of runs) expect([second, third]).toEqual([first + dayMs, first + 2 * dayMs]);
  });

  test('spreads intervals and jitter by the seed, without drifting', () => {
    const ways = ['a', 'b', 'c'].map((seed) => take(schedule({ every: '4h' }), { after: 0, seed }, 4));
    expect(new Set(ways.map(([first]) => first)).size).toBe(3);
    for (const [first = 0, , , fourth = 0] of ways) expect(fourth - first).toBe(12 * hourMs);
    const jittered = nextShown({ cron: '0 2 * * *', timeZone: 'UTC', jitter: '1h' }, '2026-05-01T00:00Z');
    expect(jittered[0]).not.toMatch(/T02:00/);
    expect(jittered).toEqual([
      jittered[0],
      jittered[0]?.replace('05-01', '05-02'),
      jittered[0]?.replace('05-01', '05-03'),
    ]);
  });

  test('has no times for what waits for an event, alone or beside a clock', () => {
    const waiting = [schedule({ after: 'backup' }), schedule({ before: 'deployment' })];
    expect(take(waiting, { after: 0, seed: '' }, 1)).toEqual([]);
    expect(lastTime(waiting, { until: dayMs, seed: '' })).toBeUndefined();
    expect(take([...waiting, schedule({ every: '1h' })], { after: 0, seed: '' }, 2)).toHaveLength(2);
  });
});

function* windowSpansOf(settings: unknown, from: string): Generator<string[], undefined> {
  const parsed = schedule(settings);
  if (parsed.kind !== 'window') return;
  for (const { startMs, endMs } of windowSpans(parsed.window, at(from)))
    yield [startMs, endMs].map((time) => Temporal.Instant.fromEpochMilliseconds(time).toString());
}
