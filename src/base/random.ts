// Randomness enters through a parameter: unpredictable in production, repeatable from a seed in tests.
import { randomBytes } from 'node:crypto';

/** Returns a number in [0, 1). */
export type Random = () => number;

export const systemRandom: Random = () => randomBytes(4).readUInt32LE(0) / 2 ** 32;

/** A repeatable generator (mulberry32): the same numbers for the same seed, never for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
