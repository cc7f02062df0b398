// Carries a recovery out: the data directory, the replay by a server of ours, and a directory at the end that is whole, stopped, and
// says nothing of a recovery any more.
import { chown, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatByteSize } from '../../../base/byte-size.ts';
import { count } from '../../../base/count.ts';
import { AppError, errnoOf, isAppError, messageOf, restoreFailureCode } from '../../../base/errors.ts';
import { interruptedWith } from '../../../base/interrupted.ts';
import { makeThrowAwayFolder } from '../../../base/throw-away-folder.ts';
import type { JournalReader } from '../../journal.ts';
import type { ReplayFile, ReplayOptions } from '../../replay.ts';
import type { RecoveryReader, RestoreOutcome, RestoreProgress } from '../../source.ts';
import type { PostgresOptions } from '../options.ts';
import { type Account, giveAway, reachablePrograms } from '../server-process.ts';
import { formatLsn } from '../wal/lsn.ts';
import { sentinelOfCopy } from '../sentinel/read-sentinels.ts';
import type { Recovery } from './choose-recovery.ts';
import { completeDataFolder, type DataFolder, endRestore, writeDataFolder, writeDurably } from './data-folder.ts';
import { limitWords } from './locate-target.ts';
import { type Recovered, runRecovery } from './recovering-server.ts';
import {
  ownSettingsFile,
  quietSettings,
  targetSettings,
  withoutRecoverySettings,
  withSettings,
} from './recovery-settings.ts';
import type { FolderPlan } from './replay-decision.ts';
import { replayFiles, segmentFile } from './replay-files.ts';
import type { ReplayMap } from './replay-map.ts';
import { startServer } from './start-server.ts';
import { lookAtTarget } from './target-folder.ts';
import { syncDataFolder, unsynced, withBarrier, withoutBarrier } from './unsynced-replay.ts';

export interface Execution {
  readonly options: PostgresOptions;
  readonly wish: ReplayOptions;
  readonly plan: FolderPlan;
  readonly recovery: Recovery;
  readonly map: ReplayMap;
  readonly journal: JournalReader;
  readonly reader: RecoveryReader;
}

export async function executeReplay(
  execution: Execution,
  progress: RestoreProgress,
  signal: AbortSignal,
): Promise<RestoreOutcome> {
  const { plan, wish } = execution;
  try {
    progress.step(0);
    const written = await writeData(execution, { progress, signal, signalFile: 'recovery.signal' });
    if (wish.isOnlyPrepared) return await prepare(execution, { written, progress, signal });
    progress.step(1);
    const recovered = await replay(execution, progress, signal);
    progress.step(2);
    if (wish.action !== 'shutdown') await rm(join(plan.folder, 'backup_label.old'), { force: true });
    await endRestore(plan.folder);
    const outcome = outcomeOf(execution, written, recovered);
    if (!wish.isStarted || recovered.control.state !== 'shut down') return outcome;
    progress.step(3);
    return { ...outcome, restored: [...outcome.restored, await startServer(plan, signal)] };
  } catch (error) {
    throw withRest(error, plan.folder, signal);
  }
}

/** A data directory as it was at the end of its backup: its first start replays what lies in it, and nothing else. */
export async function executePlainFolder(
  { plan, reader }: Pick<Execution, 'plan' | 'reader'>,
  progress: RestoreProgress,
  signal: AbortSignal,
): Promise<RestoreOutcome> {
  try {
    progress.step(0);
    const written = await writeData({ plan, reader }, { progress, signal, signalFile: undefined });
    await endRestore(plan.folder);
    return {
      restored: [writtenWords(plan, written), `start PostgreSQL ${plan.facts.serverMajor} on it as ${plan.owner.name}`],
    };
  } catch (error) {
    throw withRest(error, plan.folder, signal);
  }
}

interface Writing {
  readonly progress: Pick<RestoreProgress, 'bytes'>;
  readonly signal: AbortSignal;
  /** What a server that is started on it shall do. */
  readonly signalFile: 'recovery.signal' | 'standby.signal' | undefined;
}

