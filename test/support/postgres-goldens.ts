// Conversations with real servers, kept as text: one message a line in hexadecimal, `<` from the server and `>` from us, in named
// parts. `scripts/record-postgres-goldens.ts` records them anew.
import { readFileSync } from 'node:fs';

const folder = new URL('../fixtures/postgres-protocol/', import.meta.url);

export const goldenMajors = [14, 15, 16, 17, 18] as const;

/** Of the role in the recordings: the exchange can be followed with it. */
export const goldenPassword = 'golden';

export function goldenFile(major: number): URL {
  return new URL(`${major}.txt`, folder);
}

export interface Golden {
  /** What the server said, all messages in a row. */
  readonly said: Buffer;
  readonly messages: readonly { readonly from: 'server' | 'us'; readonly bytes: Buffer }[];
}

/** The parts of a recording by their names. */
export function readGoldens(major: number): ReadonlyMap<string, Golden> {
  const parts = readFileSync(goldenFile(major), 'utf8').split(/^## /m).slice(1);
  return new Map(
    parts.map((part) => {
      const [name = '', ...lines] = part.trim().split('\n');
      const messages = lines.map((line) => ({
        from: line.startsWith('<') ? ('server' as const) : ('us' as const),
        bytes: Buffer.from(line.slice(2), 'hex'),
      }));
      const said = messages.flatMap(({ from, bytes }) => (from === 'server' ? [bytes] : []));
      return [name, { said: Buffer.concat(said), messages }];
    }),
  );
}
