// What the journal of a component adds to its backups: up to which time nothing would be lost, how that is known, and where a gap
// ends it.
import { hostname } from 'node:os';
import { formatAge } from '../base/duration.ts';
import { isAppError } from '../base/errors.ts';
import type { Application } from '../model/application.ts';
import type { Component } from '../model/component.ts';
import { findBases } from '../operations/journal/bases.ts';
import { readJournals } from '../operations/journal/reader.ts';
import { readSeen, seenIn, type Seen } from '../operations/journal/seen.ts';
import { componentOf } from '../operations/restore/select-point.ts';
import { lookAtLease, type SeenLease } from '../repository/journal/lease.ts';
import type { Repository } from '../repository/repository.ts';
import type { StoredSnapshot } from '../repository/snapshot.ts';
import { isReplayable, type ReplayEnd, type ReplayRestore } from '../sources/replay.ts';
import type { CommandContext, OpenedRepository } from './context.ts';
import { spoolFolderOf } from './journal-subject.ts';
import type { Style } from './style.ts';

export interface JournalReach extends Pick<ReplayEnd, 'branch' | 'position' | 'missing'> {
  readonly repository: string;
  /** Milliseconds since 1970; undefined if it is not known. */
  readonly untilMs: number | undefined;
  /** The server had nothing more then, as the receiver of this machine noted; else it is the time of a change, or of its coming. */
  readonly isSeen: boolean;
  /** Where somebody receives now: of one elsewhere it is not known here what it has seen. */
  readonly receiver: 'here' | 'elsewhere' | 'none';
}

/** A component whose journal may be kept. */
export interface Journaled {
  readonly component: Component;
  readonly application: string;
  readonly family: string;
  readonly replay: ReplayRestore;
  readonly seen: Seen | undefined;
}

export async function journaledComponents(
  context: CommandContext,
  { name, components }: Application,
): Promise<Journaled[]> {
  const found: Journaled[] = [];
  for (const component of components.filter(({ type }) => type === 'postgres')) {
    const source = await context.sourceOf(component);
    if (!isReplayable(source)) continue;
    const seen = await readSeen(spoolFolderOf(context, name, component));
    found.push({ component, application: name, family: `${name}/${component.name}`, replay: source.replay, seen });
  }
  return found;
}

/** By component. */
export async function journalReaches(
  { repository, settings }: OpenedRepository,
  { snapshots, journaled }: { readonly snapshots: readonly StoredSnapshot[]; readonly journaled: readonly Journaled[] },
  signal: AbortSignal,
): Promise<Map<string, JournalReach>> {
  const reaches = new Map<string, JournalReach>();
  for (const { component, application, family, replay, seen } of journaled) {
    const own = ofApplication(snapshots, { component: component.name, application });
    const end = await endOfJournal(repository, { snapshots: own, replay, family }, signal).catch(unlessDamaged);
    if (end === undefined) continue;
    const { branch, position, missing } = end;
    const lease = await lookAtLease(repository, family, signal);
    const receiver = receiverOf(lease, seen);
    const until = untilOf(end, seen);
    reaches.set(component.name, { repository: settings.name, branch, position, missing, receiver, ...until });
  }
  return reaches;
}

/** Several applications may share a repository, and name their components alike. */
export function ofApplication(
  snapshots: readonly StoredSnapshot[],
  { component, application }: { readonly component: string; readonly application: string },
): StoredSnapshot[] {
  return snapshots.filter((snapshot) => componentOf(snapshot) === component && snapshot.hostname === application);
}

/** As if there were no journal, which makes nothing look newer than it is; `verify` tells of the damage. */
function unlessDamaged(error: unknown): undefined {
  if (!isAppError(error, 'REPOSITORY_DAMAGED')) throw error;
}

interface EndRequest extends Pick<Journaled, 'family' | 'replay'> {
  readonly snapshots: readonly StoredSnapshot[];
}

/** How far the newest of these backups lead; undefined if none leads into a journal. */
export async function endOfJournal(
  repository: Repository,
  { snapshots, replay, family }: EndRequest,
  signal: AbortSignal,
): Promise<ReplayEnd | undefined> {
  const found = await findBases(repository, snapshots, { signal });
  const bases = found.map(({ snapshot, ...journal }) => ({ id: snapshot.id, journal }));
  if (bases.length === 0) return undefined;
  return replay.end({ bases, journal: readJournals(repository, { family }) }, signal);
}

function receiverOf(lease: SeenLease | undefined, seen: Seen | undefined): JournalReach['receiver'] {
  if (lease === undefined || lease.isOver) return 'none';
  return seen !== undefined && lease.hostname === hostname() ? 'here' : 'elsewhere';
}

function untilOf(end: ReplayEnd, seen: Seen | undefined): Pick<JournalReach, 'untilMs' | 'isSeen'> {
  const stored = [end.changedMs, end.receivedMs].filter((ms) => ms !== undefined);
  const storedMs = stored.length === 0 ? undefined : Math.max(...stored);
  // Behind a gap a later end may have been seen, which is of no use here.
  const seenMs = end.missing === undefined ? seenIn(seen, end) : undefined;
  if (seenMs === undefined || (storedMs !== undefined && storedMs > seenMs))
    return { untilMs: storedMs, isSeen: false };
  return { untilMs: seenMs, isSeen: true };
}

/** Of several repositories the one that leads furthest; of those that lead as far, one that changes still come into. */
export function newestReach(reaches: readonly JournalReach[]): JournalReach | undefined {
  const isReceived = ({ receiver }: JournalReach): number => Number(receiver !== 'none');
  return reaches
    .toSorted((left, right) => (left.untilMs ?? 0) - (right.untilMs ?? 0) || isReceived(left) - isReceived(right))
    .at(-1);
}

export function reachText(component: string, reach: JournalReach, style: Style): string {
  const { repository, branch, position, missing, untilMs, isSeen, receiver } = reach;
  const when =
    untilMs === undefined ? 'of a time that is not known' : `${formatAge(Math.max(0, style.nowMs - untilMs))} ago`;
  const where = `journal of ${component} in ${repository}: to ${position} on ${branch}, ${when}`;
  if (missing !== undefined) {
    const gap = `behind it ${missing} are missing, so nothing later can be recovered: take a full backup`;
    return `${where}; ${style.paint('red', gap)}`;
  }
  if (isSeen && receiver !== 'none') return `${where}; the server had nothing more then`;
  if (receiver === 'here') return where;
  if (receiver === 'elsewhere')
    return `${where}; a receiver runs elsewhere, and what it has seen since is not known here`;
  return `${where}; ${style.paint('yellow', 'nobody receives, so later changes are not in it')}`;
}
