// An alert in words: what is wrong, by how much, since when, and what to do. Short, since it is read at night.
import { formatAge } from '../../base/duration.ts';
import type { AlertFact, AlertMessage } from '../../model/alert-message.ts';
import { oneLine } from '../fitting-text.ts';

/** `[CRITICAL] shop/production database: RPO breached`; the state in place of the severity once it changed. */
export function headline(message: AlertMessage): string {
  const { severity, state } = message;
  return `[${(state === 'firing' ? severity : state).toUpperCase()}] ${subject(message)}`;
}

/** The same for all messages about one alert. */
export function subject({ application, environment, component, title }: AlertMessage): string {
  const place = component === undefined ? '' : ` ${component}`;
  return oneLine(`${application}/${environment}${place}: ${title}`);
}

/** `4h 3m (objective 1h)`. */
export function factValue({ value, objective }: AlertFact): string {
  return oneLine(objective === undefined ? value : `${value} (objective ${objective})`);
}

export interface Line {
  readonly name: string;
  readonly value: string;
}

/** The facts, and when it began and what became of it. */
export function factLines(message: AlertMessage): Line[] {
  return [
    ...message.facts.map((fact) => ({ name: oneLine(fact.name), value: factValue(fact) })),
    ...timeLines(message),
  ];
}

export function timeLines({ state, sinceMs, atMs, by }: AlertMessage): Line[] {
  const lastedMs = Math.max(0, atMs - sinceMs);
  const age = lastedMs < 60_000 ? '' : ` (${formatAge(lastedMs)})`;
  const since = { name: 'Since', value: `${timeWords(sinceMs)}${state === 'firing' ? age : ''}` };
  if (state === 'firing') return [since];
  const person = by === undefined ? '' : ` by ${oneLine(by)}`;
  const lasted = state === 'resolved' ? age.replace('(', '(after ') : '';
  return [
    since,
    { name: state === 'resolved' ? 'Resolved' : 'Acknowledged', value: `${timeWords(atMs)}${person}${lasted}` },
  ];
}

/** What to do. A resolved alert asks for nothing. */
export function actionLines({ state, hint, command, link }: AlertMessage): Line[] {
  const lines: Line[] = [];
  if (state !== 'resolved') {
    if (hint !== undefined) lines.push({ name: 'Do', value: oneLine(hint) });
    if (command !== undefined) lines.push({ name: 'Run', value: oneLine(command) });
  }
  if (link !== undefined) lines.push({ name: 'See', value: oneLine(link) });
  return lines;
}

/** `2026-11-28 04:12 UTC`. */
export function timeWords(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** For e-mail and whatever else shows plain text. */
export function plainText(message: AlertMessage): string {
  const block = (lines: readonly Line[]): string => lines.map(({ name, value }) => `${name}: ${value}`).join('\n');
  const parts = [headline(message), block(factLines(message)), block(actionLines(message))];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}
