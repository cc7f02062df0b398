// The API through real HTTP: what it answers, and to whom; on both kinds of catalog where that may differ.
import { setTimeout as sleep } from 'node:timers/promises';
import Fastify from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startSession } from '../../src/access/sessions.ts';
import { listTokens, revokeToken } from '../../src/access/tokens.ts';
import { createUser, setGrants } from '../../src/access/users.ts';
import { auditEntries } from '../../src/catalog/audit-entries.ts';
import { insertEvent } from '../../src/catalog/run-events.ts';
import { claimRun, endRun, findRun, insertRun } from '../../src/catalog/runs.ts';
import { beginStep } from '../../src/catalog/steps.ts';
import { refuseUndeclared } from '../../src/api/create-api.ts';
import { apiScene, cookieOf, testActor, type Answer, type ApiScene } from '../support/api-scene.ts';
import { describeWithCatalogs } from '../support/catalogs.ts';

const password = 'correct horse battery';
const viewerOf = (application: string) => ({ application, role: 'viewer' }) as const;
const claim = { worker: 'worker-1', leaseMs: 60_000, kinds: ['backup'] };

describeWithCatalogs('the API', (make) => {
  let api: ApiScene;
  let admin: string;
  beforeAll(async () => {
    api = await apiScene({}, make);
    admin = await api.tokenOf('admin');
  });
  afterAll(() => api[Symbol.asyncDispose]());

  const startRun = (application: string | undefined, component = 'database'): Promise<string> =>
    insertRun(api.catalog, { kind: 'backup', application, component, input: {}, origin: { kind: 'test' } });
  const idsOf = ({ json }: Answer): string[] => (json['items'] as { id: string }[]).map(({ id }) => id);

  test('tokens are created once, listed without their secret, and revoked', async () => {
    const wish = { name: 'grafana', role: 'viewer', applications: ['shop'] };
    const created = await api.ask('POST', '/api/v1/tokens', { token: admin, body: wish });
    expect([created.status, created.json]).toEqual([201, expect.objectContaining({ ...wish, state: 'valid' })]);
    const token = String(created.json['token']);
    expect((await api.ask('GET', '/api/v1/sessions/current', { token })).json).toMatchObject({
      kind: 'token',
      name: 'grafana',
      grants: [{ application: 'shop', role: 'viewer' }],
    });
    const listed = await api.ask('GET', '/api/v1/tokens', { token: admin });
    expect(listed.text).toContain('grafana');
    expect(listed.text).not.toContain(token.slice(3));
    const path = `/api/v1/tokens/${String(created.json['id'])}`;
    expect((await api.ask('DELETE', path, { token: admin })).status).toBe(204);
    expect(await api.ask('GET', '/api/v1/sessions/current', { token })).toMatchObject({ status: 401 });
    const past = { ...wish, expiresAt: '2020-01-01T00:00:00Z' };
    expect((await api.ask('POST', '/api/v1/tokens', { token: admin, body: past })).json).toMatchObject({
      code: 'REQUEST_INVALID',
    });
  });

  test('a token that may do less makes none that may do more', async () => {
    const shopAdmin = await api.tokenOf('admin', ['shop']);
    const wish = { name: 'x', role: 'admin', applications: ['shop'] };
    expect((await api.ask('POST', '/api/v1/tokens', { token: shopAdmin, body: wish })).status).toBe(201);
    for (const applications of [['*'], ['forum'], ['shop', 'forum']]) {
      const wider = { ...wish, applications };
      expect((await api.ask('POST', '/api/v1/tokens', { token: shopAdmin, body: wider })).status).toBe(403);
    }
    const manager = await api.tokenOf('admin', ['*'], ['token.manage']);
    expect((await api.ask('POST', '/api/v1/tokens', { token: manager, body: wish })).json).toMatchObject({
      scopes: ['token.manage'],
    });
    const scoped = { ...wish, scopes: ['user.manage'] };
    expect((await api.ask('POST', '/api/v1/tokens', { token: manager, body: scoped })).status).toBe(403);
    const beyond = { ...wish, role: 'viewer', scopes: ['run.start'] };
    expect(await api.ask('POST', '/api/v1/tokens', { token: admin, body: beyond })).toMatchObject({
      status: 400,
      json: { detail: expect.stringContaining('a viewer may not run.start') as string },
    });
    const inAnHour = new Date((await api.catalog.nowMs()) + 3_600_000).toISOString();
    const short = await api.ask('POST', '/api/v1/tokens', { token: admin, body: { ...wish, expiresAt: inAnHour } });
    const token = String(short.json['token']);
    expect((await api.ask('POST', '/api/v1/tokens', { token, body: wish })).json).toMatchObject({
      expiresAt: inAnHour,
    });
    const longer = { ...wish, expiresAt: '2999-01-01T00:00:00Z' };
    expect((await api.ask('POST', '/api/v1/tokens', { token, body: longer })).status).toBe(403);
    // Those of other applications are not there for who manages one.
    const listed = await api.ask('GET', '/api/v1/tokens', { token: shopAdmin });
    expect(
      (listed.json['items'] as { applications: string[] }[]).every((one) => one.applications.join() === 'shop'),
    ).toBe(true);
  });

  test('a token for users alone makes nobody, and takes over nobody, who may do more', async () => {
    const token = await api.tokenOf('admin', ['*'], ['user.manage']);
    const wish = (grants: object[]) => ({ name: `made-${grants.length}`, grants, password });
    expect((await api.ask('POST', '/api/v1/users', { token, body: wish([]) })).status).toBe(201);
    expect((await api.ask('POST', '/api/v1/users', { token, body: wish([viewerOf('shop')]) })).status).toBe(403);
    const { id } = await createUser(api.log, { name: 'owner', grants: [viewerOf('*')], password }, testActor);
    for (const body of [{ password: `${password} staple` }, { isDisabled: true }, { grants: [] }]) {
      expect((await api.ask('PATCH', `/api/v1/users/${id}`, { token, body })).status).toBe(403);
      expect((await api.ask('PATCH', `/api/v1/users/${id}`, { token: admin, body })).status).toBe(200);
    }
    await setGrants(api.log, { id }, { grants: [viewerOf('*')], actor: testActor });
    expect((await api.ask('DELETE', `/api/v1/users/${id}`, { token })).status).toBe(403);
  });

  test('the same idempotency key and body give the same answer, and do it once', async () => {
    const body = { name: 'once', role: 'viewer', applications: ['*'] };
    const headers = { 'idempotency-key': 'key-1' };
    const together = await Promise.all(
      [1, 2, 3].map(() => api.ask('POST', '/api/v1/tokens', { token: admin, body, headers })),
    );
    expect(together.map(({ status }) => status).filter((status) => ![201, 409].includes(status))).toEqual([]);
    const again = await api.ask('POST', '/api/v1/tokens', { token: admin, body, headers });
    const first = together.find(({ headers: sent, status }) => status === 201 && !sent.has('idempotent-replayed'));
    expect(again).toMatchObject({ status: 201, json: { ...first?.json, token: null } });
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    const listed = await api.ask('GET', '/api/v1/tokens', { token: admin });
    expect((listed.json['items'] as { name: string }[]).filter(({ name }) => name === 'once')).toHaveLength(1);
    const other = await api.ask('POST', '/api/v1/tokens', { token: admin, body: { ...body, name: 'other' }, headers });
    expect(other).toMatchObject({ status: 409, json: { code: 'IDEMPOTENCY_CONFLICT' } });
    // Of another principal it is another key; a bad one is refused.
    const otherAdmin = await api.tokenOf('admin');
    expect((await api.ask('POST', '/api/v1/tokens', { token: otherAdmin, body, headers })).status).toBe(201);
    const bad = { 'idempotency-key': 'x'.repeat(256) };
    expect((await api.ask('POST', '/api/v1/tokens', { token: admin, body, headers: bad })).status).toBe(400);
  });

  test('users are created, changed, shut out and removed', async () => {
    const body = { name: 'Carol', grants: [{ application: 'shop', role: 'operator' }], password };
    const created = await api.ask('POST', '/api/v1/users', { token: admin, body });
    expect(created).toMatchObject({ status: 201, json: { name: 'carol', hasPassword: true } });
    expect(await api.ask('POST', '/api/v1/users', { token: admin, body })).toMatchObject({
      status: 409,
      json: { code: 'NAME_TAKEN' },
    });
    const path = `/api/v1/users/${String(created.json['id'])}`;
    const changed = await api.ask('PATCH', path, { token: admin, body: { isDisabled: true, grants: [] } });
    expect(changed.json).toMatchObject({ grants: [], disabledAt: expect.any(String) as string });
    expect((await api.ask('DELETE', `${path}/sessions`, { token: admin })).status).toBe(204);
    expect((await api.ask('GET', '/api/v1/users', { token: admin })).text).toContain('carol');
    expect((await api.ask('DELETE', path, { token: admin })).status).toBe(204);
    expect((await api.ask('GET', path, { token: admin })).json).toMatchObject({ status: 404, code: 'NOT_FOUND' });
    const actions = (await auditEntries(api.catalog, { target: 'carol', limit: 9 })).map(({ action }) => action);
    expect(actions.toReversed()).toEqual([
      'user.created',
      'user.roles-changed',
      'user.disabled',
      'user.sessions-ended',
      'user.removed',
    ]);
  });

  test('a browser logs in, changes something with its second secret only, and logs out', async () => {
    await createUser(api.log, { name: 'dave', grants: [{ application: '*', role: 'admin' }], password }, testActor);
    const wrong = await api.ask('POST', '/api/v1/sessions', { body: { name: 'dave', password: 'wrong password' } });
    expect(wrong).toMatchObject({ status: 401, json: { code: 'UNAUTHENTICATED' } });
    const crossSite = { body: { name: 'dave', password }, headers: { 'sec-fetch-site': 'cross-site' } };
    expect((await api.ask('POST', '/api/v1/sessions', crossSite)).status).toBe(403);
    const login = await api.ask('POST', '/api/v1/sessions', { body: { name: 'Dave', password } });
    expect(login.status).toBe(201);
    expect(login.headers.getSetCookie()[0]).toMatch(/; Path=\/; HttpOnly; SameSite=Lax$/);
    const cookie = cookieOf(login, 'lifeboat_session');
    const csrf = { 'x-csrf-token': String(login.json['csrfToken']) };
    expect((await api.ask('GET', '/api/v1/sessions/current', { cookie })).json).toMatchObject({
      name: 'dave',
      kind: 'user',
    });
    const body = { name: 'by dave', role: 'viewer', applications: ['*'] };
    for (const headers of [{}, { 'x-csrf-token': 'guess' }, { 'x-csrf-token': `${csrf['x-csrf-token']}x` }]) {
      expect((await api.ask('POST', '/api/v1/tokens', { cookie, body, headers })).status).toBe(403);
    }
    expect((await api.ask('POST', '/api/v1/tokens', { cookie, body, headers: csrf })).status).toBe(201);
    expect((await api.ask('DELETE', '/api/v1/sessions/current', { cookie, headers: csrf })).status).toBe(204);
    expect((await api.ask('GET', '/api/v1/sessions/current', { cookie })).status).toBe(401);
  });

  test('who guesses passwords is told to wait, and for how long', async () => {
    const guess = (): Promise<Answer> =>
      api.ask('POST', '/api/v1/sessions', { body: { name: 'erin', password: 'a wrong password' } });
    for (let at = 0; at < 5; at += 1) expect((await guess()).status).toBe(401);
    const locked = await guess();
    expect(locked).toMatchObject({ status: 429, json: { code: 'RATE_LIMITED' } });
    expect(Number(locked.headers.get('retry-after'))).toBeGreaterThan(20);
  });

  test('runs are listed newest first, in pages, and only those that one may see', async () => {
    const ids: string[] = [];
    for (let at = 0; at < 7; at += 1) {
      ids.unshift(await startRun(at % 2 === 0 ? 'shop' : 'forum'));
      await sleep(2); // Those of one millisecond come in no order that the test could know.
    }
    const own = await startRun(undefined);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const query = `limit=3${cursor === undefined ? '' : `&cursor=${cursor}`}`;
      const page = await api.ask('GET', `/api/v1/runs?${query}`, { token: admin });
      seen.push(...idsOf(page));
      cursor = page.json['nextCursor'] as string | undefined;
    } while (cursor !== undefined);
    expect(seen).toEqual([own, ...ids]);
    const viewer = await api.tokenOf('viewer', ['shop']);
    const shop = await api.ask('GET', '/api/v1/runs', { token: viewer });
    expect(idsOf(shop)).toEqual(ids.filter((_, at) => at % 2 === 0));
    expect(idsOf(await api.ask('GET', '/api/v1/runs?application=forum', { token: viewer }))).toEqual([]);
    expect(idsOf(await api.ask('GET', '/api/v1/runs?application=forum&state=queued', { token: admin }))).toHaveLength(
      3,
    );
    expect(idsOf(await api.ask('GET', '/api/v1/runs?state=failed', { token: admin }))).toEqual([]);
    for (const bad of [
      'cursor=bm90IGpzb24',
      'cursor=WyJhIl0',
      'limit=0',
      'limit=201',
      'state=odd',
      'since=yesterday',
    ]) {
      expect((await api.ask('GET', `/api/v1/runs?${bad}`, { token: admin })).json).toMatchObject({
        code: 'REQUEST_INVALID',
      });
    }
  });

  test('a run is shown with steps and events, and cancelled', async () => {
    const id = await startRun('shop');
    const held = await claimRun(api.catalog, id, claim);
    await beginStep(api.catalog, { id, epoch: held?.epoch ?? 0 }, { name: 'dump' });
    await insertEvent(api.catalog, { runId: id, number: 1, kind: 'note', text: 'reading' });
    expect((await api.ask('GET', `/api/v1/runs/${id}`, { token: admin })).json).toMatchObject({
      id,
      state: 'running',
      steps: [{ name: 'dump', state: 'begun' }],
      events: [{ number: 1, kind: 'note', text: 'reading' }],
    });
    const operator = await api.tokenOf('operator', ['shop']);
    const cancelled = await api.ask('POST', `/api/v1/runs/${id}/cancel`, { token: operator });
    expect(cancelled).toMatchObject({ status: 202, json: { state: 'running', isCancelling: true } });
    expect((await findRun(api.catalog, id))?.cancelRequestedAtMs).toBeTypeOf('number');
    const [entry] = await auditEntries(api.catalog, { target: id, limit: 1 });
    expect(entry).toMatchObject({ action: 'run.cancelled', application: 'shop', actorName: 'operator of shop' });
    const shopAudit = await api.ask('GET', '/api/v1/audit', { token: await api.tokenOf('admin', ['shop']) });
    const applications = (shopAudit.json['items'] as { application?: string }[]).map(({ application }) => application);
    expect(new Set(applications)).toEqual(new Set(['shop']));
  });

  test('the events of a live run come as they happen, go on behind the last one, and end with the run', async () => {
    const id = await startRun('shop');
    const held = await claimRun(api.catalog, id, claim);
    await insertEvent(api.catalog, { runId: id, number: 1, kind: 'note', text: 'one' });
    await insertEvent(api.catalog, { runId: id, number: 2, kind: 'note', text: 'two\nlines' });
    const response = await fetch(`${api.url}/api/v1/runs/${id}/events`, {
      headers: { authorization: `Bearer ${admin}`, 'last-event-id': '1' },
    });
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(response.headers.get('x-request-id')).toBeTypeOf('string');
    const reading = response.text();
    await sleep(60);
    await insertEvent(api.catalog, { runId: id, number: 3, kind: 'warning', text: 'three' });
    await endRun(api.catalog, { id, epoch: held?.epoch ?? 0 }, { state: 'succeeded' });
    const text = await reading;
    expect(text).not.toContain('"one"');
    expect([...text.matchAll(/^id: (\d+)$/gm)].map(([, number]) => number)).toEqual(['2', '3']);
    expect(text).toContain('data: {"state":"running"}');
    expect(text.trim().split('\n\n').at(-1)).toBe('event: state\ndata: {"state":"succeeded"}');
  });
});

