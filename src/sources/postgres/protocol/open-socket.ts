// A connection to a server up to the first message: TCP or unix socket, with TLS as the address asks.
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectEncrypted, type TLSSocket } from 'node:tls';
import { AppError } from '../../../base/errors.ts';
import type { ServerAddress, SslNegotiation } from '../server-address.ts';
import { tlsOptions } from '../tls-options.ts';
import { certificateHash } from './certificate-hash.ts';
import { encodeSslRequest } from './frontend-messages.ts';
import { protocolError } from './protocol-error.ts';

export interface OpenSocket {
  readonly socket: Socket;
  readonly isEncrypted: boolean;
  readonly certificateHash: Buffer | undefined;
}

/** After this much silence the kernel asks the other side whether it is still there; ten seconds later it gives up. */
const keepAliveDelayMs = 30_000;

/** `signal` ends the attempt; the socket that is returned no longer listens to it. */
export async function openSocket(address: ServerAddress, signal: AbortSignal): Promise<OpenSocket> {
  const { host, port, ssl } = address;
  const { negotiation = 'postgres' } = ssl;
  const tls = await tlsOptions(address);
  signal.throwIfAborted();
  const socket = host.startsWith('/')
    ? connectPlain({ path: `${host}/.s.PGSQL.${port}` })
    : connectPlain({ host, port });
  using attempt = guard(socket, signal);
  await attempt.until('connect');
  socket.setNoDelay(true);
  socket.setKeepAlive(true, keepAliveDelayMs);
  const plain = { socket, isEncrypted: false, certificateHash: undefined };
  if (tls === undefined) return plain;
  const mayBePlain = ssl.mode === 'prefer';
  if (negotiation === 'postgres' && (await askForTls(socket, attempt)) === 'N') {
    if (mayBePlain) return plain;
    throw new Error('The server does not support SSL connections');
  }
  try {
    return await encrypt(connectEncrypted({ ...tls, socket }), negotiation, signal);
  } catch (error) {
    if (!mayBePlain || signal.aborted) throw error;
    return await openSocket({ ...address, ssl: { mode: 'disable' } }, signal);
  }
}

async function encrypt(socket: TLSSocket, negotiation: SslNegotiation, signal: AbortSignal): Promise<OpenSocket> {
  using handshake = guard(socket, signal);
  await handshake.until('secureConnect');
  checkProtocol(socket, negotiation);
  const certificate = socket.getPeerCertificate(true).raw as Buffer | undefined;
  return {
    socket,
    isEncrypted: true,
    certificateHash: certificate === undefined ? undefined : certificateHash(certificate),
  };
}

/** Without it, another protocol's server with the same certificate could be made to answer. Older servers can't say it. */
function checkProtocol(socket: TLSSocket, negotiation: SslNegotiation): void {
  if (socket.alpnProtocol === 'postgresql' || negotiation === 'postgres') return;
  socket.destroy();
  throw new AppError('SOURCE_UNSUPPORTED', 'the server does not speak PostgreSQL directly after TLS', {
    hint: 'Leave sslnegotiation out: direct needs PostgreSQL 17 or later.',
  });
}

async function askForTls(socket: Socket, attempt: Attempt): Promise<'S' | 'N'> {
  socket.write(encodeSslRequest());
  await attempt.until('readable');
  const answer = (socket.read() as Buffer | null)?.toString('latin1');
  if (answer === 'S' || answer === 'N') return answer;
  // More than one byte was put in by somebody between: it would count as sent under TLS.
  throw answer === undefined ? new Error('Connection terminated') : protocolError('no answer to the question for TLS');
}

interface Attempt extends Disposable {
  until(event: 'connect' | 'secureConnect' | 'readable'): Promise<void>;
}

/** Destroys the socket when anything goes wrong while it is waited for. */
function guard(socket: Socket, signal: AbortSignal): Attempt {
  let reject: (error: Error) => void = () => undefined;
  let failure: Error | undefined;
  const fail = (error: Error): void => reject((failure ??= error));
  const onClose = (): void => fail(new Error('Connection terminated'));
  const onAbort = (): void => void socket.destroy(signal.reason as Error);
  socket.on('error', fail);
  socket.on('close', onClose);
  signal.addEventListener('abort', onAbort, { once: true });
  return {
    until: (event) =>
      new Promise<void>((resolve, rejectWait) => {
        reject = rejectWait;
        if (failure === undefined) socket.once(event, resolve);
        else rejectWait(failure);
      }).catch((error: unknown) => {
        socket.destroy();
        throw error;
      }),
    [Symbol.dispose]() {
      socket.off('close', onClose);
      signal.removeEventListener('abort', onAbort);
      // The listener of errors stays: a socket that nobody listens to would end the process.
    },
  };
}
