// Runs in numbers, for metrics: those that are open, and those of the last while.
import { sql } from 'kysely';
import type { Catalog } from './catalog.ts';
import { openStates, type RunState } from './tables.ts';

export interface RunCount {
  readonly application: string | null;
  readonly kind: string;
  readonly state: RunState;
  readonly count: number;
  /** Of all together, from begin to end; 0 for those that never began. */
  readonly workedMs: number;
  readonly oldestCreatedAtMs: number;
}

export async function openRunCounts(
  catalog: Catalog,
  applications: readonly string[] | undefined,
): Promise<RunCount[]> {
  return countsOf(catalog, applications).where('state', 'in', openStates).execute();
}

/** Of those that have ended, by when they were created: an index knows that. */
export async function endedRunCounts(
  catalog: Catalog,
  applications: readonly string[] | undefined,
  sinceMs: number,
): Promise<RunCount[]> {
  return countsOf(catalog, applications)
    .where('createdAtMs', '>=', sinceMs)
    .where('state', 'in', ['succeeded', 'failed', 'cancelled'])
    .execute();
}

function countsOf({ db }: Catalog, applications: readonly string[] | undefined) {
  const query = db
    .selectFrom('run')
    .select(['application', 'kind', 'state'])
    .select((select) => [
      select.fn.countAll<number>().as('count'),
      sql<number>`cast(coalesce(sum(${select.ref('endedAtMs')} - ${select.ref('startedAtMs')}), 0) as bigint)`.as(
        'workedMs',
      ),
      select.fn.min<number>('createdAtMs').as('oldestCreatedAtMs'),
    ])
    .groupBy(['application', 'kind', 'state'])
    .orderBy('application')
    .orderBy('kind')
    .orderBy('state');
  // No application is called nothing: the list may be empty.
  return applications === undefined ? query : query.where('application', 'in', [...applications, '']);
}
