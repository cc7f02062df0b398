// The small values that many settings share: durations, sizes, shares and names, as text in a file and as numbers inside.
// `title` is what error messages and the editor call the value; `writeOnly` marks secrets, as in JSON Schema.
import { z } from 'zod';
import { byteSizeForm, parseByteSize } from '../base/byte-size.ts';
import { durationForm, parseDuration } from '../base/duration.ts';
import { calendarDurationForm, parseCalendarDuration } from './calendar-duration.ts';

function parsed<Value>(form: string, parse: (text: string) => Value | undefined) {
  return z
    .string()
    .transform((text, context) => {
      const value = parse(text);
      if (value !== undefined) return value;
      context.addIssue({ code: 'custom', message: `expected ${form}` });
      return z.NEVER;
    })
    .meta({ title: form });
}

/** Longer than 0; milliseconds inside. */
export const durationSchema = parsed(durationForm, (text) => {
  const ms = parseDuration(text);
  return ms === 0 ? undefined : ms;
});

export const calendarDurationSchema = parsed(calendarDurationForm, parseCalendarDuration);

/** Bytes inside. */
export const byteSizeSchema = parsed(byteSizeForm, parseByteSize);

const rateForm = 'bytes per second, such as 10 MB or 512 KiB';

/** Bytes per second inside, at least 1; `/s` may be written. */
export const byteRateSchema = parsed(rateForm, (text) => parseByteRate(text));

export function parseByteRate(text: string): number | undefined {
  const bytesPerSecond = parseByteSize(text.replace(/\/s$/, ''));
  return bytesPerSecond === 0 ? undefined : bytesPerSecond;
}

/** `5%`: 0.05 inside. */
export const shareSchema = parsed('a share such as 5% or 100%', (text) => {
  const percent = /^(\d+(?:\.\d+)?)\s*%$/.exec(text.trim())?.[1];
  return percent === undefined || Number(percent) > 100 ? undefined : Number(percent) / 100;
});

const nameForm = 'a name of up to 64 letters, digits, . _ and -';

/** Names of applications, components, repositories and policies: they end up in paths, labels and commands. */
export const nameSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, `expected ${nameForm}`)
  .meta({ title: nameForm });

export const timeZoneSchema = z
  .string()
  .refine(isTimeZone, 'expected a time zone such as UTC or Europe/Berlin')
  .meta({ title: 'a time zone such as UTC or Europe/Berlin' });

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch (error) {
    if (error instanceof RangeError) return false; // Unknown zone: the answer, not a fault.
    throw error;
  }
}

export const portSchema = z.int().min(1).max(65_535).meta({ title: 'a port from 1 to 65535' });

/** A host with its port, or a whole URL, would only fail much later, as a name that nobody knows. */
export const hostSchema = z
  .string()
  .min(1)
  .refine((text) => !text.includes('://'), "expected a host alone; a whole address has the key 'url'")
  .refine((text) => !/^[^:]*:\d+$/.test(text), "expected a host alone; its port has the key 'port'");

/** A value that is never printed. */
export const secretSchema = z.string().min(1).meta({ writeOnly: true });

export const webForm = 'a URL with http or https';

export function isWebUrl(text: string): boolean {
  return /^https?:$/.test(URL.parse(text)?.protocol ?? '');
}

export const webUrlSchema = z.string().refine(isWebUrl, `expected ${webForm}`).meta({ title: webForm });
