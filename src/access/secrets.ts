// Secrets that are handed out once and recognised by their hash: 256 bits of chance need no slow hash, and who looks one up by its
// hash learns nothing from how long that takes.
import { createHash, randomBytes } from 'node:crypto';

const secretBytes = 32;
const tokenForm = /^lb_[\w-]{43}$/;

export const newSecret = (): string => randomBytes(secretBytes).toString('base64url');

/** `lb_` lets a scanner for leaked secrets find it. */
export const newToken = (): string => `lb_${newSecret()}`;

export const isToken = (text: string): boolean => tokenForm.test(text);

/** In hex. */
export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
