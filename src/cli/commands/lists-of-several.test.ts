// What a server of several applications shows: whose each thing is, within 80 columns. Data in, text out.
import { expect, test } from 'vitest';
import type { TokenView } from '../../access/views.ts';
import type { SilenceRow } from '../../catalog/silences.ts';
import type { RunView } from '../../service/run-view.ts';
import type { AlertData } from '../alert-words.ts';
import { plainStyle } from '../style.ts';
import { alertsListCommand } from './alerts-list.ts';
import { alertsSilencesCommand } from './alerts-silences.ts';
import { runsListCommand } from './runs-list.ts';
import { snapshotsCommand } from './snapshots.ts';
import { tokenListCommand } from './token-list.ts';

const style = plainStyle({ nowMs: Date.parse('2026-11-28T20:00:00Z') });
const timeMs = Date.parse('2026-11-28T19:00:00Z');
const linesOf = (text: string): string[] => {
  const lines = text.split('\n');
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
  return lines.slice(1);
};

const run = (application: string, id: string): RunView => ({
  id: `01a22398-b352-78c0-b259-${id}`,
  kind: 'backup',
  job: 'backup/database',
  application,
  component: 'database',
  state: 'succeeded',
  attempt: 0,
  attemptsMax: 4,
  labels: [],
  origin: { kind: 'request', by: 'command line' },
  isCancelling: false,
  createdAt: '2026-11-28T19:00:00Z',
  startedAt: '2026-11-28T19:00:00Z',
  endedAt: '2026-11-28T19:00:02.400Z',
});

test('runs of several applications say of which one; those of one do not', () => {
  const runs = [run('lecture-acme', '000000000001'), run('lecture-globex', '000000000002')];
  expect(linesOf(runsListCommand.render({ runs, applications: [] }, style))).toEqual([
    '00000001  2026-11-28 19:00  backup/database of    succeeded  2.4 s  command line',
    '                            lecture-acme',
    '00000002  2026-11-28 19:00  backup/database of    succeeded  2.4 s  command line',
    '                            lecture-globex',
  ]);
  expect(linesOf(runsListCommand.render({ runs: runs.slice(0, 1), applications: ['lecture-acme'] }, style))).toEqual([
    '00000001  2026-11-28 19:00  backup/database  succeeded  2.4 s  command line',
  ]);
});

test('alerts and silences of several applications say of which one', () => {
  const alert = (application: string, component: string | null): AlertData => ({
    id: '01a22398-b352-78c0-b259-000000000001',
    application,
    subject: 'standing/storage',
    openKey: null,
    kind: 'standing',
    component,
    severity: 'warning',
    title: 'Unprotected',
    facts: [],
    hint: null,
    command: null,
    state: 'firing',
    sinceMs: timeMs,
    firedAtMs: timeMs,
    stepsFromMs: null,
    stepsTaken: 0,
    toldAtMs: null,
    acknowledgedAtMs: null,
    resolvedAtMs: null,
    byPerson: null,
  });
  const titles = (alerts: readonly AlertData[], applications: readonly string[] = []): string[] =>
    linesOf(alertsListCommand.render({ alerts, applications }, style));
  expect(titles([alert('acme', 'storage'), alert('globex', null)])).toEqual([
    '00000001  warning   acme/storage: Unprotected  1h ago  open',
    '00000001  warning   globex: Unprotected        1h ago  open',
  ]);
  expect(titles([alert('acme', 'storage')], ['acme'])).toEqual([
    '00000001  warning   storage: Unprotected  1h ago  open',
  ]);
  // It is of one alone, but could be of another.
  expect(titles([alert('acme', 'storage')], ['acme', 'globex'])).toEqual([
    '00000001  warning   acme/storage: Unprotected  1h ago  open',
  ]);

  const silence = (application: string, component: string | null): SilenceRow => ({
    id: '0'.repeat(36),
    application,
    component,
    subject: null,
    untilMs: timeMs,
    byPerson: 'root',
    reason: null,
    createdAtMs: timeMs,
  });
  const silences = [silence('acme', 'storage'), silence('globex', null)];
  expect(linesOf(alertsSilencesCommand.render({ silences, applications: [] }, style))).toEqual([
    '00000000  acme/storage  2026-11-28 19:00  root',
    '00000000  globex        2026-11-28 19:00  root',
  ]);
});

test('a token for an application with a longer name does not look like one for another', () => {
  const token = (application: string): TokenView => ({
    id: '01a22398-b807-79bf-9db0-d46bb2141e75',
    name: 'one',
    state: 'valid',
    role: 'operator',
    applications: [application],
    scopes: undefined,
    lastUsedAt: undefined,
    revokedAt: undefined,
    createdBy: 'root',
    createdAt: '2026-11-28T19:00:00Z',
    expiresAt: '2027-02-26T19:00:00Z',
  });
  const tokens = ['lecture-acme', 'lecture-acmee'].map(token);
  expect(linesOf(tokenListCommand.render({ tokens }, style))).toEqual([
    'b2141e75  one   operator  lecture-acme   never  2027-02-26 19:00',
    'b2141e75  one   operator  lecture-acmee  never  2027-02-26 19:00',
  ]);
});

test('snapshots of a repository that several share say whose they are', () => {
  const snapshot = (host: string) => ({
    id: '46c536f7'.padEnd(64, '0'),
    time: '2026-11-28T19:00:00Z',
    component: 'storage',
    host,
    paths: ['/srv/content'],
    tags: [],
    description: undefined,
    sizeBytes: 11,
    storedBytes: undefined,
    tree: '',
    proof: undefined,
    verifications: [],
  });
  const listed = (...hosts: string[]): string[] => {
    const repositories = [{ name: 'main', location: '/srv/backups', snapshots: hosts.map(snapshot) }];
    return linesOf(snapshotsCommand.render({ repositories }, style)).slice(0, -1);
  };
  expect(listed('lecture-acme', 'lecture-globex')).toEqual([
    '46c536f7  2026-11-28 19:00  lecture-acme    storage    11 B  /srv/content',
    '46c536f7  2026-11-28 19:00  lecture-globex  storage    11 B  /srv/content',
  ]);
  expect(listed('lecture-acme')).toEqual(['46c536f7  2026-11-28 19:00  storage    11 B  /srv/content']);
});
