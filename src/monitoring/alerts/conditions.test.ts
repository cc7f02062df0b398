import { expect, test } from 'vitest';
import { conditionsOf, type Known } from './conditions.ts';

const nowMs = Date.parse('2026-11-28T12:00:00Z');
const nothing: Known = {
  nowMs,
  standings: [],
  jobs: [],
  probes: [],
  receivers: [],
  deadChannels: [],
  problem: undefined,
};
const standing = { component: 'database', reason: 'it is old', hint: 'Back it up.', rpoMs: 3_600_000 };
const job = {
  component: undefined,
  repository: undefined,
  hasFailed: true,
  message: 'no room',
  hint: 'Make room.',
  run: '0123456789abcdef',
};
const probe = { probe: 'site', component: 'web', isFlapping: false, message: 'status 503', hint: 'Look.' };

/** Subject, severity, title. */
function said(known: Partial<Known>): string[] {
  return conditionsOf({ ...nothing, ...known }).map(
    ({ subject, severity, title }) => `${subject} ${severity} ${title}`,
  );
}

test('nothing known is nothing wrong, and what is protected is not', () => {
  expect(said({})).toEqual([]);
  expect(said({ standings: [{ ...standing, standing: 'protected', ageMs: 1000, seenAtMs: nowMs }] })).toEqual([]);
});

test('the age of what can be recovered goes on since it was seen', () => {
  const seen = { ...standing, standing: 'overdue', ageMs: 7_200_000, seenAtMs: nowMs - 60_000 } as const;
  const [condition] = conditionsOf({ ...nothing, standings: [seen] });
  expect(condition).toMatchObject({
    subject: 'standing/database',
    severity: 'critical',
    title: 'RPO breached',
    facts: [
      { name: 'Why', value: 'it is old' },
      { name: 'RPO now', value: '2h 1m', objective: '1h' },
    ],
  });
});

test('a failed verification is critical, a failed copy is not, and backups and proofs count into the standing', () => {
  const jobs = (['verification', 'copy', 'retention', 'backup', 'proof'] as const).map((kind) => ({
    ...job,
    kind,
    job: `${kind}/local`,
  }));
  expect(said({ jobs })).toEqual([
    'job/verification/local critical Verification failed',
    'job/copy/local warning Copy failed',
    'job/retention/local warning Retention failed',
  ]);
  expect(said({ jobs: jobs.map((one) => ({ ...one, hasFailed: false })) })).toEqual([]);
});

test('a probe is told by how bad it is; one that knows nothing yet has time', () => {
  const outcomes = ['down', 'degraded', 'unknown', 'up'] as const;
  const conditions = conditionsOf({ ...nothing, probes: outcomes.map((outcome) => ({ ...probe, outcome })) });
  expect(conditions.map(({ severity, title, holdMs }) => [severity, title, holdMs])).toEqual([
    ['critical', 'site: Down', 0],
    ['warning', 'site: Degraded', 0],
    ['warning', 'site: State unknown', 300_000],
  ]);
  expect(said({ probes: [{ ...probe, outcome: 'up', isFlapping: true }] })).toEqual([
    'probe/site warning site: Goes up and down',
  ]);
});

test('a silent receiver, a dead channel and an unreadable configuration are told', () => {
  const receivers = [
    { component: 'database', silentSinceMs: nowMs - 180_000 },
    { component: 'other', silentSinceMs: undefined },
  ];
  const deadChannels = [{ channel: 'chat', reason: 'status 404', hint: 'Create it anew.' }];
  expect(said({ receivers, deadChannels, problem: { message: 'line 3', hint: 'Correct it.' } })).toEqual([
    'receiver/database critical Changes are not received',
    'channel/chat warning Alerts do not arrive through chat',
    "configuration warning The configuration can't be read",
  ]);
});

test('a component that is at risk by a failed job alone names that as the cause, and no other does', () => {
  const seen = { ...standing, standing: 'at_risk', ageMs: 1000, seenAtMs: nowMs } as const;
  const jobs = [
    { ...job, kind: 'verification', job: 'verification/local/data', repository: 'local', message: 'a pack is damaged' },
    { ...job, kind: 'copy', job: 'copy/database/local/away', component: 'database', message: 'no room' },
  ] as const;
  const damage = 'a repository is damaged: local: a pack is damaged';
  const causes = (one: Partial<Known['standings'][number]>, known: Partial<Known> = { jobs }): unknown =>
    conditionsOf({ ...nothing, ...known, standings: [{ ...seen, ...one }] })[0]?.cause;
  expect(causes({ reason: damage })).toBe('job/verification/local/data');
  expect(causes({ reason: 'the last copy failed: no room' })).toBe('job/copy/database/local/away');
  expect(causes({ reason: 'the last copy failed: no room', component: 'other' })).toBeUndefined();
  expect(causes({ reason: damage.replace('local', 'away') })).toBeUndefined();
  expect(causes({ reason: damage, standing: 'overdue' })).toBeUndefined();
  expect(causes({ reason: damage }, { jobs: jobs.map((one) => ({ ...one, hasFailed: false })) })).toBeUndefined();
});
