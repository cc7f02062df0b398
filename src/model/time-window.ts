// Spans of the day, such as 03:00-04:00: in which one run of something may begin, or in which nothing may begin.
// When clocks change, a window goes by what the clock shows: where the night skips its beginning it begins as soon as the
// clock goes on, and where the night has it twice it is the later one, so that the clock is inside all the time.
import { z } from 'zod';
import { timeZoneSchema } from './scalar-schemas.ts';

/** Sunday is 0; `nth` is one of 1 to 5 or the last in its month. */
export interface Weekday {
  readonly weekday: number;
  readonly nth: number | 'last' | undefined;
}

/** Of one year, or of every year. */
export interface CalendarDate {
  readonly year: number | undefined;
  readonly month: number;
  readonly day: number;
}

export interface TimeWindow {
  /** Minute of the day at which it begins. */
  readonly startMinute: number;
  /** By the clock; beyond midnight where it must. */
  readonly lengthMinutes: number;
  /** Days on which it begins: weekdays, and numbers of days of the month; every day if empty. */
  readonly days: readonly (Weekday | number)[];
  /** That of the machine if absent. */
  readonly timeZone: string | undefined;
  /** Dates on which it does not begin, whatever weekday they are. */
  readonly except?: readonly CalendarDate[] | undefined;
}

/** From `startMs` up to but without `endMs`. They are equal where the night skips all of the window. */
export interface WindowSpan {
  readonly startMs: number;
  readonly endMs: number;
}

const weekdayNames = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'] as const;
const dayMinutes = 24 * 60;
const weekMinutes = 7 * dayMinutes;

const windowForm = "a window such as '03:00-04:00', '22:00-02:00' or 'sun:04:00-sun:05:00'";
const weekdayForm = 'a weekday such as mon, mon#1 (the first of the month) or fri#L (the last)';
const dayForm = 'a day of the month from 1 to 31';

export type WindowText = Pick<TimeWindow, 'startMinute' | 'lengthMinutes'> & { readonly day: Weekday | undefined };

const windowTextSchema = z
  .string()
  .transform((text, context): WindowText => {
    const read = readWindowText(text);
    if (read !== undefined) return read;
    context.addIssue({ code: 'custom', message: `expected ${windowForm}` });
    return z.NEVER;
  })
  .meta({ title: windowForm });

const daySchema = z.union([
  z
    .string()
    .transform((text, context): Weekday => {
      const read = readWeekday(text);
      if (read !== undefined) return read;
      context.addIssue({ code: 'custom', message: `expected ${weekdayForm}` });
      return z.NEVER;
    })
    .meta({ title: weekdayForm }),
  z.int().min(1).max(31).meta({ title: dayForm }),
]);

const dateForm = 'a date such as 2027-03-26, or 12-25 for that of every year';

const dateSchema = z
  .string()
  .transform((text, context): CalendarDate => {
    const read = readDate(text);
    if (read !== undefined) return read;
    context.addIssue({ code: 'custom', message: `expected ${dateForm}` });
    return z.NEVER;
  })
  .meta({ title: dateForm });

/** The keys of a window, for the schemas that hold one. */
export const windowFields = {
  window: windowTextSchema.describe('from and to, by the clock of its zone'),
  days: z.array(daySchema).min(1).optional().describe('days on which it begins; every day if absent'),
  timeZone: timeZoneSchema.optional().describe('zone of the hours; that of the machine if absent'),
};

const exceptField = z
  .array(dateSchema)
  .min(1)
  .optional()
  .describe('dates on which it does not begin, such as holidays');

interface WindowSettings {
  readonly window: WindowText;
  readonly days?: readonly (Weekday | number)[] | undefined;
  readonly timeZone?: string | undefined;
  readonly except?: readonly CalendarDate[] | undefined;
}

