// What the function of a run is given: steps that are done once, waits that survive a restart, and a signal that says when to stop.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Catalog } from '../catalog/catalog.ts';
import type { Hold } from '../catalog/runs.ts';
import { parkUntil, signalsOf } from '../catalog/signals.ts';
import { beginStep, finishStep, stepsOf, type StepRow } from '../catalog/steps.ts';
import { persistently } from './persistently.ts';
import { RunTelling } from './run-telling.ts';
import { RunFenced, RunParked } from './run-stops.ts';

export interface StepContext {
  /** What an earlier attempt at this step stored by `remember`; undefined at the first. */
  readonly handle: unknown;
  readonly signal: AbortSignal;
  /** Stores how to find again what is about to begin outside, before it begins. */
  readonly remember: (handle: object) => Promise<void>;
}

export interface RunContext {
  readonly id: string;
  /** Goes up with each worker that takes the run. */
  readonly epoch: number;
  readonly attempt: number;
  /** Aborts where the run is cancelled or no longer this worker's: whatever goes on then must end at once. */
  readonly signal: AbortSignal;
  /**
   * Rejects work that can't be taken back, such as a process, where the lease was not confirmed lately. `signal` hears of that by a timer:
   * a machine that stood still goes on with what it was at before any timer does.
   */
  requireLease(): void;
  /**
   * Runs `work` unless it was done before this process, and returns what it returned. A process that dies in the middle makes it run
   * again: it looks at `handle` then. Names are unique in a run.
   */
  step<Output>(name: string, schema: z.ZodType<Output>, work: (step: StepContext) => Promise<Output>): Promise<Output>;
  /** Waits without a process; the run goes on in any worker. The moment that was given first counts. */
  sleepUntil(name: string, atMs: number): Promise<void>;
  /** The data of the signal, which may have come long before; undefined after the deadline, of which the first that was given counts. */
  waitForSignal(
    topic: string,
    options?: { readonly deadlineMs?: number | undefined },
  ): Promise<{ readonly data: unknown } | undefined>;
  tell(kind: string, text: string): Promise<void>;
  /** How far it is just now: each word replaces the last one. What can't be written is no reason to stop. */
  progress(progress: object): void;
}

export interface RunContextParts {
  readonly catalog: Catalog;
  readonly hold: Hold;
  readonly attempt: number;
  readonly signal: AbortSignal;
  /** Aborts the signal if the lease was not confirmed lately. */
  readonly lookAtLease: () => void;
}

/** Waits that are shorter are waited for in place: parking costs more. */
const parkMinMs = 1000;

export async function openRunContext(parts: RunContextParts): Promise<RunContext> {
  const { catalog, hold, signal } = parts;
  const ask = <Result>(work: () => Promise<Result>): Promise<Result> => persistently(work, signal);
  const steps = await ask(() => stepsOf(catalog, hold.id));
  const telling = await ask(() => RunTelling.open(catalog, { hold, signal }));
  return new CatalogRunContext(parts, { steps, telling });
}

class CatalogRunContext implements RunContext {
  readonly id: string;
  readonly epoch: number;
  readonly attempt: number;
  readonly signal: AbortSignal;
  readonly #catalog: Catalog;
  readonly #hold: Hold;
  readonly #lookAtLease: () => void;
  readonly #telling: RunTelling;
  /** As they were when this worker took the run. */
  readonly #known: ReadonlyMap<string, StepRow>;
  readonly #used = new Set<string>();

  constructor(
    { catalog, hold, attempt, signal, lookAtLease }: RunContextParts,
    { steps, telling }: { readonly steps: readonly StepRow[]; readonly telling: RunTelling },
  ) {
    this.id = hold.id;
    this.epoch = hold.epoch;
    this.attempt = attempt;
    this.signal = signal;
    this.#catalog = catalog;
    this.#hold = hold;
    this.#lookAtLease = lookAtLease;
    this.#telling = telling;
    this.#known = new Map(steps.map((step) => [step.name, step]));
  }

