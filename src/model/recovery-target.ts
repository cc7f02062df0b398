// To which instant data is to come back, and along which timeline: what people write, made exact.
import { AppError } from '../base/errors.ts';

export type RecoveryTarget =
  /** Microseconds since 1970. Without what happened later; inclusive: with what happened at that very microsecond. */
  | { readonly kind: 'time'; readonly timeUs: number; readonly isInclusive: boolean }
  /** `16/B374D848`. Inclusive: with the record that begins there. */
  | { readonly kind: 'lsn'; readonly lsn: string; readonly isInclusive: boolean }
  /** The lower 32 bits of a transaction's number, which is what the log holds. */
  | { readonly kind: 'transaction'; readonly xid: number; readonly isInclusive: boolean }
  | { readonly kind: 'restore-point'; readonly name: string }
  | { readonly kind: 'end' };

export type TimelineChoice =
  | { readonly kind: 'latest' }
  /** That of the backup from which the recovery starts. */
  | { readonly kind: 'current' }
  /** `origin` is the beginning of the hash that tells copies apart that went their own ways under one number. */
  | { readonly kind: 'number'; readonly timeline: number; readonly origin?: string | undefined };

const instantForm =
  /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?\s?(Z|UTC|[+-]\d\d(?::?\d\d)?)?$/i;

/**
 * Microseconds since 1970 of `2026-11-20 10:15:00+01`, `2026-11-20T09:15Z`, `2026-11-20`. Without a zone it is meant in
 * `timeZone`, that of this machine, as far as such a time was there once: not in the hours when clocks are changed.
 */
export function parseInstantUs(text: string, timeZone: string): number {
  const [, date, time = '00:00', second = '00', fraction = '', zone] = instantForm.exec(text.trim()) ?? [];
  if (date === undefined) throw noInstant(text);
  try {
    const plain = Temporal.PlainDateTime.from(`${date}T${time}:${second}`, { overflow: 'reject' });
    const zoned = plain.toZonedDateTime(zone === undefined ? timeZone : zoneOf(zone), { disambiguation: 'reject' });
    const microseconds = Number(fraction.padEnd(6, '0').slice(0, 6));
    return zoned.epochMilliseconds * 1000 + microseconds;
  } catch (error) {
    throw noInstant(text, error);
  }
}

/** Whether it means the same everywhere. */
export function saysZone(text: string): boolean {
  return instantForm.exec(text.trim())?.[5] !== undefined;
}

/** `+1`, `+01`, `+0100` and `+01:00` are written by people and programs; the last is what is understood everywhere. */
function zoneOf(text: string): string {
  if (/^(?:Z|UTC)$/i.test(text)) return 'UTC';
  const digits = text.replaceAll(':', '');
  return `${digits.slice(0, 3)}:${digits.slice(3).padEnd(2, '0')}`;
}

function noInstant(text: string, cause?: unknown): AppError {
  const isAmbiguous = cause instanceof RangeError && instantForm.exec(text)?.[5] === undefined;
  const hint = isAmbiguous
    ? 'Give the zone with it: 2026-11-20T10:15:00+01:00.'
    : 'Write it as 2026-11-20T10:15:00+01:00.';
  const what = isAmbiguous ? "is no single instant of this machine's time" : 'is not a time';
  return new AppError('USAGE', `'${text}' ${what}`, { hint, cause });
}

/** `16/B374D848`; undefined if it is no position. */
export function parseLsnText(text: string): string | undefined {
  return /^[0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8}$/.test(text) ? text.toUpperCase() : undefined;
}

const wholeXidMax = 2n ** 64n;

/** Both forms that servers show: 32 bits, or 64 with the number of turns before them. */
export function parseTransactionId(text: string): number | undefined {
  if (!/^\d{1,20}$/.test(text)) return undefined;
  const whole = BigInt(text);
  const xid = Number(whole & 0xffff_ffffn);
  return whole < wholeXidMax && xid >= 3 ? xid : undefined; // The first three are no transaction's.
}

/** `latest`, `current`, `2`, `2-4f1c`. */
export function parseTimelineChoice(text: string): TimelineChoice | undefined {
  if (text === 'latest' || text === 'current') return { kind: text };
  const [, number, origin] = /^(\d{1,9})(?:-([0-9a-f]{1,12}))?$/.exec(text) ?? [];
  const timeline = Number(number);
  if (number === undefined || timeline === 0) return undefined;
  return { kind: 'number', timeline, ...(origin === undefined ? {} : { origin }) };
}

/** `2026-11-20 09:15:00.25 UTC`, whatever the zone of who reads it. */
export function formatInstantUs(timeUs: number): string {
  const seconds = Math.floor(timeUs / 1_000_000);
  const fraction = String(timeUs - seconds * 1_000_000)
    .padStart(6, '0')
    .replace(/0+$/, '');
  const text = new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ');
  return `${text}${fraction === '' ? '' : `.${fraction}`} UTC`;
}
