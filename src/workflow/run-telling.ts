// What a run tells while it works: lines that stay, in their order, and how far it is, of which only the newest counts.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Catalog } from '../catalog/catalog.ts';
import { eventsMax, insertEvent, lastEventNumber } from '../catalog/run-events.ts';
import { setProgress, type Hold } from '../catalog/runs.ts';
import { persistently } from './persistently.ts';

const progressEveryMs = 2000;

export class RunTelling {
  readonly #catalog: Catalog;
  readonly #hold: Hold;
  readonly #signal: AbortSignal;
  #told: number;
  #latest: object | undefined;
  #isWriting = false;

  private constructor(catalog: Catalog, parts: { readonly hold: Hold; readonly signal: AbortSignal }, told: number) {
    this.#catalog = catalog;
    this.#hold = parts.hold;
    this.#signal = parts.signal;
    this.#told = told;
  }

  static async open(
    catalog: Catalog,
    parts: { readonly hold: Hold; readonly signal: AbortSignal },
  ): Promise<RunTelling> {
    return new RunTelling(catalog, parts, await lastEventNumber(catalog, parts.hold.id));
  }

  async tell(kind: string, text: string): Promise<void> {
    if (this.#told >= eventsMax) return;
    this.#told += 1;
    const event = { runId: this.#hold.id, number: this.#told, kind, text };
    await persistently(() => insertEvent(this.#catalog, event), this.#signal);
  }

  progress(progress: object): void {
    this.#latest = progress;
    if (!this.#isWriting) void this.#write();
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    while (this.#latest !== undefined && !this.#signal.aborted) {
      const progress = this.#latest;
      this.#latest = undefined;
      // Where it can't be written the next one may be.
      await setProgress(this.#catalog, this.#hold, progress).catch(() => undefined);
      await sleep(progressEveryMs, undefined, { ref: false });
    }
    this.#isWriting = false;
  }
}