  async step<Output>(
    name: string,
    schema: z.ZodType<Output>,
    work: (step: StepContext) => Promise<Output>,
  ): Promise<Output> {
    const earlier = this.#open(name);
    if (earlier?.state === 'done') return schema.parse(outputOf(earlier));
    await this.#begin(name);
    this.requireLease();
    const handle: unknown = earlier?.handle == null ? undefined : JSON.parse(earlier.handle);
    const { signal } = this;
    const output = await work({ handle, signal, remember: (next) => this.#begin(name, next) });
    signal.throwIfAborted();
    await this.#finish(name, output);
    return output;
  }

  requireLease(): void {
    this.#lookAtLease();
    this.signal.throwIfAborted();
  }

  async sleepUntil(name: string, atMs: number): Promise<void> {
    const earlier = this.#open(name);
    if (earlier?.state === 'done') return;
    const wakeAtMs = await this.#firstMoment(name, earlier, atMs);
    const leftMs = wakeAtMs - (await this.#nowMs());
    if (leftMs > parkMinMs) await this.#park({ topic: undefined, wakeAtMs });
    if (leftMs > 0) await sleep(leftMs, undefined, { signal: this.signal });
    await this.#finish(name, null);
  }

  async waitForSignal(
    topic: string,
    { deadlineMs }: { readonly deadlineMs?: number | undefined } = {},
  ): Promise<{ readonly data: unknown } | undefined> {
    const name = `signal ${topic}`;
    const earlier = this.#open(name);
    if (earlier?.state === 'done') return (outputOf(earlier) as { readonly data: unknown } | null) ?? undefined;
    const wakeAtMs = deadlineMs === undefined ? undefined : await this.#firstMoment(name, earlier, deadlineMs);
    for (;;) {
      const signals = await this.#ask(() => signalsOf(this.#catalog, this.id));
      const found = signals.has(topic) ? { data: signals.get(topic) } : undefined;
      if (found !== undefined || (wakeAtMs !== undefined && wakeAtMs <= (await this.#nowMs()))) {
        await this.#finish(name, found ?? null);
        return found;
      }
      await this.#park({ topic, wakeAtMs });
    }
  }

  tell(kind: string, text: string): Promise<void> {
    return this.#telling.tell(kind, text);
  }

  progress(progress: object): void {
    this.#telling.progress(progress);
  }

  #ask<Result>(work: () => Promise<Result>): Promise<Result> {
    return persistently(work, this.signal);
  }

  #nowMs(): Promise<number> {
    return this.#ask(() => this.#catalog.nowMs());
  }

  #open(name: string): StepRow | undefined {
    this.signal.throwIfAborted();
    assert.ok(!this.#used.has(name), `two steps of a run are named '${name}'`);
    this.#used.add(name);
    return this.#known.get(name);
  }

  async #begin(name: string, handle?: unknown): Promise<void> {
    const isHeld = await this.#ask(() => beginStep(this.#catalog, this.#hold, { name, handle }));
    if (!isHeld) throw new RunFenced(this.#hold);
  }

  async #finish(name: string, output: unknown): Promise<void> {
    const isHeld = await this.#ask(() => finishStep(this.#catalog, this.#hold, { name, output }));
    if (!isHeld) throw new RunFenced(this.#hold);
  }

  /** A function that begins anew computes its moments anew: the first counts. */
  async #firstMoment(name: string, earlier: StepRow | undefined, atMs: number): Promise<number> {
    if (earlier?.handle != null) return z.number().parse(JSON.parse(earlier.handle));
    const moment = Math.round(atMs);
    await this.#begin(name, moment);
    return moment;
  }

  /** Comes back only if the signal is there already. */
  async #park(until: Parameters<typeof parkUntil>[2]): Promise<void> {
    const outcome = await this.#ask(() => parkUntil(this.#catalog, this.#hold, until));
    if (outcome === 'parked') throw new RunParked(this.#hold);
    if (outcome === 'lost') throw new RunFenced(this.#hold);
  }
}

const outputOf = ({ output }: StepRow): unknown => (output === null ? null : JSON.parse(output));
