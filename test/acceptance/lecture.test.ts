// The lecture platform: two customers of one template, each with all that their plan promises, measured. What is promised is looked at
// from both sides: kept by acme, whose backups are just young enough, and broken by globex, whose are just too old.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { openCatalog } from '../../src/catalog/open-catalog.ts';
import { hourMs, saveLook } from '../../src/catalog/probe-states.ts';
import type { AlertsShowData } from '../../src/cli/commands/alerts-show.ts';
import type { AvailabilityData } from '../../src/cli/commands/availability.ts';
import type { CheckData } from '../../src/cli/commands/check.ts';
import type { ProveData } from '../../src/cli/commands/prove.ts';
import type { RestoreAllData } from '../../src/cli/commands/restore-all.ts';
import type { RetentionData } from '../../src/cli/commands/retention.ts';
import type { ScheduleData } from '../../src/cli/commands/schedule.ts';
import type { StatusData } from '../../src/cli/commands/status.ts';
import { saveProof } from '../../src/cli/proofs.ts';
import { loadSnapshots } from '../../src/repository/snapshot.ts';
import { customers, postgresMajor, startLecture, type Customer, type LectureScene } from '../support/lecture-scene.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import { noSignal } from '../support/repository.ts';
import { describeWithS3 } from '../support/s3-server.ts';
import { eventually, startServerWith, type ServerProcess } from '../support/server-process.ts';
import { describeWith } from '../support/tools.ts';

const minuteMs = 60_000;
const dayMs = 24 * hourMs;

/** As the document has them. */
const promised = [
  { component: 'web', rpoMs: 60 * minuteMs, rtoMs: 4 * hourMs, percent: 99.9 },
  { component: 'database', rpoMs: 15 * minuteMs, rtoMs: 2 * hourMs, percent: 99.95 },
  { component: 'storage', rpoMs: 5 * minuteMs, rtoMs: hourMs, percent: 99.99 },
  { component: 'authentication', rpoMs: 30 * minuteMs, rtoMs: hourMs, percent: 99.9 },
  { component: 'api', rpoMs: 30 * minuteMs, rtoMs: 2 * hourMs, percent: 99.9 },
];
/** By tier, in each as the template has them: by the alphabet, which is another order. */
const inOrder = 'authentication database api storage web analytics reporting documentation logs'.split(' ');

