// When jobs come next, for whoever asks again and again: working out cron text costs more than all else in an answer. Moments depend on
// nothing but the schedules, the seed and the instant asked about, so what was worked out stays true until the first of them passes.
import type { Job } from './job.ts';
import { nextTimes } from './schedule-times.ts';

interface Kept {
  readonly afterMs: number;
  readonly times: readonly number[];
}

/** The first moments of a job after an instant, as `nextTimes` has them. A job that is configured anew is another one. */
export class KeptTimes {
  readonly #count: number;
  readonly #kept = new WeakMap<Job, Kept>();

  constructor(count: number) {
    this.#count = count;
  }

  after(job: Job, afterMs: number): readonly number[] {
    const known = this.#kept.get(job);
    if (known !== undefined && afterMs >= known.afterMs && afterMs < (known.times[0] ?? Infinity)) return known.times;
    const times = nextTimes(job.schedules, { after: afterMs, seed: job.seed }).take(this.#count).toArray();
    this.#kept.set(job, { afterMs, times });
    return times;
  }
}
