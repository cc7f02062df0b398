// A store that can be made slow, unreliable or absent while it is in use.
import { AppError } from '../../src/base/errors.ts';
import type { Random } from '../../src/base/random.ts';
import { systemSleep } from '../../src/storage/interruption.ts';
import type { CallOptions, Store } from '../../src/storage/store.ts';

export interface Weather {
  isDown: boolean;
  delayMs: number;
  /** Chance that a call fails, half of them after it was done. */
  faultChance: number;
}

export const fair = (): Weather => ({ isDown: false, delayMs: 0, faultChance: 0 });

/** Closing it leaves the inner store open: the test looks into it afterwards. */
export function weatherStore(inner: Store, weather: Weather, random: Random): Store {
  async function through<T>(options: CallOptions | undefined, work: () => Promise<T>): Promise<T> {
    if (weather.delayMs > 0) await systemSleep(weather.delayMs * random(), options?.signal);
    if (weather.isDown) throw away('it is away');
    const fails = random() < weather.faultChance;
    if (fails && random() < 0.5) throw away('it failed before');
    const answer = await work();
    if (fails) throw away('it failed afterwards');
    return answer;
  }
  return {
    properties: inner.properties,
    get: (name, options) => through(options, () => inner.get(name, options)),
    put: (name, parts, options) => through(options, () => inner.put(name, parts, options)),
    stat: (name, options) => through(options, () => inner.stat(name, options)),
    remove: (name, options) => through(options, () => inner.remove(name, options)),
    async *list(prefix, options) {
      yield* await through(options, () => Array.fromAsync(inner.list(prefix, options)));
    },
    async [Symbol.asyncDispose]() {},
  };
}

function away(what: string): AppError {
  return new AppError('STORE_UNREACHABLE', `simulated: ${what}`, { hint: 'Wait.' });
}
