// When states of the data arrive in a repository: the one by a backup, the next by a copy of it. From that follows how old
// the newest state gets at worst, which is what the loss of everything else costs.
import assert from 'node:assert/strict';
import { awaitedJobs, type Job } from './job.ts';
import { isClockSchedule } from './schedule.ts';
import { nextTimes } from './schedule-times.ts';
import { opensAt } from './time-window.ts';

/** A state of the data: as of when it is, and from when on it can be restored. */
export interface Arrival {
  readonly dataMs: number;
  readonly availableMs: number;
}

/** Ascending; from an instant on, most of the time without end. */
export type ArrivalsFrom = (fromMs: number) => Generator<Arrival, undefined>;
type TimesFrom = (fromMs: number) => Generator<number, undefined>;

export interface JobTimes {
  readonly jobs: readonly Job[];
  /** How long each takes at most, by its id, as far as that is known. */
  readonly durationsMs: ReadonlyMap<string, number>;
}

/** The zones by whose clocks jobs come. */
export function zonesOf(jobs: readonly Job[]): Set<string> {
  const machine = Temporal.Now.timeZoneId();
  return new Set(
    jobs
      .flatMap(({ schedules }) => schedules)
      .map((schedule) => {
        if (schedule.kind === 'cron') return schedule.timeZone ?? machine;
        return schedule.kind === 'window' ? (schedule.window.timeZone ?? machine) : 'UTC';
      }),
  );
}

/** When a job begins: by the clock, after maintenance, and where it follows other jobs, when those end. */
function startsOf(job: Job, times: JobTimes, awaiting: readonly Job[] = []): TimesFrom {
  assert.ok(!awaiting.includes(job), 'rings are refused when the configuration is read');
  const ends = awaitedJobs(job, times.jobs).map((other) => ({
    starts: startsOf(other, times, [...awaiting, job]),
    lastsMs: times.durationsMs.get(other.id) ?? 0,
  }));
  const clocks = job.schedules.filter(isClockSchedule);
  return (fromMs) => {
    const sources = ends.map(({ starts, lastsMs }) => shifted(starts(fromMs - lastsMs), lastsMs));
    if (clocks.length > 0) sources.push(nextTimes(clocks, { after: fromMs - 1, seed: job.seed }));
    return opened(merged(sources), job);
  };
}

/** Whether all is measured that it waits for. */
export function areStartsKnown(job: Job, times: JobTimes): boolean {
  return awaitedJobs(job, times.jobs).every((other) => times.durationsMs.has(other.id) && areStartsKnown(other, times));
}

function* shifted(times: Generator<number, undefined>, byMs: number): Generator<number, undefined> {
  for (const time of times) yield time + byMs;
}

function* merged(sources: readonly Generator<number, undefined>[]): Generator<number, undefined> {
  const heads = sources.map((source) => source.next().value);
  for (;;) {
    const next = Math.min(...heads.map((head) => head ?? Infinity));
    if (next === Infinity) return;
    for (const [at, source] of sources.entries()) if (heads[at] === next) heads[at] = source.next().value;
    yield next;
  }
}

/** What comes in maintenance begins at its end, once. */
function* opened(times: Generator<number, undefined>, { maintenance }: Job): Generator<number, undefined> {
  let last: number | undefined;
  for (const time of times) {
    // Until what was held back has begun, all else is held back to the same moment.
    if (last !== undefined && time <= last) continue;
    const opensMs = opensAt(maintenance, time);
    if (opensMs === undefined) return;
    last = opensMs;
    yield opensMs;
  }
}

/** What a run of a backup brings: the state of when it begins, once it has ended. */
export function arrivalsByRun(job: Job, times: JobTimes): ArrivalsFrom {
  const starts = startsOf(job, times);
  const lastsMs = times.durationsMs.get(job.id) ?? 0;
  return function* arrivals(fromMs): Generator<Arrival, undefined> {
    for (const dataMs of starts(fromMs)) yield { dataMs, availableMs: dataMs + lastsMs };
    return undefined;
  };
}

