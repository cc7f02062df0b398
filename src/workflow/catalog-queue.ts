// The queue of a single process: the table of runs itself, looked at when something was offered, when a run has
// ended, and every second: runs become due, and other processes put some there.
import { asError } from '../base/errors.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { claimableRuns } from '../catalog/runs.ts';
import { Repeating } from './repeating.ts';
import { fits, hasRoom, isUrgent, type OfferedRun, type Queue, type Subscription } from './queue.ts';

const lookEveryMs = 1000;
/** Of those that wait; the rest is seen when some of them are gone. */
const candidatesMax = 100;

export interface CatalogQueueOptions {
  /** The catalog could not be read, or a run not be taken; it is tried again. */
  readonly onProblem: (error: Error) => void;
}

export class CatalogQueue implements Queue {
  readonly #catalog: Catalog;
  readonly #options: CatalogQueueOptions;
  readonly #subscribers = new Set<CatalogSubscriber>();

  constructor(catalog: Catalog, options: CatalogQueueOptions) {
    this.#catalog = catalog;
    this.#options = options;
  }

  offer(_run: OfferedRun): Promise<void> {
    for (const subscriber of this.#subscribers) subscriber.wake();
    return Promise.resolve();
  }

  subscribe(subscription: Subscription): Promise<AsyncDisposable> {
    const subscriber = new CatalogSubscriber(this.#catalog, subscription, this.#options);
    this.#subscribers.add(subscriber);
    return Promise.resolve({
      [Symbol.asyncDispose]: async () => {
        this.#subscribers.delete(subscriber);
        await subscriber[Symbol.asyncDispose]();
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#subscribers].map((subscriber) => subscriber[Symbol.asyncDispose]()));
  }
}

class CatalogSubscriber implements AsyncDisposable {
  readonly #catalog: Catalog;
  readonly #subscription: Subscription;
  readonly #options: CatalogQueueOptions;
  readonly #taken = new Map<string, { readonly isUrgent: boolean; readonly ended: Promise<void> }>();
  readonly #looking: Repeating;

  constructor(catalog: Catalog, subscription: Subscription, options: CatalogQueueOptions) {
    this.#catalog = catalog;
    this.#subscription = subscription;
    this.#options = options;
    this.#looking = new Repeating({ everyMs: lookEveryMs, work: () => this.#look(), onProblem: options.onProblem });
  }

  wake(): void {
    this.#looking.wake();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#looking[Symbol.asyncDispose]();
    await Promise.all([...this.#taken.values()].map(({ ended }) => ended));
  }

  async #look(): Promise<void> {
    for (const run of await claimableRuns(this.#catalog, candidatesMax)) {
      if (this.#looking.isClosed) return;
      const found = { isUrgent: isUrgent(run) };
      if (this.#taken.has(run.id) || !fits(this.#subscription, run)) continue;
      if (!hasRoom(this.#subscription, [...this.#taken.values()], found)) continue;
      this.#taken.set(run.id, { ...found, ended: this.#take(run.id) });
    }
  }

  async #take(id: string): Promise<void> {
    try {
      await this.#subscription.take(id);
    } catch (error) {
      this.#options.onProblem(asError(error));
    } finally {
      this.#taken.delete(id);
      this.wake();
    }
  }
}
