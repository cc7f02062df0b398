// Chooses where a recovery starts, which timeline it follows and where it stops; or says beforehand, and precisely, why the
// instant can't be reached. Reads listings and facts, decides on those alone.
import { count } from '../../../base/count.ts';
import { AppError } from '../../../base/errors.ts';
import { formatInstantUs, type RecoveryTarget, type TimelineChoice } from '../../../model/recovery-target.ts';
import type { JournalReader } from '../../journal.ts';
import type { ReplayRequest, ReplayWindow } from '../../replay.ts';
import { formatLsn, parseLsn } from '../wal/lsn.ts';
import { type Located, locateTarget, type NotLocated, type Stop } from './locate-target.ts';
import { type Reach, reachFrom, type ReplaySegment } from './reach.ts';
import type { MapBase, ReplayMap } from './replay-map.ts';
import { type KeptTimeline, originOf, timelineName } from './timeline-tree.ts';
import { factLsn, WalLibrary } from './wal-library.ts';
import { basesOf, holeWords, runsOf, windowOf, windowWords } from './windows.ts';

export interface Recovery {
  readonly base: MapBase;
  readonly goal: KeptTimeline;
  readonly stop: Stop;
  /** That must be replayed. */
  readonly segments: readonly ReplaySegment[];
  /** These and what is kept behind them. */
  readonly reach: Reach;
  /** The target is the end of what is kept. */
  readonly isEnd: boolean;
  readonly window: ReplayWindow;
  /** Made during the replay at these places of the machine. */
  readonly tablespaces: readonly { readonly oid: number; readonly location: string }[];
}

export interface Goal {
  readonly timeline: KeptTimeline;
  /** Newest position first. */
  readonly bases: readonly MapBase[];
}

export async function chooseRecovery(
  map: ReplayMap,
  { target, timeline }: ReplayRequest,
  { journal, signal }: { readonly journal: JournalReader; readonly signal: AbortSignal },
): Promise<Recovery> {
  if (map.bases.length === 0) throw noBase(map);
  const tried = async (goal: Goal): Promise<Recovery | AppError> => {
    const { systemIdentifier, segmentBytes } = goal.timeline;
    const library = new WalLibrary(journal, { systemIdentifier, segmentBytes });
    return tryGoal(goal, target, { map, library, signal });
  };
  const refusals: AppError[] = [];
  const goals = goalsOf(map, timeline);
  for (const goal of goals) {
    const found = await tried(goal);
    if (!(found instanceof AppError)) return found;
    refusals.push(found);
  }
  const [refused] = refusals;
  if (refused === undefined) throw noTimeline(map, timeline);
  if (timeline.kind === 'number') throw refused;
  const others = map.timelines.filter((one) => goals.every((goal) => goal.timeline !== one));
  for (const other of others.toReversed()) {
    const found = await tried({ timeline: other, bases: basesOf(map, other) });
    if (!(found instanceof AppError)) throw leadsThere(refused, timelineName(other, map.timelines));
  }
  throw refused;
}

/** Another line of history has it. Whether that one is meant only the user can say. */
function leadsThere({ code, message }: AppError, name: string): AppError {
  return new AppError(code, message, { hint: `Timeline ${name} leads there: if it is meant, add --timeline ${name}.` });
}

function noBase({ unreadable }: ReplayMap): AppError {
  const what =
    unreadable === 0
      ? 'there is no physical backup to start a recovery from'
      : `no physical backup can be read to start a recovery from: ${count(unreadable, 'backup')} left out`;
  return new AppError('RECOVERY_TARGET_UNREACHABLE', what, {
    hint:
      unreadable === 0
        ? 'Take one with lifeboat backup, with the method physical; it must be older than what you want to go back to.'
        : "Look for what is damaged with 'lifeboat verify --read-data', or name another repository; 'lifeboat window' names the backups.",
  });
}

