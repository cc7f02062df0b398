import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decideRetention, retentionPolicySchema, type RetainableSnapshot } from './retention.ts';
import { surelyReachesMs } from './retention-reach.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** Backs up and removes by turns; gives the least age of the oldest kept snapshot once `warmUpMs` have passed. */
function leastReachMs(policy: unknown, everyMs: number, warmUpMs: number): number {
  const startMs = Date.UTC(2026, 0, 1, 5);
  let kept: RetainableSnapshot[] = [];
  let least = Infinity;
  for (let now = startMs; now < startMs + warmUpMs * 2; now += everyMs) {
    const time = new Date(now).toISOString();
    const context = { now, provenIds: new Set<string>(), verifiedIds: new Set<string>(), forgetProven: true };
    const all = [...kept, { id: time, time, tags: [] }];
    kept = decideRetention(all, retentionPolicySchema.parse(policy), context)
      .filter(({ keep }) => keep)
      .map(({ snapshot }) => snapshot);
    const oldest = Math.min(...kept.map((snapshot) => Date.parse(snapshot.time)));
    if (now >= startMs + warmUpMs) least = Math.min(least, now - oldest);
  }
  return least;
}

test('is never more than what really stays, backup after backup', () => {
  const policies = fc.record(
    {
      keepLast: fc.integer({ min: 1, max: 20 }),
      keepDaily: fc.integer({ min: 1, max: 8 }),
      keepWeekly: fc.integer({ min: 1, max: 3 }),
      keepWithin: fc.constantFrom('12h', '3d', '10d'),
      keepWithinDaily: fc.constantFrom('5d', '2 weeks'),
    },
    { requiredKeys: ['keepLast'] },
  );
  const every = fc.constantFrom(5 * hourMs, 8 * hourMs, dayMs, 36 * hourMs);
  fc.assert(
    fc.property(policies, every, (policy, everyMs) => {
      const reachMs = surelyReachesMs(retentionPolicySchema.parse(policy), everyMs);
      expect(leastReachMs(policy, everyMs, 40 * dayMs)).toBeGreaterThanOrEqual(reachMs);
    }),
    { numRuns: 25 },
  );
});

test.each([
  [{ keepDaily: 7 }, 6],
  [{ keepLast: 3 }, 2],
  [{ keepWithin: '7d' }, 6],
  [{ keepDaily: 7, keepWeekly: 4 }, 15],
  [{ keepDaily: 7, keepMonthly: 'unlimited' }, Infinity],
  [{}, Infinity],
  [{ keepLast: 0, keepTags: ['legal'] }, 0],
])('says of %j, backed up every day, that it reaches back %d days', (policy, days) => {
  expect(surelyReachesMs(retentionPolicySchema.parse(policy), dayMs)).toBe(days * dayMs);
});
