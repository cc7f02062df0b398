// Finds the very record at which a recovery is to stop. The server is given that position, whatever was asked for: it needs no
// later commit, knows no time zones, and can't be mistaken for the end of what is there.
import { formatLsn, type Lsn, lsnOf, parseLsn } from '../wal/lsn.ts';
import type { WalEvent } from '../wal/record-event.ts';
import type { RecoveryTarget } from '../../../model/recovery-target.ts';
import type { Reach, ReplaySegment } from './reach.ts';
import { factLsn, type KnownFacts, type WalLibrary } from './wal-library.ts';

/** Where the replay stops. */
export type Stop =
  /** With the record that begins there, or before it. */
  | { readonly kind: 'record'; readonly lsn: Lsn; readonly isInclusive: boolean; readonly event?: WalEvent | undefined }
  /** Where the base is consistent: nothing is replayed but what lies in it. */
  | { readonly kind: 'base' };

export interface Located {
  readonly stop: Stop;
  /** All that must be replayed; the last may be needed in part only. */
  readonly segments: readonly ReplaySegment[];
  /** The target is what the journal ends with: later changes may come. */
  readonly isEnd: boolean;
}

/** Why the target does not lie in this reach. */
export type NotLocated =
  | { readonly kind: 'behind'; readonly endLsn: Lsn; readonly lastTimeUs: number | undefined }
  | { readonly kind: 'unknown'; readonly names: readonly string[] };

export interface Field {
  readonly library: WalLibrary;
  readonly segmentBytes: number;
  readonly consistentLsn: Lsn;
  readonly reach: Reach;
}

export async function locateTarget(
  target: RecoveryTarget,
  field: Field,
  signal: AbortSignal,
): Promise<Located | NotLocated> {
  switch (target.kind) {
    case 'end':
      return locateEnd(field, signal);
    case 'lsn':
      return locateLsn(parseLsn(target.lsn) ?? 0n, target.isInclusive, { field, signal });
    case 'time':
      return locateTime(target, field, signal);
    case 'transaction':
      return locateTransaction(target, field, signal);
    case 'restore-point':
      return locateRestorePoint(target.name, field, signal);
    default:
      return target satisfies never;
  }
}

interface Work {
  readonly field: Field;
  readonly signal: AbortSignal;
}

async function locateEnd(field: Field, signal: AbortSignal): Promise<Located> {
  const { reach, library, consistentLsn } = field;
  const { lastRecord, recordsEnd } = await library.tail(reach.segments, signal);
  // What was received of the record at the base's end may be all there is.
  if (lastRecord === undefined || recordsEnd === undefined || recordsEnd <= consistentLsn) return baseOnly(true);
  return {
    stop: { kind: 'record', lsn: lastRecord, isInclusive: true },
    segments: until(field, recordsEnd),
    isEnd: true,
  };
}

async function locateLsn(lsn: Lsn, isInclusive: boolean, { field, signal }: Work): Promise<Located | NotLocated> {
  const { reach, consistentLsn, library } = field;
  if (lsn === consistentLsn && !isInclusive) return baseOnly(false);
  const tail = await library.tail(reach.segments, signal);
  const end = tail.recordsEnd ?? consistentLsn;
  if (lsn > end) return { kind: 'behind', endLsn: end, lastTimeUs: tail.timeUs };
  // No record begins at or behind it, so whatever comes before it is all there is.
  if (tail.lastRecord === undefined || lsn > tail.lastRecord) return locateEnd(field, signal);
  const segments = until(field, lsn + 1n);
  return { stop: { kind: 'record', lsn, isInclusive }, segments, isEnd: false };
}

async function locateTime(
  { timeUs, isInclusive }: { timeUs: number; isInclusive: boolean },
  field: Field,
  signal: AbortSignal,
): Promise<Located | NotLocated> {
  const isLater = (one: number): boolean => (isInclusive ? one > timeUs : one >= timeUs);
  let knownUs: number | undefined;
  const isIt = (one: WalEvent): boolean =>
    one.kind === 'transaction-end' && isLater(one.timeUs) && one.lsn >= field.consistentLsn;
  for await (const { facts, at } of eachFacts(field, signal)) {
    for (const one of knownTimes(facts)) knownUs = Math.max(knownUs ?? one, one);
    if (facts.times === undefined || !isLater(facts.times.latest)) continue;
    const event = await findEvent(field, { at, isIt }, signal);
    if (event !== undefined) return stopAt(field, event, false);
  }
  const end = await locateEnd(field, signal);
  if (knownUs !== undefined && timeUs <= knownUs) return end;
  const endLsn = end.stop.kind === 'record' ? end.stop.lsn : field.consistentLsn;
  return { kind: 'behind', endLsn, lastTimeUs: knownUs };
}

