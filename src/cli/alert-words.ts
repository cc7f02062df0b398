// How alerts read: how bad, what, since when, who was told.
import type { AlertRowState } from '../catalog/alert-tables.ts';
import { alertsByEnding, type AlertRow } from '../catalog/alerts.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { AlertFact } from '../model/alert-message.ts';
import type { AlertSeverity } from '../model/alert-routing.ts';
import { factsOf } from '../monitoring/alerts/messages.ts';
import { onlyOne } from './id-ending.ts';
import type { Paint, Style } from './style.ts';

const severityPaints: Readonly<Record<AlertSeverity, Paint>> = { info: 'cyan', warning: 'yellow', critical: 'red' };

export function severityWords(severity: AlertSeverity, style: Style): string {
  return style.paint(severityPaints[severity], severity === 'critical' ? 'CRITICAL' : severity);
}

export function alertStateWords({ state, byPerson }: Pick<AlertRow, 'state' | 'byPerson'>): string {
  const words: Readonly<Record<AlertRowState, string>> = {
    pending: 'new',
    firing: 'open',
    acknowledged: 'acknowledged',
    resolved: 'resolved',
  };
  return byPerson === null ? words[state] : `${words[state]} by ${byPerson}`;
}

/** `database: RPO breached`. */
export function alertTitle({ component, title }: Pick<AlertRow, 'component' | 'title'>): string {
  return component === null ? title : `${component}: ${title}`;
}

/** As it is printed for programs. */
export type AlertData = Omit<AlertRow, 'facts'> & { readonly facts: readonly AlertFact[] };

export const alertData = (alert: AlertRow): AlertData => ({ ...alert, facts: factsOf(alert) });

/** By id, or the end of one. Rejects with `NOT_FOUND` or `AMBIGUOUS`. */
export async function requireAlert(catalog: Catalog, text: string): Promise<AlertRow> {
  return onlyOne(await alertsByEnding(catalog, text, 2), {
    text,
    one: 'alert',
    several: 'alerts',
    list: 'alerts list',
  });
}
