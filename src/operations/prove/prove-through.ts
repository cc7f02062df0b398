// The second half of a proof of a backup with a journal: the same rows, to the row, must come back from an older backup and the
// journal in between. That is the way a recovery goes, and only this compares what the journal holds.
import type { Clock } from '../../base/clock.ts';
import { isAppError, messageOf } from '../../base/errors.ts';
import { formatByteSize } from '../../base/byte-size.ts';
import { compareFingerprints } from '../../model/fingerprint.ts';
import type { ItemUnit } from '../../model/proof-content.ts';
import { differencesMax, type JournalProof, type Proof } from '../../model/proof.ts';
import type { StoredSnapshot } from '../../repository/snapshot.ts';
import type { ExplorableSource } from '../../sources/explore.ts';
import type { OpenFeed, ReplayChoice, ReplayPlace } from '../../sources/replay.ts';
import { recoveryReader } from '../restore/recovery-reader.ts';
import { replayPlace, type ReplayRepository } from '../restore/replay.ts';
import type { Evidence } from './evidence.ts';
import { countsOf, isOurInability, judge, nothingCompared } from './prove.ts';

export interface ThroughRequest {
  readonly snapshot: StoredSnapshot;
  readonly source: ExplorableSource;
  /** Where the snapshot lies, with all others of the component. */
  readonly repository: ReplayRepository;
  readonly openFeed: OpenFeed;
  readonly clock: Clock;
  /** Told from which backup it starts, before it does. */
  readonly onBase: (base: StoredSnapshot) => void;
  readonly onBytes: (count: number) => void;
}

export type ThroughOutcome =
  | { readonly kind: 'proven'; readonly proof: JournalProof; readonly differences: Proof['differences'] }
  /** There is a journal, and no way through it. */
  | { readonly kind: 'unreachable'; readonly reason: string }
  /** No physical backup, no older one, or no journal. */
  | { readonly kind: 'none' };

/** Never rejects for what a proof is to find out. */
export async function proveThrough(request: ThroughRequest, signal: AbortSignal): Promise<ThroughOutcome> {
  const { snapshot, source, repository, clock, onBase } = request;
  const place = await replayPlace(repository, signal);
  if (!(await hasJournal(place, snapshot, signal))) return { kind: 'none' };
  let choice: ReplayChoice;
  try {
    choice = await source.explore.chooseThrough(place, snapshot.id, signal);
  } catch (error) {
    if (!isAppError(error, 'RECOVERY_TARGET_UNREACHABLE')) throw error;
    return { kind: 'unreachable', reason: error.message.split('\n')[0] ?? '' };
  }
  const base = repository.snapshots.find(({ id }) => id === choice.base);
  if (base === undefined) return { kind: 'none' };
  onBase(base);
  const startedMs = clock.now();
  let verdict: Pick<Proof, 'outcome' | 'message'>;
  let differences: Proof['differences'] = [];
  try {
    const evidence = await replayAndCompare(request, { choice, base }, signal);
    verdict = judge(evidence, source.restore);
    differences = evidence.differences.slice(0, differencesMax);
  } catch (error) {
    signal.throwIfAborted();
    // The replay would make tablespaces at places of this machine that are in use.
    const isInability = isOurInability(error) || isAppError(error, 'TARGET_UNSAFE');
    verdict = { outcome: isInability ? 'inconclusive' : 'failed', message: messageOf(error) };
  }
  const proof: JournalProof = {
    base: base.id,
    baseTime: base.time,
    position: choice.reaches.position,
    replayedBytes: choice.replayBytes,
    durationSeconds: (clock.now() - startedMs) / 1000,
    ...verdict,
  };
  return { kind: 'proven', proof, differences };
}

async function hasJournal(
  { bases, journal }: ReplayPlace,
  { id }: StoredSnapshot,
  signal: AbortSignal,
): Promise<boolean> {
  const own = bases.find((base) => base.id === id)?.journal;
  if (own === undefined || bases.length < 2) return false;
  return (await journal.branches(signal)).some(({ lineage }) => lineage === own.lineage);
}

async function replayAndCompare(
  { snapshot, source, repository, openFeed, clock, onBytes }: ThroughRequest,
  { choice, base }: { readonly choice: ReplayChoice; readonly base: StoredSnapshot },
  signal: AbortSignal,
): Promise<Evidence> {
  const { explore, restore } = source;
  const proven = recoveryReader({ ...repository, snapshot });
  const expected = await proven.fingerprint(signal);
  let restoredBytes = 0;
  const count = (bytes: number): void => {
    restoredBytes += bytes;
    onBytes(bytes);
  };
  await using place = await explore.makePlace({ openFeed, onBytes: count });
  // It leaves the recovery, as a recovered server does: one that waits within it needs more of its machine.
  const point = { reader: recoveryReader({ ...repository, snapshot: base }), isWritable: true };
  await using server = await place.open(choice, point, signal);
  const evidence = { sandbox: server.description, restoredBytes, checks: [] };
  if (expected === undefined)
    return { ...evidence, ...nothingCompared, incomparable: 'the snapshot holds no fingerprint to compare with' };
  const found = await explore.fingerprint(server, await proven.facts(signal), signal);
  const nowMs = clock.now();
  const unitOf = (name: string): ItemUnit => (restore.kind === 'service' ? restore.unitOf(name) : { unit: 'item' });
  return {
    ...evidence,
    ...countsOf(expected, { unitOf, nowMs }),
    differences: compareFingerprints(expected, found, nowMs),
  };
}

/** One proof of both: it failed if either did. What could not be found out of the journal changes nothing about the backup. */
export function withThrough(proof: Proof, through: ThroughOutcome): Proof {
  if (through.kind === 'none') return proof;
  if (through.kind === 'unreachable')
    return { ...proof, message: `${proof.message}; not proven through the journal: ${through.reason}` };
  const { proof: journal, differences } = through;
  const way = `through the journal from base ${journal.base.slice(0, 8)}`;
  const both = {
    ...proof,
    durationSeconds: proof.durationSeconds + journal.durationSeconds,
    throughJournal: journal,
  };
  switch (journal.outcome) {
    case 'passed': {
      const size = formatByteSize(journal.replayedBytes);
      return { ...both, message: `${proof.message}, and ${way} as well (${size}, to ${journal.position})` };
    }
    case 'failed':
      return { ...both, outcome: 'failed', message: `${way}: ${journal.message}`, differences };
    case 'inconclusive':
      return { ...both, message: `${proof.message}; not proven ${way}: ${journal.message}` };
    default:
      return journal.outcome satisfies never;
  }
}
