// A web address: status, content, latency, and how long its certificate lasts.
import type { ProbeOf } from '../../model/probe.ts';
import { cutText, oneLine } from '../fitting-text.ts';
import { httpRequest, type HttpAnswer } from '../http-request.ts';
import { conclude, down, endingCertificate, slowness, type Look, type LookParts, type Problem } from './look.ts';
import { certificatesIn } from '../certificates.ts';

const bodyMaxBytes = 1 << 20;
const shownMax = 80;

export async function probeHttp(settings: ProbeOf<'http'>, { signal, clock }: LookParts): Promise<Look> {
  const ca = await certificatesIn(settings.ca);
  const startMs = clock.now();
  const { answer, redirects } = await follow(settings, ca, signal);
  const latencyMs = clock.now() - startMs;
  const { status, certificateEndMs } = answer;
  const problems = [
    ...statusProblems(answer, settings),
    ...contentProblems(answer, settings),
    ...slowness(latencyMs, settings.slowMs),
    ...endingCertificate(certificateEndMs, { certificateDays: settings.certificateDays, nowMs: clock.now() }),
  ];
  return conclude(`status ${status}`, problems, {
    status,
    bytes: answer.body.length,
    ...(redirects > 0 && { redirects }),
    ...(certificateEndMs !== undefined && { certificateEnds: new Date(certificateEndMs).toISOString() }),
  });
}

async function follow(
  settings: ProbeOf<'http'>,
  ca: string | undefined,
  signal: AbortSignal,
): Promise<{ readonly answer: HttpAnswer; readonly redirects: number }> {
  const first = new URL(settings.url);
  let url = first;
  let { method, body } = settings as { method: string; body?: string | undefined };
  for (let redirects = 0; ; redirects += 1) {
    // What was meant for one server is not told to the one that it sends us to.
    const headers = url.origin === first.origin ? settings.headers : {};
    const answer = await httpRequest({ url: url.href, method, headers, body, ca, bodyMaxBytes }, signal);
    const next = locationOf(answer, url);
    if (next === undefined || redirects === settings.redirects) return { answer, redirects };
    if (answer.status === 303 || (method === 'POST' && answer.status < 303)) {
      method = 'GET';
      body = undefined;
    }
    if (next.origin !== first.origin) body = undefined;
    url = next;
  }
}

function locationOf({ status, headers }: HttpAnswer, from: URL): URL | undefined {
  if (![301, 302, 303, 307, 308].includes(status)) return undefined;
  const next = URL.parse(headers.location ?? '', from);
  return next !== null && /^https?:$/.test(next.protocol) && headers.location !== undefined ? next : undefined;
}

function statusProblems({ status }: HttpAnswer, { status: wanted }: ProbeOf<'http'>): Problem[] {
  const fits = wanted.some((one) => one === status || one === `${Math.floor(status / 100)}xx`);
  if (fits) return [];
  return [down(`status ${status}, expected ${wanted.join(' or ')}`, 'Look into the log of the application.')];
}

function contentProblems({ body, isCut }: HttpAnswer, settings: ProbeOf<'http'>): Problem[] {
  const { contains, matches, json } = settings;
  const hint = 'Look into the log of the application, or correct what is expected.';
  const text = body.toString('utf8');
  const within = isCut ? ` in its first ${bodyMaxBytes} bytes` : '';
  return [
    ...(contains === undefined || text.includes(contains) ? [] : [down(`lacks '${shown(contains)}'${within}`, hint)]),
    ...(matches === undefined || new RegExp(matches, 'mu').test(text)
      ? []
      : [down(`does not match /${shown(matches)}/${within}`, hint)]),
    ...(json.length === 0 ? [] : jsonProblems(text, json).map((message) => down(message, hint))),
  ];
}

function jsonProblems(text: string, json: ProbeOf<'http'>['json']): string[] {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return ['the answer is not JSON'];
    throw error;
  }
  return json.flatMap(({ path, equals }) => {
    const found = valueAt(data, path);
    if (found === equals) return [];
    const words = found === undefined ? 'nothing' : shown(JSON.stringify(found));
    return [`${path} is ${words}, expected ${shown(JSON.stringify(equals))}`];
  });
}

function valueAt(data: unknown, path: string): unknown {
  return path.split(/\.|\[|\]\.?/).reduce<unknown>((value, key) => {
    if (key === '') return value;
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    return (value as Record<string, unknown>)[key];
  }, data);
}

const shown = (text: string): string => cutText(oneLine(text), shownMax);
