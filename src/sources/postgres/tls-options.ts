// What TLS is told for a server, by all who connect to it: whom to trust, what to check, and who we are.
import { createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { getCACertificates, type ConnectionOptions } from 'node:tls';
import { AppError, messageOf } from '../../base/errors.ts';
import { systemRoots, type ClientCertificate, type ServerAddress } from './server-address.ts';

/** Undefined if the connection is not to be encrypted. Rejects with `CONFIG_INVALID` if a file can't be used. */
export async function tlsOptions({ host, ssl }: ServerAddress): Promise<ConnectionOptions | undefined> {
  const { mode, negotiation, client } = ssl;
  const isPlain = mode === 'disable' || host.startsWith('/');
  if (negotiation === 'direct' && (isPlain || mode === 'prefer')) {
    throw new AppError('CONFIG_INVALID', 'sslnegotiation is direct, but the connection need not be encrypted', {
      hint: 'Set sslmode to require, verify-ca or verify-full, or leave sslnegotiation out.',
    });
  }
  if (isPlain) return undefined;
  const common = {
    ALPNProtocols: ['postgresql'],
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(client === undefined ? {} : await identityOf(client)),
  };
  if (!('rootCertificateFile' in ssl)) return { ...common, rejectUnauthorized: false };
  const { rootCertificateFile: file } = ssl;
  const ca = file === systemRoots ? getCACertificates('system') : await read(file, 'root certificate', 'sslrootcert');
  const verified = { ...common, host, ca, rejectUnauthorized: true };
  return mode === 'verify-full' ? verified : { ...verified, checkServerIdentity: () => undefined };
}

async function identityOf({ certificateFile, keyFile, keyPassword }: ClientCertificate): Promise<ConnectionOptions> {
  const cert = await read(certificateFile, 'client certificate', 'sslcert');
  const key = await read(keyFile, 'key of the client certificate', 'sslkey');
  const secret = keyPassword === undefined ? {} : { passphrase: keyPassword };
  try {
    createPrivateKey({ key, ...secret });
  } catch (error) {
    const what = keyPassword === undefined ? 'without a password' : 'with the given password';
    throw new AppError('CONFIG_INVALID', `the key ${keyFile} can't be opened ${what}: ${messageOf(error)}`, {
      hint: 'Check sslkey, and give sslpassword if the key has one.',
      cause: error,
    });
  }
  return { cert, key, ...secret };
}

async function read(file: string, what: string, key: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new AppError('CONFIG_INVALID', `the ${what} can't be read: ${messageOf(error)}`, {
      hint: `Check ${key}, and the permissions of the file.`,
      cause: error,
    });
  }
}
