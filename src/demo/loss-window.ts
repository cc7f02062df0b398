// How long a commit exists at the server alone: from the moment its customer was told "thank you" until the repository has it.
// A machine that is lost takes with it what is younger.

export interface LossWindow {
  readonly commits: number;
  readonly longestMs: number;
  readonly meanMs: number;
}

/** Commits come in order, and so do looks at the repository. */
export class LossMeter {
  #waiting: { readonly walBytes: number; readonly atMs: number }[] = [];
  #commits = 0;
  #longestMs = 0;
  #sumMs = 0;

  committed(walBytes: number, atMs: number): void {
    this.#waiting.push({ walBytes, atMs });
  }

  /** The repository was seen to hold the log up to there. */
  stored(walBytes: number, atMs: number): void {
    const held = this.#waiting.filter((one) => one.walBytes <= walBytes);
    this.#waiting = this.#waiting.filter((one) => one.walBytes > walBytes);
    for (const one of held) {
      const delayMs = atMs - one.atMs;
      this.#commits += 1;
      this.#sumMs += delayMs;
      this.#longestMs = Math.max(this.#longestMs, delayMs);
    }
  }

  /** Undefined before anything was seen there. */
  figures(): LossWindow | undefined {
    if (this.#commits === 0) return undefined;
    return { commits: this.#commits, longestMs: this.#longestMs, meanMs: this.#sumMs / this.#commits };
  }
}
