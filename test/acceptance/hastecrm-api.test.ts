// hasteCRM's document calls its backup service over HTTP. The same calls, to a real server over real databases.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { webReceiver, type WebReceiver } from '../support/alert-receivers.ts';
import {
  contentOf,
  postgresMajor,
  secrets,
  startExample,
  type ExampleApplication,
} from '../support/example-application.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import { describeWithS3 } from '../support/s3-server.ts';
import { eventually, startServerWith, type ServerProcess } from '../support/server-process.ts';
import { describeWith } from '../support/tools.ts';

const configuration = `
application: hastecrm
repositories:
  local: { location: ./backups }
components:
  database: { type: postgres, databases: [crm_dev], objectives: { rpo: 24h } }
  cache: { type: redis }
warmUp:
  contacts:
    type: http
    url: \${APPLICATION_URL}/internal/cache/warm
    headers: { authorization: 'Bearer \${APPLICATION_TOKEN}' }
  pages: { type: script, run: [./fill-pages] }
`;

interface Run {
  readonly id: string;
  readonly component: string;
  readonly state: string;
  readonly waitsFor?: string;
}

interface Point {
  readonly id: string;
  readonly component: string;
  readonly description: string;
  readonly proof?: { readonly outcome: string };
}

const applicationToken = 'planted-application-token';

/** As applications do: a key for each contact. Resolves with how many there are. */
async function fillCache({ postgres, redis }: ExampleApplication): Promise<number> {
  const rows = await postgres.sql('crm_dev', 'SELECT id FROM contacts');
  for (const { id } of rows) await redis.connection.call('SET', `contact:${String(id)}`, String(id));
  return rows.length;
}

