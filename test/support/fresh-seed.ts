// A seed for tests that try something else each time; printed, so that what failed can be tried again.
import { systemRandom } from '../../src/base/random.ts';

/** `what` is for the line printed: `kills with seed 4711`. */
export function freshSeed(what: string): number {
  const seed = Math.floor(systemRandom() * 2 ** 32);
  process.stdout.write(`${what} with seed ${seed}\n`);
  return seed;
}