/** What a copy brings: the newest state that its origin holds when it begins. */
export function arrivalsByCopy(job: Job, origin: ArrivalsFrom, times: JobTimes): ArrivalsFrom {
  const starts = startsOf(job, times);
  const lastsMs = times.durationsMs.get(job.id) ?? 0;
  // It may begin later than is known, and then find what had not arrived before: no loss may be claimed from that.
  const isSure = areStartsKnown(job, times);
  const isThere = ({ dataMs, availableMs }: Arrival, start: number): boolean =>
    (isSure ? availableMs : dataMs) <= start;
  return function* arrivals(fromMs): Generator<Arrival, undefined> {
    const states = origin(fromMs);
    let newest: Arrival | undefined;
    let coming = states.next().value;
    for (const start of starts(fromMs)) {
      for (; coming !== undefined && isThere(coming, start); coming = states.next().value) newest = coming;
      if (newest !== undefined) yield { dataMs: newest.dataMs, availableMs: start + lastsMs };
    }
    return undefined;
  };
}

const dayMs = 86_400_000;
/** How far ahead is looked: a year with both its clock changes, and what comes once a month of it. */
const horizonMs = 400 * dayMs;
/** What comes more seldom than twice in that time still has to come thrice. */
const arrivalsMin = 3;
/** What comes every few minutes is looked at for days; then only nights in which clocks change, and days without any. */
const arrivalsMax = 1500;

export interface WorstAge {
  /** Of the newest state, just before the next one arrives. */
  readonly ageMs: number;
  /** How far arrivals are apart at most. */
  readonly apartMs: number;
}

/** Undefined where fewer than two states ever arrive. `zones` are those whose clocks matter. */
export function worstAge(
  arrivals: ArrivalsFrom,
  { fromMs, zones }: { readonly fromMs: number; readonly zones: Iterable<string> },
): WorstAge | undefined {
  const untilMs = fromMs + horizonMs;
  const first = worstWithin(arrivals(fromMs), untilMs);
  if (first.cutMs === undefined) return first.worst;
  const found = [first.worst];
  const lookAt = (aroundMs: number, toMs: number): void => {
    found.push(worstWithin(arrivals(aroundMs - dayMs), toMs).worst);
  };
  for (const changeMs of clockChanges(zones, first.cutMs, untilMs)) lookAt(changeMs, changeMs + dayMs);
  for (let day = first.cutMs; day < untilMs;) {
    const next = arrivals(day).next().value?.availableMs;
    if (next === undefined) break;
    if (next > day + dayMs) lookAt(day, next);
    day = Math.max(next, day + dayMs);
  }
  return found.reduce(worse, undefined);
}

/** `cutMs` is where it stopped because there were too many. */
function worstWithin(
  arrivals: Generator<Arrival, undefined>,
  untilMs: number,
): { readonly worst: WorstAge | undefined; readonly cutMs: number | undefined } {
  let worst: WorstAge | undefined;
  let last: Arrival | undefined;
  let seen = 0;
  for (const arrival of arrivals) {
    if (last !== undefined) {
      const apartMs = arrival.availableMs - last.availableMs;
      worst = worse(worst, { ageMs: arrival.availableMs - last.dataMs, apartMs });
    }
    last = arrival;
    seen += 1;
    if (arrival.availableMs > untilMs && seen >= arrivalsMin) break;
    if (seen >= arrivalsMax) return { worst, cutMs: arrival.availableMs };
  }
  return { worst, cutMs: undefined };
}

function worse(left: WorstAge | undefined, right: WorstAge | undefined): WorstAge | undefined {
  if (left === undefined || right === undefined) return left ?? right;
  return { ageMs: Math.max(left.ageMs, right.ageMs), apartMs: Math.max(left.apartMs, right.apartMs) };
}

function* clockChanges(zones: Iterable<string>, fromMs: number, untilMs: number): Generator<number, undefined> {
  for (const zone of zones) {
    let at = Temporal.Instant.fromEpochMilliseconds(fromMs).toZonedDateTimeISO(zone).getTimeZoneTransition('next');
    for (; at !== null && at.epochMilliseconds < untilMs; at = at.getTimeZoneTransition('next'))
      yield at.epochMilliseconds;
  }
}
