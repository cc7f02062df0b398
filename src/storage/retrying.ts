// Tries again what failed for a reason that passes: exponential back-off with full jitter, so that many clients which
// failed together do not come back together.
import { isAppError, type AppError } from '../base/errors.ts';
import { systemRandom, type Random } from '../base/random.ts';
import { systemSleep, throwIfAborted, type Sleep } from './interruption.ts';
import type { Store } from './store.ts';

export interface RetryPolicy {
  /** Tries in all; 8 if absent, which is up to about a minute of waiting. */
  readonly attemptsMax?: number;
  /** Longest wait before the second try, doubled for each further one; 500 ms if absent. */
  readonly delayFirstMs?: number;
  /** Longest wait before any try; 20 s if absent. */
  readonly delayMaxMs?: number;
  readonly random?: Random;
  readonly sleep?: Sleep;
  /** Told of each failure that is about to be tried again. */
  readonly onRetry?: (failure: AppError, attempt: number) => void;
}

/** Every call may be repeated, since objects are replaced whole: a lost answer costs a second write of the same bytes. */
export function retryingStore(inner: Store, policy: RetryPolicy = {}): Store {
  const retrier = makeRetrier(policy);
  return {
    properties: inner.properties,
    get: (name, options) => retrier.run(() => inner.get(name, options), options?.signal),
    put: (name, parts, options) => retrier.run(() => inner.put(name, parts, options), options?.signal),
    stat: (name, options) => retrier.run(() => inner.stat(name, options), options?.signal),
    remove: (name, options) => retrier.run(() => inner.remove(name, options), options?.signal),

    async *list(prefix, options) {
      // A listing that breaks off starts afresh; what the caller has seen is left out.
      const seen = new Set<string>();
      for (let attempt = 1; ; attempt += 1) {
        const countBefore = seen.size;
        try {
          for await (const found of inner.list(prefix, options)) {
            if (seen.has(found.name)) continue;
            seen.add(found.name);
            yield found;
          }
          return;
        } catch (error) {
          // One that gets further each time is not stuck, so the count of tries begins anew.
          if (seen.size > countBefore) attempt = 1;
          await retrier.waitAfter(error, attempt, options?.signal);
        }
      }
    },

    settle: inner.settle,
    removeUnfinished: inner.removeUnfinished,
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}

interface Retrier {
  run<T>(operation: () => Promise<T>, signal: AbortSignal | undefined): Promise<T>;
  /** Waits until the next try is due; throws `error` if there is to be none. */
  waitAfter(error: unknown, attempt: number, signal: AbortSignal | undefined): Promise<void>;
}

function makeRetrier(policy: RetryPolicy): Retrier {
  const { attemptsMax = 8, delayFirstMs = 500, delayMaxMs = 20_000 } = policy;
  const { random = systemRandom, sleep = systemSleep, onRetry } = policy;

  async function waitAfter(error: unknown, attempt: number, signal: AbortSignal | undefined): Promise<void> {
    if (!isPassing(error) || attempt >= attemptsMax) throw error;
    throwIfAborted(signal);
    onRetry?.(error, attempt);
    await sleep(random() * Math.min(delayMaxMs, delayFirstMs * 2 ** (attempt - 1)), signal);
  }

  return {
    waitAfter,
    async run(operation, signal) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await operation();
        } catch (error) {
          await waitAfter(error, attempt, signal);
        }
      }
    },
  };
}

/** A missing object, a refusal or a full disk stays so; what is not ours is a fault of the program. */
function isPassing(error: unknown): error is AppError {
  return isAppError(error, 'STORE_UNREACHABLE', 'STORE_FAILED');
}
