// One delivery over HTTP: sends, and says what the answer, or its lack, means for the alert.
import type { Clock } from '../../base/clock.ts';
import { errnoOf } from '../../base/errors.ts';
import { httpRequest, type HttpAnswer, type HttpRequest } from '../http-request.ts';
import { networkFact } from '../network-fact.ts';
import type { Accepted, ChannelParts, Delivery, DeliveryOptions } from './channel.ts';
import { cutText, oneLine } from '../fitting-text.ts';

export interface Receiver {
  /** For messages: `Slack`, `the webhook`. */
  readonly name: string;
  /** What makes the address or the credentials right. */
  readonly credentialsHint: string;
  /** Must never be shown, in whatever form an answer repeats it. */
  readonly secrets: readonly string[];
  /** What an answer with a status of 200 to 299 says; undefined if it does not come from such a service. */
  accepted(body: string): Omit<Accepted, 'outcome'> | undefined;
  /** The receiver's own words in an answer that refuses. */
  complaint?(body: string): string | undefined;
}

const answerMaxBytes = 64 * 1024;
const complaintMax = 200;
/** A receiver that asks for more must not silence an alert. */
const retryAfterMaxMs = 60 * 60_000;

export async function deliverOverHttp(
  receiver: Receiver,
  request: Omit<HttpRequest, 'bodyMaxBytes'>,
  { signal, clock, timeoutMs }: Pick<DeliveryOptions, 'signal'> & ChannelParts,
): Promise<Delivery> {
  const limit = AbortSignal.timeout(timeoutMs);
  try {
    const whole = { ...request, bodyMaxBytes: answerMaxBytes };
    const answer = await httpRequest(whole, AbortSignal.any([signal, limit]));
    return deliveryOf(answer, receiver, clock);
  } catch (error) {
    signal.throwIfAborted();
    return unreached(receiver.name, { code: errnoOf(error), limit, timeoutMs });
  }
}

export function unreached(
  name: string,
  {
    code,
    limit,
    timeoutMs,
  }: { readonly code: string | undefined; readonly limit: AbortSignal; readonly timeoutMs: number },
): Delivery {
  if (limit.aborted) {
    const reason = `${name} did not answer within ${timeoutMs / 1000} s`;
    return { outcome: 'later', reason, hint: 'Check the network between here and there.' };
  }
  const { fact, hint } = networkFact(code);
  return { outcome: 'later', reason: `${name} cannot be reached: ${fact}`, hint };
}

function deliveryOf(answer: HttpAnswer, receiver: Receiver, clock: Clock): Delivery {
  const { status } = answer;
  const { name } = receiver;
  const body = answer.body.toString('utf8');
  if (status >= 200 && status < 300) {
    const accepted = receiver.accepted(body);
    if (accepted !== undefined) return { outcome: 'accepted', ...accepted };
    const reason = `the answer did not come from ${name}`;
    return { outcome: 'refused', reason, hint: 'Check the address, and that no proxy answers in its place.' };
  }
  const words = complaintOf(body, receiver);
  const reason = `${name} answered with status ${status}${words}`;
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    const retryAfterMs = retryAfter(answer.headers['retry-after'], clock);
    return { outcome: 'later', reason, hint: 'It is tried again; look at the state of the service.', retryAfterMs };
  }
  if (status < 400) {
    return { outcome: 'refused', reason: `${name} sends elsewhere (status ${status})`, hint: 'Name the new address.' };
  }
  if (status === 401 || status === 403) return { outcome: 'refused', reason, hint: receiver.credentialsHint };
  if (status === 404 || status === 410) {
    return { outcome: 'refused', reason, hint: `Create it anew: it is no longer there. ${receiver.credentialsHint}` };
  }
  return { outcome: 'refused', reason, hint: 'Check the settings of the channel by what it answered.' };
}

function complaintOf(body: string, receiver: Receiver): string {
  const words = receiver.complaint?.(body) ?? '';
  return words === '' ? '' : `: ${cutText(oneLine(withoutSecrets(words, receiver.secrets)), complaintMax)}`;
}

/** Takes out secrets, also as a URL or JSON would write them. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  const forms = secrets
    .filter((secret) => secret !== '')
    .flatMap((secret) => [secret, encodeURIComponent(secret), secret.replaceAll('/', String.raw`\/`)]);
  return forms.toSorted((a, b) => b.length - a.length).reduce((rest, form) => rest.replaceAll(form, '(secret)'), text);
}

/** Seconds, or a date of HTTP; nothing that can't be read as one. */
export function retryAfter(header: string | undefined, clock: Clock): number | undefined {
  if (header === undefined) return undefined;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - clock.now();
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(0, ms), retryAfterMaxMs);
}

/** Path and query of an address: what makes a webhook's secret. */
export function secretsOfUrl(url: string): string[] {
  const { pathname, search, username, password } = new URL(url);
  const parts = pathname.split('/').filter((part) => part.length > 5);
  const values = [...new URLSearchParams(search).values()].filter((value) => value.length > 5);
  return [url, `${pathname}${search}`, search, ...parts, ...values, username, password].filter((part) => part !== '/');
}

/** An object that JSON text holds, else an empty one. */
export function jsonObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
  } catch (error) {
    if (error instanceof SyntaxError) return {}; // A proxy's page, say.
    throw error;
  }
}

export function textField(text: string, field: string): string | undefined {
  const value = jsonObject(text)[field];
  return typeof value === 'string' && value !== '' ? value : undefined;
}
