// A server of the user's own. What arrives there proves by its signature that it comes from here, and by its time that it
// is not an old message sent again (docs/alerts.md shows how to check both).
import { createHmac } from 'node:crypto';
import type { AlertMessage } from '../../model/alert-message.ts';
import type { SettingsOf } from '../../model/alert-settings.ts';
import type { Channel, ChannelParts } from './channel.ts';
import { cutText } from '../fitting-text.ts';
import { deliverOverHttp, secretsOfUrl, textField, type Receiver } from './http-delivery.ts';
import { headline, plainText } from './message-text.ts';

const idMax = 200;

export type WebhookSettings = Omit<SettingsOf<'webhook'>, 'ca'> & { readonly caText?: string | undefined };

export function webhookChannel({ url, secret, caText }: WebhookSettings, parts: ChannelParts): Channel {
  const receiver: Receiver = {
    name: 'the webhook',
    credentialsHint: 'Check its address, and that it knows the same secret.',
    secrets: [secret, ...secretsOfUrl(url)],
    accepted: (body) => {
      const id = textField(body, 'id');
      return id === undefined ? {} : { id: cutText(id, idMax) };
    },
  };
  return {
    kind: 'webhook',
    keepsAlerts: false,
    deliver: (message, { signal, idempotencyKey }) => {
      const body = JSON.stringify(webhookBody(message));
      const timestamp = String(Math.floor(parts.clock.now() / 1000));
      const headers = {
        'content-type': 'application/json',
        'idempotency-key': idempotencyKey,
        'lifeboat-timestamp': timestamp,
        'lifeboat-signature': `v1=${signatureOf({ secret, timestamp, body })}`,
      };
      return deliverOverHttp(receiver, { url, method: 'POST', headers, body, ca: caText }, { ...parts, signal });
    },
  };
}

function signatureOf(signed: { readonly secret: string; readonly timestamp: string; readonly body: string }): string {
  return createHmac('sha256', signed.secret).update(`${signed.timestamp}.${signed.body}`).digest('hex');
}

/** For programs: every field, and the text as people get it. */
function webhookBody(message: AlertMessage): object {
  const { sinceMs, atMs, ...rest } = message;
  const times = { since: new Date(sinceMs).toISOString(), at: new Date(atMs).toISOString() };
  return { version: 1, ...rest, ...times, headline: headline(message), text: plainText(message) };
}
