// A service in simulated time: the real scheduler decides over a real catalog what is due, and each run is carried out by its real command
// lines, in this process, because their clock is the simulated one. Repositories lie in memory, and what a server would give in a file.
import { randomUUIDv7 } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { z } from 'zod';
import { createContext, programParts, type AppParts } from '../../src/app.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { openCatalog } from '../../src/catalog/open-catalog.ts';
import { claimableRuns, claimRun, endRun } from '../../src/catalog/runs.ts';
import { insertWorker, seeWorker } from '../../src/catalog/workers.ts';
import type { CommandContext, OpenedRepository } from '../../src/cli/context.ts';
import type { Interruption } from '../../src/cli/interruption.ts';
import { runProgram, type GivenFlags } from '../../src/cli/program.ts';
import { defaultStateFolder } from '../../src/config/options.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import { monthNamed } from '../../src/model/archive.ts';
import type { Component } from '../../src/model/component.ts';
import { jobsOnDemand } from '../../src/model/job.ts';
import type { RepositorySettings } from '../../src/model/repository-settings.ts';
import { jobKinds } from '../../src/model/schedule.ts';
import { backup } from '../../src/operations/backup/backup.ts';
import { componentOf } from '../../src/operations/restore/select-point.ts';
import { initRepository, openRepository } from '../../src/repository/open-repository.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { loadSnapshots, saveSnapshot, type StoredSnapshot } from '../../src/repository/snapshot.ts';
import { Alerting } from '../../src/service/alerting.ts';
import { stepsOfJob } from '../../src/service/job-commands.ts';
import { jobInputSchema } from '../../src/service/job-runs.ts';
import { recordStandings } from '../../src/service/ledger.ts';
import { Scheduler } from '../../src/service/scheduler.ts';
import { configOption, type Tenant } from '../../src/service/tenant.ts';
import { filesSource } from '../../src/sources/files/files-source.ts';
import type { Entry, Source } from '../../src/sources/source.ts';
import { memoryStore } from '../../src/storage/memory/store.ts';
import type { Store } from '../../src/storage/store.ts';
import { inlineWorkers } from './inline-workers.ts';
import type { Ran } from './lifeboat.ts';
import { cheapScrypt, noSignal, testPassword } from './repository.ts';
import { temporaryFolder } from './temporary-folder.ts';

export interface SimulatedOptions {
  /** Folder of `examples/`. */
  readonly example: string;
  /** Of that folder, if not `lifeboat.yaml`. */
  readonly configuration?: string;
  /** RFC 3339. */
  readonly start: string;
  readonly variables?: Readonly<Record<string, string>>;
  /** By component: a file of the example that stands for what its server would give. */
  readonly standIns?: Readonly<Record<string, string>>;
}

/** A command line that was really carried out. */
interface MadeStep {
  /** In UTC, to the minute: `2026-03-08T07:00`. */
  readonly at: string;
  /** As `lifeboat schedule` names it. */
  readonly job: string;
  readonly args: readonly string[];
  readonly exitCode: number;
}

const minuteMs = 60_000;
/** What is told together has been told after that. */
const groupedMs = 20_000;
/** One that sees it, one that finds that it lasts, one that sends what was gathered. */
const alertLooks = 3;
const interruption: Interruption = { signal: noSignal, stop: () => undefined, [Symbol.dispose]: () => undefined };
const claim = { worker: 'simulated', leaseMs: minuteMs, kinds: jobKinds };