/** `sun:04:00-sun:05:00` names its day, so `days` must not. */
export function namesDaysOnce({ window, days }: WindowSettings): boolean {
  return window.day === undefined || days === undefined;
}

export const daysTwice = { path: ['days'], message: 'expected the day either in the window or in days, not both' };

export function windowOf({ window, days, timeZone, except }: WindowSettings): TimeWindow {
  const { startMinute, lengthMinutes, day } = window;
  const own = { startMinute, lengthMinutes, days: day === undefined ? (days ?? []) : [day], timeZone };
  return except === undefined ? own : { ...own, except };
}

export const timeWindowSchema = z
  .strictObject({ ...windowFields, except: exceptField })
  .refine(namesDaysOnce, daysTwice)
  .transform(windowOf)
  .describe('a span of some days or of every day');

const clockPart = String.raw`(?:([a-z]+):)?(\d{1,2}):(\d{2})`;
const windowPattern = new RegExp(String.raw`^${clockPart}\s*[-–]\s*${clockPart}$`, 'i');

function readWindowText(text: string): WindowText | undefined {
  const [, fromDay, fromHour, fromMinute, toDay, toHour, toMinute] = windowPattern.exec(text.trim()) ?? [];
  const start = minuteOf(fromHour, fromMinute);
  const end = minuteOf(toHour, toMinute);
  if (start === undefined || end === undefined || start === dayMinutes) return undefined;
  if (fromDay === undefined && toDay === undefined) {
    const lengthMinutes = end > start ? end - start : end - start + dayMinutes;
    // 03:00-03:00 may mean nothing or a whole day, which is 00:00-24:00.
    return end === start ? undefined : { startMinute: start, lengthMinutes, day: undefined };
  }
  const day = readWeekday(fromDay ?? '');
  const last = readWeekday(toDay ?? '');
  if (day === undefined || last === undefined) return undefined;
  const minutes = (last.weekday - day.weekday) * dayMinutes + end - start;
  const lengthMinutes = (minutes + weekMinutes) % weekMinutes;
  return lengthMinutes === 0 ? undefined : { startMinute: start, lengthMinutes, day };
}

/** 24:00 is the end of a day. */
function minuteOf(hour: string | undefined, minute: string | undefined): number | undefined {
  const total = Number(hour) * 60 + Number(minute);
  return Number(minute) < 60 && total <= dayMinutes ? total : undefined;
}

