// What the API says of applications, backups, schedules and metrics, and the runs that it starts; on both kinds of catalog where
// that may differ. The commands that it would ask are replaced here; test/acceptance asks real ones.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { auditEntries } from '../../src/catalog/audit-entries.ts';
import { claimRun, endRun, findRun, insertRun } from '../../src/catalog/runs.ts';
import { saveSightings } from '../../src/catalog/sightings.ts';
import { signalsOf } from '../../src/catalog/signals.ts';
import { saveStandings } from '../../src/catalog/standings.ts';
import { ProcessWatch } from '../../src/monitoring/metrics/process-sample.ts';
import type { Tenant } from '../../src/service/tenant.ts';
import { apiScene, sceneTenants, snapshotIdOf, type Answer, type ApiScene } from '../support/api-scene.ts';
import { describeWithCatalogs } from '../support/catalogs.ts';

type Items = readonly Readonly<Record<string, unknown>>[];
const itemsOf = ({ json }: Answer): Items => json['items'] as Items;
const runsOf = ({ json }: Answer): { id: string; kind: string; component: string; state: string }[] =>
  json['runs'] as never;

/** When a job comes next is another moment as soon as one has passed. */
const timeless = (item: Items[number]): object => ({ ...item, next: undefined });

/** All items of a list, page after page. */
async function inPages(api: ApiScene, path: string, token: string): Promise<Items> {
  const items: Items[number][] = [];
  for (let cursor: string | undefined = ''; cursor !== undefined;) {
    const page = await api.ask('GET', cursor === '' ? path : `${path}&cursor=${cursor}`, { token });
    expect(page.status).toBe(200);
    items.push(...itemsOf(page));
    cursor = page.json['nextCursor'] as string | undefined;
  }
  return items;
}

