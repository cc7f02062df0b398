// How far back a retention lets one go for sure: damage that is found later than that has no good backup left.
import type { CalendarDuration } from './calendar-duration.ts';
import type { RetentionPolicy } from './retention.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/**
 * The age that the oldest snapshot kept surely has, once backups have come long enough every `everyMs`; Infinity where nothing
 * is removed. Tags are set by hand, so they promise nothing. Months count 28 days.
 */
export function surelyReachesMs(policy: RetentionPolicy, everyMs: number): number {
  const { keepTags, tagged: _, ...rules } = policy;
  if ((keepTags ?? []).length === 0 && Object.values(rules).every((rule) => rule === undefined || rule === 0))
    return Infinity;
  const counted = (count: number | 'unlimited' | undefined, periodMs: number): number => {
    if (count === 'unlimited') return Infinity;
    if (count === undefined || count === 0) return 0;
    // Periods without a backup do not count.
    if (everyMs >= periodMs) return (count - 1) * everyMs;
    // Of those with several the last stays, which may be at the end of the oldest while the newest has just begun.
    return count === 1 ? 0 : (Math.floor(((count - 2) * periodMs) / everyMs) + 1) * everyMs;
  };
  // Right after a backup, the one before the oldest may have gone.
  const within = (span: CalendarDuration | undefined, periodMs: number): number =>
    span === undefined ? 0 : Math.max(0, spanMs(span) - Math.max(periodMs, everyMs));
  return Math.max(
    counted(rules.keepLast, 0),
    counted(rules.keepHourly, hourMs),
    counted(rules.keepDaily, dayMs),
    counted(rules.keepWeekly, 7 * dayMs),
    counted(rules.keepMonthly, 28 * dayMs),
    counted(rules.keepYearly, 365 * dayMs),
    within(rules.keepWithin, 0),
    within(rules.keepWithinHourly, hourMs),
    within(rules.keepWithinDaily, dayMs),
    within(rules.keepWithinWeekly, 7 * dayMs),
    within(rules.keepWithinMonthly, 31 * dayMs),
    within(rules.keepWithinYearly, 366 * dayMs),
  );
}

function spanMs({ years, months, days, hours }: CalendarDuration): number {
  return (years * 365 + months * 28 + days) * dayMs + hours * hourMs;
}
