// Whom to tell when something is wrong, and by which channels.
import { z } from 'zod';
import { escalationSchema, reportSchema, ruleSchema } from './alert-routing.ts';
import {
  durationSchema,
  hostSchema,
  isWebUrl,
  nameSchema,
  portSchema,
  secretSchema,
  webForm,
  webUrlSchema,
} from './scalar-schemas.ts';

const addressForm = 'an e-mail address such as ops@example.com';
const mailAddressSchema = z
  .string()
  .regex(/^[^\s@<>,;]+@[^\s@<>,;]+$/, `expected ${addressForm}`)
  .meta({ title: addressForm });

// Without quotes YAML takes it for a number, and drops the plus sign.
const phoneForm = "a telephone number in quotes such as '+4930123456'";
const phoneSchema = z
  .string()
  .transform((text) => text.replaceAll(/[\s()-]/g, ''))
  .pipe(z.string().regex(/^\+[1-9]\d{6,14}$/, `expected ${phoneForm}`))
  .meta({ title: phoneForm });

/** Who knows it may write to the channel. */
const secretUrlSchema = secretSchema.refine(isWebUrl, `expected ${webForm}`);
const caField = z.string().min(1).optional().describe('file with the certificates to trust; those of Node if absent');
const segmentsField = z
  .int()
  .min(1)
  .max(10)
  .default(2)
  .describe('most messages of 160 characters that one alert may take; what does not fit is left out');

const emailSchema = z
  .strictObject({
    type: z.literal('email').describe('e-mail over SMTP'),
    host: hostSchema.describe('mail server'),
    port: portSchema.optional().describe('465 with tls, 587 with starttls, 25 without, if absent'),
    security: z
      .enum(['starttls', 'tls', 'none'])
      .default('starttls')
      .describe('`starttls` refuses to send in clear; `none` is for a relay on this machine'),
    username: z.string().min(1).optional().describe('user name, if the server wants one'),
    password: secretSchema.optional().describe('password of that user'),
    ca: caField,
    from: mailAddressSchema.describe('sender'),
    to: z.array(mailAddressSchema).min(1).optional().describe('receivers; those of contacts if absent'),
  })
  .refine(({ username, password }) => (username === undefined) === (password === undefined), {
    path: ['password'],
    message: 'expected username and password together',
  })
  .refine(({ password, security }) => password === undefined || security !== 'none', {
    path: ['security'],
    message: 'expected starttls or tls, since a password must not go in clear',
  });

const slackSchema = z.strictObject({
  type: z.literal('slack').describe('an incoming webhook of Slack'),
  url: secretUrlSchema.describe('its address'),
});

const teamsSchema = z.strictObject({
  type: z.literal('teams').describe('a webhook of the Workflows app of Microsoft Teams'),
  url: secretUrlSchema.describe('its address'),
});

const twilioSchema = z
  .strictObject({
    type: z.literal('twilio').describe('SMS by Twilio'),
    accountSid: z.string().min(1).describe('account, which begins with AC'),
    authToken: secretSchema.describe('token of the account, or the secret of apiKey'),
    apiKey: z.string().min(1).optional().describe('key to use in place of the account, which begins with SK'),
    from: z.string().min(1).optional().describe('number or name of the sender'),
    messagingService: z.string().min(1).optional().describe('messaging service in place of a sender, begins with MG'),
    to: phoneSchema.optional().describe('receiver; that of a contact if absent'),
    url: webUrlSchema.default('https://api.twilio.com').describe('another address of the API'),
    segments: segmentsField,
  })
  .refine(({ from, messagingService }) => (from === undefined) !== (messagingService === undefined), {
    path: ['from'],
    message: 'expected either from or messagingService',
  });

const awsFields = {
  region: z.string().min(1).optional().describe('region; that of the topic, or what the AWS settings say, if absent'),
  endpoint: webUrlSchema.optional().describe('a service that is not AWS'),
  accessKeyId: secretSchema.optional().describe('what the AWS settings of this machine say if absent'),
  secretAccessKey: secretSchema.optional().describe('as accessKeyId'),
  sessionToken: secretSchema.optional().describe('as accessKeyId'),
};

const topicForm = 'the ARN of a topic, such as arn:aws:sns:eu-central-1:123456789012:alerts';

const snsSchema = z
  .strictObject({
    type: z.literal('sns').describe('a topic of AWS SNS'),
    topic: z
      .string()
      .regex(/^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[\w-]{1,256}(?:\.fifo)?$/, `expected ${topicForm}`)
      .meta({ title: topicForm })
      .describe('where to publish'),
    ...awsFields,
  })
  .refine(hasWholeKey, wholeKey());

