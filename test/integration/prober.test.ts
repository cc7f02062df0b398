// Probes in the service: looked with again and again, damped, kept over a restart, counted by the hour, and an alert where something is down.
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { probeChanges, probeHours, probeStatesOf } from '../../src/catalog/probe-states.ts';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { parseConfiguration } from '../../src/config/load.ts';
import { knownOf } from '../../src/service/alert-facts.ts';
import { Prober } from '../../src/service/prober.ts';
import type { Tenant } from '../../src/service/tenant.ts';
import { webReceiver } from '../support/alert-receivers.ts';
import { describeWithCatalogs, openTestCatalog } from '../support/catalogs.ts';
import { eventually } from '../support/server-process.ts';

function tenantOf(probes: string): Tenant {
  const text = `application: shop
repositories: { local: { location: /srv/backup, password: secret } }
components: { web: { type: files, paths: [/srv/web] } }
probes: ${probes}
`;
  const environment = { variables: {}, workingFolder: '/srv', homeFolder: '/root' };
  const path = '/srv/lifeboat.yaml';
  const { application, alerts, probes: settings, unset } = parseConfiguration(text, { path, environment });
  return { application, configurationPath: path, alerts, probes: settings, unset };
}

function proberOf(catalog: Catalog, tenants: () => readonly Tenant[], holder: string): Prober {
  return new Prober({
    catalog,
    clock: systemClock,
    tenants,
    portsOf: () => ({
      programFolders: [],
      queryPostgres: () => Promise.reject(new Error('there is none')),
      redisInfo: () => Promise.reject(new Error('there is none')),
    }),
    holder,
    leaseMs: 60_000,
    onNote: () => undefined,
    onProblem: (error) => expect.fail(error.message),
  });
}

describeWithCatalogs('the prober', (make) => {
  test('says down when it lasts, goes on after a restart, and lets one server look at a time', async () => {
    await using place = await make();
    await using catalog = await openTestCatalog(place);
    await using site = await webReceiver();
    const fast = 'every: 200ms, damping: { worse: 2, of: 3, better: 2 }';
    const both = tenantOf(
      `{ site: { type: http, url: "${site.url}", component: web, ${fast} }, disk: { type: disk, path: /, min: 0%, warn: 0%, ${fast} } }`,
    );
    let tenant = both;
    const outcome = async (probe = 'site'): Promise<string | undefined> =>
      (await probeStatesOf(catalog, ['shop'])).find((state) => state.probe === probe)?.outcome;
    {
      await using first = proberOf(catalog, () => [tenant], 'first');
      await using second = proberOf(catalog, () => [tenant], 'second');
      await eventually(async () => (await outcome()) === 'up' && (await outcome('disk')) === 'up');
      const { holder } = await catalog.db.selectFrom('lease').selectAll().executeTakeFirstOrThrow();
      expect(['first', 'second']).toContain(holder);
      site.answer = (response) => response.writeHead(503).end();
      await eventually(async () => (await outcome()) === 'down');
      void [first, second];
    }
    const [condition] = (await knownOf(catalog, both)).probes.filter(({ probe }) => probe === 'site');
    expect(condition).toMatchObject({ outcome: 'down', component: 'web', message: 'status 503, expected 2xx' });
    const looks = site.requests.length;
    site.answer = (response) => response.end('ok');
    await using third = proberOf(catalog, () => [tenant], 'third');
    await eventually(() => site.requests.length > looks);
    await eventually(async () => (await outcome()) === 'up');
    void third;
    const changes = await probeChanges(catalog, { application: 'shop', probe: 'site', limit: 10 });
    expect(changes.map((change) => change.outcome)).toEqual(['up', 'down', 'up']);
    const hours = await probeHours(catalog, { applications: ['shop'], sinceMs: await catalog.nowMs() });
    const counted = hours.filter(({ probe }) => probe === 'site');
    expect(counted.reduce((sum, { down }) => sum + down, 0)).toBeGreaterThanOrEqual(2);
    // A look is a request, and no two servers looked at once.
    const counts = counted.reduce((sum, { up, down }) => sum + up + down, 0);
    expect(site.requests.length - counts).toBeLessThanOrEqual(2);
    tenant = tenantOf(`{ site: { type: http, url: "${site.url}", ${fast} } }`);
    await eventually(async () => (await outcome('disk')) === undefined);
  });
});
