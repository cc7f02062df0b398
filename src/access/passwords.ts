// Passwords of people: argon2id, with parameters that stand in the hash, so that they may grow. One at a time: each takes memory.
import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { AppError } from '../base/errors.ts';
import { Semaphore } from '../base/semaphore.ts';

/** OWASP Password Storage Cheat Sheet, "Argon2id": m = 19 MiB, t = 2, p = 1; salt and tag as RFC 9106 §4 recommends. */
const parameters = { memory: 19_456, passes: 2, parallelism: 1 };
const saltBytes = 16;
const tagBytes = 32;

/** NIST SP 800-63B asks for 8 at least, and 15 where nothing else is asked for; long ones are welcome. */
const lengthMin = 12;
const lengthMax = 512;

const derive = promisify(argon2);
const one = new Semaphore(1);
/** More than this wait for nothing good. */
const waitingMax = 32;
let waiting = 0;

interface Parameters {
  readonly memory: number;
  readonly passes: number;
  readonly parallelism: number;
}

/** Rejects with `USAGE` if it is too short to be one. */
export async function hashPassword(password: string): Promise<string> {
  const { length } = Array.from(password);
  if (length < lengthMin || length > lengthMax) {
    throw new AppError('USAGE', `a password of ${length} characters, expected ${lengthMin} to ${lengthMax}`, {
      hint: 'Choose a longer one, such as some words that have nothing to do with each other.',
    });
  }
  const salt = randomBytes(saltBytes);
  return format(parameters, salt, await tagOf(password, salt, parameters));
}

async function tagOf(password: string, nonce: Buffer, cost: Parameters): Promise<Buffer> {
  if (waiting >= waitingMax) {
    throw new AppError('RATE_LIMITED', `${waiting} passwords are being looked at`, { hint: 'Try again in a minute.' });
  }
  waiting += 1;
  try {
    using _ = await one.acquire();
    // Keyboards write the same letter in different ways.
    return await derive('argon2id', { message: password.normalize('NFKC'), nonce, tagLength: tagBytes, ...cost });
  } finally {
    waiting -= 1;
  }
}

const base64 = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '');

/** As the reference implementation writes it. */
function format({ memory, passes, parallelism }: Parameters, salt: Buffer, tag: Buffer): string {
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${base64(salt)}$${base64(tag)}`;
}

const form = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

export interface Checked {
  readonly isRight: boolean;
  /** Made with other parameters than today's. */
  readonly isOutdated: boolean;
}

/** Without a hash it takes as long and is wrong: nobody learns which users there are. */
export async function checkPassword(password: string, hash: string | undefined): Promise<Checked> {
  const [, memory, passes, parallelism, salt = '', tag = ''] = form.exec(hash ?? '') ?? [];
  if (memory === undefined || password.length > lengthMax * 2) {
    await tagOf('', randomBytes(saltBytes), parameters);
    return { isRight: false, isOutdated: false };
  }
  const cost = { memory: Number(memory), passes: Number(passes), parallelism: Number(parallelism) };
  const found = await tagOf(password, Buffer.from(salt, 'base64'), cost);
  const known = Buffer.from(tag, 'base64');
  return {
    isRight: found.length === known.length && timingSafeEqual(found, known),
    isOutdated: format(cost, Buffer.alloc(0), Buffer.alloc(0)) !== format(parameters, Buffer.alloc(0), Buffer.alloc(0)),
  };
}
