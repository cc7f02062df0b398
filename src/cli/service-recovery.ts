// The service on a new machine, out of a repository: what would be done, decided first; then done, so that at every instant either the old
// state or the whole new one is in place.
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { placeAuditKey } from '../access/audit-key.ts';
import { auditLogOf, type Actor } from '../access/audit-log.ts';
import { AppError, errnoOf } from '../base/errors.ts';
import { lockFolder } from '../base/folder-lock.ts';
import { selfComponent } from '../model/self-backup.ts';
import { componentOf, selectPoint } from '../operations/restore/select-point.ts';
import { loadSnapshots, type StoredSnapshot } from '../repository/snapshot.ts';
import type { RecoveryReader } from '../sources/source.ts';
import { fillCatalog } from '../service/state/fill-catalog.ts';
import { auditKeyPath, configurationPath, filesIn, type StateManifest } from '../service/state/layout.ts';
import { lookAtCatalog, placeCatalog, refuseLiveWorkers, type CatalogThere } from '../service/state/place-catalog.ts';
import { readManifest, readStateFile } from '../service/state/read-state.ts';
import { claimGeneration, livenessOf, readSigns, type Liveness, type Sign } from '../service/state/sign.ts';
import type { CommandContext, OpenedRepository } from './context.ts';

export interface StateChoice {
  /** `latest`, `before:<time>`, an id. */
  readonly from: string;
  /** Whose server it was, where several have theirs in the repository. */
  readonly application: string | undefined;
}

export interface FileDecision {
  readonly to: string;
  /** Inside the backup. */
  readonly from: string;
  /** `same`: it says the same already. */
  readonly there: 'nothing' | 'same' | 'another';
  /** Others extend it; no application is configured by it alone. */
  readonly isTemplate: boolean;
}

export interface RecoveryDecision {
  readonly snapshot: string;
  readonly manifest: StateManifest;
  readonly files: readonly FileDecision[];
  readonly catalog: { readonly place: string; readonly there: CatalogThere };
  readonly oldServer: Liveness;
  /** Of the service from then on: higher than any that left a sign. */
  readonly generation: number;
}

export function chooseState(all: readonly StoredSnapshot[], { from, application }: StateChoice): StoredSnapshot {
  const own = all.filter((snapshot) => componentOf(snapshot) === selfComponent);
  const hosts = [...new Set(own.map(({ hostname }) => hostname))].toSorted();
  if (application === undefined && hosts.length > 1) {
    throw new AppError('AMBIGUOUS', `the repository holds the state of several servers: of ${hosts.join(', ')}`, {
      hint: 'Name the application with --application.',
    });
  }
  const fitting = own.filter(({ hostname }) => application === undefined || hostname === application);
  if (fitting.length > 0) return selectPoint(fitting, { from, component: selfComponent }, () => false);
  const whose = application === undefined ? '' : ` of ${application}`;
  throw new AppError('NOT_FOUND', `the repository holds no backup of the state of a server${whose}`, {
    hint: "A server backs its state up by itself; 'lifeboat service backup' does so by hand. Without one, write lifeboat.yaml anew: the backups of the application are there.",
  });
}

/** Of all that can be read, oldest first. */
export function statesIn(
  { repository }: OpenedRepository,
  { signal, progress }: CommandContext,
): Promise<StoredSnapshot[]> {
  return loadSnapshots(repository, signal, (_, { message }) => progress.note(`warning: ${message}`));
}

export async function decideRecovery(
  context: CommandContext,
  { repository }: OpenedRepository,
  { reader, snapshot, folder }: { readonly reader: RecoveryReader; readonly snapshot: string; readonly folder: string },
): Promise<RecoveryDecision> {
  const { signal, clock, catalogLocation } = context;
  const manifest = await readManifest(reader, signal);
  const signs = await readSigns(repository, manifest.service, signal);
  const files: FileDecision[] = [];
  for (const { name, isTemplate } of filesIn(manifest)) {
    const from = configurationPath(name);
    const to = resolve(context.workingFolder, folder, name);
    const there = await readIfThere(to);
    const isSame = there?.equals(await readStateFile(reader, from, signal)) === true;
    files.push({
      from,
      to,
      there: there === undefined ? 'nothing' : isSame ? 'same' : 'another',
      isTemplate,
    });
  }
  const place = catalogLocation.url === undefined ? catalogLocation.path : 'the database of LIFEBOAT_DATABASE_URL';
  return {
    snapshot,
    manifest,
    files,
    catalog: { place, there: await lookAtCatalog(catalogLocation, clock) },
    oldServer: livenessOf(signs, clock.now()),
    generation: nextGeneration(manifest, signs),
  };
}

