// Takes new bases beside a receiver. What a journal lost cuts off all later instants from the older backups, so the next one is
// taken by itself: once the stream goes on, one at a time, again and again with growing delays while it fails.
import { asError, isAppError } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import type { Sleep } from '../../storage/interruption.ts';

export interface BaseKeeperOptions {
  /** Repositories, by name. */
  readonly places: readonly string[];
  /** Why a place needs a new base by what it holds; undefined if it needs none. */
  readonly look: (place: string, signal: AbortSignal) => Promise<string | undefined>;
  readonly take: (place: string, reason: string, signal: AbortSignal) => Promise<void>;
  /** `delayMs` until it is tried again; undefined if it is not. */
  readonly onFailed: (failure: { readonly place: string; readonly error: Error; readonly delayMs?: number }) => void;
  readonly random: Random;
  readonly sleep: Sleep;
}

export const retryFirstMs = 15_000;
export const retryMaxMs = 3_600_000;

interface Need {
  /** Undefined until it was looked at whether there is one. */
  reason: string | undefined;
  /** Trying again would not help. */
  isGivenUp: boolean;
}

const needFor = (reason: string | undefined): Need => ({ reason, isGivenUp: false });

export class BaseKeeper implements AsyncDisposable {
  readonly #options: BaseKeeperOptions;
  readonly #stop = new AbortController();
  readonly #failed = new AbortController();
  readonly #needs: Map<string, Need>;
  #isStreaming = false;
  #work: Promise<void> | undefined;

  /** What a receiver before this one left undone is found by looking. */
  constructor(options: BaseKeeperOptions) {
    this.#options = options;
    this.#needs = new Map(options.places.map((place) => [place, needFor(undefined)]));
  }

  /** Why a base is still needed; undefined if none is known to be. */
  get needed(): string | undefined {
    return [...this.#needs.values()].find(({ reason }) => reason !== undefined)?.reason;
  }

  /** Aborts with a fault of the program, which must end the command and not pass unheard. */
  get signal(): AbortSignal {
    return this.#failed.signal;
  }

  /** From here on a base is needed: one that is being taken may not be new enough. */
  need(reason: string): void {
    this.#isStreaming = false;
    for (const place of this.#options.places) this.#needs.set(place, needFor(reason));
  }

  /** Changes come in: what follows a base that begins now will be kept. */
  streams(): void {
    this.#isStreaming = true;
    if (this.#open().length === 0 || this.#failed.signal.aborted) return;
    this.#work ??= this.#takeAll()
      .catch((error: unknown) => this.#failed.abort(asError(error)))
      .finally(() => (this.#work = undefined));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#work;
  }

  #open(): [string, Need][] {
    return [...this.#needs].filter(([, { isGivenUp }]) => !isGivenUp);
  }

  async #takeAll(): Promise<void> {
    const { random, sleep } = this.#options;
    const { signal } = this.#stop;
    let failures = 0;
    for (let open = this.#open(); this.#isStreaming && open.length > 0 && !signal.aborted; open = this.#open()) {
      const delayMs = Math.min(retryMaxMs, retryFirstMs * 2 ** failures) * (0.5 + random() / 2);
      let hasFailed = false;
      for (const [place, need] of open) {
        // Changes were lost meanwhile: another need has taken its place, and is met once they come in again.
        if (!this.#isStreaming || this.#needs.get(place) !== need) break;
        const isMet = await this.#tryToMeet(place, need, delayMs);
        if (isMet && this.#needs.get(place) === need) this.#needs.delete(place);
        hasFailed ||= !isMet;
      }
      failures = hasFailed ? failures + 1 : 0;
      if (hasFailed && this.#open().length > 0 && !signal.aborted)
        await sleep(delayMs, signal).catch(unlessAborted(signal));
    }
  }

  async #tryToMeet(place: string, need: Need, delayMs: number): Promise<boolean> {
    const { look, take, onFailed } = this.#options;
    const { signal } = this.#stop;
    try {
      need.reason ??= await look(place, signal);
      if (need.reason !== undefined) await take(place, need.reason, signal);
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      // It can't be backed up so that a journal fits: trying again would only fill the repository.
      need.isGivenUp = isAppError(error, 'SOURCE_UNSUPPORTED', 'CONFIG_INVALID');
      onFailed({ place, error: asError(error), ...(need.isGivenUp ? {} : { delayMs }) });
      return false;
    }
  }
}

/** A wait that was cut short is no failure. */
const unlessAborted =
  (signal: AbortSignal) =>
  (error: unknown): void => {
    if (!signal.aborted) throw asError(error);
  };
