// Contradictions, among them those of the source documents (SF-…): what they promise against what they do.
import { describe, expect, test } from 'vitest';
import { parseConfiguration } from '../config/load.ts';
import { feasibilityOf, type Feasibility } from './feasibility.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

interface Known {
  readonly probed?: string;
  readonly durationsMs?: Readonly<Record<string, number>>;
  readonly restoresMs?: Readonly<Record<string, number>>;
}

function feasible(
  policies: string,
  components: string,
  { durationsMs = {}, restoresMs = {}, probed = '{}' }: Known = {},
): Feasibility {
  const text = `application: shop
repositories:
  local: { location: /srv/backups }
  region1: { location: s3://near/backups, survives: [host] }
  region2: { location: s3://far/backups, survives: [host, site, ransomware] }
policies: ${policies}
components: ${components}
probes: ${probed}`;
  const environment = { variables: {}, workingFolder: '/', homeFolder: '/home/me' };
  const { application, probes } = parseConfiguration(text, { path: '/lifeboat.yaml', environment });
  return feasibilityOf({
    application,
    components: application.components,
    fromMs: Date.UTC(2026, 0, 1),
    durationsMs: new Map(Object.entries(durationsMs)),
    restoresMs: new Map(Object.entries(restoresMs)),
    watched: new Set(Object.values(probes).flatMap(({ component }) => component ?? [])),
  });
}

/** The loss of the only component in each scenario, in hours. */
function lossHours({ exposures }: Feasibility): unknown {
  return Object.fromEntries(
    exposures.map(({ scenario, lossMs, isAtLeast }) => [
      scenario,
      lossMs === 'all' ? 'all' : `${isAtLeast ? 'at least ' : ''}${lossMs / hourMs}`,
    ]),
  );
}

const said = ({ contradictions }: Feasibility): string[] =>
  contradictions.map(({ aspect, message }) => `${aspect}: ${message}`);

describe('contradictions of the source documents', () => {
  test('SF-02 an RPO of 1 h with incrementals every 4 h', () => {
    const database = '{ type: postgres, method: logical, policy: p, objectives: { rpo: 1h } }';
    const policy =
      "{ p: { schedule: [{ cron: '0 2 * * *', timeZone: UTC }, { every: 4h }], repositories: [region2] } }";
    expect(said(feasible(policy, `{ database: ${database} }`))).toEqual([
      'objectives of database: backups to region2 are up to 4h apart: up to 4h, and what comes while one runs, may be lost; promised is 1h',
    ]);
    const measured = feasible(policy, `{ database: ${database} }`, {
      durationsMs: { 'backup/database': 20 * minuteMs },
    });
    expect(said(measured)).toEqual([
      'objectives of database: backups to region2 are up to 4h apart and take up to 20m: up to 4h 20m may be lost; promised is 1h',
    ]);
  });

  test('SF-03 an RPO of 15 min with a daily snapshot as the way back; a journal is another way', () => {
    const policy = "{ p: { schedule: { window: '03:00-04:00', timeZone: UTC }, repositories: [region2] } }";
    const objectives = 'objectives: { rpo: 15m }';
    const [finding] = feasible(policy, `{ database: { type: postgres, policy: p, ${objectives} } }`).contradictions;
    expect(finding?.message).toMatch(/^backups to region2 are up to 1d apart: up to 1d, .* promised is 15m$/);
    expect(finding?.hint).toContain('journal: {}');
    const recovered = feasible(policy, `{ database: { type: postgres, journal: {}, policy: p, ${objectives} } }`);
    expect(said(recovered)).toEqual([]);
    expect(recovered.exposures.map(({ by, verdict }) => `${by} ${verdict}`)).toEqual([
      'journal kept',
      'journal kept',
      'journal unknown',
      'journal unknown',
      'journal unpromised',
    ]);
    // A dump has no instants between.
    const dumped = `{ database: { type: postgres, method: logical, journal: {}, policy: p, ${objectives} } }`;
    expect(said(feasible(policy, dumped))).toHaveLength(1);
  });

  test('SF-04 a database RPO of 15 min with a weekly copy as all that outlives the region', () => {
    const policy = `{ p: { schedule: { cron: '0 3 * * *', timeZone: UTC }, repositories: [region1],
      copy: { to: region2, schedule: { cron: '0 4 * * SUN', timeZone: UTC } } } }`;
    const database = '{ type: postgres, journal: {}, policy: p, objectives: { rpo: 15m } }';
    const feasibility = feasible(policy, `{ database: ${database} }`);
    // The copy of Sunday 04:00 brings the backup of 03:00, and is the newest until the next Sunday.
    expect(lossHours(feasibility)).toMatchObject({ deletion: '0', site: 'at least 169', ransomware: 'at least 169' });
    expect(said(feasibility)).toEqual([
      'objectives of database: site loss: copies to region2 are up to 7d apart: up to 7d 1h, and what comes while one runs, may be lost; promised is 15m',
    ]);
    const promisedLess = database.replace('15m', '15m, scenarios: { site: 8d }');
    expect(said(feasible(policy, `{ database: ${promisedLess} }`))).toEqual([]);
    const promisedMore = database.replace('15m', '15m, scenarios: { site: none, ransomware: 1d }');
    expect(said(feasible(policy, `{ database: ${promisedMore} }`))).toEqual([
      expect.stringContaining('ransomware: copies'),
    ]);
  });

  test('SF-01 components that come back one after another, later than promised', () => {
    const policy = '{ p: { schedule: { every: 1h }, repositories: [region2] } }';
    const component = (tier: string, rto: string): string =>
      `{ type: redis, tier: ${tier}, policy: p, objectives: { rto: ${rto} } }`;
    const components = `{ web: ${component('P2', '4h')}, api: ${component('P1', '2h')}, database: ${component('P0', '2h')}, auth: ${component('P1', '1h')} }`;
    const restoresMs = { database: 90 * minuteMs, api: 90 * minuteMs, web: 90 * minuteMs };
    expect(said(feasible(policy, components, { restoresMs }))).toEqual([
      'objectives of api: restores before it take 1h 30m, its own takes 1h 30m: it is back after 3h; promised is 2h',
      'objectives of auth: restores before it take 3h, its own restore was never measured: it is back after 3h; promised is 1h',
      'objectives of web: restores before it take 3h, its own takes 1h 30m: it is back after 4h 30m; promised is 4h',
    ]);
    expect(said(feasible(policy, components))).toEqual([]);
  });
});

