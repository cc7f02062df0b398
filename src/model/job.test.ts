import { expect, test } from 'vitest';
import { componentSchema, type Component } from './component.ts';
import { jobsInRings, jobsOf } from './job.ts';
import { completePolicy, policySchema, retentionIn } from './policy.ts';

function jobs(policies: Record<string, unknown>) {
  const components = Object.entries(policies).map(([name, policy]): Component => {
    const settings = componentSchema.parse({ type: 'redis' });
    return { ...settings, name, policy: completePolicy(policySchema.parse(policy), ['local', 'offsite']) };
  });
  return jobsOf({ name: 'shop', environment: 'production', repositories: [], components });
}

test('a repository is verified and cleared once for all components that ask the same', () => {
  const verification = { schedule: { cron: '0 4 * * 0' } };
  const own = { ...verification, level: 'data', readDataShare: '10%' };
  const retention = { keepDaily: 7 };
  const all = jobs({
    a: { verification, retention },
    b: { verification: { schedule: [{ cron: '0 4 * * 0' }, { after: 'backup' }] }, retention, repositories: ['local'] },
    c: { verification: own, repositories: ['local'] },
  });
  expect(all).toMatchObject([
    { id: 'verification/local/structure', components: ['a', 'b'], schedules: [{ kind: 'cron' }, { kind: 'after' }] },
    { id: 'verification/offsite/structure', components: ['a'], schedules: [{ kind: 'cron' }] },
    { id: 'verification/local/data/0.1', components: ['c'], level: 'data', readDataShare: 0.1 },
    { id: 'retention/local', components: ['a', 'b'], schedules: [{ kind: 'interval' }] },
    { id: 'retention/offsite', components: ['a'] },
  ]);
  expect(new Set(all.map(({ seed }) => seed)).size).toBe(all.length);
});

test('what is filled by copies is backed up to only where that is said, and keeps by its own rules', () => {
  const policy = (settings: object) => completePolicy(policySchema.parse(settings), ['local', 'offsite', 'archive']);
  const copied = policy({ copy: [{ to: 'archive', retention: { keepYearly: 2 } }], retention: { keepDaily: 7 } });
  expect(copied.targets.map(({ repository }) => repository)).toEqual(['local', 'offsite']);
  expect(copied.copies).toMatchObject([
    { from: 'local', to: 'archive', snapshots: 'all', schedules: [{ job: 'backup' }] },
  ]);
  expect(['local', 'archive', 'other'].map((name) => retentionIn(copied, name))).toEqual([
    { keepDaily: 7 },
    { keepYearly: 2 },
    undefined,
  ]);
});

test.each([
  ['a ring of two', { a: { schedule: { after: 'proof' }, proof: { schedule: { after: 'backup' } } } }, 2],
  ['a job after itself', { a: { schedule: { after: 'backup' } } }, 1],
  [
    'a ring with a clock',
    { a: { schedule: [{ after: 'proof' }, { every: '1d' }], proof: { schedule: { after: 'backup' } } } },
    2,
  ],
  [
    'a ring over components',
    { a: { schedule: { after: 'backup', of: 'b' } }, b: { schedule: { after: 'backup', of: 'a' } } },
    2,
  ],
  ['a wait for what is started by hand', { a: { schedule: { after: 'proof' } } }, 0],
  [
    'a chain',
    { a: { schedule: { every: '1d' } }, b: { schedule: { after: 'backup', of: 'a' }, copy: { to: 'offsite' } } },
    0,
  ],
])('finds in %s what would never end', (_, policies, count) => {
  expect(jobsInRings(jobs(policies))).toHaveLength(count);
});
