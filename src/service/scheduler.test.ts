// The scheduler in simulated time: every moment of every schedule once and on time, over a change to summer time, after a rest, and
// whatever two of them do at the same moment.
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Clock } from '../base/clock.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { openCatalog } from '../catalog/open-catalog.ts';
import { pauseSchedule, resumeSchedule } from '../catalog/schedules.ts';
import { parseConfiguration } from '../config/load.ts';
import { jobsOf } from '../model/job.ts';
import { timesBetween } from '../model/schedule-times.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { Scheduler } from './scheduler.ts';
import type { Tenant } from './tenant.ts';

const environment = { variables: {}, workingFolder: '/srv', homeFolder: '/root' };
const onProblem = (error: Error): never => expect.fail(error.message);
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

function tenantOf(text: string): Tenant {
  const path = '/srv/lifeboat.yaml';
  const { application, alerts, probes, unset } = parseConfiguration(text, { path, environment });
  return { application: { ...application, selfBackup: undefined }, configurationPath: path, alerts, probes, unset };
}

class Scene implements AsyncDisposable {
  nowMs: number;
  readonly clock: Clock = { now: () => this.nowMs };
  readonly #stack = new AsyncDisposableStack();
  catalog!: Catalog;
  tenant: Tenant;
  scheduler!: Scheduler;

  private constructor(tenant: Tenant, nowMs: number) {
    this.tenant = tenant;
    this.nowMs = nowMs;
  }

  static async open(tenant: Tenant, start: string): Promise<Scene> {
    const scene = new Scene(tenant, Date.parse(start));
    const folder = scene.#stack.use(await temporaryFolder());
    const location = { path: join(folder.path, 'catalog.sqlite'), url: undefined };
    scene.catalog = scene.#stack.use(await openCatalog(location, scene.clock));
    scene.restart();
    await scene.scheduler.look();
    return scene;
  }

  restart(): void {
    this.scheduler = new Scheduler({
      catalog: this.catalog,
      tenants: () => [this.tenant],
      onStarted: () => undefined,
      onProblem,
    });
  }

  /** As the service does, whose steps are seconds; each run has ended before the next moment. */
  async pass(durationMs: number, stepMs: number, endsRuns = true): Promise<void> {
    const endMs = this.nowMs + durationMs;
    while (this.nowMs < endMs) {
      this.nowMs = Math.min(endMs, this.nowMs + stepMs);
      await this.scheduler.look();
      if (endsRuns)
        await this.catalog.db.updateTable('run').set({ state: 'succeeded' }).where('state', '=', 'queued').execute();
    }
  }

