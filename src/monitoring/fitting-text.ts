// Text cut to what a receiver takes: at the end, between characters, with a mark that it goes on.

const ellipsis = '…';

/** As many characters as JavaScript counts: what most services count too. */
export function cutText(text: string, lengthMax: number): string {
  return cut(text, lengthMax, (part) => part.length);
}

export function cutBytes(text: string, bytesMax: number): string {
  return cut(text, bytesMax, (part) => Buffer.byteLength(part));
}

function cut(text: string, max: number, measure: (text: string) => number): string {
  if (measure(text) <= max) return text;
  let room = max - measure(ellipsis);
  let kept = '';
  for (const character of text) {
    room -= measure(character);
    if (room < 0) break;
    kept += character;
  }
  return `${kept.trimEnd()}${ellipsis}`;
}

/** One line without what could steer a terminal or end a header. */
export function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim();
}

/** As many of the parts, from the first, as `fits` allows; then a last one that says how many are missing. */
export function fittingParts<Part>(
  parts: readonly Part[],
  rest: (missing: number) => Part,
  fits: (parts: readonly Part[]) => boolean,
): readonly Part[] {
  for (let kept = parts.length; kept > 0; kept -= 1) {
    const candidate = kept === parts.length ? parts : [...parts.slice(0, kept), rest(parts.length - kept)];
    if (fits(candidate)) return candidate;
  }
  return [];
}
