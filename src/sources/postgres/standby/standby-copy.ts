// The data directory of a standby: written from a backup, or found as it was left, and fit to be gone on with.
import { mkdir, readFile, readlink, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, errnoOf } from '../../../base/errors.ts';
import type { StandbyRequest } from '../../standby.ts';
import type { RecoveryReader } from '../../source.ts';
import type { PostgresOptions } from '../options.ts';
import { readPhysicalFacts } from '../physical/facts.ts';
import { endRestore } from '../recovery/data-folder.ts';
import { chooseOwner } from '../recovery/file-owner.ts';
import { planFolder } from '../recovery/replay-decision.ts';
import { writeData } from '../recovery/replay-execution.ts';
import type { MapBase } from '../recovery/replay-map.ts';
import { controlOf } from '../recovery/recovering-server.ts';
import { lookAtTarget, namesIn, unfinishedFile } from '../recovery/target-folder.ts';
import type { Account } from '../server-process.ts';
import { findServer, type ServerPrograms } from '../server-programs.ts';
import type { ControlFile } from '../wal/control-file.ts';
import { formatLsn } from '../wal/lsn.ts';
import { readStandbyState, type StandbyState, writeStandbyState } from './standby-state.ts';

export interface StandbyCopy {
  readonly dataFolder: string;
  readonly account: Account | undefined;
  readonly programs: ServerPrograms;
  readonly major: number;
  readonly superuser: string;
}

export interface KeptStandby {
  readonly state: StandbyState;
  readonly control: ControlFile;
}

export const dataFolderOf = (folder: string): string => join(folder, 'data');
/** Settings and log of one that has taken over. */
export const emergencyFolderOf = (folder: string): string => join(folder, 'emergency');

/** What lies in the folder; undefined if it is nothing that can be gone on with. */
export async function findStandby(folder: string): Promise<KeptStandby | undefined> {
  const state = await readStandbyState(folder);
  const names = await namesIn(dataFolderOf(folder));
  if (state === undefined || !Array.isArray(names) || names.includes(unfinishedFile)) return undefined;
  if (!names.includes('global')) return undefined;
  return { state, control: await controlOf(dataFolderOf(folder)) };
}

/** It left the recovery: what was written since is nowhere else. */
export function hasTakenOver({ state, control }: KeptStandby): boolean {
  const recovers = ['shut down in recovery', 'in archive recovery'].includes(control.state);
  return state.isPromoted && !recovers;
}

export async function openStandby(
  options: PostgresOptions,
  { request: { folder, owner: named }, state }: Opening,
  signal: AbortSignal,
): Promise<StandbyCopy> {
  const dataFolder = dataFolderOf(folder);
  await untilStopped(dataFolder, signal);
  const { account } = await chooseOwner({ named, stored: undefined, folder: dataFolder });
  const programs = await findServer(state.serverMajor, options.programFolders, signal);
  return copyOf({ dataFolder, account, programs }, state);
}

export interface Opening {
  readonly request: Pick<StandbyRequest, 'folder' | 'owner'>;
  readonly state: StandbyState;
}

interface Writing {
  readonly options: PostgresOptions;
  readonly request: StandbyRequest;
  readonly base: MapBase;
  /** The timeline that is to be followed. */
  readonly lineage: string;
}

