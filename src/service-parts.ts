// The part of the composition root that the service needs: its catalog, queue, configurations and the program that its jobs are. Loaded
// only then.
import { mkdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { auditLogOf, pruneAudit } from './access/audit-log.ts';
import { everywhere } from './access/permissions.ts';
import type { ApiParts } from './api/parts.ts';
import { AppError, messageOf } from './base/errors.ts';
import { lockFolder } from './base/folder-lock.ts';
import { systemClock } from './base/clock.ts';
import { systemRandom } from './base/random.ts';
import type { Catalog } from './catalog/catalog.ts';
import { openCatalog } from './catalog/open-catalog.ts';
import type { ListenAddress, RunningService, ServiceWishes } from './cli/context.ts';
import { serviceLeaseMs, type Environment } from './config/environment.ts';
import { findConfiguration } from './config/find.ts';
import { loadConfiguration, templatePathOf } from './config/load.ts';
import { withoutComments } from './config/uncommented.ts';
import { writtenSecretsOf } from './config/written-secrets.ts';
import { probePorts } from './probe-ports.ts';
import { fileVersion, filesVersion } from './service/file-version.ts';
import type { Launcher } from './service/job-process.ts';
import { ProcessWatch } from './monitoring/metrics/process-sample.ts';
import { CommandAnswers } from './service/command-answers.ts';
import { sharedPlaces, stateAmongOthers } from './service/shared-places.ts';
import { startService, type Service, type ServiceEvents } from './service/service.ts';
import { PublishedTenants } from './service/published-tenants.ts';
import { Tenants, type KnownTenants, type Tenant } from './service/tenant.ts';
import { CatalogQueue } from './workflow/catalog-queue.ts';
import type { Queue } from './workflow/queue.ts';
import { Repeating } from './workflow/repeating.ts';

export interface ServicePlace extends ServiceEvents {
  readonly environment: Environment;
  readonly stateFolder: string;
  readonly databaseUrl: string | undefined;
  readonly configurationPath: string | undefined;
  readonly launcherPath: string;
  readonly version: string;
}

export async function runService(place: ServicePlace, wishes: ServiceWishes): Promise<RunningService> {
  const { environment, databaseUrl, onNote, onProblem, version } = place;
  await using stack = new AsyncDisposableStack();
  if (databaseUrl === undefined) stack.use(await lockState(place.stateFolder));
  const location = { path: join(place.stateFolder, 'catalog.sqlite'), url: databaseUrl };
  const catalog = stack.use(await openCatalog(location, systemClock));
  const queue = stack.use(await openQueue(catalog, place));
  const tenants = stack.use(await openTenants(place, wishes, catalog));
  const { workingFolder, variables } = environment;
  const configurations: Launcher['configurations'] = (args) => tenants.textsOf(args);
  const leaseMs = serviceLeaseMs(environment);
  const launcher = { launcherPath: place.launcherPath, workingFolder, variables, configurations, leaseMs };
  const answers = stack.use(new CommandAnswers(launcher));
  const service = stack.use(
    await startService({
      catalog,
      queue,
      tenants,
      launcher,
      plans: wishes.plans,
      name: hostname(),
      version,
      labels: wishes.labels,
      runsMax: wishes.runsMax,
      random: systemRandom,
      clock: systemClock,
      probePortsOf: ({ configurationPath: path }) => {
        const inForce = (): Environment => ({
          ...environment,
          configurations: new Map(Object.entries(tenants.textsOf([path ?? []].flat()))),
        });
        return probePorts(environment, () => loadConfiguration({ path, environment: inForce() }));
      },
      onChanged: (application) => answers.changed(application),
      texts: { secretsOf: writtenSecretsOf, withoutComments },
      restoresFolder: join(place.stateFolder, 'restores'),
      onNote,
      onProblem,
    }),
  );
  if (wishes.plans) for (const line of untoldLines(tenants.all)) onNote(`warning: ${line}`);
  const { listen } = wishes;
  const api = { place, service, tenants, answers };
  const address = listen === undefined ? undefined : await serveApi(stack, catalog, { ...api, listen });
  const running = stack.move();
  const applications = tenants.all.map(({ application }) => application.name);
  const { workerId, replaced } = service;
  return { workerId, replaced, applications, address, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** What goes wrong and is told to nobody goes on for months. */
function untoldLines(tenants: readonly Tenant[]): string[] {
  const deaf = tenants.filter(({ alerts }) => Object.keys(alerts.channels).length === 0);
  const lines = deaf.map(
    ({ application: { name } }) => `nobody is told when something of ${name} goes wrong: there are no alerts.channels`,
  );
  if (deaf.length > 0 || tenants.some(({ alerts }) => alerts.heartbeat !== undefined)) return lines;
  return ['nobody is told when this machine itself falls silent: there is no alerts.heartbeat'];
}

const pruneEveryMs = 86_400_000;

interface ServedParts {
  readonly place: ServicePlace;
  readonly listen: ListenAddress;
  readonly service: Service;
  readonly tenants: KnownTenants;
  readonly answers: CommandAnswers;
}

/** Returns where it listens. */
async function serveApi(
  stack: AsyncDisposableStack,
  catalog: Catalog,
  { place, listen, service, tenants, answers }: ServedParts,
): Promise<string> {
  const { createApi, listen: listenAt } = await import('./api/create-api.ts');
  const { version, onProblem } = place;
  const log = auditLogOf(catalog, place.stateFolder);
  const watch = stack.use(new ProcessWatch());
  const [first] = tenants.all;
  for (const [key, { message }] of first?.unset ?? [])
    if (key.startsWith('service.api.')) place.onNote(`warning: ${key} is left out: ${message}`);
  const served = {
    tenants: () => tenants.all,
    answers,
    processSample: () => watch.sample(),
    offer: service.offer,
  };
  const app = await createApi({ log, version, service: served, health: () => 'ok', onProblem, ...reachedBy(tenants) });
  stack.defer(() => app.close());
  stack.use(new Repeating({ everyMs: pruneEveryMs, work: async () => void (await pruneAudit(log)), onProblem }));
  try {
    return await listenAt(app, listen);
  } catch (error) {
    const { host, port } = listen;
    throw new AppError('LISTEN_FAILED', `the API can't listen at ${host}:${port}: ${messageOf(error)}`, {
      hint: 'Choose another address with --listen, or --no-api.',
      cause: error,
    });
  }
}

/** As it starts: whoever changes these starts it again. */
function reachedBy({ all: [first] }: KnownTenants): Pick<ApiParts, 'publicUrl' | 'trustedProxies' | 'openid'> {
  const { publicUrl, trustedProxies, openid } = first?.api ?? {};
  const newUsers = openid?.newUsers;
  const newUserGrants =
    newUsers && (newUsers.applications ?? [everywhere]).map((application) => ({ application, role: newUsers.role }));
  return {
    publicUrl: publicUrl === undefined ? undefined : new URL(publicUrl),
    trustedProxies,
    openid: openid && { ...openid, issuer: new URL(openid.issuer), newUserGrants },
  };
}

/** On this machine one service has the state, so that nobody waits for a lease of one that is gone. */
async function lockState(stateFolder: string): Promise<Disposable> {
  await mkdir(stateFolder, { recursive: true, mode: 0o700 });
  const hint =
    'Stop the other one, or give this one a state of its own with XDG_STATE_HOME; many take part with LIFEBOAT_DATABASE_URL.';
  return lockFolder(stateFolder, { what: 'the state of the service in', hint, sinceMs: systemClock.now() });
}

async function openQueue(catalog: Catalog, { databaseUrl: url, onProblem }: ServicePlace): Promise<Queue> {
  if (url === undefined) return new CatalogQueue(catalog, { onProblem });
  // Takes more memory than all else that the server loads.
  const { openPgBossQueue } = await import('./workflow/pg-boss-queue.ts');
  return openPgBossQueue({ catalog, url, onProblem });
}

async function openTenants(
  place: ServicePlace,
  { configurations, plans }: ServiceWishes,
  catalog: Catalog,
): Promise<KnownTenants & AsyncDisposable> {
  const { environment, onNote, onProblem } = place;
  const { workingFolder } = environment;
  if (!plans && configurations.length === 0 && place.configurationPath === undefined) {
    return PublishedTenants.open({
      catalog,
      load: (path, texts) => loadTenant(path, { ...environment, configurations: texts }),
      onNote,
      onProblem,
    });
  }
  const found = async (): Promise<string | undefined> =>
    findConfiguration({ named: place.configurationPath, workingFolder });
  const told = new Set<string>();
  const tellShared = (all: readonly Tenant[]): void => {
    const applications = all.map(({ application }) => application);
    for (const line of [...sharedPlaces(applications), ...[stateAmongOthers(applications) ?? []].flat()]) {
      if (!told.has(line)) onNote(`warning: ${line}`);
      told.add(line);
    }
  };
  const tenants = await Tenants.open({
    paths: configurations.length === 0 ? [await found()] : configurations.map((path) => resolve(workingFolder, path)),
    load: (path) => loadTenant(path, environment),
    versionOf: (path) => configurationVersion(path, environment),
    onChanged({ application, configurationPath }) {
      onNote(`${configurationPath ?? ''} was read again: ${application.name} is configured anew`);
      tellShared(tenants.all);
    },
    onProblem,
  });
  tellShared(tenants.all);
  return tenants;
}

async function loadTenant(path: string | undefined, environment: Environment): Promise<Tenant> {
  const { path: configurationPath, ...loaded } = await loadConfiguration({ path, environment });
  const { application, text, template, alerts, probes, warmUp, api, unreachable, unset } = loaded;
  return { application, configurationPath, text, template, alerts, probes, warmUp, api, unreachable, unset };
}

/** With that of its template. */
async function configurationVersion(path: string, environment: Environment): Promise<string | undefined> {
  const version = await fileVersion(path);
  if (version === undefined) return undefined;
  const template = await templatePathOf(path, environment);
  return template === undefined ? version : `${version} ${await filesVersion([template])}`;
}
