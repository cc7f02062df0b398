// SCRAM-SHA-256 (RFC 5802, 7677) as PostgreSQL speaks it: proves that we know the password without sending it, and has the
// server prove that it knows it too.
import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { AppError } from '../../../base/errors.ts';
import { protocolError } from './protocol-error.ts';
import { preparePassword } from './prepare-password.ts';

export interface ScramStart {
  readonly password: string;
  /** Printable characters without a comma, unpredictable. */
  readonly nonce: string;
  readonly binding: ChannelBinding;
}

export type ChannelBinding =
  /** The connection is not encrypted, or its certificate can't be bound to. */
  | { readonly kind: 'unsupported' }
  /** We could, but the server did not offer it. If it did and somebody between took the offer away, it refuses us. */
  | { readonly kind: 'not offered' }
  /** Hash of the server's certificate: nobody between can pass the exchange on. */
  | { readonly kind: 'tls-server-end-point'; readonly hash: Buffer };

export interface ScramExchange {
  readonly first: string;
  /** Our answer to the server's first message. */
  answer(serverFirst: string): Promise<string>;
  /** Rejects a server that does not know the password. */
  check(serverFinal: string): void;
}

/** A server chooses how often we hash; this many takes seconds. */
const iterationsMax = 10_000_000;
const keyBytes = 32;
const derive = promisify(pbkdf2);

export function startScram({ password, nonce, binding }: ScramStart): ScramExchange {
  const header = headerOf(binding);
  const firstBare = `n=,r=${nonce}`; // The server takes the user of the startup message.
  let expected: Buffer | undefined;
  return {
    first: header + firstBare,
    async answer(serverFirst) {
      const { serverNonce, salt, iterations } = readServerFirst(serverFirst);
      if (!serverNonce.startsWith(nonce) || serverNonce.length === nonce.length) throw distrusted('another nonce');
      const salted = await derive(preparePassword(password), salt, iterations, keyBytes, 'sha256');
      const bound = Buffer.concat([
        Buffer.from(header),
        binding.kind === 'tls-server-end-point' ? binding.hash : noHash,
      ]);
      const finalBare = `c=${bound.toString('base64')},r=${serverNonce}`;
      const transcript = `${firstBare},${serverFirst},${finalBare}`;
      const clientKey = hmac(salted, 'Client Key');
      const signature = hmac(createHash('sha256').update(clientKey).digest(), transcript);
      const proof = Buffer.from(clientKey.map((byte, index) => byte ^ (signature[index] ?? 0)));
      expected = hmac(hmac(salted, 'Server Key'), transcript);
      return `${finalBare},p=${proof.toString('base64')}`;
    },
    check(serverFinal) {
      const signature = /^v=([A-Za-z0-9+/=]+)/.exec(serverFinal)?.[1];
      const given = Buffer.from(signature ?? '', 'base64');
      if (expected === undefined || given.length !== expected.length || !timingSafeEqual(given, expected)) {
        throw distrusted('a proof that is not that of the password');
      }
    },
  };
}

const noHash = Buffer.alloc(0);

function headerOf(binding: ChannelBinding): string {
  if (binding.kind === 'tls-server-end-point') return 'p=tls-server-end-point,,';
  return binding.kind === 'not offered' ? 'y,,' : 'n,,';
}

function readServerFirst(text: string): { serverNonce: string; salt: Buffer; iterations: number } {
  const match = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/]+=*),i=(\d{1,9})(?:,|$)/.exec(text);
  if (match === null) throw protocolError('a SCRAM message of an unknown form');
  const [, serverNonce = '', salt = '', count = ''] = match;
  const iterations = Number(count);
  if (iterations < 1 || iterations > iterationsMax) throw protocolError(`a SCRAM iteration count of ${count}`);
  return { serverNonce, salt: Buffer.from(salt, 'base64'), iterations };
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function distrusted(what: string): AppError {
  return new AppError('SOURCE_DENIED', `the server sent ${what}: it may not be the one it seems to be`, {
    hint: 'Check host and port, and whether something between answers in place of the server.',
  });
}
