// How long backups and restores took so far, as the repositories tell: what the arithmetic of objectives counts with.
import { newestProofs } from '../model/proof.ts';
import { componentOf } from '../operations/restore/select-point.ts';
import type { Repository } from '../repository/repository.ts';
import { loadSnapshots, type StoredSnapshot } from '../repository/snapshot.ts';
import { loadProofs } from './proofs.ts';

/** The newest of each component that count. */
const backupsMax = 10;

export class MeasuredDurations {
  /** By the id of the job. */
  readonly durationsMs = new Map<string, number>();
  /** By component. */
  readonly restoresMs = new Map<string, number>();

  /** Takes in what one repository tells. */
  async add(repository: Repository, application: string, signal: AbortSignal): Promise<void> {
    const own = (await loadSnapshots(repository, signal)).filter(({ hostname }) => hostname === application);
    for (const [component, snapshots] of Map.groupBy(own, componentOf)) {
      if (component === undefined) continue;
      for (const snapshot of snapshots.slice(-backupsMax)) this.#atLeast(component, tookMs(snapshot));
    }
    const { proofs } = await loadProofs(repository, signal);
    const passed = [...newestProofs(proofs).values()].filter(({ outcome }) => outcome === 'passed');
    const byTime = passed.toSorted((left, right) => Date.parse(left.time) - Date.parse(right.time));
    const newest = new Map(byTime.map(({ component, durationSeconds }) => [component, durationSeconds * 1000]));
    for (const [component, ms] of newest)
      this.restoresMs.set(component, Math.max(ms, this.restoresMs.get(component) ?? 0));
  }

  #atLeast(component: string, ms: number | undefined): void {
    const id = `backup/${component}`;
    if (ms !== undefined) this.durationsMs.set(id, Math.max(ms, this.durationsMs.get(id) ?? 0));
  }
}

/** Undefined where the snapshot does not tell, as those of other programs and older versions. */
function tookMs({ summary }: StoredSnapshot): number | undefined {
  if (typeof summary !== 'object' || summary === null) return undefined;
  const { backup_start: start, backup_end: end } = summary as Record<string, unknown>;
  if (typeof start !== 'string' || typeof end !== 'string') return undefined;
  const ms = Date.parse(end) - Date.parse(start);
  return ms >= 0 ? ms : undefined;
}