  /** When each started its runs: what was planned, and when it happened. */
  async firings(): Promise<{ id: string; plannedAtMs: number; lateMs: number; isRun: boolean }[]> {
    const rows = await this.catalog.db.selectFrom('firing').selectAll().orderBy('plannedAtMs').execute();
    return rows.map(({ scheduleId, plannedAtMs, firedAtMs, runId }) => ({
      id: scheduleId,
      plannedAtMs,
      lateMs: firedAtMs - plannedAtMs,
      isRun: runId !== null,
    }));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

test('a day with 200 components over a change to summer time: each moment of each schedule, once, on time', async () => {
  const schedules = [
    "{ cron: '30 2 * * *', timeZone: Europe/Berlin }",
    '{ every: 4h }',
    "{ window: '03:00-04:00', timeZone: Europe/Berlin }",
    "{ cron: '0 9 * * MON#1', timeZone: America/New_York, jitter: 10m }",
    "[{ cron: '0 */6 * * *' }, { every: 5h }]",
  ];
  const components = Array.from(
    { length: 200 },
    (_, at) => `  c${at}: { type: files, paths: [./c${at}], policy: p${at % schedules.length} }`,
  );
  const policies = schedules.map((schedule, at) => `  p${at}: { schedule: ${schedule} }`);
  const tenant = tenantOf(
    [
      'application: shop',
      'repositories: { local: { location: ./repo } }',
      'policies:',
      ...policies,
      'components:',
      ...components,
    ].join('\n'),
  );
  // 29 March 2026, 02:00 in Berlin does not exist.
  await using scene = await Scene.open(tenant, '2026-03-28T20:00:00Z');
  const startMs = scene.nowMs;
  await scene.pass(24 * hourMs, 30_000);
  const expected = jobsOf(tenant.application).flatMap(({ id, seed, schedules: own }) =>
    timesBetween(own, { after: startMs, until: scene.nowMs, seed, max: 1000 }).map((time) => `shop/${id} ${time}`),
  );
  const firings = await scene.firings();
  expect(firings.map(({ id, plannedAtMs }) => `${id} ${plannedAtMs}`).toSorted()).toEqual(expected.toSorted());
  expect(firings.length).toBeGreaterThan(600);
  expect(firings.filter(({ lateMs, isRun }) => lateMs < 0 || lateMs > 30_000 || !isRun)).toEqual([]);
});

const hourly = (cron: string): Tenant =>
  tenantOf(`
application: shop
repositories: { local: { location: ./repo } }
components: { files: { type: files, paths: [./data], policy: { schedule: { cron: '${cron}', timeZone: UTC } } } }`);

test('after a rest what was missed is begun once, and the rest of it is noted', async () => {
  await using scene = await Scene.open(hourly('0 * * * *'), '2026-01-01T00:30:00Z');
  await scene.pass(hourMs, minuteMs);
  scene.nowMs += 5 * hourMs + minuteMs;
  scene.restart();
  await scene.scheduler.look();
  const firings = await scene.firings();
  expect(firings.map(({ isRun }) => isRun)).toEqual([true, false, false, false, false, true]);
  const runs = await scene.catalog.db.selectFrom('run').select('origin').orderBy('id').execute();
  expect(runs.map(({ origin }) => JSON.parse(origin) as unknown)).toMatchObject([{ missed: 0 }, { missed: 4 }]);
});

test('a moment at which the one before is still at it is left out, and said so', async () => {
  await using scene = await Scene.open(hourly('0 * * * *'), '2026-01-01T00:30:00Z');
  await scene.pass(3 * hourMs, minuteMs, false);
  expect((await scene.firings()).map(({ isRun }) => isRun)).toEqual([true, false, false]);
});

test('two servers that look at the same moment start a run once', async () => {
  await using scene = await Scene.open(hourly('0 * * * *'), '2026-01-01T00:30:00Z');
  const parts = { catalog: scene.catalog, tenants: () => [scene.tenant], onStarted: () => undefined, onProblem };
  const others = [new Scheduler(parts), new Scheduler(parts), scene.scheduler];
  await Promise.all(others.map((one) => one.look()));
  scene.nowMs += hourMs;
  await Promise.all(others.map((one) => one.look()));
  expect(await scene.catalog.db.selectFrom('run').select('id').execute()).toHaveLength(1);
});

test('what comes in a pause is left out, whether it ends by itself or not', async () => {
  await using scene = await Scene.open(hourly('0 * * * *'), '2026-01-01T00:30:00Z');
  const id = 'shop/backup/files';
  expect(await pauseSchedule(scene.catalog, { id, untilMs: scene.nowMs + 2 * hourMs })).toBe(true);
  await scene.pass(3 * hourMs, minuteMs);
  await pauseSchedule(scene.catalog, { id, untilMs: undefined });
  await scene.pass(3 * hourMs, minuteMs);
  await resumeSchedule(scene.catalog, id);
  await scene.pass(hourMs, minuteMs);
  const hours = (await scene.firings()).map(({ plannedAtMs }) => new Date(plannedAtMs).getUTCHours());
  expect(hours).toEqual([3, 7]);
  expect(await pauseSchedule(scene.catalog, { id: 'no such schedule', untilMs: undefined })).toBe(false);
});

test('S3-08 what comes in the maintenance of its component begins once, at its end', async () => {
  const tenant = tenantOf(`
application: shop
repositories: { local: { location: ./repo } }
components:
  files:
    type: files
    paths: [./data]
    policy: { schedule: { cron: '*/20 * * * *', timeZone: UTC } }
    maintenance: [{ window: 'sun:04:00-sun:05:00', timeZone: UTC }]`);
  await using scene = await Scene.open(tenant, '2026-01-04T03:30:00Z');
  await scene.pass(30 * minuteMs - 1, minuteMs / 2);
  scene.restart();
  await scene.pass(61 * minuteMs, minuteMs / 2);
  const firings = await scene.firings();
  const shown = firings.map(({ plannedAtMs, lateMs, isRun }) => [
    new Date(plannedAtMs + lateMs).toISOString().slice(11, 16),
    isRun,
  ]);
  expect(shown).toEqual([
    ['03:40', true],
    ['05:00', false],
    ['05:00', false],
    ['05:00', false],
    ['05:00', true],
  ]);
});

test('a schedule that is changed begins anew: nothing of it was missed before it was there', async () => {
  await using scene = await Scene.open(hourly('0 22 * * *'), '2026-01-01T08:30:00Z');
  await scene.pass(hourMs, minuteMs);
  scene.tenant = hourly('0 9 * * *');
  await scene.pass(hourMs, minuteMs);
  expect(await scene.firings()).toEqual([]);
  await scene.pass(24 * hourMs, minuteMs);
  expect(await scene.firings()).toHaveLength(1);
});

test('the state of the service is backed up for the first of its applications alone, where it is not turned off', async () => {
  await using scene = await Scene.open(
    tenantOf('{application: none, repositories: {r: {location: /r}}, components: {}}'),
    '2026-03-01T00:00Z',
  );
  const tenants = ['shop', 'crm'].map((name): Tenant => {
    const text = `{application: ${name}, repositories: {a: {location: /a}, b: {location: /b}}, components: {}}`;
    return { ...parseConfiguration(text, { path: '/x.yaml', environment }), configurationPath: '/x.yaml' };
  });
  const parts = { catalog: scene.catalog, tenants: () => tenants, onStarted: () => undefined, onProblem };
  const scheduler = new Scheduler(parts);
  await scheduler.look();
  scene.nowMs += 24 * hourMs;
  await scheduler.look();
  const firings = await scene.firings();
  expect(firings.map(({ id }) => id).toSorted()).toEqual(['shop/self-backup/a', 'shop/self-backup/b']);
});

test('two servers that are configured differently keep nothing from being done', async () => {
  const textOf = (every: string): string => `
application: shop
repositories: { local: { location: ./repo } }
components:
  c:
    type: files
    paths: [./c]
    policy: { schedule: { every: ${every} } }
    maintenance: [{ window: '01:00-02:00', timeZone: UTC }]
`;
  await using scene = await Scene.open(tenantOf(textOf('10m')), '2026-11-28T00:00:00Z');
  const other = tenantOf(textOf('25m'));
  const second = new Scheduler({
    catalog: scene.catalog,
    tenants: () => [other],
    onStarted: () => undefined,
    onProblem,
  });
  for (let minute = 0; minute < 300; minute += 1) {
    await second.look();
    await scene.pass(minuteMs, minuteMs);
  }
  const [job] = jobsOf(scene.tenant.application);
  const [slower] = jobsOf(other.application);
  const until = scene.nowMs - minuteMs;
  const planned = [job, slower].flatMap((one) => {
    if (one === undefined) throw new Error('it has a job');
    return timesBetween(one.schedules, { after: scene.nowMs - 280 * minuteMs, until, seed: one.seed, max: 100 });
  });
  const fired = new Set((await scene.firings()).map(({ plannedAtMs }) => plannedAtMs));
  expect(planned.length).toBeGreaterThan(30);
  expect(planned.filter((atMs) => !fired.has(atMs))).toEqual([]);
});
