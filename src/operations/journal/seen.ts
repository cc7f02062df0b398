// Up to when nothing was missing, as a receiver notes it beside its spool: while a database is idle nothing comes that a repository
// could keep, and only this tells silence from a receiver that is not there.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { errnoOf } from '../../base/errors.ts';
import { NewestOnly } from '../../base/newest-only.ts';
import type { Random } from '../../base/random.ts';
import type { JournalPosition, JournalProgress } from '../../sources/journal.ts';
import { writeAtomically } from '../../storage/atomic-write.ts';
import { comparePositions } from './positions.ts';

export interface Seen {
  readonly lineage: string;
  /** What the source had then, it had before this. */
  readonly position: JournalPosition;
  /** By the clock of the source. */
  readonly timeMs: number;
}

/** More often than this it is not written. */
const noteEveryMs = 2000;

const schema = z.object({
  format: z.literal(1),
  lineage: z.string(),
  position: z.object({ segment: z.int().nonnegative(), offset: z.int().nonnegative() }),
  timeMs: z.number(),
});

const pathIn = (spoolFolder: string): string => join(spoolFolder, 'seen.json');

export class SeenNotes implements AsyncDisposable {
  readonly #spoolFolder: string;
  readonly #random: Random;
  readonly #onFailed: (error: Error) => void;
  #notedMs = -Infinity;
  readonly #writes = new NewestOnly<Seen>((seen) => this.#write(seen));
  #hasFailed = false;

  /** The folder must exist. `onFailed` is told once: the journal itself does not depend on it. */
  constructor(spoolFolder: string, options: { readonly random: Random; readonly onFailed: (error: Error) => void }) {
    this.#spoolFolder = spoolFolder;
    this.#random = options.random;
    this.#onFailed = options.onFailed;
  }

  note({ lineage, complete }: Pick<JournalProgress, 'lineage' | 'complete'>): void {
    // Clocks may be set back.
    if (complete === undefined || Math.abs(complete.timeMs - this.#notedMs) < noteEveryMs) return;
    this.#notedMs = complete.timeMs;
    this.#writes.hand({ lineage, ...complete });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writes.settled();
  }

  async #write(seen: Seen): Promise<void> {
    const bytes = Buffer.from(`${JSON.stringify({ format: 1, ...seen })}\n`);
    try {
      const options = { fileMode: 0o600, isDurable: false, random: this.#random };
      await writeAtomically(pathIn(this.#spoolFolder), [bytes], options);
    } catch (error) {
      if (!this.#hasFailed && error instanceof Error) this.#onFailed(error);
      this.#hasFailed = true;
    }
  }
}

/** Up to when all is in what ends there; undefined if it lacks some of what was seen, or is another branch. */
export function seenIn(
  seen: Seen | undefined,
  { lineage, end }: { readonly lineage: string; readonly end: JournalPosition },
): number | undefined {
  if (seen === undefined || seen.lineage !== lineage) return undefined;
  return comparePositions(seen.position, end) <= 0 ? seen.timeMs : undefined;
}

/** Undefined where no receiver noted anything. A file that a power cut left broken says nothing either. */
export async function readSeen(spoolFolder: string): Promise<Seen | undefined> {
  try {
    return schema.safeParse(JSON.parse(await readFile(pathIn(spoolFolder), 'utf8'))).data;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
