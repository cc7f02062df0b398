// Server-sent events: what happens is sent as it happens, a reader that was cut off goes on where it was, and none outlasts the server or its
// right to read.
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError, isAppError } from '../base/errors.ts';
import { recogniseAgain } from './authentication.ts';
import { authorisedResource } from './authorisation.ts';
import type { ApiParts } from './parts.ts';

const streamsMax = 200;
/** Every 15 seconds with the usual one. */
const pollsPerHeartbeat = 30;
const pollMsDefault = 500;
/** A reader that takes nothing for so long is gone. */
const stalledMaxMs = 30_000;

export interface StreamedEvent {
  /** A reader that comes back says the last one it had. */
  readonly id?: number;
  /** `message` if absent. */
  readonly event?: string;
  readonly data: object;
}

/** What is new, and whether that was all there will ever be. */
export interface News {
  readonly events: readonly StreamedEvent[];
  readonly isEnd: boolean;
  /** More is there already. */
  readonly hasMore?: boolean;
}

/** The streams of one server. */
export class EventStreams {
  readonly #closing = new AbortController();
  #open = 0;

  /** Resolves when the stream has ended. Rejects with `RATE_LIMITED` if there are too many. */
  async serve(
    parts: ApiParts,
    { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
    next: () => Promise<News>,
  ): Promise<void> {
    if (this.#open >= streamsMax) {
      throw new AppError('RATE_LIMITED', `${streamsMax} streams are open`, { hint: 'Close one, or try again later.' });
    }
    this.#open += 1;
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    const signal = AbortSignal.any([this.#closing.signal, gone.signal]);
    try {
      reply.hijack();
      const headers = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store' };
      for (const [name, value] of Object.entries(reply.getHeaders()))
        if (value !== undefined) reply.raw.setHeader(name, value);
      reply.raw.writeHead(200, { ...headers, 'x-accel-buffering': 'no' });
      reply.raw.write(': hello\n\n');
      await follow({
        reply,
        signal,
        next,
        pollMs: parts.pollMs ?? pollMsDefault,
        isAllowed: () => isStillAllowed(parts, request),
      });
    } catch (error) {
      // The head is sent: all that can be said is that it ends here.
      if (!signal.aborted) parts.onProblem(error as Error, request.id);
    } finally {
      this.#open -= 1;
      reply.raw.end();
    }
  }

  close(): void {
    this.#closing.abort();
  }
}

async function isStillAllowed(parts: ApiParts, request: FastifyRequest): Promise<boolean> {
  const { route } = request.routeOptions.config;
  if (route === undefined || !(await recogniseAgain(parts, request))) return false;
  try {
    await authorisedResource(route, parts, request);
    return true;
  } catch (error) {
    if (isAppError(error, 'FORBIDDEN', 'NOT_FOUND')) return false;
    throw error;
  }
}

async function follow(stream: {
  readonly reply: FastifyReply;
  readonly signal: AbortSignal;
  readonly next: () => Promise<News>;
  readonly pollMs: number;
  readonly isAllowed: () => Promise<boolean>;
}): Promise<void> {
  const { reply, signal, next, pollMs, isAllowed } = stream;
  let quietPolls = 0;
  while (!signal.aborted) {
    const { events, isEnd, hasMore = false } = await next();
    for (const event of events) await write(reply, textOf(event), signal);
    if (isEnd) return;
    if (hasMore) continue;
    quietPolls += 1;
    if (quietPolls >= pollsPerHeartbeat) {
      quietPolls = 0;
      if (!(await isAllowed())) return;
      await write(reply, ': still here\n\n', signal);
    }
    await sleep(pollMs, undefined, { signal });
  }
}

function textOf({ id, event, data }: StreamedEvent): string {
  const lines = [
    ...(id === undefined ? [] : [`id: ${id}`]),
    ...(event === undefined ? [] : [`event: ${event}`]),
    `data: ${JSON.stringify(data)}`,
  ];
  return `${lines.join('\n')}\n\n`;
}

async function write({ raw }: FastifyReply, text: string, signal: AbortSignal): Promise<void> {
  if (raw.write(text)) return;
  await once(raw, 'drain', { signal: AbortSignal.any([signal, AbortSignal.timeout(stalledMaxMs)]) });
}