describeWithCatalogs('what the API has of applications', (make) => {
  let api: ApiScene;
  let viewer: string;
  let operator: string;
  let approver: string;
  beforeAll(async () => {
    api = await apiScene({}, make);
    viewer = await api.tokenOf('viewer', ['shop']);
    operator = await api.tokenOf('operator', ['shop']);
    approver = await api.tokenOf('approver', ['shop']);
    const nowMs = await api.catalog.nowMs();
    const restore = { rtoMs: 60_000, restoreMs: 5000, restoreAtMs: nowMs, restoreLowMs: 4000, restoreHighMs: 9000 };
    const seen = { application: 'shop', hint: null, rpoMs: 3_600_000, ...restore };
    const standingAt = (seenAtMs: number, standing: string, ageMs: number) =>
      saveStandings(api.catalog, 'shop', [
        { ...seen, component: 'database', standing, reason: `is ${standing}`, ageMs, seenAtMs },
      ]);
    await standingAt(nowMs - 7_200_000, 'protected', 60_000);
    await standingAt(nowMs - 1000, 'overdue', 4_000_000);
    const repository = { repository: 'local', snapshots: 7, storedBytes: 12_345, problem: null, seenAtMs: nowMs };
    const proof = { component: 'database', outcome: 'passed', message: 'all rows equal', atMs: nowMs - 5000 };
    await saveSightings(api.catalog, 'shop', { repositories: [repository], proofs: [proof] });
  });
  afterAll(() => api[Symbol.asyncDispose]());

  test('components say how they stand, why, and how they stood', async () => {
    const listed = itemsOf(await api.ask('GET', '/api/v1/components', { token: viewer }));
    expect(listed.map(({ application, name, standing }) => [application, name, standing])).toEqual([
      ['shop', 'database', 'overdue'],
      ['shop', 'uploads', 'unknown'],
    ]);
    const path = '/api/v1/applications/shop/components/database';
    const shown = await api.ask('GET', path, { token: viewer });
    expect(shown.json).toMatchObject({ reason: 'is overdue', rpoMs: 3_600_000, proof: { outcome: 'passed' } });
    expect(shown.json).toMatchObject({ restore: { tookMs: 5000, expectedMs: [4000, 9000] } });
    const samples = (shown.json['samples'] as Items).map(({ standing, ageMs, restoreMs }) => [
      standing,
      ageMs,
      restoreMs,
    ]);
    const first = ['protected', 60_000, 5000];
    expect(samples).toEqual([first, ['overdue', 4_000_000, 5000]]);
    const since = new Date((await api.catalog.nowMs()) - 60_000).toISOString();
    expect((await api.ask('GET', `${path}?since=${since}`, { token: viewer })).json['samples']).toHaveLength(1);
    const only = await api.ask('GET', '/api/v1/components?standing=overdue', { token: viewer });
    expect(itemsOf(only)).toHaveLength(1);
  });

  test('applications, policies and repositories are as they are configured, and as they were seen', async () => {
    const [application, ...others] = itemsOf(await api.ask('GET', '/api/v1/applications', { token: viewer }));
    expect([application?.['name'], application?.['components'], others]).toEqual(['shop', ['database', 'uploads'], []]);
    const all = await api.tokenOf('viewer');
    expect(itemsOf(await api.ask('GET', '/api/v1/applications', { token: all }))).toHaveLength(2);
    const [policy] = itemsOf(await api.ask('GET', '/api/v1/policies', { token: viewer }));
    expect(policy).toMatchObject({
      component: 'database',
      schedules: ['every 30m'],
      repositories: [{ name: 'local' }],
    });
    const [repository] = itemsOf(await api.ask('GET', '/api/v1/repositories', { token: viewer }));
    expect(repository).toMatchObject({ name: 'local', snapshots: 7, storedBytes: 12_345 });
    expect(repository?.['outlives']).toEqual(['deletion', 'corruption']);
    const [worker] = itemsOf(await api.ask('GET', '/api/v1/workers', { token: all }));
    expect(worker).toMatchObject({ id: 'worker-1', name: 'host-1' });
  });

  test('lists of what is configured come in pages, each thing once, in its order, of what one may see', async () => {
    const all = await api.tokenOf('viewer');
    for (const path of ['/api/v1/components', '/api/v1/policies', '/api/v1/schedules']) {
      const whole = await api.ask('GET', path, { token: all });
      expect([itemsOf(whole).length >= 4, whole.json['nextCursor']]).toEqual([true, undefined]);
      expect((await inPages(api, `${path}?limit=1`, all)).map(timeless)).toEqual(itemsOf(whole).map(timeless));
      expect(await inPages(api, `${path}?limit=3&application=forum`, viewer)).toEqual([]);
      // A place in what one may not see is no place at all.
      const ofForum = `application=forum&limit=1`;
      const { nextCursor } = (await api.ask('GET', `${path}?${ofForum}`, { token: all })).json;
      const foreign = await api.ask('GET', `${path}?cursor=${String(nextCursor)}`, { token: viewer });
      expect(foreign).toMatchObject({ status: 400, json: { code: 'REQUEST_INVALID' } });
    }
    const unknown = itemsOf(await api.ask('GET', '/api/v1/components?standing=unknown', { token: all }));
    expect(unknown.map(({ application, name }) => `${String(application)}/${String(name)}`)).toEqual([
      'shop/uploads',
      'forum/database',
      'forum/uploads',
    ]);
    expect(await inPages(api, '/api/v1/components?standing=unknown&limit=2', all)).toEqual(unknown);
    const proofs = itemsOf(await api.ask('GET', '/api/v1/schedules?kind=proof', { token: all }));
    expect((await inPages(api, '/api/v1/schedules?kind=proof&limit=1', all)).map(timeless)).toEqual(
      proofs.map(timeless),
    );
  });

  test('the history of backups comes newest first, in pages, of the own application', async () => {
    const path = '/api/v1/system/backup/history';
    const first = await api.ask('GET', `${path}?limit=1`, { token: viewer });
    expect(itemsOf(first)).toEqual([
      expect.objectContaining({ id: snapshotIdOf('shop', 'database'), type: 'postgres', isVerified: false }),
    ]);
    const cursor = String(first.json['nextCursor']);
    const second = await api.ask('GET', `${path}?limit=1&cursor=${cursor}`, { token: viewer });
    expect(itemsOf(second).map(({ id }) => id)).toEqual([snapshotIdOf('shop', 'uploads')]);
    expect(second.json['nextCursor']).toBeUndefined();
    const early = await api.ask('GET', '/api/v1/recovery-points?until=2026-11-20T12:00:00Z', { token: viewer });
    expect(itemsOf(early).map(({ component }) => component)).toEqual(['uploads']);
  });

  test('a backup of everything is one run for each component, once for each idempotency key', async () => {
    const body = { type: 'full', description: '--yes' };
    const headers = { 'idempotency-key': 'backup-1' };
    const asked = await api.ask('POST', '/api/v1/system/backup', { token: operator, body, headers });
    expect(runsOf(asked).map(({ kind, component, state }) => [kind, component, state])).toEqual([
      ['backup', 'database', 'queued'],
      ['backup', 'uploads', 'queued'],
    ]);
    const again = await api.ask('POST', '/api/v1/system/backup', { token: operator, body, headers });
    expect(again.text).toBe(asked.text);
    const stored = await findRun(api.catalog, runsOf(asked)[0]?.id ?? '');
    expect(JSON.parse(stored?.input ?? '')).toMatchObject({ job: 'backup/database', description: '--yes' });
    const cache = await api.ask('POST', '/api/v1/system/backup', { token: operator, body: { type: 'cache' } });
    expect(cache).toMatchObject({ status: 404, json: { detail: 'shop has no component of type cache' } });
    const all = await api.tokenOf('operator');
    const unsaid = await api.ask('POST', '/api/v1/system/backup', { token: all, body: { type: 'full' } });
    expect(unsaid).toMatchObject({ status: 400, json: { hint: 'Name one as application.' } });
    const started = await auditEntries(api.catalog, { action: 'run.started', applications: ['shop'], limit: 10 });
    expect(started).toHaveLength(2);
  });

  test('a backup is verified by a real restore of that very one, or by a look at its repository', async () => {
    const id = snapshotIdOf('shop', 'database');
    const ask = (body: object) => api.ask('POST', '/api/v1/system/backup/verify', { token: operator, body });
    const proof = await findRun(api.catalog, runsOf(await ask({ backupId: id.slice(0, 8) }))[0]?.id ?? '');
    expect([proof?.kind, JSON.parse(proof?.input ?? '')]).toEqual([
      'proof',
      expect.objectContaining({ job: 'proof/database', point: { snapshot: id, repository: 'local' } }),
    ]);
    const look = await findRun(api.catalog, runsOf(await ask({ backupId: id, level: 'data' }))[0]?.id ?? '');
    expect(JSON.parse(look?.input ?? '')).toMatchObject({ job: 'verification/local/data' });
    // Neither one of another application, nor the state of the service itself.
    for (const foreign of [snapshotIdOf('forum', 'database'), 'e'.repeat(64)]) {
      expect((await ask({ backupId: foreign })).status).toBe(404);
    }
    expect((await ask({ backupId: '../../etc' })).status).toBe(400);
  });

  test('a restore over the original waits for somebody who may approve it and names the component', async () => {
    const backupId = snapshotIdOf('shop', 'database');
    const ask = (token: string, body: object) =>
      api.ask('POST', '/api/v1/system/backup/restore', { token, body: { backupId, ...body } });
    expect((await ask(viewer, {})).status).toBe(403);
    expect((await ask(operator, { type: 'files' })).json).toMatchObject({ code: 'REQUEST_INVALID' });
    expect((await ask(operator, { confirm: 'uploads' })).json).toMatchObject({ code: 'CONFIRMATION_NEEDED' });
    // Who may only ask does not approve by a word more.
    const [run] = runsOf(await ask(operator, { type: 'database', confirm: 'database' }));
    expect(await signalsOf(api.catalog, run?.id ?? '')).toEqual(new Map());
    const approve = (token: string, confirm: string) =>
      api.ask('POST', `/api/v1/runs/${run?.id ?? ''}/approve`, { token, body: { confirm } });
    expect((await approve(operator, 'database')).status).toBe(403);
    expect((await approve(approver, 'shop')).json).toMatchObject({ code: 'CONFIRMATION_NEEDED' });
    expect(await signalsOf(api.catalog, run?.id ?? '')).toEqual(new Map());
    expect((await approve(approver, 'database')).status).toBe(202);
    expect(await signalsOf(api.catalog, run?.id ?? '')).toEqual(new Map([['approval', { by: 'approver of shop' }]]));
    expect(await auditEntries(api.catalog, { action: 'run.approved', limit: 10 })).toHaveLength(1);
    const [own] = runsOf(await ask(approver, { confirm: 'database' }));
    expect((await signalsOf(api.catalog, own?.id ?? '')).size).toBe(1);
    // Nothing is replaced beside: nobody is asked, and nobody can approve it.
    const [beside] = runsOf(await ask(operator, { target: 'beside' }));
    const nothing = await api.ask('POST', `/api/v1/runs/${beside?.id ?? ''}/approve`, {
      token: approver,
      body: { confirm: 'database' },
    });
    expect(nothing).toMatchObject({ status: 400, json: { code: 'REQUEST_INVALID' } });
  });

  test('a job is started by its name, and a schedule paused and resumed', async () => {
    const wish = { job: 'proof/uploads' };
    const [run] = runsOf(await api.ask('POST', '/api/v1/runs', { token: operator, body: wish }));
    expect(run).toMatchObject({ kind: 'proof', component: 'uploads' });
    const unknown = await api.ask('POST', '/api/v1/runs', { token: operator, body: { job: 'no/job' } });
    expect(unknown).toMatchObject({ status: 404, json: { detail: expect.stringContaining('no/job') as string } });
    for (const body of [{}, { job: 'proof/uploads', before: 'deployment' }])
      expect((await api.ask('POST', '/api/v1/runs', { token: operator, body })).status).toBe(400);
    const nothing = await api.ask('POST', '/api/v1/runs', { token: operator, body: { before: 'moonrise' } });
    expect(nothing).toMatchObject({
      status: 404,
      json: { hint: expect.stringContaining('before: moonrise') as string },
    });
    // A misspelt filter does not show everything.
    const misspelt = await api.ask('GET', '/api/v1/runs?compnent=database', { token: viewer });
    expect(misspelt).toMatchObject({ status: 400, json: { code: 'REQUEST_INVALID' } });
    const path = '/api/v1/schedules/shop/backup%2Fdatabase';
    const paused = await api.ask('POST', `${path}/pause`, { token: operator, body: {} });
    expect(paused.json).toMatchObject({ isPaused: true, next: [] });
    const until = '2999-01-01T00:00:00.000Z';
    await api.ask('POST', `${path}/pause`, { token: operator, body: { until } });
    const [listed] = itemsOf(await api.ask('GET', '/api/v1/schedules?kind=backup', { token: viewer }));
    expect(listed).toMatchObject({
      job: 'backup/database',
      pausedUntil: until,
      next: expect.arrayContaining([expect.stringMatching(/^2999-01-01T00:/)]) as [],
    });
    const resumed = await api.ask('POST', `${path}/resume`, { token: operator });
    expect(resumed.json).toMatchObject({ isPaused: false, next: expect.any(Array) as [] });
    expect((resumed.json['next'] as unknown[]).length).toBe(3);
    const done = await auditEntries(api.catalog, { target: 'backup/database', limit: 10 });
    expect(done.map(({ action }) => action)).toEqual(['schedule.resumed', 'schedule.paused', 'schedule.paused']);
  });

  test('metrics tell ages, standings, runs and sizes, to each what concerns them', async () => {
    const run = await insertRun(api.catalog, { kind: 'copy', application: 'shop', input: {}, origin: {} });
    const claimed = await claimRun(api.catalog, run, { worker: 'worker-1', leaseMs: 60_000, kinds: ['copy'] });
    await endRun(api.catalog, { id: run, epoch: claimed?.epoch ?? 0 }, { state: 'succeeded', output: {} });
    const own = await api.ask('GET', '/metrics', { token: await api.tokenOf('viewer', ['shop'], ['metrics.read']) });
    expect(own.headers.get('content-type')).toContain('text/plain; version=0.0.4');
    const lines = own.text.split('\n');
    for (const line of [
      'lifeboat_component_standing{application="shop",component="database",standing="overdue"} 1',
      'lifeboat_component_standing{application="shop",component="database",standing="protected"} 0',
      'lifeboat_component_rpo_objective_seconds{application="shop",component="database"} 3600',
      'lifeboat_repository_added_bytes{application="shop",repository="local"} 12345',
      'lifeboat_runs_last_day{application="shop",kind="copy",state="succeeded"} 1',
      'lifeboat_schedule_paused{application="shop",job="backup/database"} 0',
    ]) {
      expect(lines).toContain(line);
    }
    const age = /rpo_age_seconds\{application="shop",component="database"\} ([\d.]+)/.exec(own.text)?.[1];
    expect(Number(age)).toBeGreaterThanOrEqual(4000);
    expect(own.text).not.toMatch(/forum|lifeboat_workers|process_/);
    const whole = await api.ask('GET', '/metrics', { token: await api.tokenOf('viewer') });
    expect(whole.text).toMatch(/\nlifeboat_workers 1\n/);
    expect(whole.text).toMatch(/\nlifeboat_process_resident_bytes \d+\n/);
    expect(whole.text).toContain('application="forum"');
    const json = await api.ask('GET', '/api/v1/system/metrics', { token: viewer });
    const names = (json.json['metrics'] as { name: string }[]).map(({ name }) => name);
    expect(names.every((name) => own.text.includes(`# TYPE ${name} gauge`))).toBe(true);
    expect(names.length).toBeGreaterThan(10);
  });
});

