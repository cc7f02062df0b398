// An alert as the catalog has it, for tests.
import { randomUUIDv7 } from 'node:crypto';
import type { AlertRow } from '../../src/catalog/alerts.ts';

export function madeAlert(application: string, sinceMs = 1_795_858_000_000): AlertRow {
  const id = randomUUIDv7();
  return {
    id,
    application,
    subject: `standing/${id}`,
    openKey: `${application}/standing/${id}`,
    kind: 'standing',
    component: 'database',
    severity: 'critical',
    title: 'RPO breached',
    facts: JSON.stringify([{ name: 'RPO now', value: '4h', objective: '1h' }]),
    hint: 'Back it up.',
    command: 'lifeboat status',
    state: 'firing',
    sinceMs,
    firedAtMs: sinceMs,
    stepsFromMs: sinceMs,
    stepsTaken: 1,
    toldAtMs: sinceMs,
    acknowledgedAtMs: null,
    resolvedAtMs: null,
    byPerson: null,
  };
}
