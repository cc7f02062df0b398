// Works on what it is handed, one after the other; while one is under way only the newest of those behind it waits. For what is
// overwritten anyway: a disk that hangs must not make a queue grow.

export class NewestOnly<Item> {
  readonly #work: (item: Item) => Promise<void>;
  #next: { readonly item: Item } | undefined;
  #running: Promise<void> | undefined;

  /** `work` must not reject. */
  constructor(work: (item: Item) => Promise<void>) {
    this.#work = work;
  }

  hand(item: Item): void {
    this.#next = { item };
    this.#running ??= this.#run();
  }

  /** Once nothing is under way any more. */
  async settled(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    try {
      while (this.#next !== undefined) {
        const { item } = this.#next;
        this.#next = undefined;
        await this.#work(item);
      }
    } finally {
      this.#running = undefined;
    }
  }
}
