// The table of messages to people: which wait to be sent, and how the others went. What is here is sent, whatever dies meanwhile.
import { randomUUIDv7 } from 'node:crypto';
import type { Selectable, Updateable } from 'kysely';
import { z } from 'zod';
import type { AlertDeliveryTable } from './alert-tables.ts';
import type { Catalog, Queries } from './catalog.ts';

export type AlertDeliveryRow = Selectable<AlertDeliveryTable>;

/** How a message reaches somebody. */
export interface Way {
  readonly channel: string;
  readonly address: string | null;
}

export interface NewDelivery extends Way {
  readonly alertId: string;
  readonly application: string;
  readonly state: AlertDeliveryRow['state'];
  readonly contact: string | null;
  readonly otherWays: readonly Way[];
  readonly dueAtMs: number;
}

export async function insertDelivery(
  { now }: Pick<Catalog, 'now'>,
  { otherWays, ...delivery }: NewDelivery,
  db: Queries,
): Promise<void> {
  await db
    .insertInto('alertDelivery')
    .values({
      ...delivery,
      id: randomUUIDv7(),
      otherWays: JSON.stringify(otherWays),
      attempts: 0,
      outcome: 'waiting',
      createdAtMs: now(),
    })
    .execute();
}

export async function updateDelivery(db: Queries, id: string, change: Updateable<AlertDeliveryTable>): Promise<void> {
  await db.updateTable('alertDelivery').set(change).where('id', '=', id).execute();
}

const waysSchema = z.array(z.object({ channel: z.string(), address: z.string().nullable() }));

export const otherWaysOf = ({ otherWays }: AlertDeliveryRow): Way[] => waysSchema.parse(JSON.parse(otherWays));

/** Oldest first. */
export async function deliveriesOf(db: Queries, alertIds: readonly string[]): Promise<AlertDeliveryRow[]> {
  if (alertIds.length === 0) return [];
  return db.selectFrom('alertDelivery').selectAll().where('alertId', 'in', alertIds).orderBy('id').execute();
}

/** All that wait, the earliest first. */
export async function waitingDeliveries(db: Queries, application: string, limit: number): Promise<AlertDeliveryRow[]> {
  return db
    .selectFrom('alertDelivery')
    .selectAll()
    .where('application', '=', application)
    .where('outcome', '=', 'waiting')
    .orderBy('dueAtMs')
    .orderBy('id')
    .limit(limit)
    .execute();
}

/** How the last message through each channel went, of those that ended since. */
export async function lastDeliveries(db: Queries, application: string, sinceMs: number): Promise<AlertDeliveryRow[]> {
  const ended = await db
    .selectFrom('alertDelivery')
    .selectAll()
    .where('application', '=', application)
    .where('outcome', 'in', ['accepted', 'refused'])
    .where('endedAtMs', '>=', sinceMs)
    .orderBy('endedAtMs', 'desc')
    .execute();
  return [...new Map(ended.toReversed().map((row) => [row.channel, row])).values()];
}
