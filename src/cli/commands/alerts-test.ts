// `alerts test`: does a message arrive? Sends one through each channel, to everybody whom the channel reaches.
import { randomUUID } from 'node:crypto';
import { AppError, messageOf, isAppError } from '../../base/errors.ts';
import type { AlertMessage } from '../../model/alert-message.ts';
import { addressKindOf, type AlertSettings, type ChannelSettings } from '../../model/alert-settings.ts';
import type { Finding } from '../../model/finding.ts';
import { deliveryTimeoutDefaultMs, type Channel, type Delivery } from '../../monitoring/channels/channel.ts';
import { createChannel } from '../../monitoring/channels/create-channel.ts';
import { defineCommand } from '../command.ts';
import { requireConfiguration } from '../component-choice.ts';
import type { CommandContext, LoadedConfiguration } from '../context.ts';
import { listArgument } from '../option.ts';
import { findingLines } from '../style.ts';

interface TestedWay {
  readonly channel: string;
  /** The address, where the channel sends to several. */
  readonly to: string | undefined;
  readonly delivery: Delivery;
}

export const alertsTestCommand = defineCommand({
  summary: 'Send a test message through the channels of alerts',
  details:
    'Through each channel of lifeboat.yaml, to its own receivers and to each contact that has an address there. PagerDuty and Opsgenie open an alert of the lowest urgency, which is closed at once. Exit code 1 if a message was not accepted.',
  examples: ['lifeboat alerts test', 'lifeboat alerts test slack --json'],
  arguments: { names: listArgument('[channel...]', 'channels of lifeboat.yaml; all if absent') },
  options: {},
  async run(context, { names }) {
    const configuration = await requireConfiguration(context);
    const tested: TestedWay[] = [];
    for (const name of chooseChannels(configuration, names)) {
      context.progress.update({ work: `send a message through ${name}` });
      tested.push(...(await testChannel(name, configuration, context)));
    }
    return { tested };
  },
  render({ tested }, style) {
    const findings = tested.map(({ channel, to, delivery }): Finding => {
      const aspect = to === undefined ? channel : `${channel} to ${to}`;
      if (delivery.outcome !== 'accepted') {
        return { aspect, outcome: 'failed', message: delivery.reason, hint: delivery.hint };
      }
      const { id, note } = delivery;
      const message = id === undefined ? 'accepted' : `accepted as ${id}`;
      return note === undefined
        ? { aspect, outcome: 'passed', message }
        : { aspect, outcome: 'warning', message: `${message}, ${note}`, hint: 'Correct the address.' };
    });
    return findingLines(findings, style).join('\n');
  },
  exitCode: ({ tested }) => (tested.every(({ delivery }) => delivery.outcome === 'accepted') ? 0 : 1),
});

const keyPrefix = 'alerts.channels.';

/** Those whose settings refer to something that is not set are among them: they can't work, and that must be told. */
function chooseChannels({ alerts, unset }: LoadedConfiguration, names: readonly string[]): readonly string[] {
  const left = [...unset.keys()].filter((key) => key.startsWith(keyPrefix)).map((key) => key.slice(keyPrefix.length));
  const known = [...Object.keys(alerts.channels), ...left];
  if (known.length === 0) {
    throw new AppError('NOT_FOUND', 'lifeboat.yaml names no channel for alerts', {
      hint: 'Add one to alerts.channels, as docs/alerts.md shows.',
    });
  }
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return names.length === 0 ? known : known.filter((name) => names.includes(name));
  throw new AppError('NOT_FOUND', `there is no channel '${unknown}' in lifeboat.yaml`, {
    hint: `Choose one of these: ${known.join(', ')}.`,
  });
}

async function testChannel(
  channel: string,
  configuration: LoadedConfiguration,
  context: CommandContext,
): Promise<TestedWay[]> {
  const settings = configuration.alerts.channels[channel];
  if (settings === undefined) {
    const reason = configuration.unset.get(`${keyPrefix}${channel}`);
    return [{ channel, to: undefined, delivery: refusal(reason) }];
  }
  const tested: TestedWay[] = [];
  for (const to of addressesOf(channel, settings, configuration.alerts)) {
    tested.push({ channel, to, delivery: await testWay({ channel, settings, to }, configuration, context) });
  }
  return tested;
}

/** Its own receivers as `undefined`, then those of contacts. */
function addressesOf(name: string, settings: ChannelSettings, { contacts }: AlertSettings): (string | undefined)[] {
  const ways = Object.values(contacts).flatMap(({ reach }) => reach);
  const addresses = ways.flatMap(({ channel, to }) => (channel === name && to !== undefined ? [to] : []));
  const hasOwn = addressKindOf(settings.type) === undefined || ('to' in settings && settings.to !== undefined);
  return [...(hasOwn || addresses.length === 0 ? [undefined] : []), ...new Set(addresses)];
}

async function testWay(
  way: { readonly channel: string; readonly settings: ChannelSettings; readonly to: string | undefined },
  { application }: LoadedConfiguration,
  { clock, signal }: CommandContext,
): Promise<Delivery> {
  let channel: Channel;
  try {
    channel = await createChannel(way.settings, { clock, timeoutMs: deliveryTimeoutDefaultMs }, way.to);
  } catch (error) {
    return refusal(error);
  }
  const now = clock.now();
  const message: AlertMessage = {
    alertId: `test-${randomUUID().slice(0, 8)}`,
    application: application.name,
    environment: application.environment,
    severity: 'info',
    state: 'firing',
    title: 'Test message',
    facts: [{ name: 'Channel', value: way.channel }],
    hint: 'Do nothing: this shows that alerts arrive.',
    command: 'lifeboat status',
    sinceMs: now,
    atMs: now,
  };
  const sent = await channel.deliver(message, { signal, idempotencyKey: `${message.alertId}-firing` });
  if (sent.outcome !== 'accepted' || !channel.keepsAlerts) return sent;
  const resolved: AlertMessage = { ...message, state: 'resolved', atMs: clock.now() };
  const closed = await channel.deliver(resolved, { signal, idempotencyKey: `${message.alertId}-resolved` });
  if (closed.outcome === 'accepted') return sent;
  return { ...closed, reason: `opened an alert that could not be closed: ${closed.reason}` };
}

function refusal(error: unknown): Delivery {
  if (!isAppError(error)) throw error;
  return { outcome: 'refused', reason: messageOf(error), hint: error.hint };
}
