// A request whose answer got lost is sent again: with the same key it is carried out once, and answered alike.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { canonicalJson } from '../access/canonical-json.ts';
import { sha256 } from '../access/secrets.ts';
import { AppError } from '../base/errors.ts';
import type { JsonValue } from '../base/json.ts';
import { freeIdempotencyKey, keepAnswer, takeIdempotencyKey, type KeyOfRequest } from '../catalog/idempotency-keys.ts';
import type { ApiParts } from './parts.ts';
import { principalOf, type AnyRoute } from './route.ts';

const header = 'idempotency-key';
const keyForm = /^[\x21-\x7E]{1,255}$/;

/** Requests whose answer is to be kept. */
const held = new WeakMap<FastifyRequest, KeyOfRequest>();

/** Answers itself, and returns true, if the request was carried out before. */
export async function replayOrTake(
  { log }: ApiParts,
  { access }: AnyRoute,
  { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
): Promise<boolean> {
  const given = request.headers[header];
  if (given === undefined || request.method !== 'POST' || access.kind === 'public') return false;
  if (typeof given !== 'string' || !keyForm.test(given)) {
    throw new AppError('REQUEST_INVALID', `the header ${header} is not valid`, {
      hint: 'Give 1 to 255 visible ASCII characters, such as a UUID.',
    });
  }
  const { kind, id } = principalOf(request);
  const key = { principal: `${kind} ${id}`, key: given };
  const body = (request.body ?? null) as JsonValue;
  const requestHash = sha256(canonicalJson([request.method, request.url, body]));
  const before = await takeIdempotencyKey(log.catalog, { ...key, requestHash });
  if (before === undefined) {
    held.set(request, key);
    return false;
  }
  if (before.requestHash !== requestHash || before.status === null) {
    const fact = before.status === null ? 'is still being carried out, or was cut off' : 'was another one';
    throw new AppError('IDEMPOTENCY_CONFLICT', `the first request with this ${header} ${fact}`, {
      hint: 'Use a new key for a new request, or wait.',
    });
  }
  const type = before.status < 400 ? 'application/json' : 'application/problem+json';
  void reply
    .code(before.status)
    .headers({ 'content-type': `${type}; charset=utf-8`, 'idempotent-replayed': 'true' })
    .serializer((text: unknown) => String(text))
    .send(before.answer ?? '');
  return true;
}

/** Keeps what was answered, unless it may be another time. */
export async function keepIfHeld(
  { log }: ApiParts,
  request: FastifyRequest,
  { reply, payload }: { readonly reply: FastifyReply; readonly payload: unknown },
): Promise<void> {
  const key = held.get(request);
  if (key === undefined) return;
  held.delete(request);
  const { statusCode: status } = reply;
  if (status >= 500 || status === 429) {
    await freeIdempotencyKey(log.catalog, key);
    return;
  }
  const answer = typeof payload === 'string' ? payload : '';
  const kept = status < 400 ? (request.routeOptions.config.route?.keptAnswer ?? String)(answer) : answer;
  await keepAnswer(log.catalog, { ...key, status, answer: kept });
}
