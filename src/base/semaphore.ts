// Bounds how many things run at once, or how many bytes are held at once.

export class Semaphore {
  readonly #permitsMax: number;
  #permits: number;
  readonly #waiting: { readonly wanted: number; readonly wake: () => void }[] = [];

  constructor(permitsMax: number) {
    this.#permitsMax = permitsMax;
    this.#permits = permitsMax;
  }

  /** Waits for `wanted` permits (more than there are count as all); first come, first served. */
  async acquire(wanted = 1): Promise<Disposable> {
    const count = Math.min(wanted, this.#permitsMax);
    if (this.#waiting.length > 0 || this.#permits < count) {
      await new Promise<void>((wake) => this.#waiting.push({ wanted: count, wake }));
    } else {
      this.#permits -= count;
    }
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (isHeld) this.#release(count);
        isHeld = false;
      },
    };
  }

  #release(count: number): void {
    this.#permits += count;
    for (let next = this.#waiting[0]; next !== undefined && next.wanted <= this.#permits; next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#permits -= next.wanted;
      next.wake();
    }
  }
}
