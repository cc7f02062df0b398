// From settings to a channel; each kind is loaded when it is used.
import { AppError } from '../../base/errors.ts';
import { addressKindOf, type ChannelSettings, type SettingsOf } from '../../model/alert-settings.ts';
import { certificatesIn } from '../certificates.ts';
import type { Channel, ChannelParts } from './channel.ts';

/** `to`: the address of a contact, in place of those of the channel. Rejects with `CONFIG_INVALID` for settings that can't work. */
export async function createChannel(settings: ChannelSettings, parts: ChannelParts, to?: string): Promise<Channel> {
  switch (settings.type) {
    case 'email':
      return createEmail(settings, parts, to);
    case 'slack':
      return (await import('./slack.ts')).slackChannel(settings, parts);
    case 'teams':
      return (await import('./teams.ts')).teamsChannel(settings, parts);
    case 'twilio':
      return (await import('./twilio.ts')).twilioChannel({ ...settings, to: addressOf(settings, to) }, parts);
    case 'sns':
      return (await import('./sns.ts')).snsChannel(settings, parts);
    case 'sns-sms':
      return (await import('./sns.ts')).snsSmsChannel({ ...settings, to: addressOf(settings, to) }, parts);
    case 'pagerduty':
      return (await import('./pagerduty.ts')).pagerdutyChannel(settings, parts);
    case 'opsgenie':
      return (await import('./opsgenie.ts')).opsgenieChannel(
        { ...settings, caText: await certificatesIn(settings.ca) },
        parts,
      );
    case 'ntfy':
      return (await import('./ntfy.ts')).ntfyChannel({ ...settings, caText: await certificatesIn(settings.ca) }, parts);
    case 'webhook':
      return (await import('./webhook.ts')).webhookChannel(
        { ...settings, caText: await certificatesIn(settings.ca) },
        parts,
      );
    default:
      return settings satisfies never;
  }
}

async function createEmail(settings: SettingsOf<'email'>, parts: ChannelParts, to?: string): Promise<Channel> {
  const { emailChannel } = await import('./email.ts');
  const receivers = to === undefined ? settings.to : [to];
  if (receivers === undefined) throw nobody(settings);
  return emailChannel({ ...settings, to: receivers, caText: await certificatesIn(settings.ca) }, parts);
}

function addressOf(settings: SettingsOf<'twilio' | 'sns-sms'>, to: string | undefined): string {
  const address = to ?? settings.to;
  if (address === undefined) throw nobody(settings);
  return address;
}

function nobody(settings: ChannelSettings): AppError {
  const what = addressKindOf(settings.type) === 'mail' ? 'an e-mail address' : 'a telephone number';
  return new AppError('CONFIG_INVALID', `the ${settings.type} channel has nobody to send to`, {
    hint: `Give it ${what} as to, or reach it through a contact.`,
  });
}
