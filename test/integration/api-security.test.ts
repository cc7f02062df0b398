// Who may what, for every route of the table and every role, of the own application and of another; what strangers send; and secrets.
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { actions, actionTable, everywhere } from '../../src/access/permissions.ts';
import { roles, type Role } from '../../src/model/role.ts';
import { createToken } from '../../src/access/tokens.ts';
import { createUser } from '../../src/access/users.ts';
import type { AnyRoute } from '../../src/api/route.ts';
import { routes } from '../../src/api/routes.ts';
import { auditEntries } from '../../src/catalog/audit-entries.ts';
import { insertRun } from '../../src/catalog/runs.ts';
import { saveAlert } from '../../src/catalog/alerts.ts';
import { beginSilence } from '../../src/service/alert-answers.ts';
import { madeAlert } from '../support/made-alert.ts';
import { apiScene, cookieOf, snapshotIdOf, testActor, type Answer, type ApiScene } from '../support/api-scene.ts';
import { describeWithCatalogs } from '../support/catalogs.ts';
import { freshSeed } from '../support/fresh-seed.ts';

/** A body with which the route would do its work. */
const bodies: Readonly<Record<string, (application: string) => object>> = {
  'POST /api/v1/runs': (application) => ({ application, job: 'backup/database' }),
  'POST /api/v1/runs/{id}/approve': () => ({ confirm: 'database' }),
  'POST /api/v1/system/backup': (application) => ({ application, type: 'full', description: 'before maintenance' }),
  'POST /api/v1/system/backup/verify': (application) => ({ backupId: snapshotIdOf(application, 'database') }),
  'POST /api/v1/system/backup/restore': (application) => ({
    backupId: snapshotIdOf(application, 'database'),
    type: 'database',
  }),
  'POST /api/v1/system/cache/warmup': (application) => ({ application, steps: ['pages'] }),
  'POST /api/v1/anomalies/accept': (application) => ({ application, snapshot: snapshotIdOf(application, 'database') }),
  'POST /api/v1/schedules/{application}/{job}/pause': () => ({}),
  'POST /api/v1/tokens': (application) => ({ name: 'made', role: 'viewer', applications: [application] }),
  'POST /api/v1/users': () => ({ name: `user-${(names += 1)}`, grants: [] }),
  'PATCH /api/v1/users/{id}': () => ({ grants: [] }),
  'POST /api/v1/silences': (application) => ({ application: applicationOf(application), for: '1h' }),
};
let names = 0;

/** Alerts and silences are of one always. */
const applicationOf = (application: string): string => (application === everywhere ? 'shop' : application);

/** A thing for the routes that are about one, of this application where it can have one. */
async function idFor({ log, catalog }: ApiScene, path: string, application: string): Promise<string> {
  if (path.startsWith('/api/v1/tokens')) {
    const wish = { name: 'x', role: 'viewer', applications: [application] } as const;
    return (await createToken(log, wish, testActor)).record.id;
  }
  if (path.startsWith('/api/v1/users')) {
    return (await createUser(log, { name: `user-${(names += 1)}`, grants: [] }, testActor)).id;
  }
  if (path.startsWith('/api/v1/silences')) {
    const wish = { application: applicationOf(application), component: null, subject: null, reason: null };
    return (await beginSilence(log, { ...wish, lastsMs: 3_600_000 }, testActor)).id;
  }
  if (path.startsWith('/api/v1/alerts')) {
    const alert = madeAlert(applicationOf(application));
    await saveAlert(catalog.db, alert);
    return alert.id;
  }
  const isRestore = path.endsWith('/approve');
  const wish = { snapshot: 'ab', repository: 'local', target: 'original', include: [] };
  const run = {
    kind: isRestore ? 'restore' : 'backup',
    application: application === everywhere ? undefined : application,
    input: isRestore ? { application, component: 'database', ...wish } : {},
    origin: {},
  };
  return insertRun(catalog, run);
}

/** Of those that name what is configured: for all applications the first will do. */
function named(path: string, application: string): string {
  return path
    .replace('{application}', application === everywhere ? 'shop' : application)
    .replace('{component}', 'database')
    .replace('{job}', 'backup%2Fdatabase');
}

/** It is large. */
const unasked: readonly string[] = ['/openapi.json'];

/** Nothing has this id. */
const noId = '00000000-0000-4000-8000-000000000000';