describe('the API', () => {
  test('closes its streams with itself, so that it can end', async () => {
    const api = await apiScene();
    const id = await insertRun(api.catalog, { kind: 'backup', input: {}, origin: {} });
    const token = await api.tokenOf('viewer');
    const response = await fetch(`${api.url}/api/v1/runs/${id}/events`, {
      headers: { authorization: `Bearer ${token}` },
    });
    const reading = response.text().catch(() => 'cut off');
    await api[Symbol.asyncDispose]();
    expect(await reading).toContain('queued');
    expect(api.problems).toEqual([]);
  });

  test('a backup of the state, which names the files of all applications, is for who may see all', async () => {
    await using api = await apiScene();
    const files = '["/srv/shop.yaml","/srv/forum.yaml"]';
    const run = { kind: 'self-backup', application: 'shop', input: {}, origin: { kind: 'test' } };
    const id = await insertRun(api.catalog, run);
    await insertEvent(api.catalog, { runId: id, number: 1, kind: 'command', text: `service backup ${files}` });
    const [operator, all] = [await api.tokenOf('operator', ['shop']), await api.tokenOf('viewer')];
    for (const path of ['', `/${id}`, `/${id}/events`]) {
      const { text } = await api.ask('GET', `/api/v1/runs${path}`, { token: operator });
      expect(text).not.toMatch(/self-backup|forum/);
    }
    expect((await api.ask('POST', `/api/v1/runs/${id}/cancel`, { token: operator })).status).toBe(404);
    expect((await api.ask('GET', `/api/v1/runs/${id}`, { token: all })).text).toContain('/srv/forum.yaml');
    const listed = await api.ask('GET', '/api/v1/runs?application=shop&limit=1', { token: all });
    expect(listed.json['items']).toMatchObject([{ id }]);
  });

  test('ends the stream of somebody whose right to read ends', async () => {
    await using api = await apiScene();
    const id = await insertRun(api.catalog, { kind: 'backup', application: 'shop', input: {}, origin: {} });
    const user = await createUser(api.log, { name: 'dave', grants: [viewerOf('shop')], password }, testActor);
    const { secret } = await startSession(api.log, user, { address: '', through: 'password' });
    const token = await api.tokenOf('viewer');
    const events = (headers: Record<string, string>): Promise<string> =>
      fetch(`${api.url}/api/v1/runs/${id}/events`, { headers }).then((response) => response.text());
    const streams = [events({ cookie: `lifeboat_session=${secret}` }), events({ authorization: `Bearer ${token}` })];
    await sleep(100);
    await setGrants(api.log, { id: user.id }, { grants: [viewerOf('forum')], actor: testActor });
    for (const { id: tokenId } of await listTokens(api.catalog)) await revokeToken(api.log, tokenId, testActor);
    for (const text of await Promise.all(streams)) expect(text).toContain('queued');
    expect(api.problems).toEqual([]);
  });

  test('is on loopback, says that it is up, and describes itself without anything from elsewhere', async () => {
    await using api = await apiScene({ health: () => 'starting' });
    expect(new URL(api.url).hostname).toBe('127.0.0.1');
    expect((await api.ask('GET', '/health')).json).toEqual({ status: 'starting', version: '1.2.3' });
    const { json, text } = await api.ask('GET', '/openapi.json');
    expect(json).toMatchObject({
      openapi: '3.1.0',
      paths: { '/api/v1/runs/{id}/cancel': { post: { tags: ['runs'] } } },
    });
    expect(text).toContain('#/components/schemas/Problem');
    const page = await api.ask('GET', '/docs');
    expect(page.headers.get('content-security-policy')).toContain("script-src 'self'");
    expect(page.text).not.toMatch(/https?:/);
    const script = await api.ask('GET', '/docs/scalar.js');
    expect([script.status, script.text.length > 1e6]).toEqual([200, true]);
  });

  test('takes a request without a body whatever type it says, and names the keys that may stand in one', async () => {
    await using api = await apiScene();
    const token = await api.tokenOf('operator', ['shop']);
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const path = `${api.url}/api/v1/system/cache/warmup`;
    expect((await fetch(path, { method: 'POST', headers })).status).toBe(202);
    for (const body of ['{', '{"__proto__": {"x": 1}}'])
      expect((await fetch(path, { method: 'POST', headers, body })).status).toBe(400);
    const known = 'holds a key that is not known; known are steps, application';
    const misspelt = await api.ask('POST', '/api/v1/system/cache/warmup', { token, body: { stpes: ['planted'] } });
    expect([misspelt.status, misspelt.json['errors']]).toEqual([400, [{ at: 'body/', problem: known }]]);
    const filter = await api.ask('GET', '/api/v1/runs?stat=failed', { token });
    expect(filter.text).toMatch(/holds a key that is not known; known are .*\bstate\b/);
    for (const { text } of [misspelt, filter]) expect(text).not.toMatch(/stpes|planted|failed/);
  });

  test('sets headers that keep browsers from harm, and an id that nobody else chose', async () => {
    await using api = await apiScene({ publicUrl: new URL('https://lifeboat.example') });
    const { headers } = await api.ask('GET', '/health', { headers: { 'x-request-id': 'mine' } });
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(headers.get('strict-transport-security')).toContain('max-age=');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-request-id')).toMatch(/^[\da-f-]{36}$/);
    expect(headers.has('access-control-allow-origin')).toBe(false);
    await createUser(api.log, { name: 'dave', grants: [], password }, testActor);
    const login = await api.ask('POST', '/api/v1/sessions', { body: { name: 'dave', password } });
    expect(login.headers.getSetCookie()[0]).toMatch(/^__Host-lifeboat=.*; Secure/);
  });

  test('lets one address ask so often, and no more', async () => {
    await using api = await apiScene({ requestsPerMinute: 5 });
    const statuses: number[] = [];
    for (let at = 0; at < 7; at += 1)
      statuses.push((await api.ask('GET', at % 2 === 0 ? '/status' : '/nowhere')).status);
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThan(0);
    // Whether it lives is always told.
    expect((await api.ask('GET', '/health')).status).toBe(200);
    const limited = await api.ask('GET', '/status');
    expect(limited).toMatchObject({ status: 429, json: { code: 'RATE_LIMITED' } });
    expect(limited.headers.has('retry-after')).toBe(true);
  });

  test('does not start with a route that does not say who may use it', () => {
    const app = Fastify();
    refuseUndeclared(app);
    expect(() => app.get('/open', () => 'x')).toThrow('GET /open does not say who may use it');
  });
});
