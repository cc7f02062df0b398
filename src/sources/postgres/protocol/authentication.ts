// The part of a conversation in which the server asks who we are. Pure: its demands in, our answers out.
import { createHash } from 'node:crypto';
import { AppError } from '../../../base/errors.ts';
import { BodyReader } from './body-reader.ts';
import { encodePassword, encodeSaslAnswer, encodeSaslStart } from './frontend-messages.ts';
import { protocolError } from './protocol-error.ts';
import { startScram, type ChannelBinding, type ScramExchange } from './scram.ts';

export interface Credentials {
  readonly user: string;
  readonly password: string | undefined;
  /** For SCRAM, unpredictable. */
  readonly nonce: string;
  readonly isEncrypted: boolean;
  /** Of the server's certificate, if the connection is encrypted and it has one. */
  readonly certificateHash: Buffer | undefined;
}

/** What to send, `done` if the server is content, or nothing to send. */
export type AuthenticationStep = Buffer | 'done' | undefined;

const methods: Readonly<Record<number, string>> = { 2: 'Kerberos 5', 6: 'SCM', 7: 'GSSAPI', 8: 'GSSAPI', 9: 'SSPI' };
const plain = 'SCRAM-SHA-256';
const bound = 'SCRAM-SHA-256-PLUS';

export class Authentication {
  readonly #credentials: Credentials;
  #exchange: ScramExchange | undefined;
  #phase: 'start' | 'answered' | 'checked' = 'start';

  constructor(credentials: Credentials) {
    this.#credentials = credentials;
  }

  /** Takes the body of one `R` message. */
  async next(body: Buffer): Promise<AuthenticationStep> {
    const reader = new BodyReader(body, 'demand for authentication');
    const code = reader.int32();
    switch (code) {
      case 0:
        // A server that stops in the middle has not proved that it knows the password.
        if (this.#exchange !== undefined && this.#phase !== 'checked') throw protocolError('no proof of its identity');
        return 'done';
      case 3:
        return this.#cleartext();
      case 5:
        return this.#md5(reader.bytes(4));
      case 10:
        return this.#startScram(reader);
      case 11:
        if (this.#exchange === undefined || this.#phase !== 'start') throw protocolError('SCRAM out of order');
        this.#phase = 'answered';
        return encodeSaslAnswer(await this.#exchange.answer(reader.rest().toString('utf8')));
      case 12:
        if (this.#exchange === undefined || this.#phase !== 'answered') throw protocolError('SCRAM out of order');
        this.#exchange.check(reader.rest().toString('utf8'));
        this.#phase = 'checked';
        return undefined;
      default:
        throw unsupported(methods[code] ?? `method ${code}`);
    }
  }

  #cleartext(): Buffer {
    const password = this.#password();
    if (!this.#credentials.isEncrypted) {
      throw new AppError('SOURCE_DENIED', 'the server asks for the password in clear on a connection without TLS', {
        hint: 'Set sslmode to require, or the method in pg_hba.conf to scram-sha-256.',
      });
    }
    return encodePassword(password);
  }

  #md5(salt: Buffer): Buffer {
    const inner = createHash('md5').update(this.#password()).update(this.#credentials.user).digest('hex');
    return encodePassword(`md5${createHash('md5').update(inner).update(salt).digest('hex')}`);
  }

  #startScram(reader: BodyReader): Buffer {
    const offered: string[] = [];
    for (let name = reader.text(); name !== ''; name = reader.text()) offered.push(name);
    const { isEncrypted, certificateHash, nonce } = this.#credentials;
    const binding: ChannelBinding =
      !isEncrypted || certificateHash === undefined
        ? { kind: 'unsupported' }
        : offered.includes(bound)
          ? { kind: 'tls-server-end-point', hash: certificateHash }
          : { kind: 'not offered' };
    const mechanism = binding.kind === 'tls-server-end-point' ? bound : plain;
    if (!offered.includes(mechanism)) throw unsupported(`SASL with ${offered.join(', ')}`);
    if (this.#exchange !== undefined) throw protocolError('SCRAM out of order');
    this.#exchange = startScram({ password: this.#password(), nonce, binding });
    return encodeSaslStart(mechanism, this.#exchange.first);
  }

  #password(): string {
    const { password, user } = this.#credentials;
    if (password !== undefined) return password;
    throw new AppError('SOURCE_DENIED', `the server asks for a password of ${user}, and there is none`, {
      hint: 'Give the component a password or a password file.',
    });
  }
}

function unsupported(method: string): AppError {
  return new AppError('SOURCE_UNSUPPORTED', `the server asks for authentication by ${method}`, {
    hint: 'Add a line with the method scram-sha-256 for this user to pg_hba.conf, before the one that applies now.',
  });
}
