// Names of things in a repository: SHA-256 as 64 lower-case hex digits, told apart by type so that they can't be mixed up.
import { hash } from 'node:crypto';

declare const brand: unique symbol;
type Id<Kind extends string> = string & { readonly [brand]: Kind };

/** SHA-256 of the plain content of a blob. */
export type BlobId = Id<'blob'>;
/** SHA-256 of the stored bytes of a pack. */
export type PackId = Id<'pack'>;
export type IndexId = Id<'index'>;
export type SnapshotId = Id<'snapshot'>;
export type LockId = Id<'lock'>;
export type KeyId = Id<'key'>;

const idForm = /^[0-9a-f]{64}$/;

export function isId(text: string): boolean {
  return idForm.test(text);
}

export function hashOf(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex');
}
