// ntfy: push messages to telephones, by ntfy.sh or a server of one's own.
import type { AlertMessage } from '../../model/alert-message.ts';
import type { SettingsOf } from '../../model/alert-settings.ts';
import type { Channel, ChannelParts } from './channel.ts';
import { cutBytes, fittingParts } from '../fitting-text.ts';
import { deliverOverHttp, textField, type Receiver } from './http-delivery.ts';
import { actionLines, factLines, headline, timeLines, type Line } from './message-text.ts';

/** More becomes a file attached to the message. */
const messageMaxBytes = 4000;
const titleMaxBytes = 240;
const priorities = { critical: 5, warning: 4, info: 3 } as const;
const tags = { critical: 'rotating_light', warning: 'warning', info: 'information_source' } as const;

export type NtfySettings = Omit<SettingsOf<'ntfy'>, 'ca'> & { readonly caText?: string | undefined };

export function ntfyChannel({ url, topic, token, caText }: NtfySettings, parts: ChannelParts): Channel {
  const receiver: Receiver = {
    name: 'ntfy',
    credentialsHint: 'Give the channel a token that may write to the topic.',
    secrets: [topic, token ?? ''],
    accepted: (body) => {
      const id = textField(body, 'id');
      return id === undefined ? undefined : { id };
    },
    complaint: (body) => textField(body, 'error'),
  };
  return {
    kind: 'ntfy',
    keepsAlerts: false,
    deliver: (message, { signal }) => {
      const body = JSON.stringify({ topic, ...ntfyBody(message) });
      const headers = {
        'content-type': 'application/json',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      };
      return deliverOverHttp(receiver, { url, method: 'POST', headers, body, ca: caText }, { ...parts, signal });
    },
  };
}

/** The message without its topic. */
export function ntfyBody(message: AlertMessage): object {
  const { severity, state, link } = message;
  const isFiring = state === 'firing';
  return {
    title: cutBytes(headline(message), titleMaxBytes),
    message: shortText(message),
    priority: isFiring ? priorities[severity] : 3,
    tags: [isFiring ? tags[severity] : state === 'resolved' ? 'white_check_mark' : 'eyes'],
    ...(link !== undefined && { click: link }),
  };
}

function shortText(message: AlertMessage): string {
  const times = timeLines(message);
  const facts = factLines(message).slice(0, message.facts.length);
  const actions = actionLines(message).filter(({ name }) => name !== 'See');
  const textOf = (kept: readonly Line[]): string =>
    [...kept, ...times, ...actions].map(({ name, value }) => `${name}: ${value}`).join('\n');
  const rest = (missing: number): Line => ({ name: 'More', value: `${missing} not shown` });
  const kept = fittingParts(facts, rest, (some) => Buffer.byteLength(textOf(some)) <= messageMaxBytes);
  return cutBytes(textOf(kept), messageMaxBytes);
}
