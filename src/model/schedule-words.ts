// A schedule in words: `daily at 02:00 (Europe/Berlin)`. What has no short words is shown as it is written.
import { count } from '../base/count.ts';
import { formatDuration } from '../base/duration.ts';
import type { Schedule } from './schedule.ts';
import { clockWords, readWeekday, weekdayName, windowWords, type TimeWindow, type Weekday } from './time-window.ts';

export function describeSchedule(schedule: Schedule): string {
  if (schedule.kind === 'cron') {
    const { cron, timeZone, jitterMs } = schedule;
    const jitter = jitterMs === undefined ? '' : `, up to ${formatDuration(jitterMs)} later`;
    return `${cronWords(cron) ?? `cron '${cron}'`}${jitter}${zoneWords(timeZone)}`;
  }
  if (schedule.kind === 'interval') return `every ${formatDuration(schedule.everyMs, { unitsMax: Infinity })}`;
  if (schedule.kind === 'window') return describeWindow(schedule.window);
  if (schedule.kind === 'before') return `before ${schedule.event}`;
  return `after ${schedule.job}${schedule.component === undefined ? '' : ` of ${schedule.component}`}`;
}

/** `daily in 03:00-04:00 (UTC)`, `Sunday in 04:00-05:00`. */
export function describeWindow(window: TimeWindow): string {
  const days = window.days.map((day) => (typeof day === 'number' ? dayWords(day) : weekdayWords(day)));
  const when = days.length === 0 ? 'daily' : days.join(', ');
  const except = window.except === undefined ? '' : `, but on ${count(window.except.length, 'date')}`;
  return `${when} in ${windowWords(window)}${zoneWords(window.timeZone)}${except}`;
}

const zoneWords = (timeZone: string | undefined): string => (timeZone === undefined ? '' : ` (${timeZone})`);
const dayWords = (day: number): string => `day ${day} of the month`;

const ordinals = ['', 'first', 'second', 'third', 'fourth', 'fifth'];

function weekdayWords({ weekday, nth }: Weekday): string {
  const name = weekdayName(weekday);
  if (nth === undefined) return name;
  return `${nth === 'last' ? 'last' : (ordinals[nth] ?? '')} ${name} of the month`;
}

const isNumber = (field: string): boolean => /^\d+$/.test(field);

/** For the texts that nearly everybody writes. */
function cronWords(cron: string): string | undefined {
  const [minute = '', hour = '', ...date] = cron.toUpperCase().split(' ');
  const isDaily = date.every((field) => field === '*');
  if (isDaily && hour === '*') return withinHour(minute);
  if (!isNumber(minute) || !isNumber(hour)) return undefined;
  const when = isDaily ? 'daily' : dateWords(date);
  return when === undefined ? undefined : `${when} at ${clockWords(Number(hour) * 60 + Number(minute))}`;
}

function withinHour(minute: string): string | undefined {
  if (isNumber(minute)) return `hourly at minute ${Number(minute)}`;
  const step = minute === '*' ? '1' : /^\*\/(\d+)$/.exec(minute)?.[1];
  return step === undefined ? undefined : minutesWords(Number(step));
}

/** Steps that do not divide the hour are shorter at its end. */
function minutesWords(step: number): string | undefined {
  if (step === 1) return 'every minute';
  return 60 % step === 0 && step < 60 ? `every ${step} minutes` : undefined;
}

function dateWords([day = '', month = '', weekday = '']: readonly string[]): string | undefined {
  if (month !== '*') return undefined;
  if (weekday === '*') {
    if (day === 'L') return 'last day of the month';
    return isNumber(day) ? dayWords(Number(day)) : undefined;
  }
  const read = isNumber(weekday) ? { weekday: Number(weekday), nth: undefined } : readWeekday(weekday);
  return day === '*' && read !== undefined ? weekdayWords(read) : undefined;
}