const snsSmsSchema = z
  .strictObject({
    type: z.literal('sns-sms').describe('SMS by AWS SNS'),
    to: phoneSchema.optional().describe('receiver; that of a contact if absent'),
    senderId: z.string().min(1).max(11).optional().describe('name of the sender, where the country allows one'),
    segments: segmentsField,
    ...awsFields,
  })
  .refine(hasWholeKey, wholeKey());

function hasWholeKey(given: { accessKeyId?: string | undefined; secretAccessKey?: string | undefined }): boolean {
  return (given.accessKeyId === undefined) === (given.secretAccessKey === undefined);
}

function wholeKey(): { path: string[]; message: string } {
  return { path: ['accessKeyId'], message: 'expected accessKeyId and secretAccessKey together' };
}

const pagerdutySchema = z.strictObject({
  type: z.literal('pagerduty').describe('a service of PagerDuty, by its Events API v2'),
  routingKey: secretSchema.describe('integration key'),
  url: webUrlSchema
    .default('https://events.pagerduty.com')
    .describe('address of the API; https://events.eu.pagerduty.com for accounts in Europe'),
});

const opsgenieSchema = z.strictObject({
  type: z.literal('opsgenie').describe('Opsgenie, Jira Service Management, or what speaks their alert API'),
  apiKey: secretSchema.describe('key of an API integration'),
  url: webUrlSchema
    .default('https://api.opsgenie.com')
    .describe('address before /v2/alerts; https://api.atlassian.com/jsm/ops/integration for Jira Service Management'),
  teams: z.array(z.string().min(1)).default([]).describe('teams that must answer'),
  ca: caField,
});

const ntfySchema = z.strictObject({
  type: z.literal('ntfy').describe('push messages by ntfy'),
  url: webUrlSchema.default('https://ntfy.sh').describe('server'),
  topic: secretSchema.describe('topic; who knows it may read it where the server asks for no token'),
  token: secretSchema.optional().describe('access token'),
  ca: caField,
});

const webhookSchema = z.strictObject({
  type: z.literal('webhook').describe('a server of your own'),
  url: secretUrlSchema.describe('its address'),
  secret: secretSchema
    .refine((text) => text.length >= 16, 'expected at least 16 characters')
    .describe('key of the signature, at least 16 characters'),
  ca: caField,
});

const channelSchema = z
  .discriminatedUnion('type', [
    emailSchema,
    slackSchema,
    teamsSchema,
    twilioSchema,
    snsSchema,
    snsSmsSchema,
    pagerdutySchema,
    opsgenieSchema,
    ntfySchema,
    webhookSchema,
  ])
  .describe('a way to reach people');

export type ChannelSettings = z.output<typeof channelSchema>;
export type SettingsOf<Type extends ChannelSettings['type']> = Extract<ChannelSettings, { type: Type }>;

const waySchema = z
  .strictObject({
    channel: nameSchema.describe('name of a channel'),
    to: z
      .union([mailAddressSchema, phoneSchema])
      .optional()
      .meta({ title: 'an e-mail address or a telephone number' })
      .describe('e-mail address or telephone number there'),
  })
  .describe('a channel that reaches the contact');

const contactSchema = z
  .strictObject({
    name: z.string().min(1).optional().describe('full name'),
    role: z.string().min(1).optional().describe('what for: DR coordinator, support contract 123 …'),
    reach: z.array(waySchema).min(1).describe('how, the best way first'),
  })
  .describe('somebody who is to be told');

export const alertsSchema = z
  .strictObject({
    channels: z.record(nameSchema, channelSchema).default({}).describe('ways to reach people, by name'),
    contacts: z.record(nameSchema, contactSchema).default({}).describe('people, by name'),
    escalations: z.record(nameSchema, escalationSchema).default({}).describe('who is told after whom, by name'),
    rules: z
      .array(ruleSchema)
      .optional()
      .describe('who is told of what; all channels and contacts of warnings and worse if absent'),
    reports: z.array(reportSchema).default([]).describe('who is told of what went well'),
    group: durationSchema
      .prefault('15s')
      .describe('alerts that begin within so long are told in one message, where a channel allows it'),
    heartbeat: z
      .strictObject({
        url: secretUrlSchema.describe('its address, which is asked for with GET'),
        every: durationSchema.prefault('1m').describe('how often'),
      })
      .optional()
      .describe('a service that tells somebody when it hears nothing of this server any more'),
  })
  .transform(({ group, heartbeat, ...rest }) => ({
    ...rest,
    groupMs: group,
    heartbeat: heartbeat && { url: heartbeat.url, everyMs: heartbeat.every },
  }))
  .describe('who is told when something is wrong, and how');

export type AlertSettings = z.output<typeof alertsSchema>;

/** What kind of address a channel sends to, where contacts may have their own. */
export function addressKindOf(type: ChannelSettings['type']): 'mail' | 'phone' | undefined {
  if (type === 'email') return 'mail';
  return type === 'twilio' || type === 'sns-sms' ? 'phone' : undefined;
}
