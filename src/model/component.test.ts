import { describe, expect, test } from 'vitest';
import { componentSchema, continuousProofFindings, type Component } from './component.ts';
import { completePolicy, policySchema } from './policy.ts';

function component(policy: unknown, objectives: unknown = { rpo: '1h' }): Component {
  const settings = componentSchema.parse({ type: 'redis', host: 'cache', objectives });
  return { ...settings, name: 'cache', policy: completePolicy(policySchema.parse(policy), ['local', 'offsite']) };
}

describe('completePolicy', () => {
  test('backs up to all repositories and keeps everything where nothing is said', () => {
    expect(component({}).policy).toEqual({
      schedules: [],
      targets: [
        { repository: 'local', retention: {} },
        { repository: 'offsite', retention: {} },
      ],
      copies: [],
      retentionSchedules: [{ kind: 'interval', everyMs: 86_400_000 }],
      verification: undefined,
      proof: undefined,
      checks: [],
    });
  });

  test('gives each repository its own retention, else that of the policy', () => {
    const { targets } = component({
      repositories: ['offsite', { name: 'local', retention: { keepLast: 1 } }],
      retention: { keepDaily: 7 },
    }).policy;
    expect(targets).toEqual([
      { repository: 'offsite', retention: { keepDaily: 7 } },
      { repository: 'local', retention: { keepLast: 1 } },
    ]);
  });
});

describe('continuousProofFindings', () => {
  const proof = { continuous: true };
  const policy = completePolicy(policySchema.parse({ proof }), ['local']);
  test.each([
    [{ type: 'postgres', journal: {} }, 0],
    [{ type: 'postgres' }, 1],
    [{ type: 'postgres', journal: {}, method: 'logical' }, 1],
    [{ type: 'redis' }, 0],
  ])('asks a standby of %j for a journal to follow', (settings, count) => {
    expect(continuousProofFindings({ ...componentSchema.parse(settings), name: 'one', policy })).toHaveLength(count);
  });

  test('takes a schedule, a standby, or both, but not neither', () => {
    expect(policySchema.safeParse({ proof: {} }).success).toBe(false);
    expect(policySchema.parse({ proof }).proof).toEqual({ schedule: undefined, continuous: true });
  });
});

describe('componentSchema', () => {
  test('turns durations and percentages into numbers that name their unit', () => {
    const { objectives } = component({}, { rpo: '15m', rto: '1h', availability: '99.95%' });
    expect(objectives).toMatchObject({ rpoMs: 900_000, rtoMs: 3_600_000, availabilityPercent: 99.95 });
  });

  test.each([
    ['a URL and a host', { type: 'postgres', url: 'postgres://db/shop', host: 'db' }],
    ['nothing to back up', { type: 'config' }],
    ['an unknown key', { type: 'redis', hots: 'cache' }],
    ['an unknown tier', { type: 'redis', tier: 'P9' }],
    ['a cron text of four fields', { type: 'redis', policy: { schedule: { cron: '0 2 * *' } } }],
    ['an hour that no day has', { type: 'redis', policy: { schedule: { cron: '0 25 * * *' } } }],
    ['an unknown time zone', { type: 'redis', policy: { schedule: { cron: '0 2 * * *', timeZone: 'Mars/Base' } } }],
    [
      'a share above the whole',
      { type: 'redis', policy: { verification: { schedule: { every: '1d' }, readDataShare: '120%' } } },
    ],
  ])('refuses %s', (_, settings) => {
    expect(componentSchema.safeParse(settings).success).toBe(false);
  });

  test.each(['0 9 * * MON#1', '0 0 L * *', '*/15 8-18 * * 1-5', '30 4 1,15 JAN-MAR *'])(
    'accepts the cron text %s',
    (cron) => {
      expect(componentSchema.safeParse({ type: 'redis', policy: { schedule: { cron } } }).success).toBe(true);
    },
  );
});
