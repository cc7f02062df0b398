// The API on a free port of this machine, with a catalog behind it, and a way to ask it.
import { Writable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { auditLogOf, type AuditLog } from '../../src/access/audit-log.ts';
import type { Action } from '../../src/access/permissions.ts';
import type { Role } from '../../src/model/role.ts';
import { createToken } from '../../src/access/tokens.ts';
import { createApi, listen } from '../../src/api/create-api.ts';
import type { ApiParts, ServiceAccess } from '../../src/api/parts.ts';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { knownSchedules } from '../../src/catalog/schedules.ts';
import { insertWorker } from '../../src/catalog/workers.ts';
import { parseConfiguration } from '../../src/config/load.ts';
import { jobsOf } from '../../src/model/job.ts';
import { ProcessWatch } from '../../src/monitoring/metrics/process-sample.ts';
import { scheduleIdOf } from '../../src/service/scheduler.ts';
import type { Tenant } from '../../src/service/tenant.ts';
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

/** Two applications, alike but for their names. */
export const sceneTenants: readonly Tenant[] = ['shop', 'forum'].map((name) => {
  const path = `/srv/${name}.yaml`;
  const text = `
application: ${name}
repositories:
  local: { location: ./local }
components:
  database:
    type: postgres
    url: postgres://postgres@127.0.0.1/${name}
    objectives: { rpo: 1h }
    policy: { schedule: { every: 30m }, proof: { schedule: { every: 7d } } }
  uploads:
    type: files
    paths: [/srv/uploads]
warmUp:
  pages: { type: http, url: 'http://127.0.0.1:1/warm' }
`;
  const environment = { variables: {}, workingFolder: '/srv', homeFolder: '/root' };
  const { application, alerts, probes, warmUp, unset } = parseConfiguration(text, { path, environment });
  return { application, configurationPath: path, alerts, probes, warmUp, unset };
});

/** Snapshots that the repository of an application holds, newest last. */
export const snapshotIdOf = (application: string, component: 'database' | 'uploads'): string =>
  `${application === 'shop' ? 'a' : 'f'}${component === 'database' ? 'd' : '0'}`.repeat(32);

/** What the commands would print that the server asks. */
function answerOf({ application: { name } }: Tenant, [command, deed]: readonly string[]): object {
  if (command === 'anomalies') {
    const odd = { component: 'database', repository: 'local', snapshot: snapshotIdOf(name, 'database') };
    const facts = [{ message: '59 % of the files are gone' }];
    return deed === 'list' ? { anomalies: [{ ...odd, time: '2026-11-21T02:00:00Z', facts }] } : { accepted: [odd] };
  }
  if (command === 'check') {
    const findings = [{ aspect: 'connection', outcome: 'passed', message: 'PostgreSQL 17' }];
    return { subjects: [{ subject: 'component database', findings }] };
  }
  const snapshots = (['uploads', 'database'] as const).map((component, at) => ({
    id: snapshotIdOf(name, component),
    time: `2026-11-2${at}T02:00:00.123456789Z`,
    component,
    tags: [],
    sizeBytes: 1000,
    verifications: [],
  }));
  // The state of the service lies in the same repository.
  const state = {
    id: 'e'.repeat(64),
    time: '2026-11-27T02:00:00Z',
    component: '_service',
    tags: [],
    verifications: [],
  };
  return { repositories: [{ name: 'local', snapshots: [...snapshots, state] }] };
}

function sceneService(): ServiceAccess & Disposable {
  const watch = new ProcessWatch();
  return {
    tenants: () => sceneTenants,
    answers: {
      ask: (tenant, args) => Promise.resolve({ exitCode: 0, summary: { ...answerOf(tenant, args) } }),
      changed: () => undefined,
    },
    processSample: () => watch.sample(),
    offer: () => Promise.resolve(),
    [Symbol.dispose]: () => watch[Symbol.dispose](),
  };
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
  const planned = sceneTenants.flatMap(({ application }) =>
    jobsOf(application).map(({ id, schedules }) => ({
      id: scheduleIdOf(application.name, id),
      spec: JSON.stringify(schedules),
    })),
  );
  await knownSchedules(catalog, planned);
  await insertWorker(catalog, { id: 'worker-1', name: 'host-1', version: '1.2.3', labels: [] });
  const service = sceneService();
  const app = await createApi({
    log,
    service,
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
      service[Symbol.dispose]();
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
