// What becomes of a run: it fails, is tried again, is cancelled, waits, is given up; on both kinds of catalog.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { AppError } from '../../src/base/errors.ts';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { eventsOf } from '../../src/catalog/run-events.ts';
import { cancelRun, findRun, insertRun, type NewRun, type RunRow } from '../../src/catalog/runs.ts';
import { sendSignal } from '../../src/catalog/signals.ts';
import { liveWorkers } from '../../src/catalog/workers.ts';
import type { Queue } from '../../src/workflow/queue.ts';
import type { RunContext } from '../../src/workflow/run-context.ts';
import { startWorker, type RunDefinition, type WorkerOptions } from '../../src/workflow/worker.ts';
import { describeWithCatalogs, openTestCatalog, queueFor, type TestCatalog } from '../support/catalogs.ts';

const leaseMs = 1500;
const anything = z.object({});
let kinds = 0;

describeWithCatalogs('a run', (make) => {
  let place: TestCatalog;
  let catalog: Catalog;
  let queue: Queue;
  beforeAll(async () => {
    place = await make();
    catalog = await openTestCatalog(place);
    queue = await queueFor(catalog, place.location);
  });
  afterAll(async () => {
    await queue[Symbol.asyncDispose]();
    await catalog[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  const parts = (): Omit<WorkerOptions, 'definitions'> => ({
    catalog,
    queue,
    name: 'test',
    version: '1.2.3',
    labels: [],
    runsMax: 2,
    random: () => 0.5,
    leaseMs,
    onProblem: (error) => expect.fail(error.message),
  });

  /** A worker for one kind of run, whose name is its own. */
  async function working(execute: RunDefinition['execute'], more: Partial<NewRun> = {}) {
    kinds += 1;
    const kind = `kind ${kinds}`;
    const worker = await startWorker({ ...parts(), definitions: { [kind]: { input: anything, execute } } });
    const id = await insertRun(catalog, { kind, input: {}, origin: { kind: 'test' }, ...more });
    await queue.offer({ id, labels: [], priority: 0, wakeAtMs: undefined });
    return { id, worker, [Symbol.asyncDispose]: () => worker[Symbol.asyncDispose]() };
  }

  async function until(id: string, isSo: (run: RunRow) => boolean): Promise<RunRow> {
    for (let tries = 0; tries < 200; tries += 1) {
      const run = await findRun(catalog, id);
      if (run !== undefined && isSo(run)) return run;
      await sleep(50);
    }
    throw new Error(`run ${id} never comes to that: ${JSON.stringify(await findRun(catalog, id))}`);
  }
  const untilState = (id: string, state: RunRow['state']): Promise<RunRow> => until(id, (run) => run.state === state);

  test('that is urgent waits for no slow one', async () => {
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    // So that no other worker takes it.
    const labels = ['of=urgent'];
    await using _ = await startWorker({
      ...parts(),
      labels,
      runsMax: 1,
      definitions: {
        'slow copy': { input: anything, execute: () => held.then(() => ({})) },
        urgent: { input: anything, execute: () => Promise.resolve({}) },
      },
    });
    const insert = (kind: string, priority: number): Promise<string> =>
      insertRun(catalog, { kind, input: {}, origin: { kind: 'test' }, labels, priority });
    try {
      const first = await insert('slow copy', 0);
      await untilState(first, 'running');
      const second = await insert('slow copy', 9);
      for (let times = 0; times < 2; times += 1) await untilState(await insert('urgent', 10), 'succeeded');
      const states = [first, second].map(async (id) => (await findRun(catalog, id))?.state);
      expect(await Promise.all(states)).toEqual(['running', 'queued']);
    } finally {
      release();
    }
  });

  test('that succeeds keeps its output and what it told, in order', async () => {
    await using at = await working(async (run) => {
      await run.tell('note', 'first');
      await Promise.all([run.tell('note', 'second'), run.tell('warning', 'x'.repeat(5000))]);
      return { done: await run.step('count', z.number(), () => Promise.resolve(7)) };
    });
    const run = await untilState(at.id, 'succeeded');
    expect([run.output, run.worker, run.leaseUntilMs]).toEqual(['{"done":7}', null, null]);
    const events = await eventsOf(catalog, { runId: at.id, after: 1, limit: 10 });
    expect(events.map(({ number, kind, text }) => [number, kind, text.length])).toEqual([
      [2, 'note', 6],
      [3, 'warning', 4001],
    ]);
    expect(await liveWorkers(catalog)).toMatchObject([{ id: at.worker.id, name: 'test', version: '1.2.3' }]);
  });

  test('that fails says why; one that may pass is begun again later, a fault of ours is not', async () => {
    const away = new AppError('STORE_UNREACHABLE', 's3 does not answer', { hint: 'Wait.' });
    await using passing = await working(() => Promise.reject(away), { attemptsMax: 2 });
    const waiting = await until(passing.id, ({ state, attempt }) => state === 'queued' && attempt === 1);
    expect(waiting.wakeAtMs).toBeGreaterThan(waiting.createdAtMs + 20_000);
    expect(JSON.parse(waiting.error ?? '')).toMatchObject({ code: 'STORE_UNREACHABLE', message: 's3 does not answer' });
    await using ours = await working(() => Promise.reject(new TypeError('x is undefined')), { attemptsMax: 9 });
    expect(JSON.parse((await untilState(ours.id, 'failed')).error ?? '')).toMatchObject({ code: 'DEFECT' });
  });

  test('begins nothing more where its machine stood still for longer than it may', async () => {
    const begun: string[] = [];
    await using at = await working(async (run) => {
      if (run.epoch === 1) {
        // As a process that is stopped, or a virtual machine that is moved: no timer runs meanwhile, and none before it goes on.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, leaseMs);
        await run.step('first', z.null(), () => {
          begun.push('stale');
          return Promise.resolve(null);
        });
      }
      run.requireLease();
      begun.push(`by ${run.epoch}`);
      return {};
    });
    await untilState(at.id, 'succeeded');
    expect(begun).toEqual(['by 2']);
  });

  test('that kills each of its workers is given up', async () => {
    const kind = 'deadly';
    const id = await insertRun(catalog, { kind, input: {}, origin: { kind: 'test' } });
    // As the last of many workers left it.
    await catalog.db
      .updateTable('run')
      .set({ state: 'running', epoch: 11, crashes: 10, worker: 'dead', leaseUntilMs: 0 })
      .where('id', '=', id)
      .execute();
    const execute = (): Promise<object> => expect.fail('it was begun once more');
    await using worker = await startWorker({ ...parts(), definitions: { [kind]: { input: anything, execute } } });
    expect(worker.id).not.toBe('');
    expect(JSON.parse((await untilState(id, 'failed')).error ?? '')).toMatchObject({ code: 'RUN_GIVEN_UP' });
  });

  test('is cancelled where it waits, and where it works', async () => {
    let reason: unknown;
    await using at = await working(async (run) => {
      try {
        await sleep(20_000, undefined, { signal: run.signal });
      } catch (error) {
        reason = run.signal.reason;
        throw error;
      }
      return {};
    });
    await untilState(at.id, 'running');
    expect(await cancelRun(catalog, at.id)).toBe('running');
    await untilState(at.id, 'cancelled');
    expect(String(reason)).toContain('was cancelled');
    const later = { kind: 'later', input: {}, origin: {}, wakeAtMs: 9e14 };
    expect(await cancelRun(catalog, await insertRun(catalog, later))).toBe('cancelled');
    expect(await cancelRun(catalog, 'no such run')).toBeUndefined();
  });

  test('waits without a worker for a signal, of which the first counts, or for its deadline', async () => {
    const waitFor = async (run: RunContext): Promise<object> => {
      const deadlineMs = (await catalog.nowMs()) + 1500;
      const late = await run.waitForSignal('never sent', { deadlineMs });
      return { late: late ?? null, answer: await run.waitForSignal('approval') };
    };
    let id: string;
    {
      await using at = await working(waitFor);
      id = at.id;
      const run = await untilState(id, 'waiting');
      expect([run.worker, run.waitsFor]).toEqual([null, 'never sent']);
      await until(id, ({ waitsFor }) => waitsFor === 'approval');
      expect(await sendSignal(catalog, { runId: id, topic: 'approval', data: { by: 'me' } })).toBe(true);
      expect(await sendSignal(catalog, { runId: id, topic: 'approval', data: { by: 'another' } })).toBe(false);
      expect(await sendSignal(catalog, { runId: 'none', topic: 'approval', data: 1 })).toBeUndefined();
      expect((await untilState(id, 'succeeded')).output).toBe('{"late":null,"answer":{"data":{"by":"me"}}}');
    }
  });

  test('goes on elsewhere when its worker ends', async () => {
    const lives: string[] = [];
    const execute = async (run: RunContext): Promise<object> => {
      const life = `epoch ${run.epoch}`;
      lives.push(life);
      await run.step('first', z.null(), () => Promise.resolve(null));
      if (lives.length === 1) await sleep(20_000, undefined, { signal: run.signal });
      return { life };
    };
    let kind: string;
    let id: string;
    {
      await using at = await working(execute);
      id = at.id;
      ({ kind } = await untilState(id, 'running'));
      while (lives.length === 0) await sleep(10);
    }
    expect(await findRun(catalog, id)).toMatchObject({ state: 'queued', attempt: 0, crashes: 0 });
    await using other = await startWorker({ ...parts(), definitions: { [kind]: { input: anything, execute } } });
    expect(other.id).not.toBe('');
    expect((await untilState(id, 'succeeded')).output).toBe('{"life":"epoch 2"}');
  });
});
