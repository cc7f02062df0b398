// Text as Go writes it, because tree ids are hashes of text that a Go program would have written:
// `strconv.Quote` for names, `encoding/json` with HTML escaping for strings, RFC 3339 times in the local zone.
import { nameFromBytes, nameToBytes } from '../base/byte-name.ts';

const plainName = /^[ !#-[\]-~]*$/;
const unprintable = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u;
const shortEscapes: Readonly<Record<string, string>> = {
  '"': String.raw`\"`,
  '\\': String.raw`\\`,
  '\x07': String.raw`\a`,
  '\b': String.raw`\b`,
  '\f': String.raw`\f`,
  '\n': String.raw`\n`,
  '\r': String.raw`\r`,
  '\t': String.raw`\t`,
  '\v': String.raw`\v`,
};

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0');
}

function quoteCharacter(character: string): string {
  const short = shortEscapes[character];
  if (short !== undefined) return short;
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20 || code === 0x7f) return `\\x${hex(code, 2)}`;
  if (code >= 0xdc80 && code <= 0xdcff) return `\\x${hex(code - 0xdc00, 2)}`;
  if (!unprintable.test(character)) return character;
  return code > 0xffff ? `\\U${hex(code, 8)}` : `\\u${hex(code, 4)}`;
}

/** `strconv.Quote` without the outer quotes, of a byte name (`base/byte-name.ts`). */
export function quoteName(name: string): string {
  if (plainName.test(name)) return name;
  let quoted = '';
  for (const character of name) quoted += quoteCharacter(character);
  return quoted;
}

const escapes = /\\(?:([abfnrtv"'\\])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.?))/gsu;
const shortCodes: Readonly<Record<string, number>> = { a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11 };

/** The byte name that a quoted one stands for. Throws on escapes Go would refuse. */
export function unquoteName(quoted: string): string {
  if (!quoted.includes('\\')) return quoted;
  const parts: Buffer[] = [];
  let from = 0;
  for (const match of quoted.matchAll(escapes)) {
    const [all, letter, byteHex, octal, short, long, unknown] = match;
    if (unknown !== undefined) throw new Error(`unknown escape in the name '${quoted}'`);
    parts.push(nameToBytes(quoted.slice(from, match.index)));
    from = match.index + all.length;
    const byte = byteHex === undefined ? octal : byteHex;
    if (letter !== undefined) parts.push(Buffer.of(shortCodes[letter] ?? letter.charCodeAt(0)));
    else if (byte !== undefined) parts.push(Buffer.of(Number.parseInt(byte, byteHex === undefined ? 8 : 16) & 0xff));
    else parts.push(Buffer.from(String.fromCodePoint(Number.parseInt(short ?? long ?? '', 16)), 'utf8'));
  }
  parts.push(nameToBytes(quoted.slice(from)));
  return nameFromBytes(Buffer.concat(parts));
}

const jsonPlain = /^[ !#-%'-;=?-[\]-~\u0080-\u2027\u202a-\ud7ff\ue000-\uffff]*$/;

function jsonCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (character === '"' || character === '\\') return `\\${character}`;
  if (character === '\n') return String.raw`\n`;
  if (character === '\r') return String.raw`\r`;
  if (character === '\t') return String.raw`\t`;
  if (code < 0x20 || '<>&\u2028\u2029'.includes(character)) return `\\u${hex(code, 4)}`;
  // A byte that is not UTF-8: Go writes the replacement character as an escape.
  return code >= 0xd800 && code <= 0xdfff ? String.raw`\ufffd` : character;
}

/** A string literal as Go's `encoding/json` writes it, quotes included. */
export function goJsonString(text: string): string {
  if (jsonPlain.test(text)) return `"${text}"`;
  let literal = '"';
  for (const character of text) literal += jsonCharacter(character);
  return `${literal}"`;
}

const nanosecondsPerSecond = 1_000_000_000n;
const yearMinSeconds = -62_167_219_200; // 0000-01-01T00:00:00Z
const yearMaxSeconds = 253_402_300_799; // 9999-12-31T23:59:59Z

const pad = (value: number, digits = 2): string => String(value).padStart(digits, '0');

/** Seconds formatted last: most files of a folder were made in the same few. */
let lastSecond: { readonly seconds: number; readonly date: string; readonly zone: string } | undefined;

function secondText(seconds: number): { readonly date: string; readonly zone: string } {
  if (lastSecond?.seconds === seconds) return lastSecond;
  const offsetMinutes = -new Date(seconds * 1000).getTimezoneOffset();
  const local = new Date((seconds + offsetMinutes * 60) * 1000);
  const iso = local.toISOString();
  const date = iso.length === 24 ? iso.slice(0, 19) : `${pad(local.getUTCFullYear(), 4)}${iso.slice(-20, -5)}`;
  lastSecond = { seconds, date, zone: zoneSuffix(offsetMinutes) };
  return lastSecond;
}

/** `2026-11-20T18:10:27.739005428+01:00`: nanoseconds since 1970 in this machine's zone at that instant. */
export function formatTime(nanoseconds: bigint): string {
  let seconds = Number(nanoseconds / nanosecondsPerSecond);
  let fraction = Number(nanoseconds % nanosecondsPerSecond);
  if (fraction < 0) {
    fraction += 1e9;
    seconds -= 1;
  }
  if (seconds < yearMinSeconds || seconds > yearMaxSeconds) {
    seconds = Math.min(Math.max(seconds, yearMinSeconds), yearMaxSeconds);
    fraction = 0;
  }
  const { date, zone } = secondText(seconds);
  const digits = fraction === 0 ? '' : `.${pad(fraction, 9).replace(/0+$/, '')}`;
  return date + digits + zone;
}

function zoneSuffix(offsetMinutes: number): string {
  if (offsetMinutes === 0) return 'Z';
  const size = Math.abs(offsetMinutes);
  return `${offsetMinutes < 0 ? '-' : '+'}${pad(Math.floor(size / 60))}:${pad(Math.floor(size) % 60)}`;
}

const timeForm = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/;

/** Nanoseconds since 1970 of an RFC 3339 time with up to nine digits. Throws if it is not one. */
export function parseTime(text: string): bigint {
  const match = timeForm.exec(text);
  if (match === null) throw new Error(`'${text}' is not a time`);
  const [, year, month, day, hour, minute, second, fraction = '', zone = 'Z'] = match;
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  date.setUTCHours(Number(hour), Number(minute), Number(second));
  const sign = zone.startsWith('-') ? -1 : 1;
  const offsetMinutes = zone === 'Z' ? 0 : sign * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4, 6)));
  return BigInt(date.getTime() - offsetMinutes * 60_000) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
}
