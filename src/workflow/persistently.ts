// What is asked of the catalog for a run is asked again where it can't be reached: a server that restarts is no failure of the run. Whoever
// loses the run meanwhile is stopped by its signal. All that is asked so may be asked twice.
import { setTimeout as sleep } from 'node:timers/promises';

const pauseMs = 500;
/** Much longer than a lease, whose end aborts the signal: only what goes on while leases are renewed is a failure. */
const triesMax = 240;

/** Rejects with the signal's reason, or with the last failure. */
export async function persistently<Result>(work: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (tries === triesMax) throw error;
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}
