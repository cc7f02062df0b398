// Recovery to any instant: offers a source the backups and journals of each repository, and takes the one that leads there.
import { AppError, isAppError } from '../../base/errors.ts';
import type { IndexedRepository } from '../../repository/blob-reader.ts';
import type { StoredSnapshot } from '../../repository/snapshot.ts';
import type { Workers } from '../../repository/worker-pool.ts';
import type { JournalReader } from '../../sources/journal.ts';
import { findBases } from '../journal/bases.ts';
import type { ReplayChoice, ReplayPlace, ReplayRequest, ReplayRestore, UnreadableBase } from '../../sources/replay.ts';
import { recoveryReader } from './recovery-reader.ts';

/** One repository as far as one component is concerned. */
export interface ReplayRepository {
  readonly name: string;
  readonly indexed: IndexedRepository;
  readonly pool: Workers;
  /** Of the component. */
  readonly snapshots: readonly StoredSnapshot[];
  readonly journal: JournalReader;
  /** Told of each snapshot that can't be recovered from. */
  readonly onUnreadable?: ((base: UnreadableBase) => void) | undefined;
}

export interface ChosenReplay {
  readonly repository: ReplayRepository;
  readonly snapshot: StoredSnapshot;
  readonly choice: ReplayChoice;
}

/** Rejects with `REPOSITORY_DAMAGED` if a backup does not say where in the journal it begins, although it should. */
export async function replayPlace(
  { indexed, pool, snapshots, journal, onUnreadable }: ReplayRepository,
  signal: AbortSignal,
): Promise<ReplayPlace> {
  const found = await findBases(indexed.repository, snapshots, { indexed, pool, signal });
  const bases = found.map(({ snapshot, lineage, from, to }) => ({
    id: snapshot.id,
    journal: { lineage, from, to },
    facts: (factsSignal: AbortSignal) => recoveryReader({ indexed, pool, snapshot }).facts(factsSignal),
  }));
  return { bases, journal, onUnreadable };
}

/** Of several repositories that lead there the one that leads furthest, or else replays least. Rejects if none does. */
export async function chooseReplay(
  repositories: readonly ReplayRepository[],
  { replay, request }: { readonly replay: ReplayRestore; readonly request: ReplayRequest },
  signal: AbortSignal,
): Promise<ChosenReplay> {
  const found: ChosenReplay[] = [];
  const refused: { readonly name: string; readonly error: AppError }[] = [];
  for (const repository of repositories) {
    try {
      const choice = await replay.choose(await replayPlace(repository, signal), request, signal);
      const snapshot = repository.snapshots.find(({ id }) => id === choice.base);
      if (snapshot !== undefined) found.push({ repository, snapshot, choice });
    } catch (error) {
      if (!isAppError(error, 'RECOVERY_TARGET_UNREACHABLE')) throw error;
      refused.push({ name: repository.name, error });
    }
  }
  const [first, ...others] = found;
  if (first === undefined) throw noneLeads(refused);
  const isBetter = request.target.kind === 'end' ? leadsFurther : replaysLess;
  return others.reduce((best, other) => (isBetter(other.choice, best.choice) ? other : best), first);
}

const leadsFurther = (one: ReplayChoice, other: ReplayChoice): boolean =>
  (one.window.to.timeUs ?? 0) > (other.window.to.timeUs ?? 0);

const replaysLess = (one: ReplayChoice, other: ReplayChoice): boolean => one.replayBytes < other.replayBytes;

function noneLeads(refused: readonly { readonly name: string; readonly error: AppError }[]): AppError {
  const [first] = refused;
  if (first === undefined) {
    return new AppError('RECOVERY_TARGET_UNREACHABLE', 'no repository has a backup of this component', {
      hint: "Take one with 'lifeboat backup'.",
    });
  }
  if (refused.length === 1) return first.error;
  const reasons = refused.map(({ name, error }) => `${name}: ${error.message}`).join('\n');
  return new AppError('RECOVERY_TARGET_UNREACHABLE', reasons, { hint: first.error.hint });
}
