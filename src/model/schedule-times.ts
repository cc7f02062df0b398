// When a schedule comes. Pure: the same answers for the same schedule, seed and instant, before and after a restart and on
// every machine; nothing is counted from the last run, so nothing drifts.
//
// The seed (application, job and component by name) spreads what would else begin at once: it chooses the moment inside a
// window, the part of a jitter, and where an interval begins: at multiples of it since 1970, shifted by a part of it.
import { createHash } from 'node:crypto';
import { nextOfCron } from './cron.ts';
import { isClockSchedule, type ClockSchedule, type Schedule } from './schedule.ts';
import { windowSpans } from './time-window.ts';

/** One schedule, or several of which each counts. Those that wait for an event have no times. */
export type Schedules = Schedule | readonly Schedule[];

/** Milliseconds since 1970 of all moments after an instant, in their order, each once. Without end, most of the time. */
export function* nextTimes(
  schedules: Schedules,
  { after, seed }: { readonly after: number; readonly seed: string },
): Generator<number, undefined> {
  const sources = [schedules]
    .flat()
    .filter(isClockSchedule)
    .map((schedule) => timesOf(schedule, after, seed));
  const heads = sources.map((source) => source.next().value);
  for (;;) {
    const next = Math.min(...heads.map((head) => head ?? Infinity));
    if (next === Infinity) return;
    for (const [at, source] of sources.entries()) if (heads[at] === next) heads[at] = source.next().value;
    yield next;
  }
}

/** The moments after one instant and up to another, the first `max` of them: what came while nobody was there. */
export function timesBetween(
  schedules: Schedules,
  range: { readonly after: number; readonly until: number; readonly seed: string; readonly max: number },
): number[] {
  const times: number[] = [];
  if (range.max < 1) return times;
  for (const time of nextTimes(schedules, range)) {
    if (time > range.until) break;
    times.push(time);
    if (times.length === range.max) break;
  }
  return times;
}

const lookbackMinMs = 60_000;
/** A day of February comes every eighth year at least. */
const lookbackMaxMs = 30 * 366 * 86_400_000;

/** The newest moment up to an instant: what should have run last. Undefined for what waits for an event. */
export function lastTime(
  schedules: Schedules,
  { until, seed }: { readonly until: number; readonly seed: string },
): number | undefined {
  for (let lookbackMs = lookbackMinMs; lookbackMs <= lookbackMaxMs; lookbackMs *= 2) {
    let last: number | undefined;
    for (const time of nextTimes(schedules, { after: until - lookbackMs, seed })) {
      if (time > until) break;
      last = time;
    }
    if (last !== undefined) return last;
  }
  return undefined;
}

function timesOf(schedule: ClockSchedule, after: number, seed: string): Generator<number, undefined> {
  if (schedule.kind === 'cron') return cronTimes(schedule, after, seed);
  if (schedule.kind === 'interval') return intervalTimes(schedule.everyMs, after, seed);
  return windowTimes(schedule, after, seed);
}

function* cronTimes(
  { cron, timeZone, jitterMs = 0 }: Extract<ClockSchedule, { kind: 'cron' }>,
  after: number,
  seed: string,
): Generator<number, undefined> {
  const delayMs = partOf(jitterMs, seed);
  const next = nextOfCron(cron, timeZone ?? Temporal.Now.timeZoneId());
  for (let time = next(after - delayMs); time !== undefined; time = next(time)) yield time + delayMs;
}

function* intervalTimes(everyMs: number, after: number, seed: string): Generator<number, undefined> {
  const shiftMs = partOf(everyMs, seed);
  for (let count = Math.floor((after - shiftMs) / everyMs) + 1; ; count += 1) yield count * everyMs + shiftMs;
}

function* windowTimes(
  { window }: Extract<ClockSchedule, { kind: 'window' }>,
  after: number,
  seed: string,
): Generator<number, undefined> {
  for (const { startMs, endMs } of windowSpans(window, after)) {
    const time = startMs + partOf(endMs - startMs, seed);
    if (time > after) yield time;
  }
}

/** The seed's part of a span, in whole seconds, shorter than the span. */
function partOf(spanMs: number, seed: string): number {
  const share = createHash('sha256').update(seed).digest().readUIntBE(0, 6) / 2 ** 48;
  return Math.floor((share * spanMs) / 1000) * 1000;
}
