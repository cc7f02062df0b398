// Work that is done again and again: after a pause, or as soon as somebody asks for it. What goes wrong is told, and tried again.
import { asError } from '../base/errors.ts';

export interface RepeatingOptions {
  readonly everyMs: number;
  readonly work: () => Promise<void>;
  readonly onProblem: (error: Error) => void;
}

export class Repeating implements AsyncDisposable {
  readonly #options: RepeatingOptions;
  readonly #loop: Promise<void>;
  #isClosed = false;
  #wake: () => void = () => undefined;

  /** Begins at once. */
  constructor(options: RepeatingOptions) {
    this.#options = options;
    this.#loop = this.#repeat();
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Asked while it works, it works once more afterwards. */
  wake(): void {
    this.#wake();
  }

  /** Waits for what is being done. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.wake();
    await this.#loop;
  }

  async #repeat(): Promise<void> {
    const { everyMs, work, onProblem } = this.#options;
    await Promise.resolve(); // Whoever makes it has a hold of it then.
    while (!this.#isClosed) {
      const woken = Promise.withResolvers<void>();
      const timer = setTimeout(woken.resolve, everyMs);
      this.#wake = woken.resolve;
      try {
        await work();
      } catch (error) {
        onProblem(asError(error));
      }
      if (!this.#isClosed) await woken.promise;
      clearTimeout(timer);
    }
  }
}
