// Reads segments for a standby: of the newest only what came since the last time, of those before some ahead of their time.
import type { JournalReader } from '../../journal.ts';
import { ownerOf, type ReplaySegment } from '../recovery/reach.ts';
import type { JournalView } from './journal-view.ts';

/** Whole segments that are read before they are asked for, as far as they are of the usual size. */
const aheadMax = 2;
const aheadMaxBytes = 64 * 1024 * 1024;

export class SegmentReader {
  readonly #journal: JournalReader;
  readonly #ahead = new Map<string, Promise<Buffer | undefined>>();
  #growing: { readonly key: string; readonly bytes: Buffer } | undefined;

  constructor(journal: JournalReader) {
    this.#journal = journal;
  }

  forget(): void {
    this.#ahead.clear();
    this.#growing = undefined;
  }

  /** `other`: what is kept now does not begin with what was read before. */
  async read(place: ReplaySegment, view: JournalView, signal: AbortSignal): Promise<Buffer | 'other'> {
    const { lineage, segment } = place;
    const key = keyOf(place);
    const known = this.#growing?.key === key ? this.#growing.bytes : undefined;
    const ahead = this.#ahead.get(key);
    this.#ahead.delete(key);
    const bytes =
      (await ahead) ??
      (known === undefined
        ? await this.#journal.read(lineage, segment, signal)
        : await this.#journal.readOn({ lineage, segment, known }, signal));
    if (known !== undefined && !bytes.subarray(0, known.length).equals(known)) return 'other';
    this.#growing = { key, bytes };
    if (bytes.length === view.goal.segmentBytes) this.#readAhead(segment, view, signal);
    return bytes;
  }

  #readAhead(behind: number, { goal, kept }: JournalView, signal: AbortSignal): void {
    const wanted = new Set<string>();
    const last = behind + Math.min(aheadMax, Math.floor(aheadMaxBytes / goal.segmentBytes));
    for (let segment = behind + 1; segment <= last; segment += 1) {
      const { lineage } = ownerOf(goal.path, segment, goal.segmentBytes);
      const found = kept.get(lineage, segment);
      if (found?.isSealed !== true) break;
      const key = keyOf({ segment, lineage });
      wanted.add(key);
      // A failure is met again, and told, by who asks for it.
      const reading = (): Promise<Buffer | undefined> =>
        this.#journal.read(lineage, segment, signal).catch(() => undefined);
      if (!this.#ahead.has(key)) this.#ahead.set(key, reading());
    }
    for (const key of this.#ahead.keys()) if (!wanted.has(key)) this.#ahead.delete(key);
  }
}

function keyOf({ lineage, segment }: Pick<ReplaySegment, 'lineage' | 'segment'>): string {
  return `${segment} ${lineage}`;
}
