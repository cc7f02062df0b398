// Logging in through a real OpenID provider, in this process, as a browser would go there and back.
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Provider } from 'oidc-provider';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createUser } from '../../src/access/users.ts';
import type { OpenIdSettings } from '../../src/api/parts.ts';
import { auditEntries } from '../../src/catalog/audit-entries.ts';
import { runLifeboat } from '../support/lifeboat.ts';
import { startServerWith } from '../support/server-process.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { apiScene, cookieOf, testActor, type Answer, type ApiScene } from '../support/api-scene.ts';

const publicUrl = new URL('http://lifeboat.test');
const callback = '/api/v1/sessions/openid/callback';
const clientSecret = 'planted-client-secret-of-32-characters';

let provider: Server;
let issuer: URL;
const apis: ApiScene[] = [];

beforeAll(async () => {
  provider = createServer();
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
  issuer = new URL(`http://127.0.0.1:${(provider.address() as AddressInfo).port}`);
  const oidc = new Provider(issuer.href.replace(/\/$/, ''), {
    clients: [
      { client_id: 'lifeboat', client_secret: clientSecret, redirect_uris: [new URL(callback, publicUrl).href] },
    ],
    claims: { openid: ['sub'], profile: ['preferred_username'] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    findAccount: (_context: unknown, id: string) => ({
      accountId: id,
      claims: () => Promise.resolve({ sub: id, preferred_username: id }),
    }),
  });
  const handle = oidc.callback();
  provider.on('request', (request, response) => void handle(request, response));
});
afterAll(async () => {
  for (const api of apis) await api[Symbol.asyncDispose]();
  provider.closeAllConnections();
  await new Promise((resolve) => provider.close(resolve));
});

async function scene(more: Partial<OpenIdSettings> = {}): Promise<ApiScene> {
  const api = await apiScene({ publicUrl, openid: { issuer, clientId: 'lifeboat', clientSecret, ...more } });
  apis.push(api);
  return api;
}

/** Through the pages of the provider, as whoever types this name; the address to which it sends the browser back. */
async function throughProvider(start: string, name: string): Promise<string> {
  const cookies = new Map<string, string>();
  let location = start;
  let body: URLSearchParams | undefined;
  for (let steps = 0; steps < 15; steps += 1) {
    const response = await fetch(location, {
      redirect: 'manual',
      method: body === undefined ? 'GET' : 'POST',
      headers: { cookie: [...cookies].map(([key, value]) => `${key}=${value}`).join('; ') },
      ...(body !== undefined && { body }),
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [, key = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
      cookies.set(key, value);
    }
    const next = response.headers.get('location');
    body = undefined;
    if (next !== null) {
      location = new URL(next, location).href;
      if (location.startsWith(publicUrl.href)) return location;
      continue;
    }
    const page = await response.text();
    const action = /<form[^>]*action="([^"]+)"/.exec(page)?.[1];
    if (action === undefined) throw new Error(`the provider says ${response.status}: ${page.slice(0, 500)}`);
    location = new URL(action, location).href;
    const prompt = /name="prompt" value="(\w+)"/.exec(page)?.[1] ?? 'login';
    body = new URLSearchParams({ prompt, ...(prompt === 'login' && { login: name, password: 'any' }) });
  }
  throw new Error('the provider goes in circles');
}

interface Login {
  readonly cookie: string;
  /** Path and query of the way back. */
  readonly back: string;
}

async function goThere(api: ApiScene, name: string): Promise<Login> {
  const begun = await api.ask('GET', '/api/v1/sessions/openid');
  expect(begun.status).toBe(302);
  const { pathname, search } = new URL(await throughProvider(begun.headers.get('location') ?? '', name));
  return { cookie: cookieOf(begun, 'lifeboat_login'), back: `${pathname}${search}` };
}

const comeBack = (api: ApiScene, { cookie, back }: Login): Promise<Answer> => api.ask('GET', back, { cookie });

test('a linked user comes in, once for each answer of the provider', async () => {
  const api = await scene();
  const identity = { issuer: issuer.href.replace(/\/$/, ''), subject: 'alice' };
  await createUser(api.log, { name: 'alice', grants: [{ application: 'shop', role: 'viewer' }], identity }, testActor);
  const login = await goThere(api, 'alice');
  const back = await comeBack(api, login);
  expect([back.status, back.headers.get('location')]).toEqual([302, '/']);
  const cookie = cookieOf(back, 'lifeboat_session');
  expect((await api.ask('GET', '/api/v1/sessions/current', { cookie })).json).toMatchObject({
    name: 'alice',
    grants: [{ application: 'shop', role: 'viewer' }],
  });
  expect(await comeBack(api, login)).toMatchObject({ status: 401, json: { code: 'UNAUTHENTICATED' } });
  const [entry] = await auditEntries(api.catalog, { action: 'session.started', limit: 1 });
  expect(entry).toMatchObject({ actorName: 'alice', details: '{"through":"openid"}' });
});

test('an answer for another browser, or with another state, lets nobody in', async () => {
  const api = await scene({ newUserGrants: [] });
  const login = await goThere(api, 'mallory');
  expect((await comeBack(api, { ...login, cookie: '' })).status).toBe(401);
  const other = await api.ask('GET', '/api/v1/sessions/openid');
  expect((await comeBack(api, { ...login, cookie: cookieOf(other, 'lifeboat_login') })).status).toBe(401);
  expect((await comeBack(api, { ...login, back: login.back.replace(/state=[^&]+/, 'state=guess') })).status).toBe(401);
  expect((await api.ask('GET', `${callback}?error=access_denied`, { cookie: login.cookie })).status).toBe(401);
});

test('somebody whom nobody linked is refused, or comes in with what is set for new ones', async () => {
  const refusing = await scene();
  expect((await comeBack(refusing, await goThere(refusing, 'bob'))).json).toMatchObject({ code: 'UNAUTHENTICATED' });
  const welcoming = await scene({ newUserGrants: [{ application: 'shop', role: 'viewer' }] });
  const back = await comeBack(welcoming, await goThere(welcoming, 'bob'));
  const cookie = cookieOf(back, 'lifeboat_session');
  expect((await welcoming.ask('GET', '/api/v1/sessions/current', { cookie })).json).toMatchObject({
    name: 'bob',
    grants: [{ application: 'shop', role: 'viewer' }],
  });
});

test('a provider that is away, or a secret that is wrong, is told without the secret', async () => {
  const away = await scene({ issuer: new URL('http://127.0.0.1:1') });
  const gone = await away.ask('GET', '/api/v1/sessions/openid');
  expect(gone).toMatchObject({ status: 503, json: { code: 'PROVIDER_UNREACHABLE' } });
  const wrong = await scene({ clientSecret: 'planted-wrong-secret', newUserGrants: [] });
  const refused = await comeBack(wrong, await goThere(wrong, 'carol'));
  expect(refused.status).toBe(401);
  expect(gone.text + refused.text + away.logged() + wrong.logged()).not.toContain('planted');
  await using none = await apiScene();
  expect((await none.ask('GET', '/api/v1/sessions/openid')).status).toBe(404);
});

test(
  'a server reads from its lifeboat.yaml who vouches, and which proxies tell who asks',
  { timeout: 120_000 },
  async () => {
    await using home = await temporaryFolder();
    const text = `application: shop
repositories: { local: { location: ./local } }
components: { data: { type: files, paths: [./data] } }
service:
  api:
    publicUrl: ${publicUrl.href}
    trustedProxies: [127.0.0.1]
    openid: { issuer: '${issuer.href}', clientId: lifeboat, clientSecret: '\${OPENID_SECRET}' }
`;
    writeFileSync(join(home.path, 'lifeboat.yaml'), text);
    const environment = { OPENID_SECRET: clientSecret };
    await using server = await startServerWith({ folder: home.path, environment });
    const address = /answers at (http:\S+)/.exec(server.said())?.[1] ?? '';
    const begun = await fetch(`${address}/api/v1/sessions/openid`, { redirect: 'manual' });
    const there = new URL(begun.headers.get('location') ?? '');
    expect([begun.status, there.origin]).toEqual([302, issuer.origin]);
    expect(there.searchParams.get('redirect_uri')).toBe(new URL(callback, publicUrl).href);
    const body = JSON.stringify({ name: 'nobody', password: 'wrong-password-1' });
    const headers = { 'content-type': 'application/json', 'x-forwarded-for': '203.0.113.9' };
    expect((await fetch(`${address}/api/v1/sessions`, { method: 'POST', headers, body })).status).toBe(401);
    const { stdout } = await runLifeboat(['audit', 'list', '--json'], { folder: home.path });
    expect(stdout).toContain('203.0.113.9');
    expect(`${stdout}${server.said()}`).not.toContain(clientSecret);
  },
);
