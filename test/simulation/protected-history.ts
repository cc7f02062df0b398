// A protected server's life so far, and what is looked up in it: holes, windows, ways to an instant, copies that are compared with the
// truth.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../src/base/clock.ts';
import { messageOf } from '../../src/base/errors.ts';
import { systemRandom } from '../../src/base/random.ts';
import type { RecoveryTarget } from '../../src/model/recovery-target.ts';
import { readJournals } from '../../src/operations/journal/reader.ts';
import { feedFrom } from '../../src/operations/restore/feed.ts';
import { recoveryReader } from '../../src/operations/restore/recovery-reader.ts';
import {
  chooseReplay,
  replayPlace,
  type ChosenReplay,
  type ReplayRepository,
} from '../../src/operations/restore/replay.ts';
import { listJournal, type JournalHole } from '../../src/repository/journal/listing.ts';
import { loadIndex } from '../../src/repository/load-index.ts';
import { loadSnapshots } from '../../src/repository/snapshot.ts';
import { WorkerPool } from '../../src/repository/worker-pool.ts';
import { postgresSource } from '../../src/sources/postgres/postgres-source.ts';
import { formatLsn, lsnOf, parseLsn } from '../../src/sources/postgres/wal/lsn.ts';
import type { ReplayWindow } from '../../src/sources/replay.ts';
import { systemSleep } from '../../src/storage/interruption.ts';
import type { Cluster } from '../support/postgres-cluster.ts';
import { noSignal } from '../support/repository.ts';
import { startRestored } from '../support/restored-server.ts';
import { readCommitLog, walSegmentBytes } from './commit-log.ts';
import type { Sent } from './ledger-load.ts';
import { checkSoundness, committedBy, compareWithModel, type Aim, type Line, type Reachable } from './ledger-truth.ts';
import type { FaultyWorld } from './postgres-fault-kinds.ts';
import { Violation } from './simulated-repository.ts';

export interface FaultCounts {
  faults: number;
  gaps: number;
  /** Equal to the row. */
  recoveries: number;
  killedRestores: number;
  /** Instants that are not kept, and were refused beforehand. */
  refused: number;
  damages: number;
  /** Recoveries that were begun and failed at damaged bytes. */
  failedAtDamage: number;
}

export const noFaultCounts = (): FaultCounts => ({
  faults: 0,
  gaps: 0,
  recoveries: 0,
  killedRestores: 0,
  refused: 0,
  damages: 0,
  failedAtDamage: 0,
});

export interface History extends FaultyWorld {
  readonly options: { readonly major: number; readonly recoveries: number };
  readonly sent: Sent;
  readonly archive: string;
  readonly counts: FaultCounts;
  readonly tell: (line: string) => void;
  knownGaps: number;
  copies: number;
}

const programFolders = (process.env['PATH'] ?? '').split(':');

/** Complete segments go side by side, so that one may be overtaken by the next for a moment. */
const overtakenMaxMs = 60_000;

/** Throws if one is not named, and stays so. */
export async function gapsOf({ at }: History): Promise<readonly JournalHole[]> {
  const startMs = performance.now();
  for (;;) {
    const branch = await at.keptBranch(1);
    if (branch === undefined) throw new Violation('nothing is kept');
    const { holes } = await listJournal(at.repository, branch, noSignal);
    const silent = holes.find(({ isRecorded }) => !isRecorded);
    if (silent === undefined) return holes;
    if (performance.now() - startMs > overtakenMaxMs) {
      const [from, to] = [silent.from, silent.to].map((place) => formatLsn(lsnOf(place, walSegmentBytes)));
      throw new Violation(`a hole from ${from} to ${to} that nobody recorded`);
    }
    await sleep(100);
  }
}

export interface Opened extends AsyncDisposable {
  readonly repository: ReplayRepository;
}

export async function open({ at }: History): Promise<Opened> {
  const pool = new WorkerPool(at.repository);
  const indexed = { repository: at.repository, index: await loadIndex(at.repository, noSignal) };
  const snapshots = await loadSnapshots(at.repository, noSignal);
  const journal = readJournals(at.repository);
  return {
    repository: { name: 'main', indexed, pool, snapshots, journal },
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
  };
}

const sourceOf = (cluster: Cluster) => postgresSource({ ...cluster.source({ method: 'physical' }), programFolders });

export async function choose(
  { cluster }: History,
  { repository }: Opened,
  target: RecoveryTarget,
): Promise<ChosenReplay> {
  const request = { target, timeline: { kind: 'latest' } } as const;
  return chooseReplay([repository], { replay: sourceOf(cluster).replay, request }, noSignal);
}

export function lineOf({ options, sent, archive, cluster }: History): Line {
  const folders = [archive, join(cluster.dataFolder, 'pg_wal')];
  return { timeline: 1, sent, log: readCommitLog({ major: options.major, timeline: 1, folders }) };
}

export async function windowsOf(history: History): Promise<readonly ReplayWindow[]> {
  await using opened = await open(history);
  return await sourceOf(history.cluster).replay.windows(await replayPlace(opened.repository, noSignal), noSignal);
}

export function reachableIn(window: ReplayWindow | undefined): Reachable {
  if (window === undefined) throw new Violation('there is no window');
  const { from, to } = window;
  const toLsn = parseLsn(to.position) ?? 0n;
  return { fromLsn: parseLsn(from.position) ?? 0n, fromUs: from.timeUs ?? 0, receivedToLsn: toLsn, toLsn };
}

export interface Recovery {
  readonly chosen: ChosenReplay;
  readonly aim: Aim;
  readonly line: Line;
  readonly reachable: Reachable;
}

export async function recover(history: History, { chosen, aim, line, reachable }: Recovery): Promise<void> {
  const { at, tell } = history;
  const workFolder = join(at.folder, `copy-${(history.copies += 1)}`);
  const dataFolder = join(workFolder, 'data');
  const { choice, repository, snapshot } = chosen;
  const options = {
    to: dataFolder,
    action: 'promote' as const,
    isOnlyPrepared: false,
    isStarted: false,
    places: [],
    openFeed: feedFrom({ clock: systemClock, random: systemRandom, sleep: systemSleep }),
  };
  try {
    const decision = await choice.decide(recoveryReader({ ...repository, snapshot }), options, noSignal);
    const failed = decision.findings.find(({ outcome }) => outcome === 'failed');
    if (failed !== undefined) throw new Violation(failed.message);
    await decision.execute({ step: () => undefined, bytes: () => undefined }, noSignal);
    await compare(history, { dataFolder, workFolder, aim, line, reachable });
    tell(`${aim.options.join(' ')}: equal to the row`);
  } finally {
    rmSync(workFolder, { recursive: true, force: true });
  }
}

interface Copy {
  readonly dataFolder: string;
  readonly workFolder: string;
  readonly aim: Aim;
  readonly line: Line;
  readonly reachable: Reachable;
}

export async function compare(
  { options }: History,
  { dataFolder, workFolder, aim, line, reachable }: Copy,
): Promise<void> {
  await using server = await startRestored(options.major, { dataFolder, workFolder });
  await using connection = await server.connect('postgres');
  const query = (text: string): Promise<Record<string, unknown>[]> => connection.query(text);
  try {
    await compareWithModel(query, committedBy(line, aim, reachable.toLsn));
    await checkSoundness(query);
  } catch (error) {
    throw new Violation(`${aim.options.join(' ')}: ${messageOf(error)}`, { cause: error });
  }
}
