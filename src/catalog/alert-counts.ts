// Alerts in numbers, for metrics: what is open, and how the messages of the last while went.
import type { AlertSeverity } from '../model/alert-routing.ts';
import type { AlertDeliveryRow } from './alert-deliveries.ts';
import type { AlertRowState } from './alert-tables.ts';
import type { Catalog } from './catalog.ts';

export interface AlertCount {
  readonly application: string;
  readonly severity: AlertSeverity;
  readonly state: AlertRowState;
  readonly count: number;
}

/** Of those that people were or will be told of: not of what is too new, nor of reports. */
export async function openAlertCounts(
  { db }: Catalog,
  applications: readonly string[] | undefined,
): Promise<AlertCount[]> {
  const query = db
    .selectFrom('alert')
    .select(['application', 'severity', 'state'])
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('state', 'in', ['firing', 'acknowledged'])
    .where('kind', '!=', 'report')
    .groupBy(['application', 'severity', 'state'])
    .orderBy('application')
    .orderBy('severity')
    .orderBy('state');
  return (applications === undefined ? query : query.where('application', 'in', [...applications, ''])).execute();
}

export interface MessageCount {
  readonly application: string;
  readonly channel: string;
  readonly outcome: AlertDeliveryRow['outcome'];
  readonly count: number;
}

/** Of messages that were made since. */
export async function messageCounts(
  { db }: Catalog,
  applications: readonly string[] | undefined,
  sinceMs: number,
): Promise<MessageCount[]> {
  const query = db
    .selectFrom('alertDelivery')
    .select(['application', 'channel', 'outcome'])
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('createdAtMs', '>=', sinceMs)
    .groupBy(['application', 'channel', 'outcome'])
    .orderBy('application')
    .orderBy('channel')
    .orderBy('outcome');
  return (applications === undefined ? query : query.where('application', 'in', [...applications, ''])).execute();
}