describe('a configuration that is read anew', () => {
  test('is what lists show from then on, and a place that is gone is refused', async () => {
    let tenants = sceneTenants;
    using watch = new ProcessWatch();
    await using api = await apiScene({
      service: {
        tenants: () => tenants,
        answers: { ask: () => Promise.reject(new Error('nobody is asked here')), changed: () => undefined },
        processSample: () => watch.sample(),
        offer: () => Promise.resolve(),
      },
    });
    const token = await api.tokenOf('viewer');
    const names = async (path: string, key: string) =>
      itemsOf(await api.ask('GET', path, { token })).map((item) => item[key]);
    expect(await names('/api/v1/schedules?kind=backup', 'job')).toEqual(
      sceneTenants.flatMap(() => ['backup/database', 'backup/uploads']),
    );
    const { nextCursor } = (await api.ask('GET', '/api/v1/components?limit=1', { token })).json;
    const [shop] = sceneTenants as [Tenant];
    const { application } = shop;
    const components = application.components.filter(({ name }) => name === 'uploads');
    tenants = [{ ...shop, application: { ...application, components } }];
    expect(await names('/api/v1/schedules?kind=backup', 'job')).toEqual(['backup/uploads']);
    expect(await names('/api/v1/components', 'name')).toEqual(['uploads']);
    const gone = await api.ask('GET', `/api/v1/components?cursor=${String(nextCursor)}`, { token });
    expect(gone).toMatchObject({ status: 400, json: { detail: 'the cursor is none of this list' } });
  });
});

