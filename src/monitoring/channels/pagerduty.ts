// PagerDuty: Events API v2. One incident for each alert, by its key; what is acknowledged or resolved here is so there.
import type { AlertMessage } from '../../model/alert-message.ts';
import type { SettingsOf } from '../../model/alert-settings.ts';
import type { Channel, ChannelParts } from './channel.ts';
import { cutText, fittingParts } from '../fitting-text.ts';
import { deliverOverHttp, jsonObject, textField, type Receiver } from './http-delivery.ts';
import { alertKey } from './alert-key.ts';
import { actionLines, factLines, subject, type Line } from './message-text.ts';

const summaryMax = 1024;
const keyMax = 255;
/** The whole event may have 512 KB; nobody reads that much. */
const detailsMaxBytes = 32 * 1024;
const valueMax = 4000;
const actions = { firing: 'trigger', acknowledged: 'acknowledge', resolved: 'resolve' } as const;

export function pagerdutyChannel({ url, routingKey }: SettingsOf<'pagerduty'>, parts: ChannelParts): Channel {
  const receiver: Receiver = {
    name: 'PagerDuty',
    credentialsHint: 'Give the channel the integration key of a service with Events API v2.',
    secrets: [routingKey],
    accepted: (body) => (textField(body, 'status') === 'success' ? { id: textField(body, 'dedup_key') } : undefined),
    complaint: (body) => {
      const { message, errors } = jsonObject(body);
      return [message, ...(Array.isArray(errors) ? errors : [])].filter((part) => typeof part === 'string').join('; ');
    },
  };
  return {
    kind: 'pagerduty',
    keepsAlerts: true,
    deliver: (message, { signal }) => {
      const body = JSON.stringify({ routing_key: routingKey, ...pagerdutyEvent(message) });
      const headers = { 'content-type': 'application/json' };
      const address = `${url.replace(/\/+$/, '')}/v2/enqueue`;
      return deliverOverHttp(receiver, { url: address, method: 'POST', headers, body }, { ...parts, signal });
    },
  };
}

/** The event without its key. */
export function pagerdutyEvent(message: AlertMessage): object {
  const event = { event_action: actions[message.state], dedup_key: alertKey(message, keyMax) };
  if (message.state !== 'firing') return event;
  const { application, environment, component, severity, link, atMs } = message;
  const lines = [...factLines(message), ...actionLines(message).filter(({ name }) => name !== 'See')].map(
    ({ name, value }) => ({ name, value: cutText(value, valueMax) }),
  );
  const rest = (missing: number): Line => ({ name: 'More', value: `${missing} not shown` });
  const fits = (kept: readonly Line[]): boolean =>
    Buffer.byteLength(JSON.stringify(detailsOf(kept))) <= detailsMaxBytes;
  return {
    ...event,
    payload: {
      summary: cutText(subject(message), summaryMax),
      source: `${application}/${environment}`,
      severity,
      timestamp: new Date(atMs).toISOString(),
      component: component ?? application,
      group: application,
      custom_details: detailsOf(fittingParts(lines, rest, fits)),
    },
    client: 'Lifeboat',
    ...(link !== undefined && { client_url: link, links: [{ href: link, text: 'Open in Lifeboat' }] }),
  };
}

function detailsOf(lines: readonly Line[]): Record<string, string> {
  return Object.fromEntries(lines.map(({ name, value }) => [name, value]));
}