async function sendTo(
  api: ApiScene,
  { method, path }: AnyRoute,
  at: { token?: string; application: string; id?: string },
): Promise<number> {
  const { token, application } = at;
  const id = path.includes('{id}') ? (at.id ?? (await idFor(api, path, application))) : '';
  const isOfTokens = path === '/api/v1/tokens';
  const body = bodies[`${method} ${path}`]?.(application === everywhere && !isOfTokens ? 'shop' : application);
  const stop = new AbortController();
  const response = await fetch(`${api.url}${named(path.replace('{id}', id), application)}`, {
    method,
    redirect: 'manual',
    signal: stop.signal,
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  stop.abort(); // Streams have no end of their own.
  return response.status;
}

/** Written down from the words of the design, not from the code that decides. */
function expectedStatus(
  { access, path, method }: AnyRoute,
  role: Role,
  tenant: 'own' | 'other' | 'all',
): number | 'good' {
  if (access.kind === 'public' || access.kind === 'self') return 'good';
  const isRoleEnough = roles.indexOf(role) >= roles.indexOf(actionTable[access.action]);
  if (!isRoleEnough) return 403;
  if (tenant === 'all') return 'good';
  if (access.kind === 'server') return 403;
  // Users belong to no application, so who manages one is told that there are none.
  if (access.kind === 'resource' && access.action === 'user.manage') return 404;
  if (access.kind === 'resource') return tenant === 'own' ? 'good' : 404;
  if (tenant !== 'other' || bodies[`${method} ${path}`] === undefined) return 'good';
  // What the body names of another application is not there; a token or a silence for it would be.
  return ['/api/v1/tokens', '/api/v1/silences'].includes(path) ? 403 : 404;
}

describe('every route', () => {
  let api: ApiScene;
  const tokens = new Map<string, string>();
  beforeAll(async () => {
    api = await apiScene();
    for (const role of roles) {
      tokens.set(`${role} shop`, await api.tokenOf(role, ['shop']));
      tokens.set(`${role} all`, await api.tokenOf(role));
    }
  });
  afterAll(() => api[Symbol.asyncDispose]());
  const guarded = routes.filter(({ access }) => access.kind !== 'public');

  test('asks who it is, unless it is one of those that need not know', async () => {
    const open = routes.filter(({ access }) => access.kind === 'public').map(({ method, path }) => `${method} ${path}`);
    expect(open).toEqual([
      'GET /health',
      'GET /health/detailed',
      'GET /status',
      'POST /api/v1/sessions',
      'GET /api/v1/sessions/openid',
      'GET /api/v1/sessions/openid/callback',
      'GET /openapi.json',
      'GET /docs',
      'GET /docs/scalar.js',
    ]);
    for (const route of guarded) {
      for (const token of [undefined, 'x', `lb_${'A'.repeat(43)}`]) {
        const status = await sendTo(api, route, {
          application: 'shop',
          id: noId,
          ...(token !== undefined && { token }),
        });
        expect([route.method, route.path, status]).toEqual([route.method, route.path, 401]);
      }
    }
  });

  test.each(roles)('lets a %s do what the role says, of the own application, of another one, of all', async (role) => {
    for (const route of guarded.filter(
      ({ path, method }) => `${method} ${path}` !== 'DELETE /api/v1/sessions/current',
    )) {
      for (const tenant of ['own', 'other', 'all'] as const) {
        const token = tokens.get(`${role} ${tenant === 'all' ? 'all' : 'shop'}`) ?? '';
        const application = tenant === 'own' ? 'shop' : tenant === 'other' ? 'forum' : everywhere;
        const status = await sendTo(api, route, { token, application });
        const expected = expectedStatus(route, role, tenant);
        const place = `${role} of ${tenant}: ${route.method} ${route.path}`;
        expect([place, status]).toEqual([
          place,
          expected === 'good' ? Number(Object.keys(route.answers)[0]) : expected,
        ]);
      }
    }
    expect(api.problems).toEqual([]);
  });

  test('is closed to a token whose scopes leave it out, whatever the role', async () => {
    for (const action of actions) {
      const token = await api.tokenOf('admin', ['*'], [action]);
      for (const route of guarded) {
        if (!('action' in route.access) || route.access.action === action) continue;
        expect([action, route.path, await sendTo(api, route, { token, application: 'shop', id: noId })]).toEqual([
          action,
          route.path,
          403,
        ]);
      }
    }
  });

  test('that was refused to somebody known is in the audit log, where it would have changed something', async () => {
    const refused = await auditEntries(api.catalog, { action: 'request.refused', limit: 500 });
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.every(({ target, outcome }) => outcome === 'refused' && !target?.startsWith('GET'))).toBe(true);
  });

  test('takes no text that is no JSON, nor more than it needs', async () => {
    const token = tokens.get('admin all') ?? '';
    const send = (body: string, type: string): Promise<Answer> =>
      api.ask('POST', '/api/v1/tokens', { token, body, headers: { 'content-type': type } });
    const form = await send('name=x', 'application/x-www-form-urlencoded');
    expect(form).toMatchObject({ status: 415, json: { code: 'REQUEST_INVALID' } });
    expect((await send('{"name":"x"}', 'text/plain')).status).toBe(415);
    expect((await send('{"name":', 'application/json')).json).toMatchObject({ status: 400, code: 'REQUEST_INVALID' });
    expect((await send('{"__proto__":{"role":"admin"}}', 'application/json')).status).toBe(400);
    const large = await send(JSON.stringify({ name: 'x'.repeat(300_000) }), 'application/json');
    expect(large).toMatchObject({ status: 413, json: { code: 'REQUEST_TOO_LARGE' } });
  });

  test('says what was wrong as a problem document, without a stack and without what was sent', async () => {
    const token = tokens.get('admin all') ?? '';
    const secret = 'planted-secret-4711';
    const body = { name: 'x', role: secret, applications: [secret, secret], [secret]: 1 };
    const answer = await api.ask('POST', '/api/v1/tokens', { token, body });
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    expect(answer.json).toMatchObject({
      type: 'urn:lifeboat:error:REQUEST_INVALID',
      title: expect.any(String) as string,
      status: 400,
      requestId: answer.headers.get('x-request-id'),
    });
    expect((answer.json['errors'] as { at: string }[]).map(({ at }) => at)).toContain('body/role');
    expect(answer.text).not.toContain(secret);
    expect((await api.ask('GET', '/nowhere')).json).toMatchObject({ status: 404, code: 'NOT_FOUND' });
    expect((await api.ask('PUT', '/health')).status).toBe(404);
  });
});

describe('a defect', () => {
  test('is answered with an id, and told to nobody but the log', async () => {
    await using api = await apiScene();
    const token = await api.tokenOf('admin');
    await api.catalog.db.schema.dropTable('userAccount').execute();
    const answer = await api.ask('GET', '/api/v1/users', { token });
    expect(answer).toMatchObject({ status: 500, json: { code: 'INTERNAL', requestId: expect.any(String) as string } });
    expect(answer.text).not.toMatch(/user_account|sqlite|\bat \//i);
    expect(api.problems.map(String).join()).toContain('user_account');
  });
});

describeWithCatalogs('whatever a stranger or a user sends', (make) => {
  test('is answered, and never with a defect', async () => {
    await using api = await apiScene({}, make);
    const token = await api.tokenOf('admin');
    const anyId = fc.oneof(fc.uuid(), fc.string({ maxLength: 40 }).map(encodeURIComponent));
    const anyBody = fc.oneof(
      fc.jsonValue({ maxDepth: 3 }),
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.record(
        {
          name: fc.oneof(
            fc.constantFrom('alice', 'nul\0', 'lone \ud800', '-'),
            fc.string({ unit: 'binary', maxLength: 20 }),
          ),
          role: fc.oneof(fc.constantFrom(...roles), fc.string()),
          applications: fc.oneof(fc.constant(['*']), fc.array(fc.string({ maxLength: 9 }), { maxLength: 3 })),
          grants: fc.array(
            fc.record({ application: fc.constantFrom('*', 'shop', ' '), role: fc.constantFrom(...roles, 'x') }),
            { maxLength: 3 },
          ),
          password: fc.string({ unit: 'binary', maxLength: 11 }),
          expiresAt: fc.oneof(
            fc.constantFrom('2999-01-01T00:00:00Z', '+275761-01-01T00:00:00Z'),
            fc.string({ maxLength: 30 }),
          ),
          application: fc.constantFrom('shop', 'forum', '*', 'none'),
          job: fc.oneof(fc.constantFrom('backup/database', 'proof/uploads'), fc.string({ maxLength: 9 })),
          type: fc.constantFrom('full', 'database', 'x'),
          backupId: fc.oneof(fc.constant(snapshotIdOf('shop', 'uploads')), fc.stringMatching(/^[0-9a-f]{0,9}$/)),
          include: fc.array(fc.string({ unit: 'binary', maxLength: 9 }), { maxLength: 3 }),
          confirm: fc.constantFrom('database', 'uploads'),
          until: fc.constantFrom('2999-01-01T00:00:00Z', '2020-01-01T00:00:00Z'),
          identity: fc.record({ issuer: fc.webUrl(), subject: fc.string({ unit: 'binary', maxLength: 9 }) }),
        },
        { requiredKeys: [] },
      ),
    );
    const anyQuery = fc.dictionary(
      fc.constantFrom('limit', 'cursor', 'state', 'kind', 'application', 'since', 'until', 'actor', 'target'),
      fc.oneof(
        fc.constantFrom('1', '200', 'bm90IGpzb24', '2026-01-01T00:00:00Z', '\0', 'WzEsIlx1MDAwMCJd'),
        fc.string({ unit: 'binary', maxLength: 30 }),
      ),
      { maxKeys: 3 },
    );
    const seed = freshSeed('requests');
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...routes.filter(({ path }) => !path.startsWith('/docs') && !unasked.includes(path))),
        fc.record({ id: anyId, body: anyBody, query: anyQuery, key: fc.option(fc.constantFrom('a', 'b', ' ', 'ü')) }),
        async ({ method, path }, { id, body, query, key }) => {
          api.problems.length = 0; // Of the one before, while a smaller example is looked for.
          const search = new URLSearchParams(query).toString();
          const { status, text } = await api.ask(method, `${named(path.replace('{id}', id), 'shop')}?${search}`, {
            token,
            ...(method !== 'GET' && { body }),
            ...(key !== null && { headers: { 'idempotency-key': key } }),
          });
          expect([status, api.problems.map(String)]).toEqual([expect.any(Number), []]);
          expect(status).toBeLessThan(500);
          expect(text).not.toMatch(/\.ts:\d+/);
        },
      ),
      { numRuns: 100, seed },
    );
  });
});

