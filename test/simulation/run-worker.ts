// A worker as a process of its own, to be killed: its runs write what they do to a file, so that the parent sees who did what under which
// epoch, whatever the catalog says.
import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { systemClock } from '../../src/base/clock.ts';
import { seededRandom, systemRandom } from '../../src/base/random.ts';
import { openCatalog, type CatalogLocation } from '../../src/catalog/open-catalog.ts';
import type { RunContext } from '../../src/workflow/run-context.ts';
import { defineRun, startWorker } from '../../src/workflow/worker.ts';
import { queueFor } from '../support/catalogs.ts';

export interface WorkerWish {
  readonly location: CatalogLocation;
  readonly effects: string;
  readonly leaseMs: number;
  readonly labels: readonly string[];
}

/** One line of the file of effects. */
export interface Effect {
  readonly run: string;
  readonly step: string;
  readonly epoch: number;
  readonly what: 'begun' | 'done' | 'stopped';
  /** Milliseconds of the machine's monotonic clock, which all its processes share. */
  readonly atMs: number;
}

export const inputSchema = z.object({
  seed: z.number(),
  steps: z.number(),
  /** Waits for this signal in the middle. */
  topic: z.string().optional(),
});

const stepMaxMs = 120;
const pauseMaxMs = 1500;

async function work(
  run: RunContext,
  { seed, steps, topic }: z.output<typeof inputSchema>,
  effects: string,
): Promise<object> {
  const random = seededRandom(seed);
  const tell = (step: string, what: Effect['what']): void => {
    const atMs = Number(process.hrtime.bigint() / 1_000_000n);
    appendFileSync(
      effects,
      `${JSON.stringify({ run: run.id, step, epoch: run.epoch, what, atMs } satisfies Effect)}\n`,
    );
  };
  const outputs: number[] = [];
  for (let number = 0; number < steps; number += 1) {
    const name = `step ${number}`;
    const delayMs = random() * stepMaxMs;
    const output = await run.step(name, z.number(), async ({ signal, handle, remember }) => {
      if (handle === undefined) await remember({ first: run.epoch });
      tell(name, 'begun');
      try {
        await sleep(delayMs, undefined, { signal });
      } catch (error) {
        tell(name, 'stopped');
        throw error;
      }
      tell(name, 'done');
      return number * 10;
    });
    outputs.push(output);
    if (random() < 0.3) await run.sleepUntil(`pause ${number}`, systemClock.now() + random() * pauseMaxMs);
    if (topic !== undefined && number === Math.floor(steps / 2)) {
      const signal = await run.waitForSignal(topic);
      outputs.push(z.number().parse(signal?.data));
    }
    await run.tell('note', `${name} is done`);
  }
  return { outputs };
}

const [text] = process.argv.slice(2);
if (text !== undefined && process.send !== undefined) {
  const { location, effects, leaseMs, labels } = JSON.parse(text) as WorkerWish;
  const catalog = await openCatalog(location, systemClock);
  const queue = await queueFor(catalog, location);
  await startWorker({
    catalog,
    queue,
    definitions: {
      work: defineRun({ input: inputSchema, execute: (run, input) => work(run, input, effects) }),
    },
    name: 'simulated',
    version: '0',
    labels,
    runsMax: 4,
    random: systemRandom,
    leaseMs,
    onProblem: () => undefined, // What can't be done now is tried again.
  });
  process.send('ready');
}
