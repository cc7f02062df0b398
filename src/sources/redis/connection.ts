// Commands to a Redis server through ioredis, with its errors turned into ours. Never PSYNC: a client library would take
// what follows for an answer.
import { Redis } from 'ioredis';
import { AppError, errnoOf, messageOf } from '../../base/errors.ts';
import { rightsHint } from './access-rights.ts';

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  /** A unix socket; host and port are ignored then. */
  readonly socketPath?: string | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** Encrypted if present. `ca`: certificates in PEM to trust instead of those that Node brings. */
  readonly tls?: { readonly ca?: string | undefined } | undefined;
}

export interface RedisConnection extends AsyncDisposable {
  /** Sends one command; calls made without waiting are pipelined. Bytes of an answer come as `Buffer`. */
  call(command: string, ...parts: readonly (string | number | Buffer)[]): Promise<unknown>;
  /** As `call`, for answers that are text. */
  text(command: string, ...parts: readonly (string | number | Buffer)[]): Promise<string>;
}

export const connectTimeoutMs = 10_000;
const commandTimeoutMs = 10 * 60_000;

export function tlsOptions(tls: NonNullable<RedisAddress['tls']>): { readonly ca?: string } {
  return tls.ca === undefined ? {} : { ca: tls.ca };
}

/** For people, without credentials. */
export function addressText(address: RedisAddress): string {
  return address.socketPath ?? `${address.host}:${address.port}`;
}

export async function connectRedis(address: RedisAddress, signal: AbortSignal): Promise<RedisConnection> {
  signal.throwIfAborted();
  const client = new Redis({
    ...(address.socketPath === undefined ? { host: address.host, port: address.port } : { path: address.socketPath }),
    ...(address.tls === undefined ? {} : { tls: tlsOptions(address.tls) }),
    ...(address.username === undefined ? {} : { username: address.username }),
    ...(address.password === undefined ? {} : { password: address.password }),
    lazyConnect: true,
    connectTimeout: connectTimeoutMs,
    commandTimeout: commandTimeoutMs,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null, // A command that may have been carried out is not sent a second time.
    enableReadyCheck: false,
    disableClientInfo: true,
    enableOfflineQueue: false,
  });
  let lastError: unknown;
  client.on('error', (error) => (lastError = error)); // Without a listener ioredis writes to the console.
  const abort = () => client.disconnect();
  signal.addEventListener('abort', abort, { once: true });
  const close = () => {
    signal.removeEventListener('abort', abort);
    client.disconnect();
  };
  const fail = (error: unknown): Error => {
    if (signal.aborted) return signal.reason as Error;
    return redisError(errnoOf(error) === undefined && isClosed(error) ? (lastError ?? error) : error, address);
  };
  const call: RedisConnection['call'] = async (command, ...parts) => {
    try {
      return await client.callBuffer(command, ...parts);
    } catch (error) {
      throw fail(error);
    }
  };
  try {
    await client.connect();
    // ioredis goes on without rights when a password is refused; this makes it known.
    await client.ping();
  } catch (error) {
    close();
    throw fail(error);
  }
  return {
    call,
    text: async (command, ...parts) => String(await call(command, ...parts)),
    [Symbol.asyncDispose]: async () => close(),
  };
}

function isClosed(error: unknown): boolean {
  return error instanceof Error && /closed|writeable/i.test(error.message);
}

/** An error answer (`NOPERM …`, `ERR …`) or a broken connection as an error of ours. */
export function redisError(error: unknown, address: RedisAddress): AppError {
  const at = addressText(address);
  const message = messageOf(error);
  const errno = errnoOf(error);
  // ioredis hangs the command with its arguments on its errors: passwords and values must not travel with ours.
  const cause = new Error(message);
  if (errno !== undefined || /timed? ?out|ETIMEDOUT|closed|writeable/i.test(message)) {
    return new AppError('SOURCE_UNREACHABLE', `redis at ${at} does not answer: ${message}`, {
      hint: 'Check host and port, and that the server runs and accepts connections from here.',
      cause,
    });
  }
  if (/^(?:NOAUTH|WRONGPASS)|invalid (?:username-)?password|without any password/i.test(message)) {
    return new AppError('SOURCE_DENIED', `redis at ${at} refuses the credentials: ${message.split(' ')[0]}`, {
      hint: 'Check user name and password of the component.',
      cause,
    });
  }
  if (message.startsWith('NOPERM')) {
    return new AppError('SOURCE_DENIED', `redis at ${at} refuses a command: ${message}`, {
      hint: rightsHint(address.username),
      cause,
    });
  }
  if (/^(?:LOADING|MASTERDOWN|NOMASTERLINK|BUSY|TRYAGAIN)/.test(message)) {
    return new AppError('SOURCE_FAILED', `redis at ${at} is not ready: ${message}`, {
      hint: 'Try again when it has finished loading or is connected to its master.',
      cause,
    });
  }
  if (/unknown (?:sub)?command/i.test(message)) {
    return new AppError('SOURCE_UNSUPPORTED', `redis at ${at} lacks a command: ${message}`, {
      hint: "Use the provider's own backups where it does not offer replication.",
      cause,
    });
  }
  return new AppError('SOURCE_FAILED', `redis at ${at}: ${message}`, {
    hint: "Look into the server's log.",
    cause,
  });
}
