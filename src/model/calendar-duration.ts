// Spans of the calendar, which retention counts in: `1y6m`, `30d`, `2 weeks`. Months differ in length, so a span has no
// fixed number of milliseconds. The short form is restic's, in which `m` means months.

export interface CalendarDuration {
  readonly years: number;
  readonly months: number;
  readonly days: number;
  readonly hours: number;
}

/** What error messages and help texts call it. */
export const calendarDurationForm = 'a span such as 36h, 7d, 2 weeks or 1y6m (m means months)';

/** The most of each unit: keeps every result within the years that dates can show. */
const countMax = 100_000;

const units = [
  { pattern: /^(?:y|years?)$/, field: 'years', factor: 1 },
  { pattern: /^(?:m|months?)$/, field: 'months', factor: 1 },
  { pattern: /^(?:w|weeks?)$/, field: 'days', factor: 7 },
  { pattern: /^(?:d|days?)$/, field: 'days', factor: 1 },
  { pattern: /^(?:h|hours?)$/, field: 'hours', factor: 1 },
] as const;

/** A span as people write it, or undefined if the text is none or a span of nothing. */
export function parseCalendarDuration(text: string): CalendarDuration | undefined {
  const lower = text.trim().toLowerCase();
  if (!/^(?:\d+\s*[a-z]+\s*)+$/.test(lower)) return undefined;
  const result = { years: 0, months: 0, days: 0, hours: 0 };
  let next = 0;
  for (const [, number = '', name = ''] of lower.matchAll(/(\d+)\s*([a-z]+)/g)) {
    const index = units.findIndex(({ pattern }, at) => at >= next && pattern.test(name));
    const unit = units[index];
    if (unit === undefined || Number(number) > countMax) return undefined;
    result[unit.field] += Number(number) * unit.factor;
    next = index + 1;
  }
  return Object.values(result).some((count) => count > 0) ? result : undefined;
}

/** restic's notation: `1y5m7d2h`. */
export function formatCalendarDuration({ years, months, days, hours }: CalendarDuration): string {
  const parts = [`${years}y`, `${months}m`, `${days}d`, `${hours}h`].filter((part) => !part.startsWith('0'));
  return parts.length === 0 ? '0h' : parts.join('');
}

/**
 * The instant that lies `duration` before `time`, by the calendar of `time`'s own offset, in nanoseconds since 1970.
 * A day that the earlier month lacks runs over into the next, as in restic: 31 March minus one month is 3 March.
 */
export function instantBeforeNs(time: Temporal.ZonedDateTime, duration: CalendarDuration): bigint {
  const { years, months, days, hours } = duration;
  return time
    .with({ day: 1 })
    .subtract({ years, months })
    .add({ days: time.day - 1 })
    .subtract({ days })
    .subtract({ hours }).epochNanoseconds;
}
