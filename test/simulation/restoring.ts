// A restore of a simulated history. Whatever its store does, what it leaves under a file's name is that file; what it lacks it says.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError, isAppError } from '../../src/base/errors.ts';
import type { Random } from '../../src/base/random.ts';
import { decideTreeRestore } from '../../src/operations/restore/tree-decision.ts';
import { executeTreeRestore } from '../../src/operations/restore/tree-restore.ts';
import { loadIndex } from '../../src/repository/load-index.ts';
import { acquireLock } from '../../src/repository/lock.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { loadSnapshots } from '../../src/repository/snapshot.ts';
import type { Files } from '../support/generated-source.ts';
import { watchRepository } from '../support/watched-store.ts';
import { numberOf, Violation, type SimulatedRepository } from './simulated-repository.ts';

export interface RestoreScene {
  readonly random: Random;
  readonly target: SimulatedRepository;
  readonly signal: AbortSignal;
  readonly open: (repository: SimulatedRepository) => Promise<Repository>;
  /** A process that died may leave files under way; nobody reads them for good. */
  readonly hasCrashed: () => boolean;
  /** Who sees old listings, or lost his lock in his sleep, may find that packs are gone; he has to say so. */
  readonly mayLack: boolean;
}

/** Rejects as the restore does, or with a `Violation`. */
export async function restoreOne({
  random,
  target,
  signal: outer,
  open,
  hasCrashed,
  mayLack,
}: RestoreScene): Promise<void> {
  const repository = await open(target);
  await using lock = await acquireLock(repository, { isExclusive: false, signal: outer });
  const signal = AbortSignal.any([outer, lock.signal]);
  const snapshots = await loadSnapshots(repository, signal);
  const snapshot = snapshots[Math.floor(random() * snapshots.length)];
  if (snapshot === undefined) return;
  const number = numberOf(snapshot);
  const files = target.expected.get(number)?.files;
  if (files === undefined) throw new Violation(`snapshot ${snapshot.id} was never made`);
  let hasFailed = false;
  /** Most calls of a restore come before its packs are read, and so do most faults. */
  const withBadSectors = (inner: Repository): Repository =>
    watchRepository(inner, {
      beforeGet(name) {
        if (!name.startsWith('data/') || random() > 0.15) return;
        hasFailed = true;
        throw new AppError(random() < 0.5 ? 'STORE_FAILED' : 'STORE_UNREACHABLE', 'simulated', { hint: 'Survive it.' });
      },
    });
  // Made and read in one go each: what the disk takes must not change who comes next.
  const folder = mkdtempSync(join(tmpdir(), 'lifeboat-simulation-'));
  try {
    const index = await loadIndex(repository, signal);
    const indexed = { repository: random() < 0.5 ? withBadSectors(repository) : repository, index };
    const decision = await decideTreeRestore(indexed, { snapshot, target: folder }, signal);
    const pool = target.workers;
    const { problems } = await executeTreeRestore(indexed, decision, { pool, signal, isTemporary: true });
    const [problem] = problems;
    if (problem !== undefined && !mayLack && !hasFailed)
      throw new Violation(`${target.name}: a restore of backup ${number} lacks ${problem.path}: ${problem.message}`);
    const found = compareFound(folder, files, number);
    const isNamed = (path: string): boolean => problems.some((each) => `${folder}${path}/`.startsWith(`${each.path}/`));
    const silent = [...files.keys()].find((path) => !found.has(path) && !isNamed(path));
    if (silent !== undefined) throw new Violation(`a restore of backup ${number} lacks ${silent} and does not say so`);
  } catch (error) {
    if (!(error instanceof Violation) && !hasCrashed()) compareFound(folder, files, number);
    // A folder that can't be read for now is no damage of the repository.
    if (hasFailed && isAppError(error, 'REPOSITORY_DAMAGED'))
      throw new AppError('STORE_FAILED', error.message, { hint: error.hint, cause: error });
    throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Names of the files that came back; throws if one of them is not what it should be. */
function compareFound(folder: string, files: Files, number: number): Set<string> {
  const found = new Set<string>();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name.startsWith('.lifeboat-')) continue;
    const place = join(entry.parentPath, entry.name);
    const path = place.slice(folder.length);
    found.add(path);
    if (files.get(path)?.equals(readFileSync(place)) !== true)
      throw new Violation(`a restore of backup ${number} brought ${path} with other bytes`);
  }
  return found;
}