const nextGeneration = ({ generation }: StateManifest, signs: readonly Sign[]): number =>
  Math.max(generation, ...signs.map((sign) => sign.generation)) + 1;

export function refuseAlive({ oldServer, manifest }: RecoveryDecision, force: string | undefined): void {
  if (!oldServer.seemsAlive || force !== undefined) return;
  throw new AppError(
    'SERVICE_ALIVE',
    `the server whose state this is seems to live: ${oldServer.words ?? manifest.host}`,
    {
      hint: 'Stop it, which it then tells here, or wait until it was silent for 15 minutes. If it is surely gone: --force "why".',
    },
  );
}

/** What would be replaced, for people; undefined for nothing. */
export function replacedBy({ files, catalog }: RecoveryDecision): string | undefined {
  const what = [
    ...files.filter(({ there }) => there === 'another').map(({ to }) => to),
    ...(catalog.there === 'used' ? [`the catalog in ${catalog.place}`] : []),
  ];
  return what.length === 0 ? undefined : what.join(' and ');
}

export interface RecoveryOutcome {
  readonly endedRuns: number;
  /** What was there before, and lies there now. */
  readonly setAside: readonly string[];
}

export interface RecoveryWork {
  readonly decision: RecoveryDecision;
  readonly reader: RecoveryReader;
  readonly actor: Actor;
  /** Why it was done although the old server seemed to live. */
  readonly force: string | undefined;
}

export async function recoverService(
  context: CommandContext,
  { repository, settings }: OpenedRepository,
  { decision, reader, actor, force }: RecoveryWork,
): Promise<RecoveryOutcome> {
  const { signal, clock, stateFolder, catalogLocation } = context;
  const { manifest, generation, snapshot } = decision;
  using stack = new DisposableStack();
  stack.use(await lockState(context));
  await refuseLiveWorkers(catalogLocation, clock);
  if (manifest.hasAuditKey)
    await placeAuditKey(stateFolder, (await readStateFile(reader, auditKeyPath, signal)).toString('utf8'));
  const details = {
    snapshot,
    repository: settings.location,
    ...(force !== undefined && { force: force.slice(0, 500) }),
  };
  let endedRuns = 0;
  const { setAside } = await placeCatalog(catalogLocation, {
    clock,
    async fill(catalog) {
      const log = auditLogOf(catalog, stateFolder);
      const filled = await fillCatalog(catalog, log, { reader, manifest, generation, actor, details, signal });
      ({ endedRuns } = filled);
    },
    // From here on an old server that comes back knows that it was replaced.
    beforeUse: () => claimGeneration(repository, { service: manifest.service, generation }, signal),
  });
  const files = await placeFiles(context, { files: decision.files, reader });
  return { endedRuns, setAside: [...(setAside === undefined ? [] : [setAside]), ...files] };
}

/** A server that runs on this machine has it. */
async function lockState({ stateFolder, catalogLocation, clock }: CommandContext): Promise<Disposable | undefined> {
  await mkdir(stateFolder, { recursive: true, mode: 0o700 });
  if (catalogLocation.url !== undefined) return undefined;
  const hint = 'Stop the server that runs here first.';
  return lockFolder(stateFolder, { what: 'the state of the service in', hint, sinceMs: clock.now() });
}

async function placeFiles(
  { clock, signal }: CommandContext,
  { files, reader }: { readonly files: readonly FileDecision[]; readonly reader: RecoveryReader },
): Promise<string[]> {
  const stamp = new Date(clock.now()).toISOString().replaceAll(/\D/g, '').slice(0, 14);
  const setAside: string[] = [];
  for (const { from, to, there } of files) {
    if (there === 'same') continue;
    const beside = `${to}.recovering`;
    await mkdir(dirname(to), { recursive: true });
    // It may hold secrets as they are.
    await writeFile(beside, await readStateFile(reader, from, signal), { mode: 0o600, flush: true });
    if (there === 'another') {
      await rename(to, `${to}.before-${stamp}`);
      setAside.push(`${to}.before-${stamp}`);
    }
    await rename(beside, to);
  }
  return setAside;
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
