// SMS by Twilio: its form API. Twilio knows no keys for repeated requests: a delivery whose answer was lost and that is
// tried again comes twice.
import type { SettingsOf } from '../../model/alert-settings.ts';
import type { Channel, ChannelParts } from './channel.ts';
import { deliverOverHttp, jsonObject, textField, type Receiver } from './http-delivery.ts';
import { smsText } from './sms-text.ts';

export type TwilioSettings = Omit<SettingsOf<'twilio'>, 'to'> & { readonly to: string };

export function twilioChannel(settings: TwilioSettings, parts: ChannelParts): Channel {
  const { url, accountSid, apiKey, authToken, from, messagingService, to, segments } = settings;
  const receiver: Receiver = {
    name: 'Twilio',
    credentialsHint: 'Check accountSid and authToken, or apiKey and its secret.',
    secrets: [authToken],
    accepted: (body) => {
      const id = textField(body, 'sid');
      return id === undefined ? undefined : { id };
    },
    complaint: (body) => {
      const { code, message } = jsonObject(body);
      return typeof message === 'string' ? `${message}${typeof code === 'number' ? ` (${code})` : ''}` : undefined;
    },
  };
  const address = `${url.replace(/\/+$/, '')}/2010-04-01/Accounts/${encodeURIComponent(accountSid)}/Messages.json`;
  const identity = Buffer.from(`${apiKey ?? accountSid}:${authToken}`).toString('base64');
  return {
    kind: 'twilio',
    keepsAlerts: false,
    deliver: (message, { signal }) => {
      const body = new URLSearchParams({
        To: to,
        ...(from === undefined ? { MessagingServiceSid: messagingService ?? '' } : { From: from }),
        Body: smsText(message, segments),
      }).toString();
      const headers = { 'content-type': 'application/x-www-form-urlencoded', authorization: `Basic ${identity}` };
      return deliverOverHttp(receiver, { url: address, method: 'POST', headers, body }, { ...parts, signal });
    },
  };
}
