// Recovery of PostgreSQL to any instant, as the engine sees it: windows, a choice, a decision.
import assert from 'node:assert/strict';
import type { JournalReader } from '../../journal.ts';
import type {
  ReplayChoice,
  ReplayOptions,
  ReplayPlace,
  ReplayRequest,
  ReplayRestore,
  ReplayWindow,
} from '../../replay.ts';
import type { RecoveryReader, RestoreDecision } from '../../source.ts';
import { formatByteSize } from '../../../base/byte-size.ts';
import { count } from '../../../base/count.ts';
import { AppError } from '../../../base/errors.ts';
import type { Finding } from '../../../model/finding.ts';
import type { PostgresOptions } from '../options.ts';
import { formatLsn } from '../wal/lsn.ts';
import { chooseRecovery, type Recovery } from './choose-recovery.ts';
import { reasonsFor } from './explain.ts';
import { limitWords, type Stop } from './locate-target.ts';
import { planFolder, writeStep } from './replay-decision.ts';
import { executeReplay } from './replay-execution.ts';
import { replayEnd } from './replay-end.ts';
import { readReplayMap, type ReplayMap } from './replay-map.ts';
import { startFinding } from './start-server.ts';
import { originOf, timelineName } from './timeline-tree.ts';
import { WalLibrary } from './wal-library.ts';
import { basesOf, runsOf, windowOf } from './windows.ts';

export function replayRestore(options: PostgresOptions): ReplayRestore {
  return {
    windows,
    end: replayEnd,
    async choose(place, request, signal) {
      const map = await readReplayMap(place, signal);
      const recovery = await chooseRecovery(map, request, { journal: place.journal, signal });
      return asChoice({ options, map, recovery, request, journal: place.journal });
    },
  };
}

/** The instant at which a backup is consistent, with nothing of the journal behind it. */
export async function chooseBase(
  options: PostgresOptions,
  { place, base: id }: { readonly place: ReplayPlace; readonly base: string },
  signal: AbortSignal,
): Promise<ReplayChoice> {
  const map = await readReplayMap({ ...place, bases: place.bases.filter((one) => one.id === id) }, signal);
  const [base] = map.bases;
  if (base === undefined) throw map.unreadable > 0 ? unreadable() : notPhysical();
  const target = { kind: 'lsn', lsn: formatLsn(base.consistentLsn), isInclusive: false } as const;
  const request: ReplayRequest = { target, timeline: { kind: 'current' } };
  const recovery = await chooseRecovery(map, request, { journal: place.journal, signal });
  return asChoice({ options, map, recovery, request, journal: place.journal });
}

/** The instant of a backup, to the record, from the newest older one. */
export async function chooseThrough(
  options: PostgresOptions,
  { place, base: id }: { readonly place: ReplayPlace; readonly base: string },
  signal: AbortSignal,
): Promise<ReplayChoice> {
  const all = await readReplayMap(place, signal);
  const aim = all.bases.find((one) => one.id === id);
  const goal = all.timelines.find(({ lineage }) => lineage === aim?.lineage);
  if (aim === undefined || goal === undefined) throw notPhysical();
  const map: ReplayMap = {
    ...all,
    timelines: all.timelines.filter(({ systemIdentifier }) => systemIdentifier === goal.systemIdentifier),
    bases: all.bases.filter(({ consistentLsn }) => consistentLsn < aim.consistentLsn),
  };
  // What begins at that position came after the rows were looked at.
  const target = { kind: 'lsn', lsn: formatLsn(aim.consistentLsn), isInclusive: false } as const;
  const timeline = { kind: 'number', timeline: goal.timeline, origin: originOf(goal) } as const;
  const request: ReplayRequest = { target, timeline };
  const recovery = await chooseRecovery(map, request, { journal: place.journal, signal });
  return asChoice({ options, map, recovery, request, journal: place.journal });
}

function unreadable(): AppError {
  return new AppError('REPOSITORY_DAMAGED', 'what this backup says of itself can not be read', {
    hint: 'Choose another backup, or another repository.',
  });
}

function notPhysical(): AppError {
  return new AppError('SOURCE_UNSUPPORTED', 'this backup is not a physical one', {
    hint: 'Choose one by the method physical, or restore this one with lifeboat restore.',
  });
}