describe('metrics', () => {
  test('are counted once for all who ask in the same second', async () => {
    await using api = await apiScene();
    const token = await api.tokenOf('viewer');
    const ask = async () => (await api.ask('GET', '/metrics', { token })).text;
    // A slow machine may take more than a second between two answers, but not each time.
    const isShared = async (): Promise<boolean> => {
      const [first, second] = [await ask(), await ask()];
      return first === second && first.includes('process_cpu_seconds_total');
    };
    await expect.poll(isShared, { timeout: 20_000 }).toBe(true);
    const before = await ask();
    await expect.poll(ask, { timeout: 20_000 }).not.toBe(before);
  });
});

describe('anomalies', () => {
  test('an odd backup is shown to all, and accepted by who may let old ones go', async () => {
    await using api = await apiScene();
    const viewer = await api.tokenOf('viewer', ['shop']);
    const operator = await api.tokenOf('operator', ['shop']);
    const approver = await api.tokenOf('approver', ['shop']);
    const odd = { application: 'shop', component: 'database', snapshot: snapshotIdOf('shop', 'database') };
    const listed = itemsOf(await api.ask('GET', '/api/v1/anomalies?component=database', { token: viewer }));
    expect(listed).toEqual([expect.objectContaining(odd)]);
    expect(itemsOf(await api.ask('GET', '/api/v1/anomalies?component=cache', { token: viewer }))).toEqual([]);
    const body = { snapshot: odd.snapshot.slice(0, 8) };
    const path = '/api/v1/anomalies/accept';
    expect((await api.ask('POST', path, { token: operator, body })).status).toBe(403);
    const accepted = await api.ask('POST', path, { token: approver, body });
    expect(accepted).toMatchObject({
      status: 200,
      json: { accepted: [{ component: 'database', repository: 'local' }] },
    });
    const [entry] = await auditEntries(api.catalog, { action: 'anomaly.accepted', limit: 1 });
    expect(entry).toMatchObject({ target: body.snapshot, application: 'shop' });
  });
});

describe('health', () => {
  test('is told to strangers in words without names, and 503 where the database is away', async () => {
    await using api = await apiScene();
    expect((await api.ask('GET', '/status')).json).toEqual({ status: 'unknown', version: '1.2.3' });
    const well = await api.ask('GET', '/health/detailed');
    expect([well.status, well.json['status']]).toEqual([200, 'ok']);
    expect(well.text).not.toMatch(/shop|forum|srv/);
    const token = await api.tokenOf('viewer', ['shop']);
    const databases = await api.ask('GET', '/api/v1/system/health/database', { token });
    expect(databases).toMatchObject({
      status: 200,
      json: { status: 'healthy', databases: [{ application: 'shop', component: 'database', status: 'healthy' }] },
    });
    await api.catalog.db.schema.dropTable('worker').execute();
    const ill = await api.ask('GET', '/health/detailed');
    expect(ill).toMatchObject({ status: 503, json: { status: 'failed' } });
    expect(ill.text).not.toContain('SQLITE');
    expect(api.problems.length).toBe(1);
  });
});
