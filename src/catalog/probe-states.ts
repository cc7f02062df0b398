// The tables of probes: how each stands, when that changed, and what each hour was like.
import type { Selectable } from 'kysely';
import { z } from 'zod';
import { probeOutcomes, type ProbeOutcome } from '../model/probe.ts';
import type { Catalog, Queries } from './catalog.ts';
import type { ProbeChangeTable, ProbeHourTable, ProbeStateTable } from './probe-tables.ts';

export type ProbeStateRow = Selectable<ProbeStateTable>;
export type ProbeHourRow = Selectable<ProbeHourTable>;
export type ProbeChangeRow = Selectable<ProbeChangeTable>;

export const hourMs = 3_600_000;
/** Milliseconds up to which an answer is counted in a place of `latencies`; what took longer is in a last one. */
export const latencyBounds = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000] as const;
const keptMs = 400 * 24 * hourMs;

const countsSchema = z.array(z.number());
export const latencyCounts = ({ latencies }: Pick<ProbeHourRow, 'latencies'>): number[] =>
  countsSchema.parse(JSON.parse(latencies));

const recentSchema = z.array(z.enum(probeOutcomes));
export const recentOutcomes = ({ recent }: Pick<ProbeStateRow, 'recent'>): ProbeOutcome[] =>
  recentSchema.parse(JSON.parse(recent));

/** Of all applications if none are named. */
export async function probeStatesOf({ db }: Catalog, applications?: readonly string[]): Promise<ProbeStateRow[]> {
  let query = db.selectFrom('probeState').selectAll();
  if (applications !== undefined) query = query.where('application', 'in', [...applications, '']);
  return query.orderBy('application').orderBy('probe').execute();
}

/** What came of a look: the state then, and the look itself for its hour. */
export interface ProbeLook {
  readonly state: ProbeStateRow;
  readonly outcome: ProbeOutcome;
}

/** Keeps the look, and the change if the state is another one than before. */
export async function saveLook(catalog: Catalog, { state, outcome }: ProbeLook): Promise<void> {
  const { application, probe, seenAtMs, latencyMs } = state;
  await catalog.transaction(async (trx) => {
    const before = await trx
      .selectFrom('probeState')
      .select('outcome')
      .where('application', '=', application)
      .where('probe', '=', probe)
      .executeTakeFirst();
    await trx
      .insertInto('probeState')
      .values(state)
      .onConflict((conflict) => conflict.columns(['application', 'probe']).doUpdateSet(state))
      .execute();
    if (before?.outcome !== state.outcome) {
      await trx
        .insertInto('probeChange')
        .values({ application, probe, atMs: seenAtMs, outcome: state.outcome, message: state.message })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    }
    await countLook(trx, { application, probe, atMs: seenAtMs, outcome, latencyMs });
  });
}

interface CountedLook {
  readonly application: string;
  readonly probe: string;
  readonly atMs: number;
  readonly outcome: ProbeOutcome;
  readonly latencyMs: number;
}

async function countLook(trx: Queries, { application, probe, atMs, outcome, latencyMs }: CountedLook): Promise<void> {
  const key = { application, probe, hourMs: atMs - (atMs % hourMs) };
  const found = await trx
    .selectFrom('probeHour')
    .selectAll()
    .where('application', '=', application)
    .where('probe', '=', probe)
    .where('hourMs', '=', key.hourMs)
    .executeTakeFirst();
  const before = found ?? { ...key, up: 0, degraded: 0, down: 0, unknown: 0, latencies: '[]' };
  const counts = latencyCounts(before);
  const place = latencyBounds.findIndex((bound) => latencyMs <= bound);
  const at = place === -1 ? latencyBounds.length : place;
  // What did not answer did not take any time.
  const isAnswer = outcome === 'up' || outcome === 'degraded';
  const latencies = Array.from(
    { length: latencyBounds.length + 1 },
    (_, index) => (counts[index] ?? 0) + (isAnswer && index === at ? 1 : 0),
  );
  const hour = { ...before, [outcome]: before[outcome] + 1, latencies: JSON.stringify(latencies) };
  await trx
    .insertInto('probeHour')
    .values(hour)
    .onConflict((conflict) => conflict.columns(['application', 'probe', 'hourMs']).doUpdateSet(hour))
    .execute();
}

/** Those that are not configured any more are forgotten, but not what they saw. */
export async function keepProbes({ db }: Catalog, application: string, names: readonly string[]): Promise<void> {
  await db
    .deleteFrom('probeState')
    .where('application', '=', application)
    .where('probe', 'not in', [...names, ''])
    .execute();
}

/** Oldest first. */
export async function probeHours(
  { db }: Catalog,
  { applications, sinceMs }: { readonly applications?: readonly string[] | undefined; readonly sinceMs: number },
): Promise<ProbeHourRow[]> {
  let query = db
    .selectFrom('probeHour')
    .selectAll()
    .where('hourMs', '>=', sinceMs - hourMs);
  if (applications !== undefined) query = query.where('application', 'in', [...applications, '']);
  return query.orderBy('hourMs').execute();
}

/** Newest first. */
export async function probeChanges(
  { db }: Catalog,
  { application, probe, limit }: { readonly application: string; readonly probe: string; readonly limit: number },
): Promise<ProbeChangeRow[]> {
  return db
    .selectFrom('probeChange')
    .selectAll()
    .where('application', '=', application)
    .where('probe', '=', probe)
    .orderBy('atMs', 'desc')
    .limit(limit)
    .execute();
}

/** Of all applications if none are named; oldest first. */
export async function probeChangesSince(
  { db }: Catalog,
  { applications, sinceMs }: { readonly applications?: readonly string[] | undefined; readonly sinceMs: number },
): Promise<ProbeChangeRow[]> {
  const query = db.selectFrom('probeChange').selectAll().where('atMs', '>=', sinceMs).orderBy('atMs');
  return (applications === undefined ? query : query.where('application', 'in', [...applications, ''])).execute();
}

export async function trimProbes(catalog: Catalog): Promise<void> {
  const beforeMs = (await catalog.nowMs()) - keptMs;
  await catalog.db.deleteFrom('probeHour').where('hourMs', '<', beforeMs).execute();
  await catalog.db.deleteFrom('probeChange').where('atMs', '<', beforeMs).execute();
}