/** Timelines that may be followed, the one that is most likely meant first. */
export function goalsOf(map: ReplayMap, choice: TimelineChoice): Goal[] {
  const withBases = (timeline: KeptTimeline): Goal => ({ timeline, bases: basesOf(map, timeline) });
  if (choice.kind === 'number') {
    const { timeline, origin = '' } = choice;
    const fitting = map.timelines.filter((one) => one.timeline === timeline && originOf(one).startsWith(origin));
    return onlyOne(fitting, map).map(withBases);
  }
  if (choice.kind === 'current') {
    const lineages = new Set(map.bases.map(({ lineage }) => lineage));
    return [...lineages].flatMap((lineage) => {
      const own = map.timelines.filter((one) => one.lineage === lineage).map(withBases);
      return own.map(({ timeline, bases }) => ({ timeline, bases: bases.filter((base) => base.lineage === lineage) }));
    });
  }
  const systemOf = new Map(map.timelines.map(({ lineage, systemIdentifier }) => [lineage, systemIdentifier]));
  const systems = new Set(map.bases.map(({ lineage }) => systemOf.get(lineage)));
  return [...systems].flatMap((system) => {
    const own = map.timelines.filter(({ systemIdentifier }) => systemIdentifier === system);
    const newest = own.reduce((most, { timeline }) => Math.max(most, timeline), 0);
    return onlyOne(
      own.filter(({ timeline }) => timeline === newest),
      map,
    ).map(withBases);
  });
}

/** Copies of a server that were promoted apart number their timelines alike: nobody but the user knows which is meant. */
function onlyOne(fitting: readonly KeptTimeline[], map: ReplayMap): readonly KeptTimeline[] {
  if (fitting.length <= 1) return fitting;
  const names = fitting.map((one) => timelineName(one, map.timelines));
  throw new AppError('AMBIGUOUS', `copies of the server went their own ways as timelines ${names.join(' and ')}`, {
    hint: `Name the one that is meant: --timeline ${names.at(-1)}.`,
  });
}

interface Work {
  readonly map: ReplayMap;
  readonly library: WalLibrary;
  readonly signal: AbortSignal;
}

async function tryGoal(goal: Goal, target: RecoveryTarget, work: Work): Promise<Recovery | AppError> {
  const { timeline, bases } = goal;
  if (bases.length === 0) return notAChild(goal, work.map);
  const candidates = bases.filter((base) => maySuit(base, target));
  if (candidates.length === 0) return refusal(goal, 'it lies before the oldest backup is consistent', { target, work });
  const isSearch = target.kind === 'transaction' || target.kind === 'restore-point';
  const names: string[] = [];
  let last: { readonly reach: Reach; readonly why: NotLocated } | undefined;
  let until = Infinity;
  for (const base of candidates) {
    const reach = reachFrom(timeline, base.consistentLsn, work.map.kept);
    // What follows the newer base was searched already.
    const searched = { ...reach, segments: reach.segments.filter(({ segment }) => segment <= until) };
    const field = { ...work, segmentBytes: timeline.segmentBytes, consistentLsn: base.consistentLsn };
    const located = await locateTarget(target, { ...field, reach: isSearch ? searched : reach }, work.signal);
    if (!('kind' in located)) return completed({ goal, base, reach, located, target }, work);
    if (located.kind === 'unknown') names.push(...located.names);
    last ??= { reach, why: located };
    if (!isSearch) break;
    until = Number(base.consistentLsn / BigInt(timeline.segmentBytes));
  }
  return refusal(goal, reasonWords(target, last, names), { target, work });
}

/** Whether the base is old enough. */
function maySuit({ consistentLsn, consistentTimeUs }: MapBase, target: RecoveryTarget): boolean {
  if (target.kind === 'time') return consistentTimeUs !== undefined && consistentTimeUs <= target.timeUs;
  if (target.kind === 'lsn') return consistentLsn <= (parseLsn(target.lsn) ?? 0n);
  return true;
}

interface Found {
  readonly goal: Goal;
  readonly base: MapBase;
  readonly reach: Reach;
  readonly located: Located;
  readonly target: RecoveryTarget;
}

/** What the facts of the segments forbid or tell, once it is known which are needed. */
async function completed(
  { goal, base, reach, located, target }: Found,
  { map, library, signal }: Work,
): Promise<Recovery | AppError> {
  const tablespaces = new Map<number, string>();
  for (const segment of located.segments) {
    const facts = await library.facts(segment, signal);
    const { stop } = facts;
    const isNeeded = located.stop.kind === 'record' && stop !== undefined && factLsn(stop.lsn) <= located.stop.lsn;
    if (stop?.kind === 'damaged' && isNeeded) {
      return refusal(goal, `the log was damaged before it was received: ${stop.message}`, {
        target,
        work: { map, library, signal },
      });
    }
    for (const { oid, location, lsn } of facts.tablespaces ?? []) {
      if (located.stop.kind === 'record' && factLsn(lsn) <= located.stop.lsn) tablespaces.set(oid, location);
    }
  }
  const run = runsOf(map, goal.timeline, goal.bases).find(({ bases }) => bases.includes(base));
  const window = await windowOf(run ?? { bases: [base], reach }, { goal: goal.timeline, map, library }, signal);
  return {
    base,
    goal: goal.timeline,
    stop: located.stop,
    segments: located.segments,
    reach,
    isEnd: located.isEnd,
    window,
    tablespaces: [...tablespaces].map(([oid, location]) => ({ oid, location })),
  };
}

