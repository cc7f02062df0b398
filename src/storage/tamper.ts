// What somebody with our rights could do to the files of a store, tried on an object of our own; and what a store that knows no versions
// answers. No repository file has the name, so nothing of worth is touched.
import { AppError } from '../base/errors.ts';
import { throwIfAborted } from './interruption.ts';
import { isThere } from './is-there.ts';
import type { Store } from './store.ts';

export interface TamperTrial {
  /** What was tried, in two to five words. */
  readonly trial: string;
  /**
   * `refused`: the store said no. `kept`: it was done, and what was there before was read back. `allowed`: it was done, and data was lost, or
   * could now be. `inconclusive`: what came of it is not known.
   */
  readonly outcome: 'refused' | 'kept' | 'allowed' | 'not applicable' | 'inconclusive';
  readonly message: string;
  readonly hint?: string | undefined;
}

/** Until when the version that was written can't be destroyed. */
export type ObjectLock =
  | { readonly state: 'locked'; readonly mode: string; readonly untilMs: number }
  | { readonly state: 'none' }
  | { readonly state: 'unknown'; readonly message: string };

export interface TamperReport {
  readonly lock: ObjectLock;
  readonly trials: readonly TamperTrial[];
  /** What could not be removed afterwards, for people. */
  readonly left: readonly string[];
  /** Absent where what earlier tests left can't be seen, or nothing is locked there. */
  readonly earlier?: TamperLeftovers | undefined;
}

/** Of earlier tests, which were stopped, or whose object was locked. */
export interface TamperLeftovers {
  /** Versions and delete markers that could be removed now. */
  readonly removed: number;
  /** What could not, for people. */
  readonly left: readonly string[];
}

export const firstContent = Buffer.from('written by lifeboat storage test, first\n');
export const secondContent = Buffer.from('written by lifeboat storage test, second\n');

/** For a store that says no more than the contract does: a folder. */
export async function tamperWithStore(store: Store, name: string, signal: AbortSignal): Promise<TamperReport> {
  try {
    await store.put(name, [firstContent], { signal });
    const trials = await tamper(store, name, signal);
    const left = (await isThere(store, name, signal)) ? [`${store.properties.location}/${name}`] : [];
    return { lock: { state: 'none' }, trials, left };
  } catch (error) {
    // Not under the caller's signal: what is left of a test that was stopped is in nobody's interest. That it can't be removed says less than
    // why it was stopped.
    await store.remove(name, { signal: AbortSignal.timeout(cleanUpMaxMs) }).catch(() => undefined);
    throw error;
  }
}

const cleanUpMaxMs = 15_000;

async function tamper(store: Store, name: string, signal: AbortSignal): Promise<TamperTrial[]> {
  return [
    await tryOut('overwrite', signal, async () => {
      await store.put(name, [secondContent], { signal });
      const isOld = (await store.get(name, { signal })).equals(firstContent);
      if (isOld) return { outcome: 'kept', message: 'it was answered as done, and the first content is still there' };
      return { outcome: 'allowed', message: 'the first content is gone' };
    }),
    await tryOut('delete', signal, async () => {
      await store.remove(name, { signal });
      if (await isThere(store, name, signal))
        return { outcome: 'kept', message: 'it was answered as done, and it is still there' };
      return { outcome: 'allowed', message: 'it is gone' };
    }),
    notApplicable('destroy a version', 'a folder keeps no versions'),
  ];
}

async function tryOut(
  trial: string,
  signal: AbortSignal,
  act: () => Promise<Omit<TamperTrial, 'trial'>>,
): Promise<TamperTrial> {
  try {
    return { trial, ...(await act()) };
  } catch (error) {
    throwIfAborted(signal);
    if (!(error instanceof AppError)) throw error;
    const { code, message, hint } = error;
    if (code === 'STORE_DENIED' || code === 'STORE_READ_ONLY') return { trial, outcome: 'refused', message };
    return { trial, outcome: 'inconclusive', message, hint };
  }
}

export const notApplicable = (trial: string, message: string): TamperTrial => ({
  trial,
  outcome: 'not applicable',
  message,
});
