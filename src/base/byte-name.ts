// File names are bytes, JavaScript strings are not. A name that is not valid UTF-8 is kept as a string in which each
// stray byte 0x80…0xff stands as the lone surrogate U+DC80…U+DCFF (the "surrogateescape" of Python's PEP 383): lossless,
// and every valid name is simply itself.
import { isUtf8 } from 'node:buffer';

const escaped = /[\udc80-\udcff]/u;

/** Length in bytes of the valid UTF-8 sequence at `at`, 0 if there is none (overlong and surrogates are invalid). */
function sequenceLength(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  return at + length <= bytes.length && isUtf8(bytes.subarray(at, at + length)) ? length : 0;
}

export function nameFromBytes(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  let name = '';
  for (let at = 0; at < bytes.length;) {
    const length = sequenceLength(bytes, at);
    name += length === 0 ? String.fromCharCode(0xdc00 + (bytes[at] ?? 0)) : bytes.toString('utf8', at, at + length);
    at += Math.max(1, length);
  }
  return name;
}

/** The bytes of a name; `\uDC80…\uDCFF` standing alone become the byte they stand for. */
export function nameToBytes(name: string): Buffer {
  if (!escaped.test(name)) return Buffer.from(name, 'utf8');
  const parts: Buffer[] = [];
  for (const character of name) {
    const code = character.codePointAt(0) ?? 0;
    parts.push(code >= 0xdc80 && code <= 0xdcff ? Buffer.of(code - 0xdc00) : Buffer.from(character, 'utf8'));
  }
  return Buffer.concat(parts);
}

/** The form that `node:fs` wants: the string itself, or bytes where the string would not survive. */
export function fsPath(name: string): string | Buffer {
  return escaped.test(name) ? nameToBytes(name) : name;
}

const ascii = /^[\0-\x7f]*$/;

/** Orders names by their bytes, as restic's trees demand; `<` on strings compares UTF-16 units and differs. */
export function compareNames(left: string, right: string): number {
  if (ascii.test(left) && ascii.test(right)) return left < right ? -1 : left > right ? 1 : 0;
  return Buffer.compare(nameToBytes(left), nameToBytes(right));
}
