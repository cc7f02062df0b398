// Compares the rows of a standby with fingerprints of backups: of the one that it came from, where that is consistent; and of later
// ones, with the rows that it had at their marks.
import { errorKinds, isAppError } from '../../../base/errors.ts';
import type { Fingerprint } from '../../../model/fingerprint.ts';
import type { ReplayBase } from '../../replay.ts';
import type { StandbyClaim, StandbyRequest, StandbyStand } from '../../standby.ts';
import { connectForMaintenance, readServerFacts } from '../server.ts';
import { contentValue } from '../content-value.ts';
import { isPhysical, readPhysicalFacts } from '../physical/facts.ts';
import { fingerprintCopy, type FingerprintExtent } from '../physical/physical-rows.ts';
import type { MapBase } from '../recovery/replay-map.ts';
import type { ServerAddress } from '../server-address.ts';
import { formatLsn, type Lsn, parseLsn } from '../wal/lsn.ts';
import type { StandbyState } from './standby-state.ts';
import {
  forgetFingerprints,
  rememberFingerprint,
  rememberedFingerprints,
  type RememberedFingerprint,
} from './remembered-fingerprints.ts';

export interface StandbyRows {
  readonly request: StandbyRequest;
  readonly state: StandbyState;
  /** `PostgreSQL 15.18`. */
  readonly description: string;
}

/** While the server stands where its backup is consistent. */
export async function compareAtBase(
  { request, state, description }: StandbyRows,
  address: ServerAddress,
  signal: AbortSignal,
): Promise<void> {
  const { extent, base, baseBytes, consistentLsn } = state;
  if (extent === null) return;
  const stand: StandbyStand = {
    description: `a standby, ${description}`,
    position: consistentLsn,
    restoredBytes: baseBytes,
    replayedBytes: 0,
    fingerprint: (until) => fingerprintOf({ address, extent }, until),
    answer: (check, until) => contentValue(address, { check, names: extent.databases }, until),
  };
  await request.prove({ origin: base, compared: base, stand }, signal);
}

/** While the server stands at a mark. Which items nobody can be sure of is known with the backup. */
export async function rememberRows(
  { request, state, description }: StandbyRows,
  { address, lsn, lineage }: { readonly address: ServerAddress; readonly lsn: Lsn; readonly lineage: string },
  signal: AbortSignal,
): Promise<void> {
  const databases = await databasesOf(address, signal);
  const fingerprint = await fingerprintOf({ address, extent: { databases, leftOut: [] } }, signal);
  const journalBytes = Number(lsn - (parseLsn(state.consistentLsn) ?? 0n));
  await rememberFingerprint(request.folder, { lsn: formatLsn(lsn), lineage, description, fingerprint, journalBytes });
}

interface Rows {
  readonly address: ServerAddress;
  readonly extent: FingerprintExtent;
}

/** Rejects with `SOURCE_UNREACHABLE` if the server is gone, which says nothing of its rows. */
async function fingerprintOf({ address, extent }: Rows, signal: AbortSignal): Promise<Fingerprint> {
  try {
    return await fingerprintCopy(address, extent, signal);
  } catch (error) {
    signal.throwIfAborted();
    await using _ = await connectForMaintenance(address, [], signal);
    throw error;
  }
}

async function databasesOf(address: ServerAddress, signal: AbortSignal): Promise<string[]> {
  await using connection = await connectForMaintenance(address, [], signal);
  const { databases } = await readServerFacts(connection);
  return databases.filter((one) => !one.isTemplate && one.allowsConnections).map(({ name }) => name);
}

export interface KnownBackups {
  readonly bases: readonly MapBase[];
  readonly candidates: readonly ReplayBase[];
}

/** What was remembered at marks whose backups are stored by now. */
export async function compareRemembered(
  { request, state }: Pick<StandbyRows, 'request' | 'state'>,
  { bases, candidates }: KnownBackups,
  signal: AbortSignal,
): Promise<void> {
  for (const remembered of await rememberedFingerprints(request.folder)) {
    const base = bases.find(({ consistentLsn, lineage }) => {
      return formatLsn(consistentLsn) === remembered.lsn && lineage === remembered.lineage;
    });
    const candidate = candidates.find(({ id }) => id === base?.id);
    if (candidate === undefined) continue;
    try {
      const facts = await candidate.facts(signal);
      const extent = isPhysical(facts) ? readPhysicalFacts(facts).fingerprint : null;
      if (extent !== null) {
        await request.prove(claimOf({ state, remembered, compared: candidate.id, leftOut: extent.leftOut }), signal);
      }
    } catch (error) {
      if (!isAppError(error) || errorKinds[error.code].retry !== 'never') throw error;
      // A backup that is damaged stays so, and must not keep the standby from looking further.
      const { message, hint } = error;
      request.events.warn({ aspect: 'proof', outcome: 'warning', message: `not compared: ${message}`, hint });
    }
    await forgetFingerprints(request.folder, remembered.lsn);
  }
}

interface Claiming {
  readonly state: StandbyState;
  readonly remembered: RememberedFingerprint;
  readonly compared: string;
  readonly leftOut: readonly string[];
}

function claimOf({ state, remembered, compared, leftOut }: Claiming): StandbyClaim {
  const { description, lsn, journalBytes, fingerprint } = remembered;
  const items = fingerprint.items.filter(({ name }) => !leftOut.includes(name));
  return {
    origin: state.base,
    compared,
    stand: {
      description: `a standby, ${description}`,
      position: lsn,
      restoredBytes: state.baseBytes,
      replayedBytes: journalBytes,
      fingerprint: () => Promise.resolve({ ...fingerprint, items }),
    },
  };
}