function define(): () => LectureScene {
  let scene: LectureScene;

  beforeAll(async () => {
    scene = await startLecture();
    const named = { acme: inOrder, globex: promised.map(({ component }) => component) };
    for (const customer of customers)
      expect(await scene.run(customer, 'backup', ...named[customer], '--quiet')).toMatchObject({ exitCode: 0 });
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  const pathOf = (customer: Customer, ...names: string[]): string => join(scene.folder, 'files', customer, ...names);
  const snapshotsOf = (customer: Customer) => loadSnapshots(scene.repositories[customer].primary, noSignal);

  test(
    'S4-007 S4-008 S4-009 S4-010 the whole environment of a customer comes back in the order of its tiers',
    { timeout: 120_000 },
    async () => {
      for (const name of ['web', 'content', 'analytics', 'reporting', 'documentation', 'logs', 'api'])
        rmSync(pathOf('acme', name), { recursive: true });
      await scene.postgres.sql('lecture_acme', 'DROP TABLE courses', 'DELETE FROM users');
      await scene.postgres.sql('auth_acme', 'DROP TABLE credentials');
      const { restores, exitCode } = await scene.json<RestoreAllData>('acme', 'restore-all', '--yes');
      expect(restores.map(({ snapshot }) => snapshot.component)).toEqual(inOrder);
      expect([exitCode, restores.flatMap(({ error }) => error ?? [])]).toEqual([0, []]);
      const count = 'SELECT (SELECT count(*) FROM users)::int AS users, (SELECT count(*) FROM courses)::int AS courses';
      expect(await scene.postgres.sql('lecture_acme', count)).toEqual([{ users: 40, courses: 60 }]);
      expect(await scene.postgres.sql('auth_acme', 'SELECT count(*)::int AS n FROM credentials')).toEqual([{ n: 40 }]);
    },
  );

  /** `behindMs`: how much older than promised the newest backups are. */
  async function ageAll(customer: Customer, behindMs: number): Promise<void> {
    for (const { component, rpoMs } of promised)
      await scene.age(customer, component, { atMs: systemClock.now() - rpoMs - behindMs });
  }

  /** As if restores of all had taken a second longer than they may. */
  async function slowProofs(customer: Customer): Promise<void> {
    for (const snapshot of await snapshotsOf(customer)) {
      const wish = promised.find(({ component }) => component === snapshot.lifeboat?.component);
      if (wish === undefined) continue;
      const { component, rtoMs } = wish;
      const nothing = { restoredBytes: 1, compared: 1, rows: 0, differences: [], checks: [] };
      const said = {
        outcome: 'passed',
        message: 'slow',
        sandbox: 'none',
        program: 'test',
        time: new Date().toISOString(),
      } as const;
      const durationSeconds = rtoMs / 1000 + 1;
      const { tree, id } = snapshot;
      const proof = { version: 1, component, tree, snapshot: id, durationSeconds, ...said, ...nothing } as const;
      await saveProof(scene.repositories[customer].primary, proof, noSignal);
    }
  }

  /** Each probe has looked 100 000 times, so many of them in vain. */
  async function seeProbes(customer: Customer, down: number): Promise<void> {
    const path = join(scene.folder, '.local/state/lifeboat/catalog.sqlite');
    await using catalog = await openCatalog({ path, url: undefined }, systemClock);
    const nowMs = systemClock.now();
    const application = `lecture-${customer}`;
    for (const component of promised.map((one) => one.component)) {
      const probe = { web: 'web', api: 'api', authentication: 'sign-in', storage: 'content' }[component] ?? component;
      const looked = { outcome: 'up', isFlapping: 0, message: 'works', hint: null, latencyMs: 1, facts: '{}' } as const;
      const state = { application, probe, component, ...looked, sinceMs: nowMs, seenAtMs: nowMs, recent: '["up"]' };
      await saveLook(catalog, { state, outcome: 'up' });
      const hour = { application, probe, hourMs: nowMs - (nowMs % hourMs) - 2 * dayMs, degraded: 0, unknown: 0 };
      await catalog.db
        .insertInto('probeHour')
        .values({ ...hour, up: 100_000 - down, down, latencies: '[]' })
        .execute();
    }
  }

  test(
    'S4-002 S4-003 S4-004 S4-005 S4-006 RPO, RTO and availability of each service are told kept where they are, and broken where they are not',
    { timeout: 120_000 },
    async () => {
      const proven = await scene.json<ProveData>('acme', 'prove');
      expect([proven.exitCode, proven.proofs.length]).toEqual([0, inOrder.length]);
      await ageAll('acme', -2 * minuteMs);
      await ageAll('globex', 1);
      await slowProofs('globex');
      const [kept, broken] = [
        await scene.json<StatusData>('acme', 'status'),
        await scene.json<StatusData>('globex', 'status'),
      ];
      for (const { component, rpoMs, rtoMs } of promised) {
        const [good, bad] = [kept, broken].map(({ components }) => components.find(({ name }) => name === component));
        expect(good).toMatchObject({ rpo: 'met', rpoMs, rto: 'met', rtoMs, proof: { outcome: 'passed' } });
        expect(good?.restore?.lastMs).toBeGreaterThan(0);
        expect(bad).toMatchObject({ rpo: 'breached', rto: 'breached', restore: { lastMs: rtoMs + 1000 } });
        expect(bad?.ageMs).toBeLessThan(rpoMs + 5 * minuteMs);
      }
      expect([kept.exitCode, broken.exitCode]).toEqual([0, 30]);
      // 99.92 %: enough for three of them; 99.999 % for all.
      await seeProbes('acme', 1);
      await seeProbes('globex', 80);
      const [up, down] = [
        await scene.json<AvailabilityData>('acme', 'availability'),
        await scene.json<AvailabilityData>('globex', 'availability'),
      ];
      expect([up.exitCode, down.exitCode]).toEqual([0, 30]);
      const below = down.probes.filter(({ percent = 0, objectivePercent = 0 }) => percent < objectivePercent);
      expect(new Set(below.map(({ component }) => component))).toEqual(new Set(['database', 'storage']));
      for (const { component, percent } of promised)
        expect(up.probes.find((probe) => probe.component === component)).toMatchObject({ objectivePercent: percent });
      // Not only today: the schedules can keep it.
      const { contradictions, subjects } = await scene.json<CheckData>('acme', 'check');
      expect([contradictions, subjects.find(({ subject }) => subject === 'configuration')?.findings[1]]).toEqual([
        0,
        { aspect: 'template', outcome: 'passed', message: join(scene.folder, 'template.yaml') },
      ]);
    },
  );

  /** How many days before the newest the backups of the database are that stay, and those that go. */
  async function retained(customer: Customer, days: readonly number[]): Promise<{ stay: number[]; go: number[] }> {
    const newest = (await snapshotsOf(customer)).findLast(({ lifeboat }) => lifeboat?.component === 'database');
    const newestMs = Date.parse(newest?.time ?? '');
    for (const age of days) await scene.age(customer, 'database', { atMs: newestMs - age * dayMs, stays: true });
    const { repositories } = await scene.json<RetentionData>(customer, 'retention', '--yes', '--repository', 'primary');
    const ages = (snapshots: readonly { readonly time: string }[]): number[] =>
      snapshots.map(({ time }) => Math.round((newestMs - Date.parse(time)) / dayMs));
    const shown = repositories[0]?.snapshots.filter(({ component }) => component === 'database') ?? [];
    const left = (await snapshotsOf(customer)).filter(({ lifeboat }) => lifeboat?.component === 'database');
    return { stay: ages(left), go: ages(shown.filter(({ keep }) => !keep)) };
  }

  test(
    'S4-014 S4-015 backups of production stay for 30 days, those of staging for 7',
    { timeout: 120_000 },
    async () => {
      expect(await retained('acme', [29, 31])).toEqual({ stay: [29, 0], go: [31] });
      expect(await retained('globex', [6, 8])).toEqual({ stay: [6, 0], go: [8] });
    },
  );

  return () => scene;
}

interface Run {
  readonly id: string;
  readonly application: string;
  readonly component: string;
  readonly kind: string;
  readonly state: string;
}

/** Every line of the document's contacts: telephone and mail of the first one, and of the one behind them. */
const internal = [
  { role: 'dr-coordinator', phones: ['+15550000001', '+15550000002'], mails: ['dr-lead', 'dr-backup'] },
  { role: 'database-administrator', phones: ['+15550000003', '+15550000004'], mails: ['dba', 'dba-backup'] },
  { role: 'infrastructure-lead', phones: ['+15550000005', '+15550000006'], mails: ['infra-lead', 'infra-backup'] },
  { role: 'security-officer', phones: ['+15550000007', '+15550000008'], mails: ['security', 'security-backup'] },
];
const external = ['enterprise-support@aws.example', '+15550000009', 'claims@insurer.example', '+15550000010'];

function defineServed(sceneNow: () => LectureScene): void {
  let server: ServerProcess;
  const tokens = new Map<string, string>();

  beforeAll(async () => {
    const { folder, web, environment } = sceneNow();
    // Nothing begins by its interval; steps of an escalation are seconds apart.
    let step = 0;
    const path = join(folder, 'template.yaml');
    const text = readFileSync(path, 'utf8')
      .replaceAll(/^ *- \{ every: .*\n/gm, '')
      .replaceAll(/schedule: \{ every: \d+m \}/g, 'schedule: { before: nothing }')
      .replaceAll(/after: \d+[mh]/g, () => `after: ${(step += 3)}s`)
      .replaceAll(/severity: (critical|warning)/g, 'severity: $1, for: 1s')
      .replace('  rules:', '  group: 1s\n  rules:');
    writeFileSync(path, `${text}service: { selfBackup: false }\n`);
    web.answer = (response, { path: asked }) => {
      if (asked === '/slack') response.end('ok');
      else if (asked === '/teams') response.writeHead(202).end();
      else if (asked.startsWith('/2010-04-01/')) response.writeHead(201).end('{"sid":"SM42","status":"queued"}');
      else response.end('works');
    };
    for (const customer of customers) {
      const wish = ['token', 'create', customer, '--role', 'operator', '--application', `lecture-${customer}`];
      tokens.set(customer, (await sceneNow().json<{ token: string }>(customer, ...wish)).token);
    }
    const all = await sceneNow().json<{ token: string }>('acme', 'token', 'create', 'all', '--role', 'viewer');
    tokens.set('all', all.token);
    const files = customers.map((customer) => `customers/${customer}.yaml`);
    server = await startServerWith({ folder, environment }, ...files);
  });
  afterAll(() => server[Symbol.asyncDispose]());

  async function ask(who: string, path: string, body?: object): Promise<{ status: number; text: string }> {
    const address = /answers at (http:\S+)/.exec(server.said())?.[1] ?? '';
    const authorization = `Bearer ${tokens.get(who) ?? ''}`;
    const posted = { method: 'POST', body: JSON.stringify(body) };
    const response = await fetch(`${address}${path}`, {
      headers: { authorization, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && posted),
    });
    return { status: response.status, text: await response.text() };
  }
  async function document<Data>(who: string, path: string): Promise<Data> {
    const { status, text } = await ask(who, path);
    expect([path, status]).toEqual([path, 200]);
    return JSON.parse(text) as Data;
  }
  /** Ended, as they ended. */
  async function done(who: Customer, wish: object): Promise<readonly Run[]> {
    const { status, text } = await ask(who, '/api/v1/runs', { application: `lecture-${who}`, ...wish });
    expect(status).toBe(202);
    const { runs } = JSON.parse(text) as { runs: readonly Run[] };
    const now = (): Promise<Run[]> => Promise.all(runs.map(({ id }) => document<Run>(who, `/api/v1/runs/${id}`)));
    await eventually(async () => (await now()).every(({ state }) => ['succeeded', 'failed'].includes(state)));
    return now();
  }
  async function metric(who: string, name: string, labels: Readonly<Record<string, string>>): Promise<number> {
    const { text } = await ask(who, '/metrics');
    const line = text
      .split('\n')
      .find(
        (one) =>
          one.startsWith(`lifeboat_${name}{`) &&
          Object.entries(labels).every(([key, value]) => one.includes(`${key}="${value}"`)),
      );
    return Number(line?.split(' ').at(-1));
  }

  test(
    'S4-016 what is to be done before a deployment is done when the pipeline asks, and kept as such',
    { timeout: 120_000 },
    async () => {
      const runs = await done('acme', { before: 'deployment', description: 'release 42' });
      expect(runs.map(({ component, state }) => `${component} ${state}`).toSorted()).toEqual(
        ['authentication', 'database'].map((name) => `${name} succeeded`),
      );
      const taken = (await loadSnapshots(sceneNow().repositories.acme.primary, noSignal)).filter(({ tags }) =>
        tags.includes('before-deployment'),
      );
      expect(new Set(taken.map(({ lifeboat }) => lifeboat?.component))).toEqual(
        new Set(['authentication', 'database']),
      );
      expect(taken.map(({ description }) => description)).toEqual(taken.map(() => 'release 42'));
    },
  );

  test(
    'S4-013 S4-017 the database is backed up at 03:00 UTC each day, and copied to the other region each Sunday',
    { timeout: 120_000 },
    async () => {
      const days = ['--days', '15', '--component', 'database'];
      const { runs } = await sceneNow().json<ScheduleData>('acme', 'schedule', ...days);
      const times = (kind: string): string[] => runs.filter((run) => run.kind === kind).map(({ time }) => time);
      expect(times('backup').map((time) => time.slice(10))).toEqual(
        Array.from({ length: 15 }, () => expect.stringMatching(/^T03:00(?::00)?(?:Z|\+00:00)$/) as string),
      );
      expect(new Set(times('backup').map((time) => time.slice(0, 10))).size).toBe(15);
      const copies = times('copy').map((time) => new Date(time));
      expect(copies.map((time) => [time.getUTCDay(), time.getUTCHours(), time.getUTCMinutes()])).toEqual(
        copies.map(() => [0, 4, 0]),
      );
      expect([2, 3]).toContain(copies.length);
      const [copy] = await done('acme', { job: runs.find(({ kind }) => kind === 'copy')?.job });
      expect(copy).toMatchObject({ state: 'succeeded' });
      const there = await loadSnapshots(sceneNow().repositories.acme.secondary, noSignal);
      expect(there.length).toBeGreaterThan(0);
      expect(new Set(there.map(({ hostname, lifeboat }) => `${hostname} ${lifeboat?.component}`))).toEqual(
        new Set(['lecture-acme database']),
      );
    },
  );

  test(
    'S4-001 two customers of one server: both are backed up, each where nobody else is, and neither sees the other',
    { timeout: 120_000 },
    async () => {
      const [globex] = await done('globex', { job: 'backup/storage' });
      expect(globex).toMatchObject({ state: 'succeeded', application: 'lecture-globex' });
      for (const customer of customers) {
        const hosts = (await loadSnapshots(sceneNow().repositories[customer].primary, noSignal)).map(
          ({ hostname }) => hostname,
        );
        expect(new Set(hosts)).toEqual(new Set([`lecture-${customer}`]));
      }
      const routes = [
        'runs',
        'components',
        'applications',
        'alerts',
        'schedules',
        'policies',
        'repositories',
        'probes',
        'system/backup/history',
      ].map((name) => `/api/v1/${name}`);
      for (const route of [...routes, '/metrics']) {
        const { status, text } = await ask('acme', route);
        expect([
          route,
          status,
          text.includes('lecture-acme') || /"items":\[\]/.test(text),
          /globex/.test(text),
        ]).toEqual([route, 200, true, false]);
      }
      expect(await ask('acme', `/api/v1/runs/${globex?.id}`)).toMatchObject({ status: 404 });
      expect(await ask('acme', '/api/v1/runs', { application: 'lecture-globex', job: 'backup/storage' })).toMatchObject(
        {
          status: 404,
        },
      );
      const { text } = await ask('all', '/metrics');
      for (const customer of customers)
        expect(text).toContain(`lifeboat_component_standing{application="lecture-${customer}",`);
      for (const customer of customers)
        expect(`${server.said()}${text}`).not.toContain(`planted-password-of-${customer}`);
    },
  );

  /** Of messages about one customer, in the order in which they came. */
  function phonesCalled(text: RegExp): string[] {
    const bodies = sceneNow()
      .web.requests.filter(({ path }) => path.startsWith('/2010-04-01/'))
      .map(({ body }) => new URLSearchParams(body));
    return bodies.filter((body) => text.test(body.get('Body') ?? '')).map((body) => body.get('To') ?? '');
  }
  const mailsTo = (address: string, text: RegExp): number =>
    sceneNow().mail.mails.filter(({ to, source }) => to.includes(address) && text.test(source)).length;

  test(
    'S4-106 S4-107 S4-108 S4-109 S4-110 S4-111 S4-112 S4-113 an environment out of its RPO goes through all who are named, and each is reached by telephone and by mail',
    { timeout: 120_000 },
    async () => {
      const about = /globex/;
      await eventually(
        () => mailsTo('claims@insurer.example', about) > 0 && phonesCalled(about).includes('+15550000010'),
      );
      await eventually(() => mailsTo('enterprise-support@aws.example', about) > 0);
      expect(new Set(phonesCalled(about))).toEqual(
        new Set([...internal.flatMap(({ phones }) => phones), external[1], external[3]]),
      );
      const { items } = await document<{ items: { id: string; component: string; severity: string }[] }>(
        'globex',
        '/api/v1/alerts',
      );
      const { id = '' } =
        items.find(({ component, severity }) => component === 'database' && severity === 'critical') ?? {};
      const { deliveries } = await sceneNow().json<AlertsShowData>('globex', 'alerts', 'show', id.slice(-8));
      const toldAt = (contact: string): number => deliveries.find((one) => one.contact === contact)?.createdAtMs ?? NaN;
      for (const { role } of internal) expect(toldAt(role)).toBeLessThanOrEqual(toldAt(`${role}-backup`));
      const chain = [
        'dr-coordinator',
        'infrastructure-lead',
        'database-administrator',
        'security-officer',
        'aws-support',
        'insurance',
      ];
      expect(toldAt('dr-coordinator')).toBeLessThan(toldAt('insurance'));
      expect(chain.map(toldAt)).toEqual(chain.map(toldAt).toSorted((left, right) => left - right));
      // Oldest first: the last step is all of these.
      const inTurn = [...new Set(deliveries.map(({ contact }) => contact))];
      expect(new Set(inTurn.slice(-3))).toEqual(new Set(['insurance', 'legal-counsel', 'public-relations']));
      expect(sceneNow().web.requests.some(({ path, body }) => path === '/slack' && about.test(body))).toBe(true);
      // By every way that they have, whoever they are.
      const { tested, exitCode } = await sceneNow().json<AlertsTested>('acme', 'alerts', 'test');
      expect(exitCode).toBe(0);
      const reached = tested.map(({ to }) => to);
      const mails = internal.flatMap((one) => one.mails.map((name) => `${name}@company.com`));
      expect(reached).toEqual(
        expect.arrayContaining([...internal.flatMap(({ phones }) => phones), ...mails, ...external]),
      );
      expect(mails.map((address) => mailsTo(address, /test/i) > 0)).toEqual(mails.map(() => true));
      expect(phonesCalled(/test/i)).toEqual(expect.arrayContaining(internal.flatMap(({ phones }) => phones)));
    },
  );

  test(
    'S4-120 S4-121 S4-122 RTO and RPO as they are stand beside what they should be, and how many backups succeeded',
    { timeout: 120_000 },
    async () => {
      const labels = (customer: Customer) => ({ application: `lecture-${customer}`, component: 'database' });
      await eventually(
        async () => (await metric('globex', 'component_standing', { ...labels('globex'), standing: 'overdue' })) === 1,
      );
      const numbers = async (customer: Customer, name: string): Promise<[now: number, objective: number]> => [
        await metric(
          customer,
          name === 'rpo' ? 'component_rpo_age_seconds' : 'component_restore_seconds',
          labels(customer),
        ),
        await metric(customer, `component_${name}_objective_seconds`, labels(customer)),
      ];
      const [rpo, objective] = await numbers('globex', 'rpo');
      expect([rpo > 900, rpo < 900 + 600, objective]).toEqual([true, true, 900]);
      expect(await numbers('globex', 'rto')).toEqual([7201, 7200]);
      const [age] = await numbers('acme', 'rpo');
      const [took, allowed] = await numbers('acme', 'rto');
      expect([age < 900, took > 0 && took < 7200, allowed]).toEqual([true, true, 7200]);
      writeFileSync(join(sceneNow().folder, 'passwords/globex'), 'not this one');
      expect(await done('globex', { job: 'backup/logs' })).toMatchObject([{ state: 'failed' }]);
      const ended = (customer: Customer, state: string): Promise<number> =>
        metric(customer, 'runs_last_day', { application: `lecture-${customer}`, kind: 'backup', state });
      await eventually(async () => (await ended('globex', 'failed')) === 1);
      expect([await ended('acme', 'succeeded'), await ended('acme', 'failed')]).toEqual([2, NaN]);
      expect([await ended('globex', 'succeeded'), await ended('globex', 'failed')]).toEqual([1, 1]);
    },
  );
}

interface AlertsTested {
  readonly tested: readonly { readonly to?: string }[];
}

await describeWithS3('the lecture platform', () =>
  describeWith(['pg_dump'], 'with its programs', () =>
    describeWithPostgres(postgresMajor, 'with PostgreSQL', () => {
      const scene = define();
      describe('under a server', () => defineServed(scene));
    }),
  ),
);
