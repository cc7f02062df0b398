// Opsgenie and what speaks its alert API (Jira Service Management by another address): create, acknowledge and close by
// alias. Every request is taken first and carried out later: accepted means taken.
import type { AlertMessage } from '../../model/alert-message.ts';
import type { SettingsOf } from '../../model/alert-settings.ts';
import { alertKey } from './alert-key.ts';
import type { Channel, ChannelParts } from './channel.ts';
import { cutText, fittingParts } from '../fitting-text.ts';
import { deliverOverHttp, textField, type Receiver } from './http-delivery.ts';
import { factLines, plainText, subject, type Line } from './message-text.ts';

const messageMax = 130;
const aliasMax = 512;
const descriptionMax = 15_000;
/** Names and values together. */
const detailsMax = 8000;
const valueMax = 1000;
const entityMax = 512;
const priorities = { critical: 'P1', warning: 'P3', info: 'P5' } as const;

export type OpsgenieSettings = Omit<SettingsOf<'opsgenie'>, 'ca'> & { readonly caText?: string | undefined };

export function opsgenieChannel({ url, apiKey, teams, caText }: OpsgenieSettings, parts: ChannelParts): Channel {
  const receiver: Receiver = {
    name: 'Opsgenie',
    credentialsHint: 'Give the channel the key of an API integration that may create and update alerts.',
    secrets: [apiKey],
    accepted: (body) => {
      const id = textField(body, 'requestId');
      return id === undefined ? undefined : { id };
    },
    complaint: (body) => textField(body, 'message'),
  };
  return {
    kind: 'opsgenie',
    keepsAlerts: true,
    deliver: (message, { signal }) => {
      const { path, body } = opsgenieRequest(message, teams);
      const headers = { 'content-type': 'application/json', authorization: `GenieKey ${apiKey}` };
      const address = `${url.replace(/\/+$/, '')}${path}`;
      const request = { url: address, method: 'POST', headers, body: JSON.stringify(body), ca: caText };
      return deliverOverHttp(receiver, request, { ...parts, signal });
    },
  };
}

export function opsgenieRequest(
  message: AlertMessage,
  teams: readonly string[],
): { readonly path: string; readonly body: object } {
  const alias = alertKey(message, aliasMax);
  const source = 'Lifeboat';
  if (message.state !== 'firing') {
    const verb = message.state === 'resolved' ? 'close' : 'acknowledge';
    const path = `/v2/alerts/${encodeURIComponent(alias)}/${verb}?identifierType=alias`;
    return { path, body: { source, note: cutText(plainText(message), descriptionMax) } };
  }
  const { application, environment, component, severity } = message;
  const lines = factLines(message).map(({ name, value }) => ({ name, value: cutText(value, valueMax) }));
  const rest = (missing: number): Line => ({ name: 'More', value: `${missing} not shown` });
  const sizeOf = (kept: readonly Line[]): number =>
    kept.reduce((sum, { name, value }) => sum + name.length + value.length, 0);
  const kept = fittingParts(lines, rest, (candidate) => sizeOf(candidate) <= detailsMax);
  const body = {
    message: cutText(subject(message), messageMax),
    alias,
    description: cutText(plainText(message), descriptionMax),
    entity: cutText(component ?? application, entityMax),
    source,
    priority: priorities[severity],
    tags: ['lifeboat', severity, environment.slice(0, 50)],
    details: Object.fromEntries(kept.map(({ name, value }) => [name, value])),
    ...(teams.length > 0 && { responders: teams.map((name) => ({ type: 'team', name })) }),
  };
  return { path: '/v2/alerts', body };
}