/** Over what is left of an earlier one, of which only what differs is rewritten. */
export async function writeStandby(
  { options, request, base, lineage }: Writing,
  reader: RecoveryReader,
  signal: AbortSignal,
): Promise<KeptStandby & { readonly copy: StandbyCopy }> {
  const { folder, events, owner } = request;
  const dataFolder = dataFolderOf(folder);
  const facts = readPhysicalFacts(await reader.facts(signal));
  const programs = await findServer(facts.serverMajor, options.programFolders, signal);
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const wasOurs = (await readStandbyState(folder)) !== undefined;
  if (wasOurs) await untilStopped(dataFolder, signal);
  const wish = { to: dataFolder, places: [], owner, newTablespaces: [], needsServer: true };
  const plan = await planFolder({ options, reader }, wish, signal);
  await refuseForeign({ dataFolder, wasOurs, plan });
  await rm(emergencyFolderOf(folder), { recursive: true, force: true }); // Of one whose data are gone.
  for (const finding of plan.findings) if (finding.outcome === 'warning') events.warn(finding);
  let baseBytes = 0;
  const progress = {
    bytes(count: number): void {
      baseBytes += count;
      events.restored(count);
    },
  };
  await writeData({ plan, reader }, { progress, signal, signalFile: 'standby.signal' });
  const consistentLsn = formatLsn(base.consistentLsn);
  const state: StandbyState = {
    version: 1,
    base: base.id,
    baseBytes,
    serverMajor: facts.serverMajor,
    systemIdentifier: facts.systemIdentifier,
    superuser: facts.superuser,
    consistentLsn,
    extent: facts.fingerprint,
    isCompared: facts.fingerprint === null,
    lineage,
    replayedLsn: consistentLsn,
    isPromoted: false,
  };
  await writeStandbyState(folder, state);
  await endRestore(dataFolder);
  const copy = copyOf({ dataFolder, account: plan.owner.account, programs }, state);
  return { copy, state, control: await controlOf(dataFolder) };
}

function copyOf(
  parts: Pick<StandbyCopy, 'dataFolder' | 'account' | 'programs'>,
  { serverMajor, superuser }: StandbyState,
): StandbyCopy {
  return { ...parts, major: serverMajor, superuser: superuser ?? 'postgres' };
}

async function refuseForeign({
  dataFolder,
  wasOurs,
  plan: { findings, facts },
}: {
  readonly dataFolder: string;
  readonly wasOurs: boolean;
  readonly plan: Awaited<ReturnType<typeof planFolder>>;
}): Promise<void> {
  const failed = findings.find(({ outcome }) => outcome === 'failed');
  if (failed !== undefined) {
    const code = failed.aspect === 'disk space' ? 'TARGET_SPACE' : 'TARGET_UNSAFE';
    throw new AppError(code, failed.message, { hint: failed.hint ?? 'Choose another folder.' });
  }
  const { state } = await lookAtTarget(dataFolder, { ...facts, major: facts.serverMajor });
  if (state !== 'stale' || wasOurs) return;
  throw new AppError('TARGET_UNSAFE', `${dataFolder} is a data directory, and no standby of ours`, {
    hint: 'Name a folder of its own with --to.',
  });
}

const stopWaitMaxMs = 20_000;
const pollMs = 100;

/** A server whose supervisor was killed is being ended by its watcher; of one that was killed as well only a file is left. */
async function untilStopped(dataFolder: string, signal: AbortSignal): Promise<void> {
  const file = join(dataFolder, 'postmaster.pid');
  for (let waitedMs = 0; ; waitedMs += pollMs) {
    const pid = await pidIn(file);
    if (pid === undefined) return;
    if (!(await isServerOf(pid, dataFolder))) return rm(file, { force: true });
    if (waitedMs >= stopWaitMaxMs) {
      throw new AppError('TARGET_UNSAFE', `a server runs on ${dataFolder} (process ${pid})`, {
        hint: 'Stop it, or name another folder with --to.',
      });
    }
    await sleep(pollMs, undefined, { signal });
  }
}

/** The process of a server that runs on a data directory. */
export async function serverOn(dataFolder: string): Promise<number | undefined> {
  const pid = await pidIn(join(dataFolder, 'postmaster.pid'));
  return pid !== undefined && (await isServerOf(pid, dataFolder)) ? pid : undefined;
}

async function pidIn(file: string): Promise<number | undefined> {
  try {
    const pid = Number((await readFile(file, 'utf8')).split('\n')[0]);
    return Number.isInteger(pid) && pid > 1 ? pid : undefined;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Its number may be another's by now. A server works in its data directory. */
async function isServerOf(pid: number, dataFolder: string): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (errnoOf(error) !== 'EPERM') return false;
  }
  if (process.platform !== 'linux') return true;
  try {
    return (await readlink(`/proc/${pid}/cwd`)) === (await realpath(dataFolder));
  } catch (error) {
    return errnoOf(error) !== 'ENOENT'; // Another account's, which we may not look at.
  }
}
