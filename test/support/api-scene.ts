// The API on a free port of this machine, with a catalog behind it, and a way to ask it.
import { Writable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { auditLogOf, type AuditLog } from '../../src/access/audit-log.ts';
import type { Action, Role } from '../../src/access/permissions.ts';
import { createToken } from '../../src/access/tokens.ts';
import { createApi, listen } from '../../src/api/create-api.ts';
import type { ApiParts } from '../../src/api/parts.ts';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { makeSqliteCatalog, openTestCatalog, type MakeCatalog } from './catalogs.ts';
import { temporaryFolder } from './temporary-folder.ts';

export const testActor = { kind: 'machine', id: 'root@test', name: 'root', address: '' } as const;

export interface Asked {
  readonly token?: string;
  readonly cookie?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** What the JSON says; undefined for other answers. */
  readonly json: Readonly<Record<string, unknown>>;
}

export interface ApiScene extends AsyncDisposable {
  readonly app: FastifyInstance;
  readonly url: string;
  readonly catalog: Catalog;
  readonly log: AuditLog;
  /** Defects that were reported. */
  readonly problems: Error[];
  /** What was written to the access log. */
  readonly logged: () => string;
  ask(method: string, path: string, asked?: Asked): Promise<Answer>;
  tokenOf(role: Role, applications?: readonly string[], scopes?: readonly Action[]): Promise<string>;
}

export async function apiScene(more: Partial<ApiParts> = {}, make: MakeCatalog = makeSqliteCatalog): Promise<ApiScene> {
  const place = await make();
  const state = await temporaryFolder();
  const catalog = await openTestCatalog(place);
  const log = auditLogOf(catalog, state.path);
  const problems: Error[] = [];
  const lines: string[] = [];
  const accessLog = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  const app = await createApi({
    log,
    version: '1.2.3',
    health: () => 'ok',
    onProblem: (error) => problems.push(error),
    accessLog,
    pollMs: 20,
    requestsPerMinute: 1_000_000,
    ...more,
  });
  const url = await listen(app, { port: 0 });
  return {
    app,
    url,
    catalog,
    log,
    problems,
    logged: () => lines.join(''),
    ask: (method, path, asked) => ask(`${url}${path}`, method, asked),
    async tokenOf(role, applications = ['*'], scopes) {
      return (
        await createToken(log, { name: `${role} of ${applications.join()}`, role, applications, scopes }, testActor)
      ).token;
    },
    async [Symbol.asyncDispose]() {
      await app.close();
      await catalog[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
      await state[Symbol.asyncDispose]();
    },
  };
}

async function ask(url: string, method: string, { token, cookie, headers = {}, body }: Asked = {}): Promise<Answer> {
  const response = await fetch(url, {
    method,
    redirect: 'manual',
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(cookie !== undefined && { cookie }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = /json/.test(response.headers.get('content-type') ?? '');
  const json = isJson ? (JSON.parse(text) as Answer['json']) : {};
  return { status: response.status, headers: response.headers, text, json };
}

/** `name=value` of what an answer sets. */
export function cookieOf({ headers }: Answer, name: string): string {
  const found = headers.getSetCookie().find((cookie) => cookie.startsWith(`${name}=`));
  return found?.split(';')[0] ?? '';
}