describe('a secret', () => {
  test('that comes in anywhere is in no answer, log, audit entry or problem', async () => {
    await using api = await apiScene();
    const admin = await api.tokenOf('admin');
    const secret = 'planted0secret4711';
    const texts: string[] = [];
    const send = async (...asked: Parameters<ApiScene['ask']>): Promise<Answer> => {
      const answer = await api.ask(...asked);
      texts.push(answer.text, JSON.stringify([...answer.headers]));
      return answer;
    };
    await createUser(api.log, { name: 'alice', grants: [], password: `${secret} of alice` }, testActor);
    await send('GET', `/api/v1/runs?cursor=${secret}&token=${secret}`, { token: admin });
    await send('GET', `/api/v1/runs/${secret}`, { token: admin });
    await send('GET', `/${secret}`, { token: secret });
    await send('GET', '/api/v1/users', { cookie: `lifeboat_session=${secret}` });
    await send('POST', '/api/v1/sessions', { body: { name: secret, password: secret } });
    await send('POST', '/api/v1/sessions', { body: { name: 'alice', password: secret } });
    await send('POST', '/api/v1/users', {
      token: admin,
      body: { name: 'bob', grants: [], password: `${secret} of bob` },
    });
    await send('POST', '/api/v1/users', { token: admin, body: { name: 'bob', grants: secret, password: secret } });
    await send('POST', '/api/v1/tokens', { token: admin, body: `{"name": ${secret}` });
    await send('GET', `/api/v1/sessions/openid/callback?code=${secret}`, { cookie: `lifeboat_login=${secret}` });
    const login = await api.ask('POST', '/api/v1/sessions', {
      body: { name: 'alice', password: `${secret} of alice` },
    });
    expect(login.status).toBe(201);
    const session = cookieOf(login, 'lifeboat_session').split('=')[1] ?? '-';
    const rows = await auditEntries(api.catalog, { limit: 500 });
    const everything = [
      ...texts,
      api.logged(),
      JSON.stringify(rows),
      ...api.problems.map((one) => String(one.stack)),
    ].join('\n');
    expect(api.logged().split('\n').length).toBeGreaterThan(10);
    const dumped = JSON.stringify(
      await Promise.all([
        api.catalog.db.selectFrom('loginFailure').selectAll().execute(),
        api.catalog.db.selectFrom('session').selectAll().execute(),
        api.catalog.db.selectFrom('userAccount').selectAll().execute(),
      ]),
    );
    for (const hidden of [secret, session, admin]) {
      expect(everything).not.toContain(hidden);
      expect(dumped).not.toContain(hidden);
    }
  });
});
