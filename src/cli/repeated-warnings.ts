// Warnings of something that lasts: the same text is told once in a while, not each time that it is met.

const againMs = 60_000;
const keptMax = 100;

export class RepeatedWarnings {
  readonly #toldMs = new Map<string, number>();

  /** Whether it is worth telling at this moment. */
  isNews(text: string, nowMs: number): boolean {
    const toldMs = this.#toldMs.get(text);
    if (toldMs !== undefined && nowMs - toldMs < againMs) return false;
    if (this.#toldMs.size >= keptMax) this.#toldMs.clear();
    this.#toldMs.set(text, nowMs);
    return true;
  }
}
