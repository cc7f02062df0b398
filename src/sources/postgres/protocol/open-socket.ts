// A connection to a server up to the first message: TCP or unix socket, with TLS as the address asks.
import { readFile } from 'node:fs/promises';
import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectEncrypted, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { AppError, messageOf } from '../../../base/errors.ts';
import type { ServerAddress } from '../server-address.ts';
import { certificateHash } from './certificate-hash.ts';
import { encodeSslRequest } from './frontend-messages.ts';
import { protocolError } from './protocol-error.ts';

/** How TLS begins: after a question in PostgreSQL's own protocol, or at once (17 and later, saves a round trip). */
export type SslNegotiation = 'postgres' | 'direct';

export interface OpenSocket {
  readonly socket: Socket;
  readonly isEncrypted: boolean;
  readonly certificateHash: Buffer | undefined;
}

/** After this much silence the kernel asks the other side whether it is still there; ten seconds later it gives up. */
const keepAliveDelayMs = 30_000;

/** `signal` ends the attempt; the socket that is returned no longer listens to it. */
export async function openSocket(
  address: ServerAddress,
  negotiation: SslNegotiation,
  signal: AbortSignal,
): Promise<OpenSocket> {
  const { host, port, ssl } = address;
  const isUnix = host.startsWith('/');
  const tls = isUnix || ssl.mode === 'disable' ? undefined : await tlsOptions(address);
  if (negotiation === 'direct' && tls === undefined) {
    throw new AppError('CONFIG_INVALID', 'sslnegotiation is direct, but the connection is not encrypted', {
      hint: 'Set sslmode to require, verify-ca or verify-full, or leave sslnegotiation out.',
    });
  }
  signal.throwIfAborted();
  const socket = isUnix ? connectPlain({ path: `${host}/.s.PGSQL.${port}` }) : connectPlain({ host, port });
  using attempt = guard(socket, signal);
  await attempt.until('connect');
  socket.setNoDelay(true);
  socket.setKeepAlive(true, keepAliveDelayMs);
  const plain = { socket, isEncrypted: false, certificateHash: undefined };
  if (tls === undefined) return plain;
  const mayBePlain = ssl.mode === 'prefer' && negotiation === 'postgres';
  if (negotiation === 'postgres' && (await askForTls(socket, attempt)) === 'N') {
    if (mayBePlain) return plain;
    throw new Error('The server does not support SSL connections');
  }
  try {
    return await encrypt(connectEncrypted({ ...tls, socket }), negotiation, signal);
  } catch (error) {
    if (!mayBePlain || signal.aborted) throw error;
    return await openSocket({ ...address, ssl: { mode: 'disable' } }, negotiation, signal);
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

async function tlsOptions({ host, ssl }: ServerAddress): Promise<ConnectionOptions> {
  const common = { ALPNProtocols: ['postgresql'], ...(isIP(host) === 0 ? { servername: host } : {}) };
  if (!('rootCertificateFile' in ssl)) return { ...common, rejectUnauthorized: false };
  let ca: string;
  try {
    ca = await readFile(ssl.rootCertificateFile, 'utf8');
  } catch (error) {
    throw new AppError('CONFIG_INVALID', `the root certificate can't be read: ${messageOf(error)}`, {
      hint: 'Check sslrootcert, and the permissions of the file.',
      cause: error,
    });
  }
  const verified = { ...common, host, ca, rejectUnauthorized: true };
  return ssl.mode === 'verify-full' ? verified : { ...verified, checkServerIdentity: () => undefined };
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
