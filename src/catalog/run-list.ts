// Runs as people look for them: newest first, by application, component, kind and state, page by page.
import type { Catalog } from './catalog.ts';
import type { RunRow } from './runs.ts';
import type { RunState } from './tables.ts';

export interface RunFilter {
  /** Those that may be seen; all if absent. */
  readonly applications?: readonly string[] | undefined;
  readonly component?: string | undefined;
  readonly kinds?: readonly string[] | undefined;
  readonly states?: readonly RunState[] | undefined;
  /** Only older ones: the id of the last one of the page before. Ids grow with time. */
  readonly before?: string | undefined;
  readonly limit: number;
}

/** Newest first. */
export async function listRuns({ db }: Catalog, filter: RunFilter): Promise<RunRow[]> {
  const { applications, component, kinds, states, before, limit } = filter;
  let query = db.selectFrom('run').selectAll();
  // `in ()` is no SQL: what nobody may see is nothing.
  if (applications?.length === 0 || kinds?.length === 0 || states?.length === 0) return [];
  if (applications !== undefined) query = query.where('application', 'in', applications);
  if (component !== undefined) query = query.where('component', '=', component);
  if (kinds !== undefined) query = query.where('kind', 'in', kinds);
  if (states !== undefined) query = query.where('state', 'in', states);
  if (before !== undefined) query = query.where('id', '<', before);
  return query.orderBy('id', 'desc').limit(limit).execute();
}

/** By the last characters of their ids, where they differ, or a whole one; at most `limit`. */
export async function runsByEnding({ db }: Catalog, ending: string, limit: number): Promise<RunRow[]> {
  return db
    .selectFrom('run')
    .selectAll()
    .where('id', 'like', `%${ending.replaceAll(/[%_\\]/g, '')}`)
    .orderBy('id')
    .limit(limit)
    .execute();
}
