// Moments that are kept are those that would be worked out anew.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Job } from './job.ts';
import { KeptTimes } from './kept-times.ts';
import { nextTimes } from './schedule-times.ts';
import type { Schedule } from './schedule.ts';

const schedules: readonly (readonly Schedule[])[] = [
  [],
  [{ kind: 'interval', everyMs: 90_000 }],
  [{ kind: 'cron', cron: '*/7 2 * * *', timeZone: 'Europe/Berlin' }],
  [
    { kind: 'cron', cron: '30 3 29 2 *', timeZone: 'UTC', jitterMs: 600_000 },
    { kind: 'interval', everyMs: 86_400_000 },
  ],
];

const jobs = schedules.map((schedule, at): Job => ({
  kind: 'backup',
  component: 'database',
  repositories: ['local'],
  id: 'backup/database',
  seed: `shop/${at}`,
  schedules: schedule,
  maintenance: [],
  labels: [],
}));

test('whatever is asked in whatever order, also back in time, is answered as if nothing were kept', () => {
  const startMs = Date.UTC(2026, 2, 28);
  const question = fc.record({ job: fc.constantFrom(...jobs), offsetMs: fc.integer({ min: -1e8, max: 1e8 }) });
  const questions = fc.array(question, { minLength: 5, maxLength: 30 });
  fc.assert(
    fc.property(questions, (asked) => {
      const kept = new KeptTimes(3);
      for (const { job, offsetMs } of asked) {
        const after = startMs + offsetMs;
        const fresh = nextTimes(job.schedules, { after, seed: job.seed }).take(3).toArray();
        expect(kept.after(job, after)).toEqual(fresh);
        const [first] = fresh;
        if (first === undefined) continue;
        // At its very moment it has come, a millisecond before it has not.
        for (const edge of [first - 1, first]) {
          const again = nextTimes(job.schedules, { after: edge, seed: job.seed }).take(3).toArray();
          expect(kept.after(job, edge)).toEqual(again);
        }
      }
    }),
    { numRuns: 50 },
  );
});

test('what was worked out is used again until the first moment passes', () => {
  const kept = new KeptTimes(3);
  const [, job] = jobs as [Job, Job];
  const times = kept.after(job, 0);
  expect(kept.after(job, (times[0] ?? 0) - 1)).toBe(times);
  expect(kept.after(job, times[0] ?? 0)).not.toBe(times);
  expect(kept.after({ ...job }, 0)).not.toBe(times);
});
