// How the process of the server is: memory, processor, and how late its event loop is.
import { monitorEventLoopDelay } from 'node:perf_hooks';

export interface ProcessSample {
  readonly residentBytes: number;
  readonly heapUsedBytes: number;
  readonly cpuSeconds: number;
  readonly startedAtMs: number;
  /** Since the last look: the 99th of a hundred waits, and the longest. */
  readonly eventLoopP99Ms: number;
  readonly eventLoopMaxMs: number;
}

const resolutionMs = 20;

export class ProcessWatch implements Disposable {
  readonly #delay = monitorEventLoopDelay({ resolution: resolutionMs });

  constructor() {
    this.#delay.enable();
  }

  sample(): ProcessSample {
    const { rss, heapUsed } = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    // The timer's own pause is in what it counts.
    const lateMs = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - resolutionMs);
    const sample = {
      residentBytes: rss,
      heapUsedBytes: heapUsed,
      cpuSeconds: (user + system) / 1e6,
      startedAtMs: performance.timeOrigin,
      eventLoopP99Ms: this.#delay.count === 0 ? 0 : lateMs(this.#delay.percentile(99)),
      eventLoopMaxMs: this.#delay.count === 0 ? 0 : lateMs(this.#delay.max),
    };
    this.#delay.reset();
    return sample;
  }

  [Symbol.dispose](): void {
    this.#delay.disable();
  }
}