/** All of a data directory; `endRestore` says that it is one. */
export async function writeData(
  { plan, reader }: Pick<Execution, 'plan' | 'reader'>,
  { progress, signal, signalFile }: Writing,
): Promise<DataFolder> {
  const { folder, facts, tablespaces, owner } = plan;
  // Since the decision somebody may have started a server there, or asked for another restore.
  const expected = { systemIdentifier: facts.systemIdentifier, major: facts.serverMajor };
  const now = await lookAtTarget(folder, expected);
  const failed = now.findings.find(({ outcome }) => outcome === 'failed');
  if (failed !== undefined)
    throw new AppError('TARGET_UNSAFE', failed.message, { hint: failed.hint ?? 'Choose another target.' });
  const written = await writeDataFolder(
    reader,
    {
      folder,
      systemIdentifier: facts.systemIdentifier,
      isStale: now.state === 'stale' || now.state === 'unfinished',
      tablespaces,
      onBytes: (bytes) => progress.bytes(bytes),
    },
    signal,
  );
  await changeSettings(folder, withoutRecoverySettings);
  if (signalFile !== undefined) await writeDurably(join(folder, signalFile), new Uint8Array());
  const { account } = owner;
  if (account !== undefined) {
    await giveAway(account, folder, signal);
    for (const { to } of tablespaces) if (!to.startsWith(`${folder}/`)) await giveAway(account, to, signal);
  }
  await completeDataFolder(reader, { folder, account }, signal);
  return written;
}

async function changeSettings(folder: string, change: (text: string) => string, account?: Account): Promise<void> {
  const path = join(folder, ownSettingsFile);
  let text = '';
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  await writeDurably(path, Buffer.from(change(text)), account);
}

/** For whoever starts the server himself: all that it will ask for lies in pg_wal already. */
async function prepare(
  { plan, recovery, map, journal, wish }: Execution,
  {
    written,
    progress,
    signal,
  }: { readonly written: DataFolder; readonly progress: RestoreProgress; readonly signal: AbortSignal },
): Promise<RestoreOutcome> {
  progress.step(1);
  const { folder, owner } = plan;
  const segments = replayFiles(recovery, map, journal).filter(({ name }) => name.endsWith('.history'));
  const needed = recovery.segments.map((segment) => segmentFile(segment, recovery.goal, journal));
  for (const file of [...segments, ...needed]) {
    await writeDurably(join(folder, 'pg_wal', file.name), await file.read(signal), owner.account);
    progress.bytes(file.sizeBytes);
  }
  const { stop, goal } = recovery;
  // Nothing comes from elsewhere; and what the copy writes must not get into the archive of the original.
  const aim = { timeline: goal.timeline, stop, action: wish.action, command: 'false' } as const;
  await changeSettings(folder, (text) => withSettings(text, [...targetSettings(aim), ['archive_mode', 'off']]));
  if (owner.account !== undefined) await giveAway(owner.account, folder, signal);
  await endRestore(folder);
  return {
    restored: [
      writtenWords(plan, written),
      `${count(needed.length, 'segment')} of the journal lie in its pg_wal; start PostgreSQL ${plan.facts.serverMajor} on it as ${owner.name}, and it recovers up to ${limitWords(stop)}`,
      `then remove the recovery_… settings, restore_command and archive_mode from ${ownSettingsFile}`,
    ],
  };
}

interface Replayed extends Recovered {
  readonly sentinelMs: number | undefined;
}