function define(): void {
  let crm: ExampleApplication;
  let server: ServerProcess;
  let web: WebReceiver;
  let address = '';
  const tokens = new Map<string, string>();

  beforeAll(async () => {
    crm = await startExample({ name: 'hastecrm', database: 'crm_dev' });
    writeFileSync(join(crm.folder, 'lifeboat.yaml'), configuration);
    await crm.succeed('repository', 'init', '--repository', 'local');
    for (const role of ['operator', 'approver']) {
      const { token } = await crm.json<{ token: string }>('token', 'create', role, '--role', role);
      tokens.set(role, token);
    }
    // The application knows what its cache lacks, and fills it out of its database.
    web = await webReceiver(undefined, (response, { method, headers }) => {
      if (method !== 'POST' || headers.authorization !== `Bearer ${applicationToken}`) {
        response.writeHead(403).end();
        return;
      }
      void fillCache(crm).then((keys) => response.end(`${keys} keys`));
    });
    writeFileSync(join(crm.folder, 'fill-pages'), `#!/bin/sh\necho '12 pages' | tee ${crm.folder}/pages\n`, {
      mode: 0o755,
    });
    const own = { APPLICATION_URL: web.url, APPLICATION_TOKEN: applicationToken };
    server = await startServerWith({ ...crm, environment: { ...crm.environment, ...own } });
    address = /answers at (http:\S+)/.exec(server.said())?.[1] ?? '';
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await web[Symbol.asyncDispose]();
    await crm[Symbol.asyncDispose]();
  });

  /** As the document has it with curl. */
  async function ask<Answer>(
    method: string,
    path: string,
    { body, role = 'operator' }: { readonly body?: object; readonly role?: string } = {},
  ): Promise<Answer & { readonly status: number }> {
    const response = await fetch(`${address}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${tokens.get(role) ?? ''}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { ...((await response.json()) as Answer), status: response.status };
  }

  /** The log of a run, which is sent as it is written until the run has ended. */
  async function follow({ id }: Run): Promise<string> {
    const headers = { authorization: `Bearer ${tokens.get('operator') ?? ''}` };
    return (await fetch(`${address}/api/v1/runs/${id}/events`, { headers })).text();
  }

  const start = async (path: string, body?: object, role?: string): Promise<readonly Run[]> => {
    const answer = await ask<{ runs: readonly Run[] }>('POST', path, {
      ...(body !== undefined && { body }),
      ...(role !== undefined && { role }),
    });
    expect(answer).toMatchObject({ status: 202 });
    return answer.runs;
  };
  async function startOne(path: string, body: object): Promise<Run> {
    const [run, ...others] = await start(path, body);
    assert.ok(run !== undefined && others.length === 0);
    return run;
  }
  const runNow = async ({ id }: Run): Promise<Run> => ask<Run>('GET', `/api/v1/runs/${id}`);
  async function succeeded(...runs: readonly Run[]): Promise<void> {
    for (const run of runs) {
      await eventually(async () => !['queued', 'running'].includes((await runNow(run)).state));
      expect(await runNow(run)).toMatchObject({ state: 'succeeded' });
    }
  }

  test(
    'S1-38 S2-040 S2-046 a backup is asked for with a description, its log is followed to the end, and it is found in the history',
    { timeout: 120_000 },
    async () => {
      const body = { type: 'full', description: 'Manual backup before maintenance' };
      const runs = await start('/api/v1/system/backup', body);
      expect(runs.map(({ component }) => component)).toEqual(['database', 'cache']);
      const [first] = runs;
      assert.ok(first !== undefined);
      const log = await follow(first);
      expect(log).toContain('lifeboat backup database');
      const states = [...log.matchAll(/"state":"(\w+)"/g)].map(([, state]) => state);
      expect([states.length > 1, states.at(-1)]).toEqual([true, 'succeeded']);
      await succeeded(...runs);
      const { items } = await ask<{ items: readonly Point[] }>('GET', '/api/v1/system/backup/history');
      expect(items.map(({ component, description }) => `${component}: ${description}`).toSorted()).toEqual([
        `cache: ${body.description}`,
        `database: ${body.description}`,
      ]);
    },
  );

  test(
    'S2-007 S2-047 S2-049 S2-093 the database comes back once its restore is approved, is healthy, and the backup is proven',
    { timeout: 240_000 },
    async () => {
      const { items } = await ask<{ items: readonly Point[] }>('GET', '/api/v1/system/backup/history');
      const backupId = items.find(({ component }) => component === 'database')?.id ?? '';
      const original = await contentOf(crm.postgres, 'crm_dev', 'contacts');
      await crm.postgres.sql('crm_dev', 'DELETE FROM contacts WHERE id % 2 = 0');
      const asked = await startOne('/api/v1/system/backup/restore', { backupId, type: 'database' });
      await eventually(async () => (await runNow(asked)).waitsFor === 'approval');
      expect(await contentOf(crm.postgres, 'crm_dev', 'contacts')).not.toEqual(original);
      const approve = { body: { confirm: 'database' } };
      const path = `/api/v1/runs/${asked.id}/approve`;
      expect((await ask('POST', path, approve)).status).toBe(403);
      // Whoever sits at the machine may say so, too.
      const shown = await crm.succeed('runs', 'show', asked.id);
      expect(shown.stdout).toContain(`lifeboat runs approve ${asked.id.slice(-8)}`);
      await crm.succeed('runs', 'approve', asked.id, '--yes');
      await succeeded(asked);
      expect(await contentOf(crm.postgres, 'crm_dev', 'contacts')).toEqual(original);
      const health = await ask<{ databases: readonly object[] }>('GET', '/api/v1/system/health/database');
      expect(health).toMatchObject({ status: 200, databases: [{ component: 'database', status: 'healthy' }] });
      await succeeded(...(await start('/api/v1/system/backup/verify', { backupId })));
      await eventually(async () => {
        const now = await ask<{ items: readonly Point[] }>('GET', '/api/v1/system/backup/history');
        return now.items.find(({ id }) => id === backupId)?.proof?.outcome === 'passed';
      });
    },
  );

  test('a backup comes back beside, in a folder that nobody from afar has chosen', { timeout: 120_000 }, async () => {
    const { items } = await ask<{ items: readonly Point[] }>('GET', '/api/v1/system/backup/history');
    const backupId = items.find(({ component }) => component === 'cache')?.id ?? '';
    const run = await startOne('/api/v1/system/backup/restore', { backupId, type: 'cache', target: 'beside' });
    await succeeded(run);
    const { output } = await ask<{ output: { folder: string } }>('GET', `/api/v1/runs/${run.id}`);
    expect(output.folder.endsWith(`/restores/${run.id}`)).toBe(true);
    expect(readdirSync(output.folder)).toContain('dump.rdb');
  });

  test('S2-063 caches are filled again by what the application offers for it, with no word in the request', async () => {
    await crm.redis.connection.call('FLUSHALL');
    await succeeded(...(await start('/api/v1/system/cache/warmup')));
    const [row] = await crm.postgres.sql('crm_dev', 'SELECT count(*) FROM contacts');
    expect(Number(await crm.redis.connection.call('DBSIZE'))).toBe(Number(row?.['count']));
    expect(readFileSync(join(crm.folder, 'pages'), 'utf8')).toBe('12 pages\n');
    const [asked] = await start('/api/v1/system/cache/warmup', { steps: ['contacts'] });
    assert.ok(asked !== undefined);
    expect(await follow(asked)).toContain('lifeboat warm-up contacts');
    const wrong = await ask('POST', '/api/v1/system/cache/warmup', { body: { steps: ['prices'] } });
    expect(wrong).toMatchObject({
      status: 404,
      code: 'NOT_FOUND',
      detail: expect.stringContaining("no step 'prices'"),
    });
    expect(server.said()).not.toContain(applicationToken);
  });

  test('S2-005 S2-067 S2-068 health and metrics are told, and no secret with them', async () => {
    const health = await fetch(`${address}/health`);
    expect([health.status, await health.json()]).toEqual([200, expect.objectContaining({ status: 'ok' })]);
    expect((await fetch(`${address}/health/detailed`)).status).toBe(200);
    expect((await fetch(`${address}/status`)).status).toBe(200);
    const metrics = await ask<{ metrics: { name: string; samples: { labels: object; value: number }[] }[] }>(
      'GET',
      '/api/v1/system/metrics',
    );
    const restored = metrics.metrics
      .find(({ name }) => name === 'lifeboat_runs_last_day')
      ?.samples.find(({ labels }) => JSON.stringify(labels).includes('"kind":"restore"'));
    expect(restored).toMatchObject({ labels: { state: 'succeeded' }, value: 2 });
    const said = `${server.said()}${JSON.stringify(metrics)}`;
    for (const secret of Object.values(secrets)) expect(said).not.toContain(secret);
  });
}

await describeWithS3('hasteCRM over HTTP', () =>
  describeWith(['redis-server', 'pg_dump'], 'with Redis', () =>
    describeWithPostgres(postgresMajor, 'with PostgreSQL', define),
  ),
);
