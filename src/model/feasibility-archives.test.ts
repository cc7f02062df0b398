// What buckets do to old objects, and what they do not let anybody do, in the arithmetic of objectives.
import { expect, test } from 'vitest';
import { parseConfiguration } from '../config/load.ts';
import { dayMs, hourMs } from '../base/duration.ts';
import { feasibilityOf, type Feasibility } from './feasibility.ts';
import type { Scenario } from './scenario.ts';
import { thawMaxMs } from './thaw-time.ts';

const minuteMs = 60_000;

interface Wish {
  /** `s3` of the repository under test. */
  readonly s3?: string;
  readonly repository?: string;
  readonly objectives: string;
  readonly restoreMs?: number;
  readonly cron?: string;
}

/** A folder, and a copy of it in a bucket. */
function feasible({ s3, repository = '', objectives, restoreMs, cron = '0 5 1 * *' }: Wish): Feasibility {
  const bucket = s3 === undefined ? '' : `, s3: { tagBulkData: true, bucket: ${s3} }`;
  const text = `application: shop
repositories:
  local: { location: /srv/backups }
  bucket: { location: s3://shop/backups${bucket}${repository} }
components:
  up:
    type: files
    paths: [/srv/up]
    objectives: ${objectives}
    policy:
      schedule: { cron: '0 2 * * *', timeZone: UTC }
      repositories: [local]
      copy: { to: bucket, schedule: { cron: '${cron}', timeZone: UTC } }`;
  const environment = { variables: {}, workingFolder: '/', homeFolder: '/home/me' };
  const { application } = parseConfiguration(text, { path: '/lifeboat.yaml', environment });
  return feasibilityOf({
    application,
    components: application.components,
    fromMs: Date.UTC(2026, 0, 1),
    durationsMs: new Map([
      ['backup/up', minuteMs],
      ['copy/up/local/bucket', minuteMs],
    ]),
    restoresMs: new Map(restoreMs === undefined ? [] : [['up', restoreMs]]),
  });
}

const said = ({ contradictions }: Feasibility): string[] => contradictions.map(({ message }) => message);
const inScenario = ({ exposures }: Feasibility, scenario: Scenario) =>
  exposures.find((exposure) => exposure.scenario === scenario);

const monthly = ', archive: monthly';

test('an archive that may lie in GLACIER before the next copy comes takes hours where it is all that is left', () => {
  const sleeping = { s3: '{ archiveAfter: 20d }', repository: monthly };
  const promised = feasible({ ...sleeping, objectives: '{ rto: 2h }', restoreMs: 10 * minuteMs });
  expect(said(promised)).toEqual([
    'host loss, site loss: what bucket holds may lie in GLACIER by then, thawing it takes up to 5h and its restore 10m: it is back after 5h 10m; promised is 2h',
  ]);
  expect(promised.exposures.map(({ thawMs }) => thawMs)).toEqual([0, 0, thawMaxMs, thawMaxMs, 0]);
  expect(said(feasible({ ...sleeping, objectives: '{ rto: 2h }' }))).toEqual([
    expect.stringContaining('thawing it takes up to 5h and its restore was never measured; promised is 2h'),
  ]);
  expect(said(feasible({ ...sleeping, objectives: '{ rto: 5h30m }', restoreMs: 10 * minuteMs }))).toEqual([]);
  expect(said(feasible({ ...sleeping, objectives: '{ rto: 2h, scenarios: { site: none, host: none } }' }))).toEqual([]);
  expect(said(feasible({ ...sleeping, objectives: '{ rpo: 40d }' }))).toEqual([]);
});

test('it takes none where the newest copy never grows so old, where it answers at once, and where another repository is left', () => {
  const objectives = '{ rto: 2h }';
  for (const [s3, cron] of [
    ['{ archiveAfter: 31d }', undefined],
    ['{ infrequentAfter: 30d, instantArchiveAfter: 31d }', undefined],
    ['{ archiveAfter: 20d }', '0 5 * * SUN'],
  ] as const) {
    expect([s3, said(feasible({ s3, repository: monthly, objectives, ...(cron && { cron }) }))]).toEqual([s3, []]);
  }
  expect(said(feasible({ s3: '{ archiveAfter: 30d }', repository: monthly, objectives }))).toHaveLength(1);
  // The folder outlives all that is promised.
  const elsewhere = feasible({ s3: '{ archiveAfter: 20d }', repository: `${monthly}, survives: []`, objectives });
  expect(elsewhere.exposures.every(({ thawMs }) => thawMs === 0)).toBe(true);
});

test('a lock outlives ransomware for as long as it keeps all that a backup needs', () => {
  const objectives = '{ scenarios: { ransomware: 40d } }';
  const of = (wish: Partial<Wish>) => inScenario(feasible({ objectives, ...wish }), 'ransomware');
  expect(of({})).toMatchObject({ lossMs: 'all', verdict: 'broken' });
  expect(of({ s3: '{ keepVersions: 60d }' })).toMatchObject({ lossMs: 'all', verdict: 'broken' });
  // Earlier backups wrote what this one needs, and that is locked no more: nobody knows.
  const locked = of({ s3: '{ lock: 14d }' });
  expect(locked).toMatchObject({ repository: 'bucket', isAtLeast: true, verdict: 'unknown' });
  expect(locked?.arithmetic).toMatch(/may be lost, and more where .* more than 14d before, which is locked no more$/);
  expect(of({ s3: '{ lock: 365d, keepVersions: 365d }' })).toMatchObject({ verdict: 'unknown' });
  // A month of an archive needs nothing from before it, and the next copy comes 31 days later at worst.
  const archived = of({ s3: '{ lock: 62d, keepVersions: 62d }', repository: monthly });
  expect(archived).toMatchObject({ repository: 'bucket', isAtLeast: false, verdict: 'kept' });
  expect(archived?.lossMs).toBeLessThan(32 * dayMs + hourMs);
  expect(of({ s3: '{ lock: 61d, keepVersions: 61d }', repository: monthly })).toMatchObject({ verdict: 'unknown' });
});

test('what survives says of ransomware needs no lock, and what it says of places takes nothing from one', () => {
  const objectives = '{ scenarios: { ransomware: 40d } }';
  const of = (wish: Partial<Wish>) => inScenario(feasible({ objectives, ...wish }), 'ransomware')?.verdict;
  expect(of({ s3: '{ lock: 14d }', repository: ', survives: [host, site]' })).toBe('unknown');
  expect(of({ repository: ', survives: [host, site]' })).toBe('broken');
  expect(of({ s3: '{ lock: 14d }', repository: ', survives: [ransomware]' })).toBe('kept');
  expect(of({ repository: ', survives: [ransomware]' })).toBe('kept');
});