async function replay(execution: Execution, progress: RestoreProgress, signal: AbortSignal): Promise<Replayed> {
  const { options, wish, plan, recovery, map, journal } = execution;
  const { account } = plan.owner;
  const { programs } = plan;
  if (programs === undefined)
    throw new AppError('TOOL_MISSING', 'there is no server to replay with', { hint: 'Install one.' });
  const parentFolder = options.sandboxFolder ?? tmpdir();
  await using work = await makeThrowAwayFolder(parentFolder, 'postgres');
  if (account !== undefined) await chown(work.path, account.uid, account.gid);
  const programFolder = await reachablePrograms(programs, work.path, account);
  const files = replayFiles(recovery, map, journal).map((file) => counted(file, progress));
  await using feed = await wish.openFeed({ files, parentFolder: work.path, account }, signal);
  const aim = { timeline: recovery.goal.timeline, stop: recovery.stop, action: wish.action };
  let sentinelMs: number | undefined;
  await changeSettings(plan.folder, withBarrier, account);
  const recovered = await runRecovery(
    {
      dataFolder: plan.folder,
      programFolder,
      account,
      work,
      aim,
      feed,
      settings: [...unsynced, ...quietSettings(plan.facts.serverMajor)],
      onReplayed: () => undefined,
      async onPromoted({ socketFolder, port }) {
        const user = plan.facts.superuser ?? 'postgres';
        sentinelMs = await sentinelOfCopy({ host: socketFolder, port, user, ssl: { mode: 'disable' } }, signal);
      },
    },
    ({ socketFolder, port }) =>
      inspected(execution, `psql -h ${socketFolder} -p ${port} -U ${plan.facts.superuser ?? 'postgres'} postgres`),
    signal,
  );
  await syncDataFolder({ programFolder, folder: work.path, account }, plan.folder, signal);
  await changeSettings(plan.folder, withoutBarrier, account);
  return { ...recovered, sentinelMs };
}

/** Once: the server asks for some twice. */
function counted(file: ReplayFile, progress: RestoreProgress): ReplayFile {
  let isCounted = false;
  return {
    ...file,
    async read(signal) {
      const bytes = await file.read(signal);
      if (!isCounted) progress.bytes(bytes.length);
      isCounted = true;
      return bytes;
    },
  };
}

async function inspected({ wish }: Execution, connection: string): Promise<'promote' | 'shutdown'> {
  return wish.inspect === undefined ? 'shutdown' : wish.inspect(connection);
}

function writtenWords({ folder, tablespaces }: FolderPlan, written: DataFolder): string {
  const removed =
    written.removed === 0 ? '' : `, ${count(written.removed, 'entry', 'entries')} that were not in the backup removed`;
  const places = tablespaces.length === 0 ? '' : `; tablespaces in ${tablespaces.map(({ to }) => to).join(', ')}`;
  return `data directory ${folder}: ${count(written.files, 'file')} (${formatByteSize(written.bytes)}), ${formatByteSize(written.writtenBytes)} of them written${removed}${places}`;
}

function outcomeOf({ plan, recovery, wish }: Execution, written: DataFolder, recovered: Replayed): RestoreOutcome {
  const { control, lastTransaction, replayedLsn, sentinelMs } = recovered;
  const isPromoted = control.state === 'shut down';
  // What was replayed the server says when it is promoted, and only then.
  const last =
    lastTransaction === undefined
      ? 'no transaction was replayed'
      : `the last transaction replayed ended at ${lastTransaction}`;
  const reached =
    replayedLsn === undefined
      ? `recovered up to ${limitWords(recovery.stop)}`
      : `recovered to ${formatLsn(replayedLsn)}; ${last}`;
  const byHand = wish.isStarted ? '' : `: start PostgreSQL ${plan.facts.serverMajor} on it as ${plan.owner.name}`;
  const end = isPromoted
    ? `it is ${wish.isStarted ? '' : 'stopped, '}on timeline ${control.timeline}${byHand}`
    : `it is stopped within the recovery, on timeline ${recovery.goal.timeline}: ${wish.action === 'pause' ? 'nobody promoted it' : 'as --action shutdown asks'}`;
  return { restored: [writtenWords(plan, written), reached, end], sentinelMs };
}

function withRest(error: unknown, folder: string, signal: AbortSignal): unknown {
  const left = `${folder} holds a restore that did not end; PostgreSQL does not start from it`;
  const hint = 'Run the same restore again: it goes on from what is there.';
  const interrupted = interruptedWith(signal, { left, hint });
  if (interrupted !== undefined) return interrupted;
  if (isAppError(error, 'TARGET_UNSAFE', 'TOOL_MISSING', 'SOURCE_UNREACHABLE')) return error;
  const code = isAppError(error, 'TARGET_SPACE') ? 'TARGET_SPACE' : restoreFailureCode(error);
  const own = isAppError(error) ? `${error.hint} ` : '';
  return new AppError(code, `${messageOf(error)}; ${left}`, { hint: `${own}${hint}`, cause: error });
}
