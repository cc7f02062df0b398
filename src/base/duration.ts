// Durations as people write them (`36h`, `2 weeks`, `1d12h`, `PT4H30M`) and as the program counts them: milliseconds.
// Months and years have no fixed length, so they are not durations here (`model/calendar-duration.ts` has them).
import assert from 'node:assert/strict';

const secondMs = 1000;
const minuteMs = 60 * secondMs;
export const hourMs = 60 * minuteMs;
export const dayMs = 24 * hourMs;

const units: readonly { readonly pattern: RegExp; readonly symbol: string; readonly sizeMs: number }[] = [
  { pattern: /^(?:w|weeks?)$/, symbol: 'w', sizeMs: 7 * dayMs },
  { pattern: /^(?:d|days?)$/, symbol: 'd', sizeMs: dayMs },
  { pattern: /^(?:h|hrs?|hours?)$/, symbol: 'h', sizeMs: hourMs },
  { pattern: /^(?:m|mins?|minutes?)$/, symbol: 'm', sizeMs: minuteMs },
  { pattern: /^(?:s|secs?|seconds?)$/, symbol: 's', sizeMs: secondMs },
  { pattern: /^(?:ms|milliseconds?)$/, symbol: 'ms', sizeMs: 1 },
];

/** What error messages and help texts call it. */
export const durationForm = 'a duration such as 90s, 15m, 36h, 1d12h, 2 weeks or PT4H30M';

/** Milliseconds of a duration as people write it, or undefined if the text is none. */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim();
  const ms = /^P/i.test(trimmed) ? parseIso(trimmed) : parseParts(trimmed.toLowerCase());
  return ms !== undefined && Number.isSafeInteger(ms) ? ms : undefined;
}

function parseIso(text: string): number | undefined {
  let duration: Temporal.Duration;
  try {
    duration = Temporal.Duration.from(text);
  } catch (error) {
    if (error instanceof RangeError) return undefined; // Not ISO 8601: the answer, not a fault.
    throw error;
  }
  if (duration.sign < 0 || duration.years !== 0 || duration.months !== 0) return undefined;
  const days = duration.weeks * 7 + duration.days;
  return Math.round(days * dayMs + duration.with({ weeks: 0, days: 0 }).total('milliseconds'));
}

/** `1d12h`, `1 day 12 hours`, `1.5h`: each unit once, larger ones first. */
function parseParts(text: string): number | undefined {
  if (!/^(?:\d+(?:\.\d+)?\s*[a-z]+\s*)+$/.test(text)) return undefined;
  let totalMs = 0;
  let next = 0;
  for (const [, number = '', name = ''] of text.matchAll(/(\d+(?:\.\d+)?)\s*([a-z]+)/g)) {
    const index = units.findIndex(({ pattern }, at) => at >= next && pattern.test(name));
    const unit = units[index];
    if (unit === undefined) return undefined;
    totalMs += Number(number) * unit.sizeMs;
    next = index + 1;
  }
  return Math.round(totalMs);
}

/**
 * `4h 3m`: the largest units that are not 0, at most `unitsMax` of them; what is smaller is cut off, never rounded up.
 * With `unitsMax: Infinity` nothing is lost.
 */
export function formatDuration(ms: number, options: { readonly unitsMax?: number } = {}): string {
  assert.ok(ms >= 0, 'a duration is not negative');
  const parts: string[] = [];
  let restMs = Math.floor(ms);
  for (const { symbol, sizeMs } of units.slice(1)) {
    const count = Math.floor(restMs / sizeMs);
    restMs -= count * sizeMs;
    if (count > 0) parts.push(`${count}${symbol}`);
  }
  return parts.length === 0 ? '0s' : parts.slice(0, options.unitsMax ?? 2).join(' ');
}

/** `1d 20m`, `45s`: for what may be as long as this. Rounded up, to whole minutes from an hour on, else to whole seconds. */
export function formatAtMost(ms: number): string {
  const unitMs = ms < hourMs ? secondMs : minuteMs;
  return formatDuration(Math.ceil(ms / unitMs) * unitMs);
}

/** `3h 12m`, `1m 1s`: for times that passed. The largest unit and the one below it, seconds at least, cut off. */
export function formatAge(ms: number): string {
  const largest = units.slice(1, -1).findIndex(({ sizeMs }) => ms >= sizeMs) + 1;
  const least = units[Math.min(largest + 1, units.length - 2)];
  if (largest === 0 || least === undefined) return '0s';
  return formatDuration(ms - (ms % least.sizeMs));
}
