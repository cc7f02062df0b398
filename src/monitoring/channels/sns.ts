// AWS SNS: a topic, which passes the alert on to whoever subscribed, and SMS to one number.
import { PublishCommand, SNSClient, type PublishCommandInput } from '@aws-sdk/client-sns';
import { errnoOf } from '../../base/errors.ts';
import type { AlertMessage } from '../../model/alert-message.ts';
import type { SettingsOf } from '../../model/alert-settings.ts';
import { alertKey } from './alert-key.ts';
import type { Channel, ChannelParts, Delivery } from './channel.ts';
import { cutBytes, cutText, oneLine } from '../fitting-text.ts';
import { retryAfter, unreached, withoutSecrets } from './http-delivery.ts';
import { headline, plainText } from './message-text.ts';
import { smsText } from './sms-text.ts';

const subjectMax = 100;
/** SNS takes 256 KiB; e-mail is what most topics end in. */
const messageMaxBytes = 64 * 1024;
const complaintMax = 200;
const keyMax = 128;

type AwsSettings = Pick<SettingsOf<'sns'>, 'region' | 'endpoint' | 'accessKeyId' | 'secretAccessKey' | 'sessionToken'>;

export function snsChannel(settings: SettingsOf<'sns'>, parts: ChannelParts): Channel {
  const { topic } = settings;
  const region = settings.region ?? topic.split(':')[3];
  return {
    kind: 'sns',
    keepsAlerts: false,
    deliver: (message, { signal, idempotencyKey }) => {
      const input = topicMessage(message, topic, idempotencyKey);
      return publish(input, { ...settings, region }, { ...parts, signal });
    },
  };
}

export type SnsSmsSettings = Omit<SettingsOf<'sns-sms'>, 'to'> & { readonly to: string };

export function snsSmsChannel(settings: SnsSmsSettings, parts: ChannelParts): Channel {
  const { to, senderId, segments } = settings;
  const text = (value: string) => ({ DataType: 'String', StringValue: value });
  return {
    kind: 'sns-sms',
    keepsAlerts: false,
    deliver: (message, { signal }) => {
      const input: PublishCommandInput = {
        PhoneNumber: to,
        Message: smsText(message, segments),
        MessageAttributes: {
          'AWS.SNS.SMS.SMSType': text('Transactional'),
          ...(senderId !== undefined && { 'AWS.SNS.SMS.SenderID': text(senderId) }),
        },
      };
      return publish(input, settings, { ...parts, signal });
    },
  };
}

function topicMessage(message: AlertMessage, topic: string, idempotencyKey: string): PublishCommandInput {
  const attribute = (value: string) => ({ DataType: 'String', StringValue: value });
  const { application, environment, component, severity, state } = message;
  return {
    TopicArn: topic,
    Subject: subjectLine(message),
    Message: cutBytes(plainText(message), messageMaxBytes),
    // What subscriptions can filter by.
    MessageAttributes: {
      application: attribute(application),
      environment: attribute(environment),
      severity: attribute(severity),
      state: attribute(state),
      ...(component !== undefined && { component: attribute(component) }),
    },
    ...(topic.endsWith('.fifo') && {
      MessageGroupId: alertKey(message, keyMax),
      MessageDeduplicationId: idempotencyKey.slice(0, keyMax),
    }),
  };
}

/** Printable ASCII that begins with a letter, a digit or a mark: what SNS asks of a subject. */
function subjectLine(message: AlertMessage): string {
  const text = headline(message).replaceAll(/[^\u0020-\u007E]/g, '?');
  return text.length <= subjectMax ? text : `${text.slice(0, subjectMax - 3)}...`;
}

async function publish(
  input: PublishCommandInput,
  settings: AwsSettings,
  { signal, clock, timeoutMs }: ChannelParts & { readonly signal: AbortSignal },
): Promise<Delivery> {
  const limit = AbortSignal.timeout(timeoutMs);
  const client = clientFor(settings, timeoutMs);
  try {
    const command = new PublishCommand(input);
    const { MessageId: id } = await client.send(command, { abortSignal: AbortSignal.any([signal, limit]) });
    if (id !== undefined) return { outcome: 'accepted', id };
    return { outcome: 'refused', reason: 'the answer did not come from SNS', hint: 'Check the endpoint.' };
  } catch (error) {
    signal.throwIfAborted();
    const status = statusOf(error);
    if (status === undefined) return noAnswer(error, limit, timeoutMs);
    return deliveryOf(error as Error, { status, clock, secrets: secretsOf(settings) });
  } finally {
    client.destroy();
  }
}

function clientFor(settings: AwsSettings, timeoutMs: number): SNSClient {
  const { endpoint, accessKeyId, secretAccessKey, sessionToken } = settings;
  const region = settings.region ?? (endpoint === undefined ? undefined : 'us-east-1');
  const token = sessionToken === undefined ? {} : { sessionToken };
  return new SNSClient({
    ...(endpoint !== undefined && { endpoint }),
    ...(region !== undefined && { region }),
    ...(accessKeyId !== undefined &&
      secretAccessKey !== undefined && { credentials: { accessKeyId, secretAccessKey, ...token } }),
    maxAttempts: 1, // Trying again is the caller's.
    requestHandler: { connectionTimeout: timeoutMs, socketTimeout: timeoutMs },
  });
}

function secretsOf({ accessKeyId, secretAccessKey, sessionToken }: AwsSettings): string[] {
  return [accessKeyId ?? '', secretAccessKey ?? '', sessionToken ?? ''];
}

function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('$metadata' in error)) return undefined;
  return (error.$metadata as { readonly httpStatusCode?: number }).httpStatusCode;
}

function noAnswer(error: unknown, limit: AbortSignal, timeoutMs: number): Delivery {
  if (error instanceof Error && /CredentialsProviderError|Region is missing/.test(`${error.name} ${error.message}`)) {
    const reason = 'there are no credentials or no region for SNS';
    const hint =
      'Set region, accessKeyId and secretAccessKey, or what the AWS settings of this machine take them from.';
    return { outcome: 'refused', reason, hint };
  }
  return unreached('SNS', { code: errnoOf(error), limit, timeoutMs });
}

function deliveryOf(
  error: Error,
  {
    status,
    clock,
    secrets,
  }: { readonly status: number; readonly secrets: readonly string[] } & Pick<ChannelParts, 'clock'>,
): Delivery {
  const words = cutText(oneLine(withoutSecrets(error.message, secrets)), complaintMax);
  const reason = `SNS answered with status ${status}: ${error.name}, ${words}`;
  if (status === 429 || status >= 500 || /Throttl/.test(error.name)) {
    const headers =
      '$response' in error ? (error.$response as { headers?: Record<string, string> }).headers : undefined;
    const retryAfterMs = retryAfter(headers?.['retry-after'], clock);
    return { outcome: 'later', reason, hint: 'It is tried again; look at the limits of the account.', retryAfterMs };
  }
  if (status === 401 || status === 403) {
    return { outcome: 'refused', reason, hint: 'Give these credentials the right sns:Publish on the topic.' };
  }
  const hint =
    status === 404 ? 'Name a topic that exists in this account and region.' : 'Check the settings of the channel.';
  return { outcome: 'refused', reason, hint };
}
