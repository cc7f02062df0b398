// Microsoft Teams: a webhook of the Workflows app, which posts an Adaptive Card. Its address is its whole secret.
import type { AlertMessage } from '../../model/alert-message.ts';
import type { SettingsOf } from '../../model/alert-settings.ts';
import type { Channel, ChannelParts } from './channel.ts';
import { cutText, fittingParts } from '../fitting-text.ts';
import { deliverOverHttp, secretsOfUrl, textField, jsonObject, type Receiver } from './http-delivery.ts';
import { actionLines, factLines, headline, type Line } from './message-text.ts';

/** Teams takes 28 KB for a message; the flow wraps what we send. */
const bodyMaxBytes = 26 * 1024;
const textMax = 2000;
const colours = { info: 'Accent', warning: 'Warning', critical: 'Attention' } as const;

export function teamsChannel({ url }: SettingsOf<'teams'>, parts: ChannelParts): Channel {
  const receiver: Receiver = {
    name: 'Teams',
    credentialsHint: 'Give the channel the address of a workflow that is switched on.',
    secrets: secretsOfUrl(url),
    // The flow answers 202 and nothing else.
    accepted: (body) => (/^\s*</.test(body) ? undefined : {}),
    complaint: (body) => {
      const { error } = jsonObject(body);
      return textField(JSON.stringify(error ?? {}), 'code');
    },
  };
  return {
    kind: 'teams',
    keepsAlerts: false,
    deliver: (message, { signal }) => {
      const headers = { 'content-type': 'application/json; charset=utf-8' };
      const body = JSON.stringify(teamsBody(message));
      return deliverOverHttp(receiver, { url, method: 'POST', headers, body }, { ...parts, signal });
    },
  };
}

export function teamsBody(message: AlertMessage): object {
  const rest = (missing: number): Line => ({ name: 'More', value: `${missing} not shown` });
  const cutLines = (lines: readonly Line[]): Line[] =>
    lines.map(({ name, value }) => ({ name: cutText(name, textMax), value: cutText(value, textMax) }));
  const lines = cutLines(factLines(message));
  const times = lines.slice(message.facts.length);
  const actions = cutLines(actionLines(message));
  const bodyOf = (facts: readonly Line[]): object => card(message, [...facts, ...times], actions);
  const fits = (facts: readonly Line[]): boolean => Buffer.byteLength(JSON.stringify(bodyOf(facts))) <= bodyMaxBytes;
  return bodyOf(fittingParts(lines.slice(0, message.facts.length), rest, fits));
}

function card(message: AlertMessage, facts: readonly Line[], actions: readonly Line[]): object {
  const colour = message.state === 'firing' ? colours[message.severity] : 'Good';
  const link = actions.find(({ name }) => name === 'See');
  const texts = actions.filter((line) => line !== link);
  const title = cutText(headline(message), textMax);
  const content = {
    $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
    type: 'AdaptiveCard',
    version: '1.4',
    msteams: { width: 'Full' },
    fallbackText: title,
    body: [
      run(title, { weight: 'Bolder', size: 'Medium', color: colour }),
      { type: 'FactSet', facts: facts.map(({ name, value }) => ({ title: noLinks(name), value: noLinks(value) })) },
      ...texts.map(({ name, value }) => run(value, name === 'Run' ? { fontType: 'Monospace' } : {})),
    ],
    ...(link !== undefined && { actions: [{ type: 'Action.OpenUrl', title: 'Open', url: link.value }] }),
  };
  const contentType = 'application/vnd.microsoft.card.adaptive';
  return { type: 'message', attachments: [{ contentType, contentUrl: null, content }] };
}

/** Text as it is: other blocks would read Markdown in it. */
function run(text: string, look: object): object {
  return { type: 'RichTextBlock', inlines: [{ type: 'TextRun', text, ...look }] };
}

/** Facts read Markdown: what would become a link stays text. */
function noLinks(text: string): string {
  return text.replaceAll('](', '] (');
}
