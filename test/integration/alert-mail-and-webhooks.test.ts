// Alerts to a mail server and to a web server with certificates of their own, and the command that tries them.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { copyFile, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { SMTPServerOptions } from 'smtp-server';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { AlertMessage } from '../../src/model/alert-message.ts';
import { bodyOf, deliver, firing, plantedSecret as secret, resolved } from '../support/alert-deliveries.ts';
import { mailReceiver, webReceiver } from '../support/alert-receivers.ts';
import { runLifeboat } from '../support/lifeboat.ts';
import { makeCertificate, type Certificate } from '../support/postgres-access.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';
import { describeWith } from '../support/tools.ts';

describeWith(['openssl'], 'receivers with certificates of their own', () => {
  let folder: TemporaryFolder;
  let certificate: Certificate;
  let tls: { readonly key: string; readonly cert: string };
  beforeAll(async () => {
    folder = await temporaryFolder();
    certificate = makeCertificate(folder.path, 'receiver');
    const read = (path: string): string => readFileSync(path, 'utf8');
    tls = { key: read(certificate.keyFile), cert: read(certificate.certificateFile) };
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  test('a webhook can check by signature and time who sent what', async () => {
    // As docs/alerts.md shows it.
    const seen = new Set<string>();
    await using receiver = await webReceiver(tls, (response, { headers, body }) => {
      const timestamp = String(headers['lifeboat-timestamp']);
      const age = Math.abs(systemClock.now() / 1000 - Number(timestamp));
      const expected = `v1=${createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')}`;
      const given = String(headers['lifeboat-signature']);
      const isGenuine = given.length === expected.length && timingSafeEqual(Buffer.from(given), Buffer.from(expected));
      const key = String(headers['idempotency-key']);
      const isNew = !seen.has(key);
      if (isGenuine && age <= 300) seen.add(key);
      else response.statusCode = 401;
      response.end(JSON.stringify({ id: isNew ? 'first' : 'again' }));
    });
    const webhook = { type: 'webhook', url: `${receiver.url}/planted`, secret, ca: certificate.certificateFile };
    expect(await deliver(webhook)).toEqual({ outcome: 'accepted', id: 'first' });
    expect(await deliver(webhook)).toEqual({ outcome: 'accepted', id: 'again' });
    const { facts, title, hint, command, ...rest } = bodyOf(receiver) as Record<string, unknown>;
    expect({ facts, title, hint, command }).toEqual({
      facts: firing.facts,
      title: firing.title,
      hint: firing.hint,
      command: firing.command,
    });
    expect(rest).toMatchObject({
      version: 1,
      state: 'firing',
      since: '2026-11-28T04:12:00.000Z',
      alertId: 'rpo:database',
    });
    expect(await deliver({ ...webhook, secret: 'planted-other-secret' })).toMatchObject({
      outcome: 'refused',
      reason: 'the webhook answered with status 401',
    });
    const distrusting = { type: 'webhook', url: `${receiver.url}/planted`, secret };
    expect(await deliver(distrusting)).toMatchObject({
      outcome: 'later',
      reason: expect.stringContaining('its certificate is not trusted') as string,
      hint: 'Name the file with the certificates to trust as ca.',
    });
    await expect(deliver({ ...webhook, ca: '/nowhere/ca.pem' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  const login: SMTPServerOptions = {
    onAuth: ({ username, password }, _, done) => {
      if (username === 'lifeboat' && password === secret) done(null, { user: username });
      else done(new Error(`Invalid login for ${password}`));
    },
  };

  test.each(['starttls', 'tls'] as const)(
    'mail goes encrypted by %s, in text and HTML, one thread an alert',
    async (security) => {
      await using server = await mailReceiver({
        ...tls,
        ...login,
        secure: security === 'tls',
        onRcptTo: ({ address }, _, done) => done(address.startsWith('gone') ? new Error('no such user') : null),
      });
      const mail = {
        type: 'email',
        host: '127.0.0.1',
        port: server.port,
        security,
        username: 'lifeboat',
        password: secret,
        ca: certificate.certificateFile,
        from: 'lifeboat@shop.example',
        to: ['ops@shop.example'],
      };
      const texts: AlertMessage = {
        ...firing,
        title: 'RPO überschritten\r\nBcc: evil@example.com',
        hint: 'Use <b>this</b>.',
      };
      expect(await deliver(mail, texts)).toEqual({ outcome: 'accepted', id: '<delivery-1@shop.example>' });
      expect(await deliver(mail, resolved, { key: 'delivery-2' })).toMatchObject({ outcome: 'accepted' });
      const [first, second] = server.mails;
      expect(first).toMatchObject({
        user: 'lifeboat',
        isEncrypted: true,
        from: 'lifeboat@shop.example',
        to: ['ops@shop.example'],
      });
      const header = (name: string, at = first): string | undefined => at?.headers.get(name);
      expect(header('bcc')).toBeUndefined();
      expect(header('message-id')).toBe('<delivery-1@shop.example>');
      expect(header('message-id', second)).toBe('<delivery-2@shop.example>');
      expect(header('references')).toMatch(/^<alert-[0-9a-f]{32}@shop\.example>$/);
      expect(header('references', second)).toBe(header('references'));
      expect(header('subject', second)).toBe('[RESOLVED] shop/production database: RPO breached');
      expect(header('content-type')).toMatch(/^multipart\/alternative/);
      expect(first?.source).toContain('Content-Type: text/plain');
      expect(first?.source).toContain('&lt;b&gt;this&lt;/b&gt;');
      expect(second?.source).not.toContain('Start the journal receiver.');

      const other = await deliver({ ...mail, to: ['ops@shop.example', 'gone@shop.example'] }, firing, {
        key: 'delivery-3',
      });
      expect(other).toMatchObject({ outcome: 'accepted', note: 'not taken for gone@shop.example' });
      expect(await deliver(mail, firing, { to: 'gone@shop.example' })).toMatchObject({ outcome: 'refused' });
      expect(await deliver({ ...mail, password: 'planted-wrong' })).toMatchObject({
        outcome: 'refused',
        reason: 'the mail server answered: 535 Invalid login for (secret)',
        hint: 'Check username and password of the channel.',
      });
      const { ca: _, ...distrusting } = mail;
      expect(await deliver(distrusting)).toMatchObject({
        outcome: 'later',
        reason: expect.stringContaining('its certificate is not trusted') as string,
      });
      expect(server.mails).toHaveLength(3);
    },
  );

  test('a password never goes in clear, and a mail server that hangs or is busy is tried later', async () => {
    await using plain = await mailReceiver({ disabledCommands: ['STARTTLS'], authOptional: true });
    const mail = { type: 'email', host: '127.0.0.1', port: plain.port, from: 'a@shop.example', to: ['b@shop.example'] };
    const refused = await deliver({ ...mail, username: 'lifeboat', password: secret });
    expect(refused).toMatchObject({
      outcome: 'refused',
      hint: 'Check port and security: it does not offer STARTTLS there.',
    });
    expect(await deliver({ ...mail, security: 'none' })).toMatchObject({ outcome: 'accepted' });
    expect(plain.mails).toHaveLength(1);
    await using busy = await mailReceiver({
      disabledCommands: ['STARTTLS'],
      authOptional: true,
      onMailFrom: (_, __, done) => done(Object.assign(new Error('try again in a while'), { responseCode: 451 })),
    });
    expect(await deliver({ ...mail, security: 'none', port: busy.port })).toMatchObject({
      outcome: 'later',
      reason: 'the mail server answered: 451 try again in a while',
    });
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    expect(await deliver({ ...mail, port }, firing, { timeoutMs: 300 })).toMatchObject({
      outcome: 'later',
      reason: 'the mail server did not answer within 0.3 s',
    });
    silent.close();
    expect(await deliver({ ...mail, host: 'nowhere.invalid' })).toMatchObject({ outcome: 'later' });
  });
});

describeWith(['openssl'], 'lifeboat alerts test', () => {
  test('tells for each channel and each address whether its message was accepted, and nothing that is secret', async () => {
    await using folder = await temporaryFolder();
    const certificate = makeCertificate(folder.path, 'receiver');
    const read = (path: string): string => readFileSync(path, 'utf8');
    await using hook = await webReceiver({ key: read(certificate.keyFile), cert: read(certificate.certificateFile) });
    await using pagerduty = await webReceiver(undefined, (response, { body }) => {
      const { dedup_key } = JSON.parse(body) as { dedup_key: string };
      response.writeHead(202).end(JSON.stringify({ status: 'success', dedup_key }));
    });
    await using slack = await webReceiver(undefined, (response) => response.writeHead(404).end('no_service'));
    await using mail = await mailReceiver({ authOptional: true, disabledCommands: ['STARTTLS'] });
    await writeFile(
      join(folder.path, 'lifeboat.yaml'),
      `application: shop
repositories: { local: { location: ./repository } }
components: { data: { type: files, paths: [.] } }
alerts:
  channels:
    mail: { type: email, host: 127.0.0.1, port: ${mail.port}, security: none, from: lifeboat@shop.example }
    hook: { type: webhook, url: '\${HOOK_URL}', secret: '\${HOOK_SECRET}', ca: receiver.crt }
    pager: { type: pagerduty, routingKey: '\${PAGER_KEY}', url: '${pagerduty.url}' }
    chat: { type: slack, url: '\${SLACK_URL}' }
    teams: { type: teams, url: '\${TEAMS_WEBHOOK_URL}' }
  contacts:
    anna: { name: Anna Berg, reach: [{ channel: pager }, { channel: mail, to: anna@shop.example }] }
    ben: { reach: [{ channel: mail, to: ben@shop.example }, { channel: teams }] }
`,
    );
    await copyFile(certificate.certificateFile, join(folder.path, 'receiver.crt'));
    const environment = {
      HOOK_URL: `${hook.url}/planted`,
      HOOK_SECRET: secret,
      PAGER_KEY: 'planted-routing-key',
      SLACK_URL: `${slack.url}/services/planted`,
    };
    const ran = await runLifeboat(['alerts', 'test'], { folder: folder.path, environment });
    expect(ran.stdout.replaceAll(/test-[0-9a-f]{8}/g, 'test-12345678')).toMatchInlineSnapshot(`
      "ok       mail to anna@shop.example  accepted as
                                          <test-12345678-firing@shop.example>
      ok       mail to ben@shop.example   accepted as
                                          <test-12345678-firing@shop.example>
      ok       hook                       accepted
      ok       pager                      accepted as shop/production/test-12345678
      FAILED   chat                       Slack answered with status 404: no_service
                                          hint: Create it anew: it is no longer there.
                                          Give the channel the address of an incoming
                                          webhook that exists.
      FAILED   teams                      lifeboat.yaml:10:32:
                                          alerts.channels.teams.url: found
                                          \${TEAMS_WEBHOOK_URL}, which is not set,
                                          expected the environment variable
                                          TEAMS_WEBHOOK_URL, or
                                          \${TEAMS_WEBHOOK_URL:-default}
                                          hint: Set what is missing; 'set -a; .
                                          ./.env; set +a' takes the variables of a
                                          .env file.
      "
    `);
    expect(ran.exitCode).toBe(1);
    expect(ran.stdout + ran.stderr).not.toContain('planted');
    expect(mail.mails.map(({ to }) => to)).toEqual([['anna@shop.example'], ['ben@shop.example']]);
    expect(pagerduty.requests.map(({ body }) => (JSON.parse(body) as { event_action: string }).event_action)).toEqual([
      'trigger',
      'resolve',
    ]);
    const one = await runLifeboat(['alerts', 'test', 'hook', '--json'], { folder: folder.path, environment });
    expect(JSON.parse(one.stdout)).toEqual({ tested: [{ channel: 'hook', delivery: { outcome: 'accepted' } }] });
    expect(one.exitCode).toBe(0);
  });
});
