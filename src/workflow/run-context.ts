// What the function of a run is given: steps that are done once, waits that survive a restart, and a signal that says when to stop.
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Catalog } from '../catalog/catalog.ts';
import type { Hold } from '../catalog/runs.ts';
import { parkUntil, signalsOf } from '../catalog/signals.ts';
import { beginStep, finishStep, stepsOf, type StepRow } from '../catalog/steps.ts';
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
}

/** Waits that are shorter are waited for in place: parking costs more. */
const parkMinMs = 1000;

export async function openRunContext({ catalog, hold, attempt, signal }: RunContextParts): Promise<RunContext> {
  const known = new Map((await stepsOf(catalog, hold.id)).map((step) => [step.name, step]));
  const used = new Set<string>();
  const telling = await RunTelling.open(catalog, { hold, signal });
  const keep = (isHeld: boolean): void => {
    if (!isHeld) throw new RunFenced(hold);
  };
  async function finish(name: string, output: unknown): Promise<void> {
    keep(await finishStep(catalog, hold, { name, output }));
  }
  /** A function that begins anew computes its moments anew. */
  async function firstMoment(name: string, earlier: StepRow | undefined, atMs: number): Promise<number> {
    if (earlier?.handle != null) return z.number().parse(JSON.parse(earlier.handle));
    const moment = Math.round(atMs);
    keep(await beginStep(catalog, hold, { name, handle: moment }));
    return moment;
  }
  return {
    ...hold,
    attempt,
    signal,
    async step(name, schema, work) {
      signal.throwIfAborted();
      claimName(used, name);
      const earlier = known.get(name);
      if (earlier?.state === 'done') return schema.parse(outputOf(earlier));
      keep(await beginStep(catalog, hold, { name }));
      const handle: unknown = earlier?.handle == null ? undefined : JSON.parse(earlier.handle);
      const remember = async (next: object): Promise<void> =>
        keep(await beginStep(catalog, hold, { name, handle: next }));
      const output = await work({ handle, signal, remember });
      signal.throwIfAborted();
      await finish(name, output);
      return output;
    },
    async sleepUntil(name, atMs) {
      signal.throwIfAborted();
      claimName(used, name);
      const earlier = known.get(name);
      if (earlier?.state === 'done') return;
      const wakeAtMs = await firstMoment(name, earlier, atMs);
      const leftMs = wakeAtMs - (await catalog.nowMs());
      if (leftMs > parkMinMs) await park(catalog, hold, { topic: undefined, wakeAtMs });
      if (leftMs > 0) await sleep(leftMs, undefined, { signal });
      await finish(name, null);
    },
    async waitForSignal(topic, { deadlineMs } = {}) {
      signal.throwIfAborted();
      const name = `signal ${topic}`;
      claimName(used, name);
      const earlier = known.get(name);
      if (earlier?.state === 'done') return (outputOf(earlier) as { readonly data: unknown } | null) ?? undefined;
      const wakeAtMs = deadlineMs === undefined ? undefined : await firstMoment(name, earlier, deadlineMs);
      for (;;) {
        const signals = await signalsOf(catalog, hold.id);
        const found = signals.has(topic) ? { data: signals.get(topic) } : undefined;
        if (found !== undefined || (wakeAtMs !== undefined && wakeAtMs <= (await catalog.nowMs()))) {
          await finish(name, found ?? null);
          return found;
        }
        await park(catalog, hold, { topic, wakeAtMs });
      }
    },
    tell: (kind, text) => telling.tell(kind, text),
    progress: (progress) => telling.progress(progress),
  };
}

function claimName(used: Set<string>, name: string): void {
  if (used.has(name)) throw new Error(`two steps of a run are named '${name}'`);
  used.add(name);
}

const outputOf = ({ output }: StepRow): unknown => (output === null ? null : JSON.parse(output));

/** Comes back only if the signal is there already. */
async function park(catalog: Catalog, hold: Hold, until: Parameters<typeof parkUntil>[2]): Promise<void> {
  const outcome = await parkUntil(catalog, hold, until);
  if (outcome === 'parked') throw new RunParked(hold);
  if (outcome === 'lost') throw new RunFenced(hold);
}
