// Alerts to web servers that answer as the services do by their documentation: Slack, Teams, PagerDuty, Opsgenie, ntfy, Twilio;
// and SNS by moto.
import { CreateTopicCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import {
  acknowledged,
  bodyOf,
  deliver,
  firing,
  plantedSecret as secret,
  resolved,
} from '../support/alert-deliveries.ts';
import { webReceiver, type WebReceiver } from '../support/alert-receivers.ts';
import { describeWithS3, startS3Server } from '../support/s3-server.ts';

let receiver: WebReceiver;
beforeAll(async () => {
  receiver = await webReceiver();
});
afterAll(() => receiver[Symbol.asyncDispose]());

function answer(status: number, body: string | object): void {
  receiver.answer = (response) =>
    response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body));
}

/** The body of the last request is what the file holds, whose fields were held against the service's documentation. */
async function expectGolden(name: string): Promise<void> {
  const path = join(import.meta.dirname, `../fixtures/alerts/${name}.json`);
  expect(bodyOf(receiver)).toEqual(JSON.parse(await readFile(path, 'utf8')));
}

describe('what a service on the web gets and answers', () => {
  test('Slack gets blocks within its limits, with nothing in them that it would act on', async () => {
    answer(200, 'ok');
    const url = `${receiver.url}/services/T000/B000/planted-token`;
    expect(await deliver({ type: 'slack', url })).toEqual({ outcome: 'accepted' });
    expect(receiver.requests.at(-1)).toMatchObject({ method: 'POST', path: '/services/T000/B000/planted-token' });
    await expectGolden('slack');

    const facts = Array.from({ length: 40 }, (_, at) => ({ name: `fact ${at}`, value: '<!channel> & '.repeat(500) }));
    await deliver({ type: 'slack', url }, { ...firing, title: 'x'.repeat(5000), hint: '<b>'.repeat(3000), facts });
    const { blocks } = bodyOf(receiver) as {
      blocks: { type: string; text?: { text: string }; fields?: { text: string }[] }[];
    };
    expect(blocks.length).toBeLessThanOrEqual(50);
    expect(receiver.requests.at(-1)?.body).not.toContain('<!channel>');
    for (const { type, text, fields = [] } of blocks) {
      expect(text?.text.length ?? 0).toBeLessThanOrEqual(type === 'header' ? 150 : 3000);
      expect(fields.length).toBeLessThanOrEqual(10);
      for (const field of fields) expect(field.text.length).toBeLessThanOrEqual(2000);
    }
    expect(blocks.flatMap(({ fields = [] }) => fields.map(({ text }) => text)).slice(-2)).toEqual([
      '*More*\n32 not shown',
      '*Since*\n2026-11-28 04:12 UTC (25m)',
    ]);
  });

  test('Slack refuses for good where the webhook is gone, and a page that is not of Slack is no acceptance', async () => {
    const url = `${receiver.url}/services/T000/B000/planted-token`;
    answer(404, 'no_service');
    expect(await deliver({ type: 'slack', url })).toMatchObject({
      outcome: 'refused',
      reason: 'Slack answered with status 404: no_service',
    });
    answer(410, `channel_is_archived at ${url}`);
    expect(await deliver({ type: 'slack', url })).toMatchObject({
      outcome: 'refused',
      reason: 'Slack answered with status 410',
    });
    answer(200, '<html>Sign in</html>');
    expect(await deliver({ type: 'slack', url })).toMatchObject({
      outcome: 'refused',
      reason: 'the answer did not come from Slack',
    });
    receiver.answer = (response) => response.writeHead(302, { location: 'https://elsewhere.example/' }).end();
    expect(await deliver({ type: 'slack', url })).toMatchObject({ outcome: 'refused', hint: 'Name the new address.' });
  });

  test('what passes is to be tried later, after as long as the service asks', async () => {
    const url = `${receiver.url}/services/planted`;
    const retryAfterMs = async (header: string): Promise<unknown> => {
      receiver.answer = (response) => response.writeHead(429, { 'retry-after': header }).end('rate_limited');
      const delivery = await deliver({ type: 'slack', url });
      expect(delivery.outcome).toBe('later');
      return 'retryAfterMs' in delivery ? delivery.retryAfterMs : undefined;
    };
    expect(await retryAfterMs('30')).toBe(30_000);
    expect(await retryAfterMs('soon')).toBeUndefined();
    expect(await retryAfterMs('864000')).toBe(3_600_000);
    const inAMinute = await retryAfterMs(new Date(systemClock.now() + 60_000).toUTCString());
    expect(inAMinute).toBeGreaterThan(50_000);
    expect(inAMinute).toBeLessThanOrEqual(60_000);
    for (const status of [500, 502, 503]) {
      answer(status, '');
      expect(await deliver({ type: 'slack', url })).toMatchObject({
        outcome: 'later',
        reason: `Slack answered with status ${status}`,
      });
    }
  });

  test('Teams gets an Adaptive Card of at most 28 KB', async () => {
    answer(202, '');
    const url = `${receiver.url}/workflows/planted/triggers/manual/paths/invoke?sig=planted`;
    expect(await deliver({ type: 'teams', url })).toEqual({ outcome: 'accepted' });
    await expectGolden('teams');

    const facts = Array.from({ length: 400 }, (_, at) => ({ name: `fact ${at}`, value: 'ü"'.repeat(300) }));
    expect(await deliver({ type: 'teams', url }, { ...firing, facts })).toEqual({ outcome: 'accepted' });
    expect(Buffer.byteLength(receiver.requests.at(-1)?.body ?? '')).toBeLessThanOrEqual(28 * 1024);
    expect(receiver.requests.at(-1)?.body).toContain('not shown');
    expect(receiver.requests.at(-1)?.body).toContain('Start the journal receiver.');

    answer(401, { error: { code: 'DirectApiAuthorizationRequired', message: `no planted ${url}` } });
    expect(await deliver({ type: 'teams', url })).toMatchObject({
      outcome: 'refused',
      reason: 'Teams answered with status 401: DirectApiAuthorizationRequired',
    });
  });

  test('PagerDuty opens, acknowledges and resolves one incident', async () => {
    const pagerduty = { type: 'pagerduty', routingKey: 'planted-0123456789abcdef01234567', url: receiver.url };
    receiver.answer = (response, { body }) => {
      const { dedup_key } = JSON.parse(body) as { dedup_key: string };
      response.writeHead(202).end(JSON.stringify({ status: 'success', message: 'Event processed', dedup_key }));
    };
    const key = 'shop/production/rpo:database';
    expect(await deliver(pagerduty)).toEqual({ outcome: 'accepted', id: key });
    expect(receiver.requests.at(-1)?.path).toBe('/v2/enqueue');
    await expectGolden('pagerduty');
    const rest = { routing_key: 'planted-0123456789abcdef01234567', dedup_key: key };
    await deliver(pagerduty, acknowledged);
    expect(bodyOf(receiver)).toEqual({ ...rest, event_action: 'acknowledge' });
    await deliver(pagerduty, resolved);
    expect(bodyOf(receiver)).toEqual({ ...rest, event_action: 'resolve' });

    await deliver(pagerduty, { ...firing, alertId: 'x'.repeat(400), title: 'y'.repeat(3000) });
    const long = bodyOf(receiver) as { dedup_key: string; payload: { summary: string } };
    expect(long.dedup_key).toHaveLength(255);
    expect(long.payload.summary).toHaveLength(1024);
    answer(400, {
      status: 'invalid event',
      message: 'Event object is invalid',
      errors: ["Length of 'routing_key' is incorrect (should be 32 characters)"],
    });
    expect(await deliver(pagerduty)).toMatchObject({
      outcome: 'refused',
      reason:
        "PagerDuty answered with status 400: Event object is invalid; Length of 'routing_key' is incorrect (should be 32 characters)",
    });
  });

  test('Opsgenie opens, acknowledges and closes one alert by its alias', async () => {
    const opsgenie = { type: 'opsgenie', apiKey: secret, url: `${receiver.url}/jsm/ops/integration/`, teams: ['ops'] };
    answer(202, { result: 'Request will be processed', took: 0.1, requestId: 'request-17' });
    expect(await deliver(opsgenie)).toEqual({ outcome: 'accepted', id: 'request-17' });
    expect(receiver.requests.at(-1)).toMatchObject({
      path: '/jsm/ops/integration/v2/alerts',
      headers: { authorization: `GenieKey ${secret}` },
    });
    await expectGolden('opsgenie');
    await deliver(opsgenie, acknowledged);
    const alias = encodeURIComponent('shop/production/rpo:database');
    const path = `/jsm/ops/integration/v2/alerts/${alias}`;
    expect(receiver.requests.at(-1)?.path).toBe(`${path}/acknowledge?identifierType=alias`);
    await deliver(opsgenie, resolved);
    expect(receiver.requests.at(-1)?.path).toBe(`${path}/close?identifierType=alias`);
    expect(bodyOf(receiver)).toMatchObject({ source: 'Lifeboat' });

    const facts = Array.from({ length: 400 }, (_, at) => ({ name: `fact ${at}`, value: 'v'.repeat(900) }));
    await deliver(opsgenie, { ...firing, title: 'y'.repeat(3000), facts });
    const long = bodyOf(receiver) as { message: string; description: string; details: object };
    expect(long.message).toHaveLength(130);
    expect(long.description.length).toBeLessThanOrEqual(15_000);
    expect(JSON.stringify(long.details).length).toBeLessThanOrEqual(9000);
    answer(403, { message: `Key ${secret} is not allowed`, took: 0.1, requestId: 'x' });
    expect(await deliver(opsgenie)).toMatchObject({
      outcome: 'refused',
      reason: 'Opsgenie answered with status 403: Key (secret) is not allowed',
    });
  });

  test('ntfy gets a message of at most 4 KB with its priority', async () => {
    const ntfy = { type: 'ntfy', topic: 'planted-topic', token: 'tk_planted', url: receiver.url };
    answer(200, { id: 'Vmh1', time: 1764303120, event: 'message', topic: 'planted-topic' });
    expect(await deliver(ntfy)).toEqual({ outcome: 'accepted', id: 'Vmh1' });
    expect(receiver.requests.at(-1)?.headers.authorization).toBe('Bearer tk_planted');
    await expectGolden('ntfy');
    await deliver(ntfy, { ...firing, facts: [{ name: 'long', value: 'ü'.repeat(5000) }] });
    const { message } = bodyOf(receiver) as { message: string };
    expect(Buffer.byteLength(message)).toBeLessThanOrEqual(4096);
    answer(403, { code: 40301, http: 403, error: 'forbidden: planted-topic' });
    expect(await deliver(ntfy)).toMatchObject({ reason: 'ntfy answered with status 403: forbidden: (secret)' });
  });

  test('Twilio sends one text message, of as many parts as allowed', async () => {
    const twilio = { type: 'twilio', accountSid: 'AC17', authToken: secret, from: '+15005550006', url: receiver.url };
    answer(201, { sid: 'SM42', status: 'queued' });
    expect(await deliver({ ...twilio, to: '+49 (30) 123-456' })).toEqual({ outcome: 'accepted', id: 'SM42' });
    const { path, headers, body } = receiver.requests.at(-1) ?? {};
    expect(path).toBe('/2010-04-01/Accounts/AC17/Messages.json');
    expect(headers?.authorization).toBe(`Basic ${Buffer.from(`AC17:${secret}`).toString('base64')}`);
    expect(headers?.['content-type']).toBe('application/x-www-form-urlencoded');
    expect(Object.fromEntries(new URLSearchParams(body))).toEqual({
      To: '+4930123456',
      From: '+15005550006',
      Body: 'CRITICAL shop/production database: RPO breached. RPO now 4h 3m (objective 1h). Since 2026-11-28 04:12 UTC. Start the journal receiver. lifeboat journal run database. https://lifeboat.example/alerts/17. Last backup 2026-11-28 00:09 UTC',
    });
    await deliver({ ...twilio, segments: 1 }, firing, { to: '+15551234567' });
    const short = new URLSearchParams(receiver.requests.at(-1)?.body).get('Body') ?? '';
    expect(short.length).toBeLessThanOrEqual(160);
    expect(short).toContain('RPO breached. RPO now 4h 3m (objective 1h)');
    answer(400, { code: 21211, message: "The 'To' number +4930123456 is not a valid phone number.", status: 400 });
    expect(await deliver({ ...twilio, to: '+4930123456' })).toMatchObject({
      outcome: 'refused',
      reason: "Twilio answered with status 400: The 'To' number +4930123456 is not a valid phone number. (21211)",
    });
    await expect(deliver(twilio)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

describe('a receiver that does not answer as it should', () => {
  test('a receiver that hangs, breaks off, cannot be reached or has no name is tried later; nobody waits for ever', async () => {
    const webhook = (url: string): object => ({ type: 'webhook', url: `${url}/planted`, secret });
    receiver.answer = () => undefined;
    expect(await deliver({ ...webhook(receiver.url) }, firing, { timeoutMs: 300 })).toMatchObject({
      outcome: 'later',
      reason: 'the webhook did not answer within 0.3 s',
    });
    receiver.answer = (response) => {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('half an ans', () => response.destroy());
    };
    expect(await deliver({ ...webhook(receiver.url) })).toMatchObject({
      outcome: 'later',
      reason: 'the webhook cannot be reached: the connection broke off (ECONNRESET)',
    });
    receiver.answer = (response) => void response.writeHead(200).write('half an answer, and no more');
    expect(await deliver({ ...webhook(receiver.url) }, firing, { timeoutMs: 300 })).toMatchObject({
      outcome: 'later',
      reason: 'the webhook did not answer within 0.3 s',
    });
    const listener = createServer().listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const { port } = listener.address() as AddressInfo;
    listener.close();
    expect(await deliver({ ...webhook(`http://127.0.0.1:${port}`) })).toMatchObject({
      outcome: 'later',
      reason: 'the webhook cannot be reached: nothing listens there (ECONNREFUSED)',
    });
    const unknown = await deliver({ ...webhook('http://nowhere.invalid') });
    expect(unknown).toMatchObject({ outcome: 'later' });
    expect('reason' in unknown && unknown.reason).toMatch(/its name (?:is not known|could not be looked up)/);
    receiver.answer = (response) => response.end('x'.repeat(10_000_000)); // Read only as far as needed.
    expect(await deliver({ ...webhook(receiver.url) })).toEqual({ outcome: 'accepted' });

    receiver.answer = () => undefined;
    const stopped = new AbortController();
    const waiting = deliver({ ...webhook(receiver.url) }, firing, { signal: stopped.signal });
    setTimeout(() => stopped.abort(new Error('the server stops')), 50);
    await expect(waiting).rejects.toThrow('the server stops');
  });
});

await describeWithS3('AWS SNS', () => {
  test('a topic passes the alert on, a number gets an SMS, and what AWS refuses is told without secrets', async () => {
    await using aws = await startS3Server();
    answer(200, '');
    const had = receiver.requests.length;
    const { endpoint, region, credentials } = aws.client;
    if (credentials === undefined) throw new Error('moto has credentials');
    const { accessKeyId, secretAccessKey } = credentials;
    const identity = { accessKeyId, secretAccessKey };
    const inspector = new SNSClient({ endpoint, region: region ?? '', credentials: identity });
    const { TopicArn } = await inspector.send(new CreateTopicCommand({ Name: 'kessan-backup-alerts' }));
    for (const severity of ['critical', 'info']) {
      const Attributes = { FilterPolicy: JSON.stringify({ severity: [severity], component: ['database'] }) };
      const Endpoint = `${receiver.url}/${severity}`;
      await inspector.send(new SubscribeCommand({ TopicArn, Protocol: 'http', Endpoint, Attributes }));
    }
    const reach = { endpoint, region: 'us-east-1', accessKeyId, secretAccessKey: secret };
    const delivery = await deliver({ type: 'sns', topic: TopicArn, ...reach }, { ...firing, title: 'RPO ≥ Ziel' });
    expect(delivery).toEqual({ outcome: 'accepted', id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string });
    const passed = receiver.requests.slice(had).map(({ path, body }) => ({
      path,
      ...(JSON.parse(body) as Record<string, unknown>),
    }));
    const notifications = passed.filter((one) => 'Type' in one && one.Type === 'Notification');
    expect(notifications).toHaveLength(1);
    expect(notifications[0]).toMatchObject({
      path: '/critical', // By the attributes that its subscription asks for.
      MessageId: 'id' in delivery ? delivery.id : '',
      TopicArn,
      Subject: '[CRITICAL] shop/production database: RPO ? Ziel',
      Message: expect.stringContaining('RPO now: 4h 3m (objective 1h)') as string,
    });

    const sms = await deliver({ type: 'sns-sms', to: '+4930123456', senderId: 'Lifeboat', segments: 1, ...reach });
    expect(sms).toMatchObject({ outcome: 'accepted' });

    const missing = 'arn:aws:sns:us-east-1:123456789012:nowhere';
    expect(await deliver({ type: 'sns', topic: missing, ...reach })).toMatchObject({
      outcome: 'refused',
      reason: expect.stringMatching(/^SNS answered with status 404: NotFound/) as string,
      hint: 'Name a topic that exists in this account and region.',
    });
    inspector.destroy();

    // What moto never does.
    const topic = { type: 'sns', topic: missing, ...reach, endpoint: receiver.url };
    const error = (code: string, message: string): string =>
      `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error><RequestId>1</RequestId></ErrorResponse>`;
    receiver.answer = (response) => response.writeHead(403).end(error('InvalidClientTokenId', `no token ${secret}`));
    expect(await deliver(topic)).toMatchObject({
      outcome: 'refused',
      reason: 'SNS answered with status 403: InvalidClientTokenId, no token (secret)',
    });
    receiver.answer = (response) =>
      response.writeHead(400, { 'retry-after': '7' }).end(error('Throttling', 'Rate exceeded'));
    const before = receiver.requests.length;
    expect(await deliver(topic)).toMatchObject({ outcome: 'later', retryAfterMs: 7000 });
    expect(receiver.requests).toHaveLength(before + 1); // Trying again is the caller's.
    receiver.answer = () => undefined;
    expect(await deliver(topic, firing, { timeoutMs: 300 })).toMatchObject({
      outcome: 'later',
      reason: 'SNS did not answer within 0.3 s',
    });
  });
});
