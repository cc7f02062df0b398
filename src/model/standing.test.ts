// One word for how a component stands: the worst that is true, and green only where all is known and well.
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { ageNowMs, judge, sightingMaxAgeMs, standingNow, type KeptJudgement, type Sighting } from './standing.ts';

const hourMs = 3_600_000;
const nowMs = 1000 * hourMs;
const well: Sighting = {
  component: 'database',
  atMs: nowMs - 1000,
  ageMs: hourMs,
  rpoMs: 4 * hourMs,
  mayBeNewer: false,
  proof: { outcome: 'passed', timeMs: nowMs - 5 * hourMs, message: 'equal' },
  problems: [],
  isAway: false,
  isScheduled: true,
  missingLabels: [],
  paused: undefined,
  failedBackup: undefined,
  failedCopy: undefined,
  damage: undefined,
  slowRestore: undefined,
  anomaly: undefined,
  proofMaxAgeMs: 48 * hourMs,
};
const failedProof = { outcome: 'failed', timeMs: nowMs - hourMs, message: '1 row is missing' } as const;

describe('a component', () => {
  test.each<[string, Partial<Sighting>, string, RegExp]>([
    ['backed up in time and proven', {}, 'protected', /proven on 1970-02-11 at 11:00 UTC/],
    ['of which no freshness was promised', { rpoMs: undefined }, 'protected', /proven/],
    ['that nobody looked at', { atMs: nowMs - sightingMaxAgeMs - 1000 }, 'unknown', /nobody has looked/],
    ['without a backup', { ageMs: undefined }, 'unprotected', /no backup/],
    ['without one, whose repository is away', { ageMs: undefined, problems: ['s3 is away'] }, 'unknown', /s3 is away/],
    [
      'without one, whose repository is away, and whose backups fail',
      { ageMs: undefined, problems: ['s3 is away'], isAway: true, failedBackup: 'no such bucket' },
      'unprotected',
      /no such bucket/,
    ],
    ['whose backups are paused', { paused: { untilMs: undefined } }, 'at_risk', /until somebody resumes them/],
    [
      'whose backups are paused for a while',
      { paused: { untilMs: nowMs } },
      'at_risk',
      /until 1970-02-11 at 16:00 UTC/,
    ],
    ['whose repository is damaged', { damage: 'local: 1 pack is missing' }, 'at_risk', /damaged: local: 1 pack/],
    ['that comes back too slowly', { slowRestore: 'its last restore took 9m' }, 'at_risk', /took 9m/],
    ['whose last copy failed', { failedCopy: 'disk full' }, 'at_risk', /the last copy failed: disk full/],
    ['older than promised', { ageMs: 5 * hourMs }, 'overdue', /5h old, and 4h was promised/],
    [
      'older than promised since its backups fail',
      { ageMs: 5 * hourMs, failedBackup: 'disk full' },
      'overdue',
      /disk full/,
    ],
    ['older, but perhaps not', { ageMs: 5 * hourMs, mayBeNewer: true }, 'unknown', /newer one may lie/],
    ['almost older than promised', { ageMs: 3.8 * hourMs }, 'at_risk', /in 12m/],
    ['whose last backup failed', { failedBackup: 'disk full' }, 'at_risk', /disk full/],
    ['with an odd backup', { anomaly: '60 % of the files are gone' }, 'at_risk', /unlike those before: 60 %/],
    ['whose proof failed', { proof: failedProof }, 'at_risk', /1 row is missing/],
    ['whose proof says nothing', { proof: { ...failedProof, outcome: 'inconclusive' } }, 'at_risk', /inconclusive/],
    [
      'whose proof is old',
      { proof: { outcome: 'passed', timeMs: nowMs - 60 * hourMs, message: '' } },
      'at_risk',
      /2d 12h old/,
    ],
    ['that was never proven', { proof: undefined }, 'at_risk', /never proven/],
    ['whose label no worker carries', { missingLabels: ['host=db-1'] }, 'unprotected', /no worker carries host=db-1/],
    ['that nothing backs up by itself', { isScheduled: false }, 'at_risk', /by itself/],
    ['one of whose repositories is away', { problems: ['s3 is away'] }, 'at_risk', /s3 is away/],
  ])('%s: %s', (...[, change, standing, reason]) => {
    const judged = judge({ ...well, ...change }, nowMs);
    expect([judged.standing, judged.reason]).toEqual([standing, expect.stringMatching(reason)]);
    expect(judged.hint === undefined).toBe(standing === 'protected');
  });

  test.each<[string, Partial<Sighting>]>([
    ['there is none', { ageMs: undefined }],
    ['it is too old', { ageMs: 5 * hourMs }],
  ])('where %s since backups fail, another one is not all that is to be done', (_, change) => {
    expect(judge({ ...well, ...change }, nowMs).hint).toMatch(/^Run 'lifeboat backup/);
    expect(judge({ ...well, ...change, failedBackup: 'disk full' }, nowMs).hint).toMatch(/^Mend the cause, and run/);
  });

  test.each<[string, number, Partial<KeptJudgement>, string]>([
    ['as it was seen', 50_000, {}, 'protected'],
    ['still young enough', 10 * 60_000, {}, 'protected'],
    ['older than promised since nobody looks', 16 * 60_000, {}, 'overdue'],
    ['older by seconds, which somebody may be about to see', 50_000, { ageMs: 4 * hourMs - 1 }, 'protected'],
    ['of which no freshness was promised', 16 * 60_000, { rpoMs: null }, 'protected'],
    ['that was worse already', 16 * 60_000, { standing: 'unprotected', ageMs: null }, 'unprotected'],
    ['of which nothing is known any more', sightingMaxAgeMs + 1, {}, 'unknown'],
  ])('%s, a while later: %d ms %j is %s', (...[, silentMs, change, standing]) => {
    const kept = { standing: 'protected', reason: 'proven', hint: null, ageMs: 3.75 * hourMs, rpoMs: 4 * hourMs };
    const seen = { ...kept, seenAtMs: nowMs - silentMs, ...change };
    expect(standingNow(seen, nowMs).standing).toBe(standing);
    expect(ageNowMs(seen, nowMs)).toBe(seen.ageMs === null ? undefined : seen.ageMs + silentMs);
  });

  test('is green only where everything is known and well', () => {
    const sighting = fc.record({
      component: fc.constant('c'),
      atMs: fc.integer({ min: nowMs - 2 * sightingMaxAgeMs, max: nowMs }),
      ageMs: fc.option(fc.nat(10 * hourMs), { nil: undefined }),
      rpoMs: fc.option(fc.integer({ min: 1, max: 10 * hourMs }), { nil: undefined }),
      mayBeNewer: fc.boolean(),
      proof: fc.option(
        fc.record({
          outcome: fc.constantFrom('passed', 'failed', 'inconclusive'),
          timeMs: fc.integer({ min: nowMs - 100 * hourMs, max: nowMs }),
          message: fc.string(),
        }),
        { nil: undefined },
      ),
      problems: fc.array(fc.string(), { maxLength: 1 }),
      isAway: fc.constant(false),
      isScheduled: fc.boolean(),
      missingLabels: fc.array(fc.string(), { maxLength: 1 }),
      paused: fc.option(fc.constant({ untilMs: undefined }), { nil: undefined }),
      failedBackup: fc.option(fc.string(), { nil: undefined }),
      failedCopy: fc.option(fc.string(), { nil: undefined }),
      damage: fc.option(fc.string(), { nil: undefined }),
      slowRestore: fc.option(fc.string(), { nil: undefined }),
      anomaly: fc.option(fc.constant('half is gone'), { nil: undefined }),
      proofMaxAgeMs: fc.option(fc.nat(100 * hourMs), { nil: undefined }),
    });
    fc.assert(
      fc.property(sighting, (seen) => {
        if (judge(seen, nowMs).standing !== 'protected') return;
        expect(nowMs - seen.atMs).toBeLessThanOrEqual(sightingMaxAgeMs);
        expect(seen.ageMs ?? Infinity).toBeLessThanOrEqual(seen.rpoMs ?? seen.ageMs ?? -1);
        expect([
          seen.proof?.outcome,
          seen.problems,
          seen.isScheduled,
          seen.paused,
          seen.failedBackup,
          seen.failedCopy,
          seen.damage,
          seen.slowRestore,
          seen.anomaly,
          seen.missingLabels,
        ]).toEqual(['passed', [], true, undefined, undefined, undefined, undefined, undefined, undefined, []]);
      }),
      { numRuns: 2000 },
    );
  });
});
