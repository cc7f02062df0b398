// What becomes of messages when receivers are away, in simulated time; and that a server which can't look any more gives no sign of life.
import { randomUUIDv7 } from 'node:crypto';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { deliveriesOf, insertDelivery } from '../../src/catalog/alert-deliveries.ts';
import { saveAlert } from '../../src/catalog/alerts.ts';
import { openCatalog } from '../../src/catalog/open-catalog.ts';
import { parseConfiguration } from '../../src/config/load.ts';
import { alertsSchema } from '../../src/model/alert-settings.ts';
import { sendWaiting } from '../../src/monitoring/alerts/outbox.ts';
import { Alerting } from '../../src/service/alerting.ts';
import { webReceiver } from '../support/alert-receivers.ts';
import { makeSqliteCatalog, openTestCatalog } from '../support/catalogs.ts';
import { madeAlert } from '../support/made-alert.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const secret = 'key of sixteen letters';
const minuteMs = 60_000;

test('a way that is away is tried three times, then the next one; the last one for 80 minutes, then never again', async () => {
  await using folder = await temporaryFolder();
  await using away = await webReceiver(undefined, (response) => response.writeHead(503).end());
  await using well = await webReceiver();
  let nowMs = Date.parse('2026-11-28T12:00:00Z');
  const clock = { now: () => nowMs };
  await using catalog = await openCatalog({ path: join(folder.path, 'catalog.sqlite'), url: undefined }, clock);
  const settings = alertsSchema.parse({
    channels: {
      away: { type: 'webhook', url: away.url, secret },
      well: { type: 'webhook', url: well.url, secret },
    },
  });
  const alert = madeAlert('shop', nowMs);
  await saveAlert(catalog.db, alert);
  const common = { alertId: alert.id, application: 'shop', state: 'firing', address: null, dueAtMs: nowMs } as const;
  const other = { channel: 'well', address: null };
  await insertDelivery(catalog, { ...common, channel: 'away', contact: 'anna', otherWays: [other] }, catalog.db);
  const parts = { catalog, clock, application: 'shop', environment: 'production', settings };
  const { signal } = new AbortController();
  const outcomes = async (): Promise<string[]> =>
    (await deliveriesOf(catalog.db, [alert.id])).map((row) => `${row.channel} ${row.outcome} ${row.attempts}`);

  await sendWaiting(parts, signal);
  await sendWaiting(parts, signal); // Its time has not come.
  expect(await outcomes()).toEqual(['away waiting 1']);
  nowMs += minuteMs;
  await sendWaiting(parts, signal);
  nowMs += minuteMs;
  await sendWaiting(parts, signal);
  await sendWaiting(parts, signal);
  expect(await outcomes()).toEqual(['away refused 3', 'well accepted 1']);

  const startMs = nowMs;
  const tried = away.requests.length;
  await insertDelivery(catalog, { ...common, channel: 'away', contact: null, otherWays: [] }, catalog.db);
  let lastMs = startMs;
  for (let minutes = 0; minutes < 180; minutes += 1) {
    const before = away.requests.length;
    await sendWaiting(parts, signal);
    if (away.requests.length > before) lastMs = nowMs;
    nowMs += minuteMs;
  }
  expect(away.requests.length - tried).toBe(12);
  expect((lastMs - startMs) / minuteMs).toBeGreaterThanOrEqual(80);
  expect((await outcomes())[2]).toBe('away refused 12');
});

test('the heartbeat is silent as soon as nobody can look', async () => {
  await using place = await makeSqliteCatalog();
  await using catalog = await openTestCatalog(place);
  await using beats = await webReceiver();
  const text = `application: shop
repositories: { local: { location: /srv/backup, password: secret } }
components: { web: { type: files, paths: [/srv/web] } }
alerts: { heartbeat: { url: "${beats.url}", every: 1ms } }
`;
  const environment = { variables: {}, workingFolder: '/srv', homeFolder: '/root' };
  const { application, alerts, probes, unset } = parseConfiguration(text, { path: '/srv/lifeboat.yaml', environment });
  const problems: Error[] = [];
  await using alerting = new Alerting({
    catalog,
    clock: systemClock,
    tenants: () => [{ application, configurationPath: '/srv/lifeboat.yaml', alerts, probes, unset }],
    holder: 'test',
    leaseMs: 60_000,
    newId: randomUUIDv7,
    onNote: () => undefined,
    onProblem: (error) => problems.push(error),
  });
  await alerting.look();
  expect([beats.requests.length, problems]).toEqual([1, []]);
  await catalog.db.schema.dropTable('silence').execute();
  await alerting.look();
  expect([beats.requests.length, problems.length]).toEqual([1, 1]);
});
