// The service: what keeps applications protected while nobody looks. A server plans and works; a worker only works, with the labels it
// carries. All state is in the catalog, so that whatever dies goes on after its restart, or elsewhere.
import { randomUUIDv7 } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { asError, type AppError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { insertRun, type NewRun } from '../catalog/runs.ts';
import { expireLeases } from '../catalog/leases.ts';
import { serverLabel } from '../model/job.ts';
import type { ProbePorts } from '../monitoring/probes/look.ts';
import type { Queue } from '../workflow/queue.ts';
import { startWorker, type WorkerOptions } from '../workflow/worker.ts';
import { startAlerting } from './alerting.ts';
import { InventoryKeeper, type Seen } from './inventory.ts';
import { jobDefinitions, jobInputSchema } from './job-runs.ts';
import { leaseDefaultMs, type Launcher } from './job-process.ts';
import { recordStandings } from './ledger.ts';
import { restoreDefinition, restoreKind } from './restore-runs.ts';
import { startScheduler } from './scheduler.ts';
import { Prober } from './prober.ts';
import { Publisher, type ConfigurationTexts } from './publisher.ts';
import { keepSelfBackups } from './self-backups.ts';
import { SignKeeper } from './sign-keeper.ts';
import { Supervisor } from './supervisor.ts';
import type { KnownTenants, Tenant } from './tenant.ts';
import { warmUpDefinition, warmUpKind } from './warm-up-runs.ts';

export interface ServiceEvents {
  readonly onNote: (text: string) => void;
  readonly onProblem: (error: Error) => void;
}

export interface ServiceParts extends ServiceEvents {
  readonly catalog: Catalog;
  readonly queue: Queue;
  readonly tenants: KnownTenants;
  readonly launcher: Launcher;
  readonly plans: boolean;
  /** Of this worker, for people: the host's name. */
  readonly name: string;
  readonly version: string;
  readonly labels: readonly string[];
  readonly runsMax: number;
  readonly random: Random;
  readonly clock: Clock;
  /** How probes ask the components of an application. */
  readonly probePortsOf: (tenant: Tenant) => ProbePorts;
  /** A run about the application has ended here. */
  readonly onChanged: (application: string) => void;
  readonly texts: ConfigurationTexts;
  /** For what is restored beside. */
  readonly restoresFolder: string;
}

export interface Service extends AsyncDisposable {
  readonly workerId: string;
  /** Resolves if the state was recovered elsewhere: this one may not act any more. */
  readonly replaced: Promise<AppError>;
  /** Tells workers of a run that was stored. */
  readonly offer: (id: string, run: Pick<NewRun, 'labels' | 'priority' | 'wakeAtMs'>) => Promise<void>;
}

export async function startService(parts: ServiceParts): Promise<Service> {
  const { catalog, queue, tenants, launcher, random, onNote, onProblem } = parts;
  const { leaseMs = leaseDefaultMs } = launcher;
  await using stack = new AsyncDisposableStack();
  const enqueue = async (run: NewRun): Promise<string> => {
    const id = await insertRun(catalog, run);
    await offer(id, run);
    return id;
  };
  const offer: Service['offer'] = (id, { labels = [], priority = 0, wakeAtMs }) =>
    queue.offer({ id, labels, priority, wakeAtMs });
  // Of a catalog on this machine there is one worker: whoever held a lease before is gone.
  if (catalog.kind === 'sqlite') await expireLeases(catalog);
  const all = (): KnownTenants['all'] => tenants.all;
  const { promise: replaced, resolve: onReplaced } = Promise.withResolvers<AppError>();
  // Closed last: until then it lives.
  if (parts.plans) {
    stack.use(await SignKeeper.start({ catalog, launcher, tenants: all, onReplaced, onProblem }));
  }
  const tenantOf = (name: string): Tenant | undefined => tenants.find(name);
  const onSeen = async ({ application }: Tenant, seen: Seen): Promise<void> => {
    for (const { component, standing, reason } of await recordStandings(catalog, application, seen))
      onNote(`${application.name}: ${component} is ${standing.replace('_', ' ')}: ${reason}`);
  };
  const looks = { catalog, launcher, tenants: all, onSeen, onProblem };
  if (parts.plans) stack.use(new InventoryKeeper(looks));
  // The state is backed up where its configuration files and the key of its audit log lie.
  const labels = parts.plans ? [...parts.labels, serverLabel] : parts.labels;
  let publisher: Publisher | undefined;
  const worker = stack.use(
    await startWorker({
      ...parts,
      leaseMs,
      ...choiceOfRuns(parts, () => publisher),
      labels,
      definitions: {
        ...jobDefinitions({ catalog, launcher, tenantOf, tenants: all, enqueue }),
        [warmUpKind]: warmUpDefinition({ launcher, tenantOf }),
        [restoreKind]: restoreDefinition({ catalog, launcher, tenantOf, restoresFolder: parts.restoresFolder }),
      },
      onEnded: (run) => tellEnded(run, parts),
    }),
  );
  stack.use(
    new Supervisor({
      catalog,
      launcher,
      tenants: all,
      holder: worker.id,
      labels,
      // Who shares a catalog in a file shares a machine: what fails there is told.
      leavesUnreachable: catalog.kind === 'postgres',
      leaseMs,
      random,
      onNote: (name, text) => onNote(`${name}: ${text}`),
      onProblem,
    }),
  );
  if (parts.plans) publisher = startDuties(stack, parts, { holder: worker.id, leaseMs, offer, enqueue });
  const started = stack.move();
  return { workerId: worker.id, replaced, offer, [Symbol.asyncDispose]: () => started.disposeAsync() };
}

/** What is in a file is worked for here alone; on PostgreSQL each takes what it knows. */
function choiceOfRuns(
  { catalog, tenants, plans }: ServiceParts,
  publisher: () => Publisher | undefined,
): Pick<WorkerOptions, 'takes' | 'isReady'> {
  if (catalog.kind === 'sqlite') return {};
  return {
    takes(application, component) {
      const tenant = tenants.find(application);
      if (tenant === undefined) return publisher()?.isForsaken(application) === true;
      // A server tries what it can't reach, so that it is told of; a worker leaves it to those that can.
      return plans || component === null || tenant.unreachable?.has(component) !== true;
    },
    isReady: () => plans || tenants.all.length > 0,
  };
}

interface DutyParts {
  readonly holder: string;
  readonly leaseMs: number;
  readonly offer: Service['offer'];
  readonly enqueue: (run: NewRun) => Promise<string>;
}

/** What only a server does. */
function startDuties(
  stack: AsyncDisposableStack,
  { catalog, clock, tenants, onNote, onProblem, ...parts }: ServiceParts,
  { holder, leaseMs, offer, enqueue }: DutyParts,
): Publisher | undefined {
  const all = (): KnownTenants['all'] => tenants.all;
  const onStarted = (id: string, run: NewRun): void => {
    offer(id, run).catch((error: unknown) => onProblem(asError(error)));
  };
  stack.use(startScheduler({ catalog, tenants: all, onStarted, onProblem }));
  const duties = { catalog, clock, tenants: all, holder, leaseMs, onNote, onProblem };
  const { probePortsOf: portsOf, texts, name: host } = parts;
  stack.use(new Prober({ ...duties, portsOf }));
  stack.use(startAlerting({ ...duties, newId: randomUUIDv7 }));
  stack.use(keepSelfBackups({ catalog, tenants: all, enqueue, onProblem }));
  // Whoever shares a catalog in a file is on this machine.
  if (catalog.kind === 'sqlite') return undefined;
  return stack.use(new Publisher({ ...duties, texts, host, worker: holder }));
}

type EndedRun = Parameters<NonNullable<WorkerOptions['onEnded']>>[0];

function tellEnded({ kind, application, input, state }: EndedRun, { onNote, onChanged }: ServiceParts): void {
  const job = jobInputSchema.safeParse(JSON.parse(input)).data?.job ?? kind;
  onNote(`${application ?? 'service'}: ${job} ${state}`);
  if (application !== null) onChanged(application);
}
