// A proof by a standby: the backup was restored, the journal replayed behind it, and where a backup has a fingerprint the rows of the
// standby are compared with it. The proof is of what was restored: the backup that the standby came from.
import type { Clock } from '../../base/clock.ts';
import { formatByteSize } from '../../base/byte-size.ts';
import { AppError, isAppError } from '../../base/errors.ts';
import type { ContentCheck } from '../../model/content-check.ts';
import type { Proof } from '../../model/proof.ts';
import type { StoredSnapshot } from '../../repository/snapshot.ts';
import type { Sandbox, Source } from '../../sources/source.ts';
import type { StandbyStand } from '../../sources/standby.ts';
import { prove } from '../prove/prove.ts';
import { type PointParts, recoveryReader } from '../restore/recovery-reader.ts';

export interface StandbyProofRequest {
  readonly component: string;
  readonly source: Source;
  readonly checks: readonly ContentCheck[];
  readonly clock: Clock;
  readonly program: string;
  /** What the standby was written from. */
  readonly origin: Pick<StoredSnapshot, 'id' | 'tree' | 'time'>;
  /** The backup whose fingerprint is compared. */
  readonly compared: PointParts;
  readonly stand: StandbyStand;
}

/**
 * Rejects if the fingerprint can't be read, or the server is gone before its rows are: that says nothing of the data. Undefined if
 * there is none.
 */
export async function proveStandby(request: StandbyProofRequest, signal: AbortSignal): Promise<Proof | undefined> {
  const { source, compared, stand, origin, checks, component, clock, program } = request;
  if ((await recoveryReader(compared).fingerprint(signal)) === undefined) return undefined;
  const { restore } = source;
  if (restore.kind !== 'service') throw new Error('a standby is a server');
  let gone: AppError | undefined;
  const place = sandboxOf(stand, (error) => (gone = error));
  const standing: Source = { ...source, restore: { ...restore, sandbox: () => Promise.resolve(place) } };
  const asked = stand.answer === undefined ? [] : checks;
  const proof = await prove(
    { ...compared, component, source: standing, checks: asked, clock, workFolder: '', program },
    signal,
  );
  if (gone !== undefined) throw gone;
  const bytes = stand.restoredBytes + stand.replayedBytes;
  return {
    ...proof,
    ...throughJournal(request, proof),
    tree: origin.tree,
    snapshot: origin.id,
    restoredBytes: bytes,
    sandbox: `${stand.description} (${formatByteSize(bytes)} of backup and journal)`,
  };
}

/** Where the instant is that of a later backup, whose own files nobody restored. */
function throughJournal(
  { origin, compared: { snapshot }, stand }: StandbyProofRequest,
  { outcome, message, durationSeconds }: Proof,
): Partial<Proof> {
  if (snapshot.tree === origin.tree) return {};
  const { position, replayedBytes } = stand;
  const way = `the journal led from snapshot ${origin.id.slice(0, 8)} to ${position}, the instant of snapshot ${snapshot.id.slice(0, 8)}`;
  return {
    message: `${message}; ${way}`,
    throughJournal: {
      base: origin.id,
      baseTime: origin.time,
      position,
      replayedBytes,
      durationSeconds,
      outcome,
      message,
    },
  };
}

/** It was restored long ago. */
function sandboxOf(stand: StandbyStand, onGone: (error: AppError) => void): Sandbox {
  const { description, answer } = stand;
  return {
    description,
    restore: () => Promise.resolve(),
    async fingerprint(signal) {
      try {
        return await stand.fingerprint(signal);
      } catch (error) {
        if (isAppError(error, 'SOURCE_UNREACHABLE')) onGone(error);
        throw error;
      }
    },
    valueOf: (check, signal) => {
      if (answer !== undefined) return answer(check, signal);
      throw new AppError('USAGE', 'the standby stands there no more', { hint: 'Use lifeboat prove.' });
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
