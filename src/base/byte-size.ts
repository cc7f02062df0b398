// Sizes as people write them. `GB` is 10^9 and `GiB` is 2^30, as the standards say; a bare `G` means the one to some and
// the other to others, so it is refused.
import assert from 'node:assert/strict';

/** What error messages and help texts call it. */
export const byteSizeForm = 'a size such as 512 KiB, 5 GB (10^9) or 5 GiB (2^30)';

const prefixes = ['k', 'm', 'g', 't', 'p'];
const binaryNames = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** Bytes of a size as people write it, or undefined if the text is none; a number without a unit counts bytes. */
export function parseByteSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(?:b|([kmgtp])(i?)b)?$/i.exec(text.trim());
  if (match === null) return undefined;
  const [, number = '', prefix, binary] = match;
  const exponent = prefix === undefined ? 0 : prefixes.indexOf(prefix.toLowerCase()) + 1;
  const sizeBytes = Math.round(Number(number) * (binary ? 1024 : 1000) ** exponent);
  return Number.isSafeInteger(sizeBytes) ? sizeBytes : undefined;
}

/** `12.3 MiB`: the largest binary unit that leaves at least 1, with one decimal unless that is 0. */
export function formatByteSize(sizeBytes: number): string {
  assert.ok(sizeBytes >= 0, 'a size is not negative');
  let value = sizeBytes;
  let at = 0;
  // 1023.95 would be shown as `1024.0`.
  while (value >= (at === 0 ? 1024 : 1023.95) && at < binaryNames.length - 1) {
    value /= 1024;
    at += 1;
  }
  const digits = at === 0 ? String(Math.round(value)) : value.toFixed(1).replace(/\.0$/, '');
  return `${digits} ${binaryNames[at]}`;
}