/** `mon`, `Monday`, `mon#1`, `fri#L`. */
export function readWeekday(text: string): Weekday | undefined {
  const [, name = '', ordinal] = /^([a-z]+)(?:#([1-5l]))?$/i.exec(text.trim()) ?? [];
  const lower = name.toLowerCase();
  const weekday = weekdayNames.findIndex((whole) => lower === whole || lower === whole.slice(0, 3));
  if (weekday === -1) return undefined;
  const nth = ordinal === undefined ? undefined : ordinal.toLowerCase() === 'l' ? 'last' : Number(ordinal);
  return { weekday, nth };
}

/** The 29th of February is one of every year: it comes where there is one. */
function readDate(text: string): CalendarDate | undefined {
  const { year, month, day } = /^(?:(?<year>\d{4})-)?(?<month>\d{2})-(?<day>\d{2})$/.exec(text.trim())?.groups ?? {};
  const date = { year: year === undefined ? undefined : Number(year), month: Number(month), day: Number(day) };
  try {
    Temporal.PlainDate.from({ ...date, year: date.year ?? leapYear }, { overflow: 'reject' });
    return date;
  } catch {
    return undefined;
  }
}

const leapYear = 2000;
/** A window that begins on none of so many days begins never. */
const emptyDaysMax = 15 * 366;

/** The spans of a window in their order, from the one that holds or follows the instant. */
export function* windowSpans(window: TimeWindow, fromMs: number): Generator<WindowSpan, undefined> {
  const timeZone = window.timeZone ?? Temporal.Now.timeZoneId();
  const daysBack = Math.ceil((window.startMinute + window.lengthMinutes) / dayMinutes) + 1;
  let date = Temporal.Instant.fromEpochMilliseconds(fromMs)
    .toZonedDateTimeISO(timeZone)
    .toPlainDate()
    .subtract({ days: daysBack });
  for (let emptyDays = 0; emptyDays < emptyDaysMax; date = date.add({ days: 1 })) {
    emptyDays += 1;
    if (!beginsOn(window, date)) continue;
    emptyDays = 0;
    const span = spanOf(window, date, timeZone);
    if (span.endMs > fromMs || span.startMs >= fromMs) yield span;
  }
}

function beginsOn({ days, except = [] }: TimeWindow, date: Temporal.PlainDate): boolean {
  const { year, month, day: number } = date;
  if (except.some((one) => one.month === month && one.day === number && (one.year ?? year) === year)) return false;
  if (days.length === 0) return true;
  return days.some((day) => {
    if (typeof day === 'number') return date.day === day;
    if (date.dayOfWeek % 7 !== day.weekday) return false;
    if (day.nth === 'last') return date.day + 7 > date.daysInMonth;
    return day.nth === undefined || Math.ceil(date.day / 7) === day.nth;
  });
}

function spanOf({ startMinute, lengthMinutes }: TimeWindow, date: Temporal.PlainDate, timeZone: string): WindowSpan {
  const midnight = date.toPlainDateTime();
  const starts = instantsOf(midnight.add({ minutes: startMinute }), timeZone);
  const startMs = Math.max(...starts);
  const ends = instantsOf(midnight.add({ minutes: startMinute + lengthMinutes }), timeZone);
  return { startMs, endMs: ends.find((endMs) => endMs > startMs) ?? startMs };
}

/** When the clock shows this: once, twice, or, where it is skipped, as soon as the clock goes on. */
function instantsOf(time: Temporal.PlainDateTime, timeZone: string): number[] {
  const earlier = time.toZonedDateTime(timeZone, { disambiguation: 'earlier' });
  if (!earlier.toPlainDateTime().equals(time)) {
    const gap = earlier.getTimeZoneTransition('next');
    return [(gap ?? earlier).epochMilliseconds];
  }
  const later = time.toZonedDateTime(timeZone, { disambiguation: 'later' });
  return [earlier.epochMilliseconds, later.epochMilliseconds];
}

/** Windows one after another that leave no gap: more of them than this have no end. */
const hopsMax = 400;

/**
 * The first instant from `atMs` on that no window holds: itself, most of the time. Undefined where windows follow each
 * other without end.
 */
export function opensAt(windows: readonly TimeWindow[], atMs: number): number | undefined {
  let opensMs = atMs;
  if (windows.length === 0) return atMs;
  for (let hops = 0; hops < hopsMax; hops += 1) {
    const ends = windows.flatMap((window) => {
      for (const { startMs, endMs } of windowSpans(window, opensMs)) return startMs <= opensMs ? [endMs] : [];
      return [];
    });
    const end = Math.max(...ends);
    if (!(end > opensMs)) return opensMs;
    opensMs = end;
  }
  return undefined;
}

/** `03:00-04:00`, as it is written. */
export function windowWords({ startMinute, lengthMinutes }: TimeWindow): string {
  if (lengthMinutes > dayMinutes) return `${lengthMinutes / 60}h from ${clockWords(startMinute)}`;
  const end = (startMinute + lengthMinutes) % dayMinutes;
  return `${clockWords(startMinute)}-${clockWords(end === 0 ? dayMinutes : end)}`;
}

export function clockWords(minute: number): string {
  const two = (number: number): string => String(number).padStart(2, '0');
  return `${two(Math.floor(minute / 60))}:${two(minute % 60)}`;
}

export function weekdayName(weekday: number): string {
  const name = weekdayNames[weekday % 7] ?? '';
  return `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
}
