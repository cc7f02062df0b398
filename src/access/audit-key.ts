// The key that signs checkpoints of the audit log. It lies in the state folder, beside the catalog and not in it: whoever can change the
// rows of a database server does not have it.
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomUUID,
  sign,
  verify,
} from 'node:crypto';
import { link, mkdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, errnoOf } from '../base/errors.ts';

export interface AuditSigner {
  readonly keyId: string;
  /** PEM. */
  readonly publicKey: string;
  readonly sign: (text: string) => string;
}

export const auditKeyFile = 'audit-key.pem';

/** Made when it is first needed; the same for all who ask for one folder. */
export async function openAuditSigner(folder: string): Promise<AuditSigner> {
  const path = join(folder, auditKeyFile);
  const pem = (await readIfThere(path)) ?? (await createKey(folder, path));
  try {
    const key = createPrivateKey(pem);
    const publicKey = createPublicKey(pem).export({ type: 'spki', format: 'pem' });
    return {
      keyId: auditKeyId(publicKey),
      publicKey,
      sign: (text) => sign(null, Buffer.from(text), key).toString('base64'),
    };
  } catch (error) {
    throw new AppError('CONFIG_INVALID', `${path} holds no key`, {
      hint: 'Bring it back from a backup, or move it away: a new one is made, and the log goes on with it.',
      cause: error,
    });
  }
}

/** Without making one. */
export async function findAuditKeyId(folder: string): Promise<string | undefined> {
  return (await readIfThere(join(folder, auditKeyFile))) === undefined
    ? undefined
    : (await openAuditSigner(folder)).keyId;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function createKey(folder: string, path: string): Promise<string> {
  const { privateKey } = generateKeyPairSync('ed25519');
  await placeAuditKey(folder, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  return readFile(path, 'utf8');
}

/** Whole or not at all, and never in place of another's: one that is there signs on. */
export async function placeAuditKey(folder: string, pem: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, auditKeyFile);
  const beside = `${path}.${randomUUID()}`;
  await writeFile(beside, pem, { mode: 0o600, flush: true });
  try {
    await link(beside, path);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  } finally {
    await unlink(beside);
  }
}

export function auditKeyId(publicKey: string): string {
  const der = createPublicKey(publicKey).export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(der).digest('hex').slice(0, 16);
}

export function isSignedBy(publicKey: string, text: string, signature: string): boolean {
  return verify(null, Buffer.from(text), publicKey, Buffer.from(signature, 'base64'));
}