function reasonWords(
  target: RecoveryTarget,
  last: { readonly reach: Reach; readonly why: NotLocated } | undefined,
  names: readonly string[],
): string {
  const isPlace = target.kind === 'time' || target.kind === 'lsn';
  if (isPlace && last?.reach.hole !== undefined)
    return `it lies in or behind a hole: ${holeWords(last.reach.hole)} are not kept`;
  if (last?.why.kind === 'behind') {
    const { endLsn, lastTimeUs } = last.why;
    const when = lastTimeUs === undefined ? '' : `, whose newest transaction ended at ${formatInstantUs(lastTimeUs)}`;
    const far = target.kind === 'time' && lastTimeUs !== undefined ? `, ${laterWords(target.timeUs - lastTimeUs)}` : '';
    return `it lies behind the end of what was received, ${formatLsn(endLsn)}${when}${far}`;
  }
  if (target.kind === 'transaction') return 'no transaction of this number ends in what is kept';
  const known = [...new Set(names)].slice(-8).map((name) => `'${name}'`);
  return known.length === 0 ? 'no restore points are kept' : `the restore points kept are ${known.join(', ')}`;
}

function laterWords(byUs: number): string {
  const seconds = Math.ceil(byUs / 1_000_000);
  if (seconds < 120) return `${seconds} s before`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min before` : `${Math.round(minutes / 60)} h before`;
}

async function refusal(
  { timeline, bases }: Goal,
  reason: string,
  { target, work }: { readonly target: RecoveryTarget; readonly work: Work },
): Promise<AppError> {
  const windows: string[] = [];
  for (const run of runsOf(work.map, timeline, bases)) {
    windows.push(windowWords(await windowOf(run, { ...work, goal: timeline }, work.signal)));
  }
  const reachable = windows.map((words) => `\n  reachable: ${words}`).join('');
  const isBehind = target.kind === 'time' && /behind the end/.test(reason);
  return new AppError('RECOVERY_TARGET_UNREACHABLE', `${targetWords(target)} can't be reached: ${reason}${reachable}`, {
    hint: isBehind
      ? 'Choose an instant within it, or --at-end for all that was received.'
      : 'Choose an instant within it, or another --timeline; --dry-run shows what would be done.',
  });
}

export function targetWords(target: RecoveryTarget): string {
  switch (target.kind) {
    case 'time':
      return formatInstantUs(target.timeUs);
    case 'lsn':
      return `position ${target.lsn}`;
    case 'transaction':
      return `transaction ${target.xid}`;
    case 'restore-point':
      return `restore point '${target.name}'`;
    case 'end':
      return 'the end of the journal';
    default:
      return target satisfies never;
  }
}

/** Its history leaves the others' before any backup. */
function notAChild({ timeline }: Goal, map: ReplayMap): AppError {
  const parent = timeline.history.ancestors.at(-1);
  const left = parent === undefined ? '' : `: it left timeline ${parent.timeline} at ${formatLsn(parent.switchLsn)}`;
  return new AppError(
    'RECOVERY_TARGET_UNREACHABLE',
    `no backup leads to timeline ${timelineName(timeline, map.timelines)}${left}, and none was taken before that or since`,
    { hint: 'Choose another --timeline.' },
  );
}

function noTimeline({ timelines }: ReplayMap, choice: TimelineChoice): AppError {
  const names = timelines.map((one) => timelineName(one, timelines)).join(', ');
  const asked = choice.kind === 'number' ? ` ${choice.timeline}` : '';
  return new AppError('RECOVERY_TARGET_UNREACHABLE', `timeline${asked} is not known; those kept are ${names}`, {
    hint: 'Name one of them with --timeline.',
  });
}
