// A query against a component: the value it yields, held against a range.
import type { ProbeOf } from '../../model/probe.ts';
import { isInRange } from '../../model/content-check.ts';
import { cutText, oneLine } from '../fitting-text.ts';
import { conclude, down, slowness, type Look, type LookParts } from './look.ts';

const shownMax = 80;

export async function probeSql(settings: ProbeOf<'sql'>, { signal, clock, ports }: LookParts): Promise<Look> {
  const { component, sql, database, min, max, equals } = settings;
  const startMs = clock.now();
  const [row] = await ports.queryPostgres(component, { sql, database }, signal);
  const latencyMs = clock.now() - startMs;
  const value: unknown = row === undefined ? undefined : Object.values(row)[0];
  const words = row === undefined ? 'no row' : cutText(oneLine(String(value)), shownMax);
  const hint = 'Look at the data, or correct what is expected.';
  const problems = isInRange(value, { min, max, equals })
    ? []
    : [down(`the query gave ${words}, expected ${rangeWords({ min, max, equals })}`, hint)];
  return conclude(`the query gave ${words}`, [...problems, ...slowness(latencyMs, settings.slowMs)], { value: words });
}

function rangeWords({ min, max, equals }: Pick<ProbeOf<'sql'>, 'min' | 'max' | 'equals'>): string {
  if (equals !== undefined) return String(equals);
  const bounds = [...(min === undefined ? [] : [`at least ${min}`]), ...(max === undefined ? [] : [`at most ${max}`])];
  return bounds.length === 0 ? 'something but 0 and false' : bounds.join(' and ');
}
