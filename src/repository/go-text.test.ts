import { expect, test } from 'vitest';
import fc from 'fast-check';
import { nameFromBytes } from '../base/byte-name.ts';
import { formatTime, goJsonString, parseTime, quoteName, unquoteName } from './go-text.ts';

test.each([
  [nameFromBytes(Buffer.from('626164fffe78', 'hex')), String.raw`"bad\\xff\\xfex"`],
  ['nbsp\u00a0x', String.raw`"nbsp\\u00a0x"`],
  ['quote"x', String.raw`"quote\\\"x"`],
  ['a<b>&\u2028', String.raw`"a\u003cb\u003e\u0026\\u2028"`],
  ['\x07\b\f\n\r\t\v\x1b\x7f', String.raw`"\\a\\b\\f\\n\\r\\t\\v\\x1b\\x7f"`],
  ['\u{e0001}\u{1f600}', String.raw`"\\U000e0001` + '\u{1f600}"'],
])('writes the name %j as restic does', (name, expected) => {
  expect(goJsonString(quoteName(name))).toBe(expected);
});

test('every name survives quoting and JSON', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 30 }), (bytes) => {
      const name = nameFromBytes(Buffer.from(bytes));
      expect(unquoteName(JSON.parse(goJsonString(quoteName(name))) as string)).toBe(name);
    }),
  );
});

test('reads octal escapes and refuses unknown ones', () => {
  expect(unquoteName(String.raw`\101\'`)).toBe("A'");
  expect(() => unquoteName(String.raw`\q`)).toThrow('unknown escape');
});

test('times keep their nanoseconds in both directions', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -60_000_000_000_000_000_000n, max: 250_000_000_000_000_000_000n }), (nanoseconds) => {
      expect(parseTime(formatTime(nanoseconds))).toBe(nanoseconds);
    }),
  );
});

test('reads the offset of a time', () => {
  expect(parseTime('2026-11-20T18:10:27.739005428+01:00')).toBe(parseTime('2026-11-20T17:10:27.739005428Z'));
  expect(parseTime('1970-01-01T00:00:00.5Z')).toBe(500_000_000n);
});
