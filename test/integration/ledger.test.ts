// The ledger on both kinds of catalog: a standing keeps the moment since when it is so, the series has its changes.
import { expect, test } from 'vitest';
import { endRun, claimRun, insertRun } from '../../src/catalog/runs.ts';
import { neverRestored, saveStandings, standingSamples, standingsOf } from '../../src/catalog/standings.ts';
import { parseConfiguration } from '../../src/config/load.ts';
import { alertsSchema } from '../../src/model/alert-settings.ts';
import { conditionsOf } from '../../src/monitoring/alerts/conditions.ts';
import { knownOf } from '../../src/service/alert-facts.ts';
import { recordStandings } from '../../src/service/ledger.ts';
import { describeWithCatalogs, openTestCatalog } from '../support/catalogs.ts';

const environment = { variables: {}, workingFolder: '/srv', homeFolder: '/root' };
const { application } = parseConfiguration(
  `
application: shop
repositories: { local: { location: ./repo }, other: { location: ./other } }
policies:
  nightly: { schedule: { every: 1h }, repositories: [local], proof: { schedule: { every: 1d } } }
components:
  files: { type: files, paths: [./data], objectives: { rpo: 2h, rto: 1m }, policy: nightly }
  byhand: { type: files, paths: [./more] }
`,
  { path: '/srv/lifeboat.yaml', environment },
);

const verifiedText = `
application: shop
repositories: { local: { location: ./repo }, other: { location: ./other } }
policies: { nightly: { schedule: { every: 1h }, repositories: [local], verification: { schedule: { every: 1d }, level: structure } } }
components:
  files: { type: files, paths: [./data], policy: nightly }
  byhand: { type: files, paths: [./more], policy: nightly }
  apart: { type: files, paths: [./other], policy: { repositories: [other] } }
`;

