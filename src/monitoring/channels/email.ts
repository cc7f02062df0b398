// E-mail over SMTP: plain text and HTML, one thread for each alert. The connection is ours to end: the library's own
// transport has no signal.
import MailComposer from 'nodemailer/lib/mail-composer';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import type { AlertMessage } from '../../model/alert-message.ts';
import type { SettingsOf } from '../../model/alert-settings.ts';
import { alertKey } from './alert-key.ts';
import type { Channel, ChannelParts, Delivery } from './channel.ts';
import { cutText, oneLine } from '../fitting-text.ts';
import { unreached, withoutSecrets } from './http-delivery.ts';
import { actionLines, factLines, headline, plainText } from './message-text.ts';

export type EmailSettings = Omit<SettingsOf<'email'>, 'ca' | 'to'> & {
  readonly to: readonly string[];
  readonly caText?: string | undefined;
};

const complaintMax = 200;
const answerMaxBytes = 64 * 1024;
const portsDefault = { tls: 465, starttls: 587, none: 25 } as const;

export function emailChannel(settings: EmailSettings, { timeoutMs }: ChannelParts): Channel {
  return {
    kind: 'email',
    keepsAlerts: false,
    async deliver(message, { signal, idempotencyKey }) {
      signal.throwIfAborted();
      const mail = await composeMail(message, settings, idempotencyKey);
      return send({ ...mail, settings, timeoutMs }, signal);
    },
  };
}

interface Mail {
  readonly messageId: string;
  readonly source: Buffer;
}

/** All mails of one alert refer to the same first one, whether or not that was ever sent: clients show them together. */
async function composeMail(message: AlertMessage, { from, to }: EmailSettings, idempotencyKey: string): Promise<Mail> {
  const domain = from.split('@')[1] ?? 'localhost';
  const messageId = `<${idempotencyKey}@${domain}>`;
  const thread = createHash('sha256').update(alertKey(message, 2000)).digest('hex').slice(0, 32);
  const root = `<alert-${thread}@${domain}>`;
  const composer = new MailComposer({
    from: { name: 'Lifeboat', address: from },
    to: [...to],
    subject: headline(message),
    messageId,
    inReplyTo: root,
    references: [root],
    date: new Date(message.atMs),
    text: plainText(message),
    html: htmlText(message),
    headers: {
      // No holiday notices, please.
      'Auto-Submitted': 'auto-generated',
      'X-Lifeboat-Alert': thread,
      ...(message.severity === 'critical' && message.state === 'firing' && { 'X-Priority': '1', Importance: 'high' }),
    },
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return { messageId, source: await composer.compile().build() };
}

const colours = { info: '#1864ab', warning: '#b35c00', critical: '#c92a2a' } as const;

function htmlText(message: AlertMessage): string {
  const colour = message.state === 'firing' ? colours[message.severity] : '#2b8a3e';
  const rows = factLines(message).map(
    ({ name, value }) =>
      `<tr><td style="padding:2px 16px 2px 0;color:#666">${html(name)}</td><td style="padding:2px 0">${html(value)}</td></tr>`,
  );
  const actions = actionLines(message).map(({ name, value }) => {
    if (name === 'Run') return `<pre style="background:#f1f3f5;padding:8px">${html(value)}</pre>`;
    if (name === 'See' && /^https?:\/\//.test(value)) return `<p><a href="${html(value)}">${html(value)}</a></p>`;
    return `<p>${html(value)}</p>`;
  });
  return [
    '<!doctype html><html><body style="font-family:sans-serif;font-size:14px">',
    `<h2 style="color:${colour};font-size:18px">${html(headline(message))}</h2>`,
    `<table style="border-collapse:collapse">${rows.join('')}</table>`,
    ...actions,
    '</body></html>',
  ].join('\n');
}

function html(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

interface Sending extends Mail {
  readonly settings: EmailSettings;
  readonly timeoutMs: number;
}

async function send({ messageId, source, settings, timeoutMs }: Sending, signal: AbortSignal): Promise<Delivery> {
  const { host, security, username, password, from, to, caText } = settings;
  const connection = new SMTPConnection({
    host,
    port: settings.port ?? portsDefault[security],
    secure: security === 'tls',
    requireTLS: security === 'starttls',
    ignoreTLS: security === 'none',
    name: hostname(),
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    dnsTimeout: timeoutMs,
    maxResponseSize: answerMaxBytes,
    tls: { minVersion: 'TLSv1.2', ...(caText !== undefined && { ca: caText }) },
  });
  const limit = AbortSignal.timeout(timeoutMs);
  const { promise: broken, reject } = Promise.withResolvers<never>();
  broken.catch(() => undefined); // Whoever is at work hears of it; perhaps nobody is.
  connection.on('error', reject);
  const stop = (): void => {
    reject(new Error('given up'));
    connection.close();
  };
  const both = AbortSignal.any([signal, limit]);
  both.addEventListener('abort', stop, { once: true });
  const step = <T>(
    work: (done: (error: Error | null | undefined, result?: T) => void) => void,
  ): Promise<T | undefined> =>
    Promise.race([
      broken,
      new Promise<T | undefined>((resolve, fail) => {
        work((error, result) => (error ? fail(error) : resolve(result)));
      }),
    ]);
  try {
    await step((done) => connection.connect(done));
    if (username !== undefined)
      await step((done) =>
        connection.login({ user: username, pass: password, credentials: { user: username, pass: password } }, done),
      );
    const sent = await step<{ rejected: string[] }>((done) => connection.send({ from, to: [...to] }, source, done));
    const rejected = sent?.rejected ?? [];
    const note = rejected.length === 0 ? {} : { note: `not taken for ${rejected.join(', ')}` };
    return { outcome: 'accepted', id: messageId, ...note };
  } catch (error) {
    signal.throwIfAborted();
    return deliveryOf(error as SmtpError, { limit, timeoutMs, secrets: [password ?? ''] });
  } finally {
    both.removeEventListener('abort', stop);
    connection.close();
  }
}

interface SmtpError {
  readonly code?: string;
  /** That of the network below, where the library has put its own in its place. */
  readonly originalCode?: string;
  readonly responseCode?: number;
  readonly response?: string;
}

function deliveryOf(
  error: SmtpError,
  given: { readonly limit: AbortSignal; readonly timeoutMs: number; readonly secrets: readonly string[] },
): Delivery {
  const name = 'the mail server';
  const { code, responseCode, response = '' } = error;
  if (responseCode === undefined) {
    if (code !== 'EAUTH') return unreached(name, { ...given, code: error.originalCode ?? code });
    const reason = `${name} offers no way to log in that is known here`;
    return { outcome: 'refused', reason, hint: 'Check port and security, and whether it wants a user at all.' };
  }
  const reason = `${name} answered: ${cutText(oneLine(withoutSecrets(response, given.secrets)), complaintMax)}`;
  if (responseCode < 500) return { outcome: 'later', reason, hint: 'It is tried again; look at its log.' };
  const hint = hintsByCode[code ?? ''] ?? 'Check the settings of the channel by what it answered.';
  return { outcome: 'refused', reason, hint };
}

const hintsByCode: Readonly<Record<string, string>> = {
  EAUTH: 'Check username and password of the channel.',
  EENVELOPE: 'Check the addresses from and to, and whether it wants a user.',
  ETLS: 'Check port and security: it does not offer STARTTLS there.',
};