export async function simulatedService(options: SimulatedOptions): Promise<SimulatedService> {
  await using stack = new AsyncDisposableStack();
  const { path: home } = stack.use(await temporaryFolder());
  const folder = join(home, options.example);
  cpSync(fileURLToPath(new URL(`../../examples/${options.example}/`, import.meta.url)), folder, { recursive: true });
  const variables = { LIFEBOAT_PASSWORD: testPassword, PATH: process.env['PATH'] ?? '', ...options.variables };
  const environment = { variables, workingFolder: folder, homeFolder: home };
  const configurationPath = join(folder, options.configuration ?? 'lifeboat.yaml');
  const { application, alerts, probes, unset } = await loadConfiguration({ path: configurationPath, environment });
  // The state of the service is no part of what the examples ask for.
  const tenant: Tenant = {
    application: { ...application, selfBackup: undefined },
    configurationPath,
    alerts,
    probes,
    unset,
  };
  const clock: SimulatedClock = {
    nowMs: Date.parse(options.start),
    tickMs: 0,
    now: () => (clock.nowMs += clock.tickMs),
  };
  const catalogPath = join(defaultStateFolder(environment), 'catalog.sqlite');
  mkdirSync(dirname(catalogPath), { recursive: true });
  const catalog = stack.use(await openCatalog({ path: catalogPath, url: undefined }, clock));
  const service = new SimulatedService({ ...options, tenant, catalog, clock, environment, stack: stack.move() });
  await service.begin();
  return service;
}

interface SimulatedClock extends Clock {
  nowMs: number;
  /** So much later each time somebody looks: for work that is to take its time. */
  tickMs: number;
}

interface Parts extends SimulatedOptions {
  readonly tenant: Tenant;
  readonly catalog: Catalog;
  readonly clock: SimulatedClock;
  readonly environment: AppParts['environment'];
  readonly stack: AsyncDisposableStack;
}