describeWithCatalogs('the ledger', (make) => {
  test('judges what was seen, and tells what changed', async () => {
    await using place = await make();
    await using catalog = await openTestCatalog(place);
    const nowMs = await catalog.nowMs();
    const proof = { outcome: 'passed', time: new Date(nowMs).toISOString(), message: 'equal' };
    const document = (ageMs: number | undefined, rpo: string, problem?: string): object => ({
      components: [
        { name: 'files', ageMs, rpo, proof },
        { name: 'byhand', ageMs: 1, rpo: 'none' },
      ],
      repositories: [
        { name: 'local', problem },
        { name: 'other', problem: 'is away, and no concern of files' },
      ],
    });
    const stand = async (seen: object, at: number): Promise<string[]> => {
      const changed = await recordStandings(catalog, application, { document: seen, atMs: nowMs + at });
      return changed.map(({ component, standing }) => `${component} ${standing}`);
    };
    expect(await stand(document(1000, 'met'), -3000)).toEqual(['files protected', 'byhand at_risk']);
    // As a journal tells it.
    expect(await stand(document(1999.755, 'met'), -2000)).toEqual([]);
    expect((await standingsOf(catalog, ['shop']))[1]?.ageMs).toBe(2000);
    const odd = { facts: [{ message: '59 % of the files are gone' }, { message: 'it shrank by 59 %' }] };
    const seenOdd = document(2000, 'met') as { readonly components: readonly object[] };
    const components = seenOdd.components.map((one, index) => (index === 0 ? { ...one, anomalies: [odd] } : one));
    expect(await stand({ ...seenOdd, components }, -1500)).toEqual(['files at_risk']);
    const [, oddOne] = await standingsOf(catalog, ['shop']);
    expect(oddOne?.reason).toBe('a backup is unlike those before: 59 % of the files are gone; it shrank by 59 %');
    const slow = {
      rto: 'at_risk',
      restore: { lastMs: 50_000.4, atMs: nowMs, forecast: { lowMs: 40_000.4, highMs: 70_000.4 } },
    };
    const slowly = seenOdd.components.map((one, index) => (index === 0 ? { ...one, ...slow } : one));
    expect(await stand({ ...seenOdd, components: slowly }, -1200)).toEqual([]);
    const [, slowOne] = await standingsOf(catalog, ['shop']);
    expect(slowOne).toMatchObject({
      standing: 'at_risk',
      reason: 'its last restore took 50s, up to 1m 10s is to be expected, and 1m was promised',
      rtoMs: 60_000,
      restoreMs: 50_000,
      restoreHighMs: 70_000,
    });
    expect(await stand(document(8_000_000, 'breached'), -1000)).toEqual(['files overdue']);
    expect(await stand(document(undefined, 'unknown', 'local is away'), 0)).toEqual(['files unknown']);
    const [, files] = await standingsOf(catalog, ['shop']);
    expect(files).toMatchObject({ sinceMs: nowMs, reason: 'local: local is away', rpoMs: 7_200_000 });
    const series = await standingSamples(catalog, { application: 'shop', component: 'files', sinceMs: 0 });
    expect(series.map(({ atMs, standing }) => [atMs - nowMs, standing])).toEqual([
      [-3000, 'protected'],
      [-1500, 'at_risk'],
      [-1000, 'overdue'],
      [0, 'unknown'],
    ]);
    // A backup that failed is a risk long before the newest is too old.
    const id = await insertRun(catalog, {
      kind: 'backup',
      application: 'shop',
      component: 'files',
      input: {},
      origin: {},
    });
    const run = await claimRun(catalog, id, { worker: 'w', leaseMs: 1000, kinds: ['backup'] });
    await endRun(catalog, { id, epoch: run?.epoch ?? 0 }, { state: 'failed', error: { message: 'the disk is full' } });
    expect(await stand(document(1000, 'met'), 1000)).toEqual(['files at_risk']);
    expect((await standingsOf(catalog))[1]?.reason).toBe('the last backup failed: the disk is full');
    // It can neither be backed up nor brought back: worse than not knowing.
    expect(await stand(document(undefined, 'unknown', 'local is away'), 1500)).toEqual(['files unprotected']);
    expect((await standingsOf(catalog))[1]?.reason).toContain('the disk is full');
    // Nobody could look.
    await recordStandings(catalog, application, { problem: 'the configuration is not valid', atMs: nowMs + 2000 });
    expect((await standingsOf(catalog)).map(({ standing }) => standing)).toEqual(['unknown', 'unknown']);
    expect(await standingsOf(catalog, [])).toEqual([]);
  });

  test('names the failed job as the cause of the standing that it alone makes, as alerts ask', async () => {
    await using place = await make();
    await using catalog = await openTestCatalog(place);
    const { application: verified } = parseConfiguration(verifiedText, { path: '/srv/lifeboat.yaml', environment });
    const fail = async (job: { readonly id: string; readonly kind: string }, component: string | undefined) => {
      const input = { application: 'shop', job: job.id };
      const id = await insertRun(catalog, { kind: job.kind, application: 'shop', component, input, origin: {} });
      const run = await claimRun(catalog, id, { worker: 'w', leaseMs: 1000, kinds: [job.kind] });
      const error = {
        code: 'VERIFICATION_FAILED',
        message: `${job.id} ended with 20: a pack is missing`,
        hint: 'Look.',
      };
      await endRun(catalog, { id, epoch: run?.epoch ?? 0 }, { state: 'failed', error });
    };
    const alerts = alertsSchema.parse({});
    const tenant = { application: verified, configurationPath: undefined, alerts, probes: {}, unset: new Map() };
    const causes = async (): Promise<(string | undefined)[][]> => {
      const atMs = await catalog.nowMs();
      const components = verified.components.map(({ name }) => ({ name, ageMs: 1, rpo: 'met' }));
      const document = { components, repositories: [{ name: 'local' }, { name: 'other' }] };
      await recordStandings(catalog, verified, { document, atMs });
      const conditions = conditionsOf(await knownOf(catalog, tenant));
      return conditions.map(({ subject, cause }) => [subject, cause]);
    };
    const verification = { id: 'verification/local/structure', kind: 'verification' };
    expect(await causes()).toEqual([
      ['standing/apart', undefined],
      ['standing/byhand', undefined],
      ['standing/files', undefined],
    ]);
    await fail(verification, undefined);
    const subject = `job/${verification.id}`;
    expect(await causes()).toEqual([
      ['standing/apart', undefined],
      ['standing/byhand', subject],
      ['standing/files', subject],
      [subject, undefined],
    ]);
  });

  test('keeps the standings of more components than one statement writes, a sample a quarter of an hour', async () => {
    await using place = await make();
    await using catalog = await openTestCatalog(place);
    const names = Array.from({ length: 1001 }, (_, at) => `c${at}`);
    const seen = { standing: 'protected', reason: 'proven', hint: null, ageMs: 1000, rpoMs: null, ...neverRestored };
    const save = async (components: readonly string[], seenAtMs: number, broken?: string): Promise<string[]> => {
      const rows = components.map((component) => {
        return {
          ...seen,
          application: 'shop',
          component,
          seenAtMs,
          ...(component === broken && { standing: 'overdue' }),
        };
      });
      return (await saveStandings(catalog, 'shop', rows)).map(({ component }) => component);
    };
    const samplesOf = async (component: string): Promise<number[]> =>
      (await standingSamples(catalog, { application: 'shop', component, sinceMs: 0 })).map(({ atMs }) => atMs);
    expect(await save(names, 1_000_000)).toEqual(names);
    expect(await save(names, 1_899_999, 'c500')).toEqual(['c500']);
    expect([await samplesOf('c500'), await samplesOf('c1000')]).toEqual([[1_000_000, 1_899_999], [1_000_000]]);
    expect(await save(names, 1_900_000, 'c500')).toEqual([]);
    expect([await samplesOf('c500'), await samplesOf('c1000')]).toEqual([
      [1_000_000, 1_899_999],
      [1_000_000, 1_900_000],
    ]);
    const [last, broken] = await standingsOf(catalog, ['shop'], ['c500', 'c1000']);
    expect(broken).toMatchObject({ component: 'c500', standing: 'overdue', sinceMs: 1_899_999, seenAtMs: 1_900_000 });
    expect(last).toMatchObject({ component: 'c1000', standing: 'protected', sinceMs: 1_000_000, seenAtMs: 1_900_000 });
    expect(await save(['c1'], 1_900_001)).toEqual([]);
    expect((await standingsOf(catalog, ['shop'])).map(({ component }) => component)).toEqual(['c1']);
  });
});