describe('worst cases', () => {
  const files = (objectives: string): string =>
    `{ up: { type: files, paths: [/srv], policy: p, objectives: ${objectives} } }`;

  test('of a nightly backup come when clocks go back', () => {
    const policy = (zone: string): string =>
      `{ p: { schedule: { cron: '0 2 * * *', timeZone: ${zone} }, repositories: [local, region2] } }`;
    const durationsMs = { 'backup/up': 20 * minuteMs };
    const lossIn = (zone: string) => feasible(policy(zone), files('{}'), { durationsMs }).exposures[0]?.lossMs;
    expect(lossIn('UTC')).toBe(dayMs + 20 * minuteMs);
    expect(lossIn('America/New_York')).toBe(25 * hourMs + 20 * minuteMs);
    expect(lossIn('Australia/Lord_Howe')).toBe(24.5 * hourMs + 20 * minuteMs);
    // Not measured: a day is kept as far as anybody knows, an hour more is not.
    expect(said(feasible(policy('UTC'), files('{ rpo: 24h }')))).toEqual([]);
    expect(said(feasible(policy('UTC'), files('{ rpo: 24h }'), { durationsMs }))).toHaveLength(1);
    expect(said(feasible(policy('America/New_York'), files('{ rpo: 24h }')))).toHaveLength(1);
    expect(said(feasible(policy('America/New_York'), files('{ rpo: 26h }'), { durationsMs }))).toEqual([]);
  });

  test.each([
    ["{ cron: '*/15 8-18 * * 1-5', timeZone: Europe/Berlin }", 13.25 + 48 + 1],
    ["{ cron: '*/15 * 1-7 * *', timeZone: UTC }", 24 * 24 + 0.25],
    ["{ cron: '0 9 * * MON#1', timeZone: UTC }", 35 * 24],
    ['{ every: 6h }', 6],
    ['[{ every: 6h }, { every: 4h }]', 4],
    ["{ window: '22:00-02:00', days: [mon, fri], timeZone: UTC }", 4 * 24],
    ['[{ before: deployment }, { every: 1d }]', 24],
  ])('of %s are %d hours', (schedule, hours) => {
    const feasibility = feasible(`{ p: { schedule: ${schedule}, repositories: [region2] } }`, files('{}'));
    expect(feasibility.exposures[0]?.lossMs).toBe(hours * hourMs);
  });

  const verified = (ms: number): Record<string, number> =>
    Object.fromEntries(['local', 'region1', 'region2'].map((name) => [`verification/${name}/structure`, ms]));

  test('count what follows other jobs, copies of copies, and maintenance', () => {
    const policy = `{ p: { schedule: { every: 6h }, repositories: [local],
      copy: [{ from: region1, to: region2, schedule: { after: verification } }, { to: region1 }],
      verification: { schedule: { after: backup } } } }`;
    const durationsMs = { 'backup/up': 10 * minuteMs, 'copy/up/local/region1': 20 * minuteMs };
    expect(lossHours(feasible(policy, files('{}'), { durationsMs }))).toEqual({
      deletion: `${6 + 1 / 6}`,
      corruption: `${6 + 1 / 6}`,
      // How long the verification takes is not known, nor whether it ends before the first copy has.
      host: `at least ${6 + 1 / 6}`,
      site: `at least ${6 + 1 / 6}`,
      ransomware: `at least ${6 + 1 / 6}`,
    });
    // The first copy alone keeps this for sure.
    const promised = feasible(policy, files('{ rpo: 6h30m }'), { durationsMs });
    expect(promised.exposures.map(({ verdict }) => verdict)).toEqual(['kept', 'kept', 'kept', 'unknown', 'unpromised']);
    const all = { ...durationsMs, 'copy/up/region1/region2': 15 * minuteMs };
    const quick = feasible(policy, files('{}'), { durationsMs: { ...all, ...verified(minuteMs) } });
    expect(lossHours(quick)).toMatchObject({ site: `${12 + 26 / 60}` });
    const slow = feasible(policy, files('{}'), { durationsMs: { ...all, ...verified(30 * minuteMs) } });
    expect(lossHours(slow)).toMatchObject({ site: `${6 + 55 / 60}` });
    const closed = files('{}').replace(
      'policy: p',
      "policy: p, maintenance: [{ window: '00:00-23:00', timeZone: UTC }]",
    );
    const held = feasible('{ p: { schedule: { every: 1h }, repositories: [region2] } }', closed);
    expect(lossHours(held)).toMatchObject({ deletion: expect.stringMatching(/^at least 23\.\d/) });
  });

  test('are everything where nothing outlives it, and where backups come only on demand', () => {
    const policy = '{ p: { schedule: { every: 1h }, repositories: [local] }, q: { schedule: { before: deployment } } }';
    const components = `{ a: { type: redis, policy: p, objectives: { rpo: 2h } }, b: { type: redis, policy: p, objectives: { rpo: 2h } }, c: { type: redis, policy: q, objectives: { rpo: 2h } } }`;
    expect(said(feasible(policy, components))).toEqual([
      'objectives of c: backups come only on demand: any amount may be lost; promised is 2h',
      'host loss, site loss: no repository of a, b outlives it, so that all may be lost',
    ]);
  });

  test('of damage that a proof finds need backups from before it', () => {
    const policy = (retention: string): string =>
      `{ p: { schedule: { every: 6h }, repositories: [local, { name: region2, retention: ${retention} }], retention: { keepWithin: 3d },
      proof: { schedule: { cron: '0 7 1 * *', timeZone: UTC } } } }`;
    expect(said(feasible(policy('{ keepDaily: 14 }'), files('{}')))).toEqual([
      'retention of up: proofs are up to 31d apart, but backups are surely kept for 12d 6h only: of damage that a proof finds, no backup from before it may be left',
    ]);
    expect(said(feasible(policy('{ keepMonthly: 3 }'), files('{}')))).toHaveLength(1);
    expect(said(feasible(policy('{ keepMonthly: 4 }'), files('{}')))).toEqual([]);
    expect(said(feasible(policy('{}'), files('{}')))).toEqual([]);
  });

  test('of 200 components are found in a moment', () => {
    const nightly = Array.from(
      { length: 200 },
      (_, at) => `c${at}: { type: redis, policy: p, objectives: { rpo: 1d } }`,
    );
    const policy = `{ p: { schedule: { cron: '0 2 * * *', timeZone: Europe/Berlin }, repositories: [region1], copy: { to: region2, schedule: { cron: '0 5 * * *', timeZone: UTC } } } }`;
    const { exposures } = feasible(policy, `{ ${nightly.join(', ')} }`);
    expect(exposures).toHaveLength(1000);
    expect(new Set(exposures.map(({ lossMs }) => lossMs)).size).toBe(2);
  });
});

test('an availability that no probe measures is told, of those components that promise one', () => {
  const policy = '{ p: { repositories: [region2] } }';
  const site = '{ type: files, paths: [/srv], policy: p, objectives: { availability: 99.9% } }';
  const components = `{ site: ${site}, other: { type: files, paths: [/etc], policy: p } }`;
  expect(said(feasible(policy, components))).toEqual([
    'objectives of site: no probe measures the availability; promised is 99.9%',
  ]);
  const probed = '{ web: { type: http, url: http://127.0.0.1:1/, component: site } }';
  expect(said(feasible(policy, components, { probed }))).toEqual([]);
});