export class SimulatedService implements AsyncDisposable {
  readonly catalog: Catalog;
  readonly clock: SimulatedClock;
  readonly tenant: Tenant;
  /** A copy of the example, which may be changed. */
  readonly folder: string;
  readonly stateFolder: string;
  readonly made: MadeStep[] = [];
  readonly #parts: Parts;
  readonly #stores = new Map<string, Store>();
  readonly #outside = new Set<string>();
  readonly #scheduler: Scheduler;
  readonly #alerting: Alerting;
  #isStarted = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.catalog = parts.catalog;
    this.clock = parts.clock;
    this.tenant = parts.tenant;
    this.folder = parts.environment.workingFolder;
    this.stateFolder = defaultStateFolder(parts.environment);
    const onProblem = (error: Error): never => {
      throw error;
    };
    const duties = { catalog: this.catalog, tenants: () => [this.tenant], onProblem };
    this.#scheduler = new Scheduler({ ...duties, onStarted: () => (this.#isStarted = true) });
    const { clock } = this;
    const notes = { onNote: () => undefined, newId: randomUUIDv7 };
    this.#alerting = parts.stack.use(
      new Alerting({ ...duties, ...notes, clock, holder: claim.worker, leaseMs: minuteMs }),
    );
  }

  async begin(): Promise<void> {
    for (const settings of this.tenant.application.repositories) {
      const options = {
        password: testPassword,
        signal: noSignal,
        chunkerDefault: 'gear',
        scryptCost: cheapScrypt,
      } as const;
      await initRepository(this.#storeOf(settings), options);
    }
    await insertWorker(this.catalog, { id: claim.worker, name: 'host', version: 'simulated', labels: [] });
    await this.#scheduler.look();
  }

  /** Until an instant; each run has ended before the next moment. */
  async pass(until: string, stepMs = 5 * minuteMs): Promise<void> {
    const endMs = Date.parse(until);
    while (this.clock.nowMs < endMs) {
      this.clock.nowMs = Math.min(endMs, this.clock.nowMs + stepMs);
      this.#isStarted = false;
      await this.#scheduler.look();
      if (!this.#isStarted) continue;
      for (const { id } of await claimableRuns(this.catalog, 100)) await this.#carryOut(id);
    }
  }

  async #carryOut(id: string): Promise<void> {
    const { application } = this.tenant;
    const row = await claimRun(this.catalog, id, claim);
    const input = jobInputSchema.parse(JSON.parse(row?.input ?? ''));
    const job = jobsOnDemand(application).find(({ id: name }) => name === input.job);
    if (row === undefined || job === undefined) throw new Error(`no run ${id} of a job`);
    const failures: string[] = [];
    for (const { args } of stepsOfJob(job, { ...input, configurations: [] })) {
      const { exitCode, stdout } = await this.lifeboat(...args, ...configOption(this.tenant), '--json');
      this.made.push({ at: minuteOf(this.clock.nowMs), job: job.id, args, exitCode });
      if (exitCode !== 0) failures.push(failureIn(stdout));
    }
    const error = { code: 'JOB_FAILED', message: failures.join(), hint: '', mayPass: false };
    await endRun(
      this.catalog,
      row,
      failures.length > 0 ? { state: 'failed', error } : { state: 'succeeded', output: {} },
    );
  }

  /** As the service looks around: how components stand now, and who must be told. */
  async look(): Promise<void> {
    const { application } = this.tenant;
    const { stdout } = await this.lifeboat('status', '--json');
    await seeWorker(this.catalog, claim.worker);
    await recordStandings(this.catalog, application, { document: JSON.parse(stdout), atMs: this.clock.nowMs });
    for (let times = 0; times < alertLooks; times += 1) {
      await this.#alerting.look();
      this.clock.nowMs += groupedMs;
    }
  }

  /** When a job was carried out. */
  timesOf(job: string): string[] {
    return [...new Set(this.made.filter((step) => step.job === job).map(({ at }) => at))];
  }

  lifeboat(...args: readonly string[]): Promise<Ran> {
    return this.lifeboatWith({}, ...args);
  }

  /** With variables that say something else. */
  async lifeboatWith(own: Readonly<Record<string, string>>, ...args: readonly string[]): Promise<Ran> {
    const { environment } = this.#parts;
    const [stdout, stderr] = [keptStream(), keptStream()];
    const streams = { stdin: process.stdin, stdout: stdout.stream, stderr: stderr.stream };
    const variables = { ...environment.variables, ...own };
    const parts = { version: 'simulated', environment: { ...environment, variables }, streams, signal: noSignal };
    const exitCode = await runProgram(args, {
      ...programParts(parts, interruption),
      clock: this.clock,
      createContext: (flags, command) => this.#contextOf(parts, flags, command),
    });
    return { exitCode, stdout: stdout.text(), stderr: stderr.text() };
  }

  async succeed(...args: readonly string[]): Promise<Ran> {
    const ran = await this.lifeboat(...args);
    expect(ran, `lifeboat ${args.join(' ')}`).toMatchObject({ exitCode: 0 });
    return ran;
  }

  async json<Data>(...args: readonly string[]): Promise<Data> {
    return JSON.parse((await this.lifeboat(...args, '--json')).stdout) as Data;
  }

  /** When what is left of a component was backed up, oldest first. */
  async left(repository: string, component: string): Promise<string[]> {
    return (await this.#snapshotsOf(repository, component)).map(({ time }) => time.slice(0, 16));
  }

  /** As earlier days would have left it: a backup now, and others like it with times of their own. */
  async addEarlier(
    {
      repository: name,
      component,
      tags = [],
    }: { readonly repository: string; readonly component: string; readonly tags?: readonly string[] },
    times: readonly string[],
  ): Promise<void> {
    const repository = { ...(await this.#open(name)), lockSettings: { settleMs: 0 } };
    const { nowMs } = this.clock;
    const [first, ...others] = times;
    if (first === undefined) return;
    this.clock.nowMs = Date.parse(first);
    const { id: _, ...like } = await this.#backUp(repository, { component, tags });
    for (const time of others) await saveSnapshot(repository, { ...like, time }, noSignal);
    this.clock.nowMs = nowMs;
  }

  /** Without threads, which take longer to start than all else. */
  async #backUp(
    repository: Repository,
    wishes: { readonly component: string; readonly tags: readonly string[] },
  ): Promise<StoredSnapshot> {
    const { application } = this.tenant;
    const settings = application.components.find(({ name }) => name === wishes.component);
    if (settings === undefined) throw new Error(`no component ${wishes.component}`);
    const streams = { stdin: process.stdin, stdout: keptStream().stream, stderr: keptStream().stream };
    const parts = { version: 'simulated', environment: this.#parts.environment, streams, signal: noSignal };
    const source = await this.#contextOf(parts, {}, {}).sourceOf(settings);
    const pool = inlineWorkers(repository);
    const options = { ...wishes, host: application.name, programVersion: 'simulated', signal: noSignal, pool };
    return (await backup(repository, source, options)).snapshot;
  }

  async #snapshotsOf(repository: string, component: string): Promise<StoredSnapshot[]> {
    const all = await loadSnapshots(await this.#open(repository), noSignal);
    return all.filter((snapshot) => componentOf(snapshot) === component);
  }

  #open(name: string): ReturnType<typeof openRepository> {
    const { repositories } = this.tenant.application;
    const settings = repositories.find((each) => each.name === name) ?? monthNamed(name, repositories);
    if (settings === undefined) throw new Error(`no repository ${name}`);
    return openRepository(this.#storeOf(settings), { password: testPassword, signal: noSignal, clock: this.clock });
  }

  /** As the program makes it, but for the clock, the stores, the servers, and the wait for others who lock. */
  #contextOf(parts: AppParts, flags: GivenFlags, command: Parameters<typeof createContext>[2]): CommandContext {
    const context = createContext(parts, flags, command);
    const inner = { ...context };
    return Object.assign(context, {
      clock: this.clock,
      openStore: async (settings: RepositorySettings) =>
        this.#outside.has(settings.name) ? inner.openStore(settings) : this.#storeOf(settings),
      sourceOf: async (component: Component) =>
        withStillFolders(this.#standInOf(component) ?? (await inner.sourceOf(component))),
      async openRepository(...args: Parameters<CommandContext['openRepository']>): Promise<OpenedRepository> {
        const opened = await inner.openRepository(...args);
        const repository = { ...opened.repository, lockSettings: { settleMs: 0 } };
        return { ...opened, repository, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
      },
    });
  }

  #standInOf({ name }: Component): Source | undefined {
    const path = this.#parts.standIns?.[name];
    return path === undefined ? undefined : filesSource({ paths: [join(this.folder, path)] });
  }

  /** Does something while `lifeboat.yaml` says something else. What is scheduled does not change. */
  async reconfigured(change: (text: string) => string, work: () => Promise<void>): Promise<void> {
    const path = join(this.folder, 'lifeboat.yaml');
    const before = readFileSync(path, 'utf8');
    const after = change(before);
    expect(after).not.toBe(before);
    writeFileSync(path, after);
    try {
      await work();
    } finally {
      writeFileSync(path, before);
    }
  }

  /** From now on the repository is where the configuration says, behind its own driver. */
  leaveMemory(repository: string): void {
    this.#outside.add(repository);
  }

  #storeOf({ name }: RepositorySettings): Store {
    const store = this.#stores.get(name) ?? memoryStore();
    this.#stores.set(name, store);
    return store;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.stack.disposeAsync();
  }
}

/** The folder of temporary files changes all the time: a backup would never be like the one before. */
function withStillFolders(inner: Source): Source {
  if (inner.restore.kind !== 'tree') return inner;
  const still = ({ metadata, ...entry }: Entry): Entry => {
    const changed = metadata.type === 'dir' ? { mtimeNs: 0n, atimeNs: 0n, ctimeNs: 0n, links: 1 } : {};
    return { ...entry, metadata: { ...metadata, ...changed } };
  };
  return {
    ...inner,
    async open(signal, request) {
      const session = await inner.open(signal, request);
      return {
        ...session,
        async *entries(each) {
          for await (const entry of session.entries(each)) yield still(entry);
        },
      };
    },
  };
}

const failureLine = z.union([
  z.object({ message: z.string() }).transform(({ message }) => message),
  z
    .object({ backups: z.array(z.object({ error: z.object({ message: z.string() }) })) })
    .transform(({ backups }) => backups[0]?.error.message ?? ''),
]);

/** What the last line of a command says was wrong. */
const failureIn = (stdout: string): string => failureLine.parse(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''));

const minuteOf = (timeMs: number): string => new Date(timeMs).toISOString().slice(0, 16);

function keptStream(): { readonly stream: NodeJS.WriteStream; readonly text: () => string } {
  const stream = new PassThrough();
  const chunks: string[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
  // Of a terminal it has nothing, as a pipe.
  return { stream: stream as unknown as NodeJS.WriteStream, text: () => chunks.join('') };
}
