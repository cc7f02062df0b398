// Slack: an incoming webhook that takes Block Kit. Its address is its whole secret.
import type { AlertMessage } from '../../model/alert-message.ts';
import type { SettingsOf } from '../../model/alert-settings.ts';
import type { Channel, ChannelParts } from './channel.ts';
import { cutText, fittingParts, oneLine } from '../fitting-text.ts';
import { deliverOverHttp, secretsOfUrl, type Receiver } from './http-delivery.ts';
import { actionLines, factLines, headline, type Line } from './message-text.ts';

const headerMax = 150;
const sectionMax = 3000;
const fieldMax = 2000;
const fieldsMax = 10;

export function slackChannel({ url }: SettingsOf<'slack'>, parts: ChannelParts): Channel {
  const receiver: Receiver = {
    name: 'Slack',
    credentialsHint: 'Give the channel the address of an incoming webhook that exists.',
    secrets: secretsOfUrl(url),
    accepted: (body) => (body.trim() === 'ok' ? {} : undefined),
    // `invalid_blocks`, `no_service`, `channel_is_archived` …
    complaint: (body) => (/^[a-z_]{1,60}$/.test(body.trim()) ? body.trim() : undefined),
  };
  return {
    kind: 'slack',
    keepsAlerts: false,
    deliver: (message, { signal }) => {
      const headers = { 'content-type': 'application/json; charset=utf-8' };
      const body = JSON.stringify(slackBody(message));
      return deliverOverHttp(receiver, { url, method: 'POST', headers, body }, { ...parts, signal });
    },
  };
}

export function slackBody(message: AlertMessage): object {
  const title = headline(message);
  const actions = actionLines(message).map(actionText).join('\n');
  return {
    // For notifications, where blocks are not shown.
    text: escaped(cutText(title, sectionMax)),
    blocks: [
      { type: 'header', text: { type: 'plain_text', text: cutText(title, headerMax), emoji: false } },
      ...(title.length > headerMax ? [section(escaped(title))] : []),
      { type: 'section', fields: factFields(message) },
      ...(actions === '' ? [] : [section(actions)]),
    ],
  };
}

function section(text: string): object {
  return { type: 'section', text: { type: 'mrkdwn', text: cutText(text, sectionMax) } };
}

/** The time lines come last and are the ones that must stay. */
function factFields(message: AlertMessage): object[] {
  const lines = factLines(message);
  const timeCount = lines.length - message.facts.length;
  const times = lines.slice(message.facts.length);
  const rest = (missing: number): Line => ({ name: 'More', value: `${missing} not shown` });
  const facts = fittingParts(
    lines.slice(0, message.facts.length),
    rest,
    (kept) => kept.length <= fieldsMax - timeCount,
  );
  return [...facts, ...times].map(({ name, value }) => ({
    type: 'mrkdwn',
    text: cutText(`*${escaped(name)}*\n${escaped(value)}`, fieldMax),
  }));
}

function actionText({ name, value }: Line): string {
  if (name === 'Run') return `*Run* \`${escaped(value.replaceAll('`', "'"))}\``;
  return `*${name}* ${escaped(value)}`;
}

/** What Slack would take for a link, a channel or a mention. */
function escaped(text: string): string {
  return oneLine(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
