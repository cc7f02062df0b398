// Asks a Redis server for its whole data as a replica would, and yields the RDB file as it comes. The thin loop around
// `replication-stream.ts`: reads only when the consumer wants more, so that back-pressure reaches the server.
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { connect as connectEncrypted } from 'node:tls';
import { AppError, messageOf } from '../../base/errors.ts';
import { addressText, connectTimeoutMs, redisError, tlsOptions, type RedisAddress } from './connection.ts';
import { ReplicationStream, type ReplicationEvent } from './replication-stream.ts';

/** How long the server may be silent: it sends newlines while it prepares the data. */
const silenceMaxMs = 60_000;

export interface ReplicationDump extends AsyncDisposable {
  readonly replicationId: string;
  readonly offset: string;
  /** The bytes of the RDB file; rejects with `SOURCE_FAILED` if they end too early. Called once. */
  bytes(): AsyncIterable<Buffer>;
}

export async function requestDump(address: RedisAddress, signal: AbortSignal): Promise<ReplicationDump> {
  signal.throwIfAborted();
  const socket = connectSocket(address);
  const abort = () => socket.destroy(signal.reason as Error);
  signal.addEventListener('abort', abort, { once: true });
  const close = async () => {
    signal.removeEventListener('abort', abort);
    socket.destroy();
  };
  try {
    const events = new EventReader(socket, { address, signal });
    const { replicationId, offset } = await handshake(events, socket, address);
    return { replicationId, offset, bytes: () => payload(events), [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

function connectSocket({ host, port, socketPath, tls }: RedisAddress): Socket {
  if (socketPath !== undefined) return connect({ path: socketPath });
  return tls === undefined ? connect(port, host) : connectEncrypted({ host, port, ...tlsOptions(tls) });
}

async function handshake(
  events: EventReader,
  socket: Socket,
  address: RedisAddress,
): Promise<Extract<ReplicationEvent, { kind: 'resync' }>> {
  const ask = async (...parts: string[]) => {
    socket.write(encodeCommand(parts));
    return await events.next();
  };
  const demand = async (...parts: string[]) => {
    const answer = await ask(...parts);
    if (answer.kind === 'error') throw redisError(new Error(answer.text), address);
    return answer;
  };
  if (address.password !== undefined) {
    await demand('AUTH', ...(address.username === undefined ? [] : [address.username]), address.password);
  }
  await demand('PING');
  await demand('REPLCONF', 'capa', 'eof');
  // From Redis 7 the server then keeps no stream of commands for us; before, it refuses and we close after the file.
  await ask('REPLCONF', 'rdb-only', '1');
  const answer = await demand('PSYNC', '?', '-1');
  if (answer.kind === 'resync') return answer;
  throw redisError(new Error(`PSYNC was answered with '${answer.kind}'`), address);
}

async function* payload(events: EventReader): AsyncIterable<Buffer> {
  for (let event = await events.next(); event.kind !== 'end'; event = await events.next()) {
    if (event.kind === 'payload') yield event.bytes;
    else if (event.kind === 'error') throw events.failure(new Error(event.text));
  }
}

/** Commands as arrays of bulk strings. */
function encodeCommand(parts: readonly string[]): Buffer {
  const encoded = parts.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`);
  return Buffer.from(`*${parts.length}\r\n${encoded.join('')}`);
}

/** Pulls one event at a time; the socket is read only when none is left. */
class EventReader {
  readonly #socket: Socket;
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #context: { readonly address: RedisAddress; readonly signal: AbortSignal };
  readonly #stream = new ReplicationStream();
  #events: ReplicationEvent[] = [];
  #hasData = false;
  #hasEnded = false;

  constructor(socket: Socket, context: { readonly address: RedisAddress; readonly signal: AbortSignal }) {
    this.#socket = socket;
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    this.#context = context;
    socket.on('timeout', () => socket.destroy(new Error('timed out')));
  }

  async next(): Promise<ReplicationEvent> {
    for (;;) {
      const event = this.#events.shift();
      if (event?.kind === 'resync') this.#hasData = true;
      if (event !== undefined) return event;
      assert.ok(!this.#hasEnded); // The consumer stops at `end`.
      const chunk = await this.#read();
      this.#hasEnded = chunk === undefined;
      if (chunk === undefined) this.#stream.finish();
      else this.#events = this.#stream.push(chunk);
    }
  }

  failure(error: unknown): Error {
    const { address, signal } = this.#context;
    if (signal.aborted) return signal.reason as Error;
    if (!this.#hasData) return redisError(error, address);
    const at = addressText(address);
    return new AppError('SOURCE_FAILED', `redis at ${at} broke off while it was read: ${messageOf(error)}`, {
      hint: "Look into the server's log; 'client-output-buffer-limit replica' or 'repl-timeout' may be too low.",
      cause: error,
    });
  }

  async #read(): Promise<Buffer | undefined> {
    // The clock runs only while we wait: a consumer that takes its time is no silent server.
    this.#socket.setTimeout(this.#socket.connecting ? connectTimeoutMs : silenceMaxMs);
    try {
      const { value, done } = await this.#chunks.next();
      return done === true ? undefined : value;
    } catch (error) {
      throw this.failure(error);
    } finally {
      this.#socket.setTimeout(0);
    }
  }
}
