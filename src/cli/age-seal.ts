// Seals with age for whoever has an identity that a recipient belongs to, so that this machine can write what it can't read.
// https://age-encryption.org says how that is done; any program for it opens the seal.
import { PassThrough, Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { AppError, messageOf } from '../base/errors.ts';

/** Rejects with `USAGE` if a recipient is none, with `SECRET_IN_ARGUMENT` if it is an identity. */
export async function encrypterFor(recipients: readonly string[]) {
  const { Encrypter } = await import('age-encryption');
  const encrypter = new Encrypter();
  for (const recipient of recipients) {
    refuseIdentity(recipient);
    try {
      encrypter.addRecipient(recipient);
    } catch (error) {
      throw new AppError('USAGE', `'${recipient}' is no age recipient: ${messageOf(error)}`, {
        hint: "Give what 'age-keygen -y identity.txt' prints: age1…; the identity itself stays where it is safe.",
      });
    }
  }
  return encrypter;
}

/** Somebody took one for the other. */
function refuseIdentity(recipient: string): void {
  if (!/^AGE-SECRET-KEY-/i.test(recipient)) return;
  throw new AppError('SECRET_IN_ARGUMENT', 'a recipient is an age identity, which is secret (not shown)', {
    hint: "Give what 'age-keygen -y identity.txt' prints, and make another identity: this one was seen.",
  });
}

/** Closed before it is finished, what came out does not open as a whole: the last part carries a mark. */
export interface SealedOutput extends AsyncDisposable {
  /** What is written here comes out sealed. */
  readonly inside: Writable;
  /** Resolves when all has come out. */
  finish(): Promise<void>;
}

/** `out` is not ended. */
export async function sealedOutput(
  encrypter: Awaited<ReturnType<typeof encrypterFor>>,
  out: Writable,
  signal: AbortSignal,
): Promise<SealedOutput> {
  const inside = new PassThrough();
  const sealed = await encrypter.encrypt(Readable.toWeb(inside) as globalThis.ReadableStream<Uint8Array>);
  const passing = pipeline(Readable.fromWeb(sealed as unknown as ReadableStream), out, { end: false, signal });
  // What it fails with is told by whoever waits for it; until then it must not end the process.
  passing.catch((error: unknown) => inside.destroy(error instanceof Error ? error : undefined));
  return {
    inside,
    async finish() {
      inside.end();
      await passing;
    },
    async [Symbol.asyncDispose]() {
      inside.destroy();
      await passing.catch(() => undefined); // Told by `finish`; without it nobody waits for the rest.
    },
  };
}