async function locateTransaction(
  { xid, isInclusive }: { xid: number; isInclusive: boolean },
  field: Field,
  signal: AbortSignal,
): Promise<Located | NotLocated> {
  const { library, reach, consistentLsn } = field;
  let found: WalEvent | undefined;
  await library.walk(
    reach.segments,
    (event) => {
      const isIt = event.kind === 'transaction-end' && event.xid === xid && !event.isPrepared;
      if (isIt && event.lsn >= consistentLsn) found = event;
      return found !== undefined;
    },
    signal,
  );
  return found === undefined ? { kind: 'unknown', names: [] } : stopAt(field, found, isInclusive);
}

/** The newest of that name. */
async function locateRestorePoint(name: string, field: Field, signal: AbortSignal): Promise<Located | NotLocated> {
  const names: string[] = [];
  let found: WalEvent | undefined;
  for await (const { facts, at } of eachFacts(field, signal)) {
    const mayHave = facts.restorePointsLeftOut > 0 || facts.restorePoints.some((one) => one.name === name);
    for (const one of facts.restorePoints) if (factLsn(one.lsn) > field.consistentLsn) names.push(one.name);
    if (!mayHave) continue;
    const isIt = (one: WalEvent): boolean =>
      one.kind === 'restore-point' && one.name === name && one.lsn >= field.consistentLsn;
    found = (await findEvent(field, { at, isIt, isLast: true }, signal)) ?? found;
  }
  return found === undefined ? { kind: 'unknown', names } : stopAt(field, found, true);
}

const readAhead = 16;

/** Facts of all segments in order, several asked for at once. */
async function* eachFacts(
  { reach, library }: Field,
  signal: AbortSignal,
): AsyncGenerator<{ facts: KnownFacts; at: number }> {
  for (let from = 0; from < reach.segments.length; from += readAhead) {
    const some = reach.segments.slice(from, from + readAhead);
    const all = await Promise.all(some.map((segment) => library.facts(segment, signal)));
    for (const [index, facts] of all.entries()) yield { facts, at: from + index };
  }
}

/** Moments at which the server wrote or sent something that is kept: up to the latest of them nothing else happened. */
function knownTimes({ times, restorePoints, receivedTimeUs }: KnownFacts): number[] {
  const ofPoints = restorePoints.map(({ timeUs }) => timeUs);
  return [
    ...(times === undefined ? [] : [times.latest]),
    ...ofPoints,
    ...(receivedTimeUs === undefined ? [] : [receivedTimeUs]),
  ];
}

interface Search {
  /** The segment in which the record ends; it may have begun in one before. */
  readonly at: number;
  readonly isIt: (event: WalEvent) => boolean;
  /** The last that fits, not the first. */
  readonly isLast?: boolean;
}

async function findEvent(
  { reach, library }: Field,
  { at, isIt, isLast = false }: Search,
  signal: AbortSignal,
): Promise<WalEvent | undefined> {
  let found: WalEvent | undefined;
  await library.walk(
    reach.segments.slice(Math.max(0, at - 1), at + 1),
    (event) => {
      if (isIt(event)) found = event;
      return found !== undefined && !isLast;
    },
    signal,
  );
  return found;
}

/** The server reads a record whole before it decides to stop in front of it. */
function stopAt(field: Field, event: WalEvent, isInclusive: boolean): Located {
  const segments = until(field, event.endLsn);
  return { stop: { kind: 'record', lsn: event.lsn, isInclusive, event }, segments, isEnd: false };
}

/** The segments up to the one that holds the byte before `end`. */
function until({ reach, segmentBytes }: Field, end: Lsn): ReplaySegment[] {
  return reach.segments.filter(({ segment }) => lsnOf({ segment, offset: 0 }, segmentBytes) < end);
}

const baseOnly = (isEnd: boolean): Located => ({ stop: { kind: 'base' }, segments: [], isEnd });

/** Behind 'stops': `before the record at 0/3000060`, `with the record at 0/3000060`. */
export function stopWords(stop: Stop): string {
  if (stop.kind === 'base') return 'where the backup ends';
  return `${stop.isInclusive ? 'with' : 'before'} the record at ${formatLsn(stop.lsn)}`;
}

/** Behind 'up to': `the record at 0/3000060, with it`. */
export function limitWords(stop: Stop): string {
  if (stop.kind === 'base') return 'the end of the backup';
  return `the record at ${formatLsn(stop.lsn)}, ${stop.isInclusive ? 'with' : 'without'} it`;
}
