// Alerts, silences and probes over HTTP, on both kinds of catalog.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { saveAlert } from '../../src/catalog/alerts.ts';
import { insertDelivery } from '../../src/catalog/alert-deliveries.ts';
import { saveLook } from '../../src/catalog/probe-states.ts';
import { apiScene, type Answer, type ApiScene } from '../support/api-scene.ts';
import { describeWithCatalogs } from '../support/catalogs.ts';
import { madeAlert } from '../support/made-alert.ts';

describeWithCatalogs('the API', (make) => {
  let api: ApiScene;
  beforeAll(async () => {
    api = await apiScene({}, make);
  });
  afterAll(() => api[Symbol.asyncDispose]());
  const idsOf = ({ json }: Answer): string[] => (json['items'] as { id: string }[]).map(({ id }) => id);

  test('alerts are paged, acknowledged once, silenced for a while, and those of others are not there', async () => {
    const forum = madeAlert('forum', 5000);
    const own = [3000, 2000, 1000].map((sinceMs) => madeAlert('alerts-shop', sinceMs));
    for (const alert of [forum, ...own]) await saveAlert(api.catalog.db, alert);
    const token = await api.tokenOf('operator', ['alerts-shop']);
    const first = await api.ask('GET', '/api/v1/alerts?limit=2', { token });
    const second = await api.ask('GET', `/api/v1/alerts?limit=2&cursor=${String(first.json['nextCursor'])}`, { token });
    expect([...idsOf(first), ...idsOf(second)]).toEqual(own.map(({ id }) => id));
    expect((first.json['items'] as object[])[0]).toMatchObject({
      title: 'RPO breached',
      since: '1970-01-01T00:00:03.000Z',
      facts: [{ name: 'RPO now', value: '4h', objective: '1h' }],
    });
    const path = `/api/v1/alerts/${own[0]?.id ?? ''}`;
    expect((await api.ask('POST', `${path}/acknowledge`, { token })).json).toMatchObject({
      state: 'acknowledged',
      by: 'operator of alerts-shop',
    });
    expect(await api.ask('POST', `${path}/acknowledge`, { token })).toMatchObject({
      status: 409,
      json: { code: 'ALREADY_DONE' },
    });
    expect((await api.ask('POST', `${path}/resolve`, { token })).status).toBe(200);
    expect(idsOf(await api.ask('GET', '/api/v1/alerts', { token }))).not.toContain(own[0]?.id);
    expect(idsOf(await api.ask('GET', '/api/v1/alerts?all=true', { token }))).toContain(own[0]?.id);
    expect((await api.ask('GET', path, { token })).json).toMatchObject({ deliveries: [], state: 'resolved' });
    expect((await api.ask('GET', `/api/v1/alerts/${forum.id}`, { token })).status).toBe(404);
    const wish = { application: 'alerts-shop', component: 'database', for: '2h', reason: 'we move it' };
    const silence = await api.ask('POST', '/api/v1/silences', { token, body: wish });
    expect([silence.status, silence.json]).toEqual([201, expect.objectContaining({ reason: 'we move it' })]);
    expect(idsOf(await api.ask('GET', '/api/v1/silences', { token }))).toEqual([silence.json['id']]);
    const bad = await api.ask('POST', '/api/v1/silences', { token, body: { ...wish, for: 'soon' } });
    expect(bad).toMatchObject({ status: 400, json: { code: 'REQUEST_INVALID' } });
    expect((await api.ask('DELETE', `/api/v1/silences/${String(silence.json['id'])}`, { token })).status).toBe(204);
    expect(idsOf(await api.ask('GET', '/api/v1/silences', { token }))).toEqual([]);
  });

  test('probes are shown with their availability, to those who may see the application', async () => {
    const seenAtMs = await api.catalog.nowMs();
    const state = { application: 'shop', probe: 'site', component: 'web', message: 'status 503', hint: 'Look.' };
    const look = { latencyMs: 30, facts: '{}', sinceMs: seenAtMs, seenAtMs, recent: '[]', isFlapping: 0 };
    for (const outcome of ['up', 'up', 'up', 'down'] as const) {
      await saveLook(api.catalog, { state: { ...state, ...look, outcome }, outcome });
    }
    const { json } = await api.ask('GET', '/api/v1/probes', { token: await api.tokenOf('viewer', ['shop']) });
    expect(json['items']).toEqual([
      expect.objectContaining({ probe: 'site', state: 'down', percent: 75, latency95Ms: 50, looks: 4 }),
    ]);
    const other = await api.ask('GET', '/api/v1/probes', { token: await api.tokenOf('viewer', ['forum']) });
    expect(other.json['items']).toEqual([]);

    // Prometheus is told the same.
    const alert = madeAlert('shop');
    await saveAlert(api.catalog.db, alert);
    const way = { channel: 'mail', address: null, contact: null, otherWays: [], dueAtMs: seenAtMs };
    await insertDelivery(
      api.catalog,
      { alertId: alert.id, application: 'shop', state: 'firing', ...way },
      api.catalog.db,
    );
    const metricsOf = async (application: string): Promise<string> =>
      (await api.ask('GET', '/metrics', { token: await api.tokenOf('viewer', [application], ['metrics.read']) })).text;
    const site = 'application="shop",probe="site",component="web"';
    expect((await metricsOf('shop')).split('\n')).toEqual(
      expect.arrayContaining([
        `lifeboat_probe_outcome{${site},outcome="down"} 1`,
        `lifeboat_probe_outcome{${site},outcome="up"} 0`,
        `lifeboat_probe_latency_seconds{${site}} 0.03`,
        `lifeboat_probe_availability_last_day_ratio{${site}} 0.75`,
        'lifeboat_alerts_open{application="shop",severity="critical",state="firing"} 1',
        'lifeboat_alert_messages_last_day{application="shop",channel="mail",outcome="waiting"} 1',
      ]),
    );
    expect(await metricsOf('forum')).not.toContain('shop');
  });
});
