// Runs as people look back at them: newest first, a page at a time, only those of applications that they may see.
import type { Catalog } from './catalog.ts';
import { endingPattern } from './id-ending.ts';
import type { RunRow } from './runs.ts';
import type { RunState } from './tables.ts';

/** The last run of the page before. */
export interface RunPlace {
  readonly createdAtMs: number;
  readonly id: string;
}

export interface RunFilter {
  readonly states?: readonly RunState[] | undefined;
  readonly kind?: string | undefined;
  readonly exceptKind?: string | undefined;
  readonly component?: string | undefined;
  /** Only of these; all, and what is of none, if absent. */
  readonly applications?: readonly string[] | undefined;
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
}

export async function runHistory(
  { db }: Catalog,
  filter: RunFilter & { readonly after?: RunPlace | undefined; readonly limit: number },
): Promise<RunRow[]> {
  const { states, kind, exceptKind, component, applications, sinceMs, untilMs, after, limit } = filter;
  let query = db.selectFrom('run').selectAll();
  if (states !== undefined) query = query.where('state', 'in', states);
  if (kind !== undefined) query = query.where('kind', '=', kind);
  if (exceptKind !== undefined) query = query.where('kind', '!=', exceptKind);
  if (component !== undefined) query = query.where('component', '=', component);
  // No application is called nothing: the list may be empty.
  if (applications !== undefined) query = query.where('application', 'in', [...applications, '']);
  if (sinceMs !== undefined) query = query.where('createdAtMs', '>=', sinceMs);
  if (untilMs !== undefined) query = query.where('createdAtMs', '<', untilMs);
  if (after !== undefined) {
    query = query.where((where) =>
      where.or([
        where('createdAtMs', '<', after.createdAtMs),
        where.and([where('createdAtMs', '=', after.createdAtMs), where('id', '<', after.id)]),
      ]),
    );
  }
  return query.orderBy('createdAtMs', 'desc').orderBy('id', 'desc').limit(limit).execute();
}

/** Of which a run has ended after the one moment and not after the other. */
export async function applicationsEndedWithin({ db }: Catalog, afterMs: number, untilMs: number): Promise<string[]> {
  const rows = await db
    .selectFrom('run')
    .select('application')
    .distinct()
    .where('endedAtMs', '>', afterMs)
    .where('endedAtMs', '<=', untilMs)
    .where('application', 'is not', null)
    .execute();
  return rows.flatMap(({ application }) => application ?? []);
}

/** By the last characters of their ids, where they differ, or a whole one; at most `limit`. */
export async function runsByEnding({ db }: Catalog, ending: string, limit: number): Promise<RunRow[]> {
  return db
    .selectFrom('run')
    .selectAll()
    .where('id', 'like', endingPattern(ending))
    .orderBy('id')
    .limit(limit)
    .execute();
}