async function windows(place: ReplayPlace, signal: AbortSignal): Promise<ReplayWindow[]> {
  const map = await readReplayMap(place, signal);
  const all: ReplayWindow[] = [];
  for (const goal of map.timelines) {
    const { systemIdentifier, segmentBytes } = goal;
    const library = new WalLibrary(place.journal, { systemIdentifier, segmentBytes });
    for (const run of runsOf(map, goal, basesOf(map, goal)))
      all.push(await windowOf(run, { goal, map, library }, signal));
  }
  return all;
}

/** What a choice of ours stands for. */
export interface Chosen {
  readonly options: PostgresOptions;
  readonly map: ReplayMap;
  readonly recovery: Recovery;
  readonly request: ReplayRequest;
  readonly journal: JournalReader;
}

interface OwnChoice extends ReplayChoice {
  readonly chosen: Chosen;
}

export function chosenOf(choice: ReplayChoice): Chosen {
  assert.ok('chosen' in choice, 'a choice of this source');
  return (choice as OwnChoice).chosen;
}

function asChoice(chosen: Chosen): OwnChoice {
  const { map, recovery, request } = chosen;
  const { base, goal, stop, segments, window } = recovery;
  const event = stop.kind === 'record' ? stop.event : undefined;
  const timeUs = event !== undefined && 'timeUs' in event ? event.timeUs : undefined;
  return {
    chosen,
    base: base.id,
    branch: timelineName(goal, map.timelines),
    reaches: {
      position: stop.kind === 'base' ? formatLsn(base.consistentLsn) : formatLsn(stop.lsn),
      ...(timeUs === undefined ? {} : { timeUs }),
    },
    replayBytes: segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    window,
    reasons: reasonsFor(recovery, map, request),
    decide: (reader, wish, signal) => decide(chosen, { reader, wish }, signal),
  };
}

async function decide(
  { options, journal, map, recovery }: Chosen,
  { reader, wish }: { readonly reader: RecoveryReader; readonly wish: ReplayOptions },
  signal: AbortSignal,
): Promise<RestoreDecision> {
  const { to, places, owner } = wish;
  const needsServer = !wish.isOnlyPrepared;
  const folderWish = { to, places, owner, newTablespaces: recovery.tablespaces, needsServer };
  const plan = await planFolder({ options, reader }, folderWish, signal);
  const { segments, stop } = recovery;
  const findings = [
    ...plan.findings,
    ...actionFindings(wish, stop),
    ...(wish.isStarted ? [await startFinding(plan, reader, signal)] : []),
  ];
  const size = formatByteSize(segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  const replayed = `${count(segments.length, 'segment')} (${size}) of the journal, up to ${limitWords(stop)}`;
  const steps = wish.isOnlyPrepared
    ? [writeStep(plan), `put ${replayed}, in its pg_wal, with the settings that make a server recover to there`]
    : [
        writeStep(plan),
        `replay ${replayed}`,
        endStep(wish, stop),
        ...(wish.isStarted ? ['start a server on it, with its own configuration'] : []),
      ];
  return {
    target: `data directory ${plan.folder}`,
    replaces: plan.replaces,
    steps,
    findings,
    execute: (progress, executeSignal) =>
      executeReplay({ options, wish, plan, recovery, map, journal, reader }, progress, executeSignal),
  };
}

function endStep({ action }: ReplayOptions, stop: Stop): string {
  if (action === 'promote' || stop.kind === 'base') return 'promote it to a timeline of its own, and stop it cleanly';
  if (action === 'pause') return 'wait there for somebody to look at it, then promote or stop it';
  return 'stop it there, not promoted';
}

/** A server can be told to stop at a record; where the backup ends there is none. */
function actionFindings({ action, isOnlyPrepared }: ReplayOptions, stop: Stop): Finding[] {
  if (action === 'promote' || stop.kind !== 'base' || isOnlyPrepared) return [];
  return [
    {
      aspect: 'action',
      outcome: 'warning',
      message: `the instant is the end of the backup itself, where no server can be told to ${action === 'pause' ? 'wait' : 'stop'}: it is promoted there`,
      hint: "To look at this instant without a promotion use 'lifeboat postgres open'.",
    },
  ];
}
