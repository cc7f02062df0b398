// Cron text of five fields and the moments it means. The arithmetic is croner's; what it accepts and refuses is said here.
// When clocks change, as cron users expect of Vixie's: a moment that the night skips comes as soon as the clock goes on, a
// moment that the night has twice comes once; text with a wildcard or a step goes by the clock as it runs.
import { Cron } from 'croner';

export const cronForm = "five cron fields such as '0 2 * * *' (minute hour day month weekday), or @daily and the like";

const nicknames: ReadonlyMap<string, string> = new Map([
  ['@yearly', '0 0 1 1 *'],
  ['@annually', '0 0 1 1 *'],
  ['@monthly', '0 0 1 * *'],
  ['@weekly', '0 0 * * 0'],
  ['@daily', '0 0 * * *'],
  ['@midnight', '0 0 * * *'],
  ['@hourly', '0 * * * *'],
]);

/** Any instant does to find out whether a moment ever comes: the calendar repeats every 400 years. */
const searchedFromMs = Date.UTC(2000, 0, 1);

export type CronReading = { readonly cron: string } | { readonly problem: string };

/** The text as it is kept, five fields with one space between them, or what is wrong with it. */
export function readCron(text: string): CronReading {
  const trimmed = text.trim();
  const cron = (nicknames.get(trimmed.toLowerCase()) ?? trimmed).split(/\s+/).join(' ');
  let next: number | undefined;
  try {
    next = nextOfCron(cron, 'UTC')(searchedFromMs);
  } catch (error) {
    // What croner throws at construction is its judgement of the text.
    if (error instanceof TypeError || error instanceof RangeError) return { problem: `expected ${cronForm}` };
    throw error;
  }
  if (next !== undefined) return { cron };
  return { problem: 'expected a moment that comes; no year has this day (the last day of a month is L)' };
}

/** The first moment after an instant; undefined where none comes any more. Throws for text that `readCron` refuses. */
export function nextOfCron(cron: string, timeZone: string): (afterMs: number) => number | undefined {
  const pattern = new Cron(cron, { timezone: timeZone, mode: '5-part', fixedTimeRule: 'no-wildcard', paused: true });
  return (afterMs) => pattern.nextRun(new Date(afterMs))?.getTime();
}
