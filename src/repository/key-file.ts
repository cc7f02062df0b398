// Key files: the master key wrapped under a password by scrypt. Plain JSON; facts in docs/decisions/restic-format.md.
import { randomBytes, scrypt } from 'node:crypto';
import { hostname } from 'node:os';
import { z } from 'zod';
import { currentUser } from '../base/current-user.ts';
import { open, seal, SealBroken, type KeyTriple } from './seal.ts';

/** scrypt cost: memory is 128·r·N bytes. */
export interface ScryptCost {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

/** OWASP's least for scrypt, 32 MiB and a fifth of a second on a core of 2026: every command pays it once. */
export const defaultScryptCost: ScryptCost = { N: 32_768, r: 8, p: 3 };
/** Above this a key file is an attack on our memory, not a key. rustic goes up to 128 MiB. */
const scryptMemoryMaxBytes = 1024 * 1024 * 1024;
const saltBytes = 64;

const keyFileSchema = z.object({
  created: z.string(),
  username: z.string().default(''),
  hostname: z.string().default(''),
  kdf: z.literal('scrypt'),
  N: z.int().min(2),
  r: z.int().min(1),
  p: z.int().min(1).max(1024),
  salt: z.base64(),
  data: z.base64(),
});

export type KeyFile = z.infer<typeof keyFileSchema>;

const masterKeySchema = z.object({
  mac: z.object({ k: z.base64(), r: z.base64() }),
  encrypt: z.base64(),
});

export function parseKeyFile(bytes: Uint8Array): KeyFile {
  return keyFileSchema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
}

async function userKey(password: string, cost: ScryptCost & { salt: Buffer }): Promise<KeyTriple> {
  const memoryBytes = 128 * cost.r * (cost.N + cost.p + 2);
  if (memoryBytes > scryptMemoryMaxBytes) throw new Error(`scrypt wants ${memoryBytes} bytes of memory`);
  const derived = await new Promise<Buffer>((resolve, reject) => {
    const { N, r, p } = cost;
    scrypt(password, cost.salt, 64, { N, r, p, maxmem: memoryBytes }, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
  return { encrypt: derived.subarray(0, 32), macK: derived.subarray(32, 48), macR: derived.subarray(48, 64) };
}

/** The master key, or undefined if the password is not the one this key file was made with. */
export async function unwrapMasterKey(file: KeyFile, password: string): Promise<KeyTriple | undefined> {
  const salt = Buffer.from(file.salt, 'base64');
  const wrapping = await userKey(password, { ...file, salt });
  let json: Buffer;
  try {
    json = open(wrapping, Buffer.from(file.data, 'base64'));
  } catch (error) {
    if (error instanceof SealBroken) return undefined;
    throw error;
  }
  const { mac, encrypt } = masterKeySchema.parse(JSON.parse(json.toString('utf8')));
  const keys = { encrypt: decode(encrypt, 32), macK: decode(mac.k, 16), macR: decode(mac.r, 16) };
  return keys;
}

function decode(text: string, sizeBytes: number): Buffer {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length !== sizeBytes || bytes.every((byte) => byte === 0)) throw new Error('the master key is malformed');
  return bytes;
}

export function createMasterKey(): KeyTriple {
  return { encrypt: randomBytes(32), macK: randomBytes(16), macR: randomBytes(16) };
}

/** The bytes of a new key file for `password` around `master`. */
export async function wrapMasterKey(
  master: KeyTriple,
  password: string,
  options: { readonly created: string; readonly cost?: ScryptCost },
): Promise<Buffer> {
  const { N, r, p } = options.cost ?? defaultScryptCost;
  const salt = randomBytes(saltBytes);
  const wrapping = await userKey(password, { N, r, p, salt });
  const json = JSON.stringify({
    mac: { k: master.macK.toString('base64'), r: master.macR.toString('base64') },
    encrypt: master.encrypt.toString('base64'),
  });
  const file: KeyFile = {
    created: options.created,
    username: currentUser().username,
    hostname: hostname(),
    kdf: 'scrypt',
    N,
    r,
    p,
    salt: salt.toString('base64'),
    data: seal(wrapping, Buffer.from(json)).toString('base64'),
  };
  return Buffer.from(JSON.stringify(file));
}
