// Gives a restored entry its metadata back. Nothing here throws for what the file system refuses: a restore goes on, and
// says at its end what did not come back. Symbolic links are never followed.
import { chmodSync, constants, lchownSync, lstatSync, lutimesSync, symlinkSync } from 'node:fs';
import { fsPath } from './byte-name.ts';
import { errnoOf, messageOf } from './errors.ts';
import type { ExtendedAttribute, FileMetadata } from './file-type.ts';
import { native } from './native.ts';

export interface ApplyOptions {
  /** False leaves owner and group as they are, and says nothing of it. */
  readonly withOwner?: boolean | undefined;
}

export interface AppliedMetadata {
  /** Lower-case facts, without the path. */
  readonly problems: readonly string[];
  /** The system gives files away for root only. Not a problem of each file: count these and say it once. */
  readonly isOwnerRefused: boolean;
}

/**
 * Owner, extended attributes (POSIX ACLs among them), times, mode: in this order, because each would undo the next.
 * Apply a directory's metadata after everything in it was written, or its times change again.
 */
export function applyMetadata(path: string, metadata: FileMetadata, options: ApplyOptions = {}): AppliedMetadata {
  const problems: string[] = [];
  let refused: readonly OwnerPart[] = [];
  attempt(problems, 'owner', () => {
    refused = applyOwner(path, metadata, options.withOwner ?? true);
  });
  applyExtendedAttributes(path, metadata, problems);
  attempt(problems, 'times', () => applyTimes(path, metadata));
  if (metadata.type !== 'symlink') attempt(problems, 'mode', () => applyMode(path, metadata, refused));
  return { problems, isOwnerRefused: refused.length > 0 && (options.withOwner ?? true) };
}

/**
 * Makes a fifo, a device node or a symbolic link where nothing is yet, without the rest of its metadata. Answers with the
 * problem if it could not. Only the owner may use a fifo or device until `applyMetadata` gives it its mode.
 */
export function createSpecial(path: string, metadata: FileMetadata): string | undefined {
  const problems: string[] = [];
  attempt(problems, metadata.type, () => makeSpecial(path, metadata));
  return problems[0];
}

function makeSpecial(path: string, metadata: FileMetadata): void {
  const { type, linkTarget } = metadata;
  if (type === 'symlink') {
    if (linkTarget === undefined) throw new Error('the link has no target');
    symlinkSync(fsPath(linkTarget), fsPath(path));
    return;
  }
  const calls = native();
  if (calls === undefined) throw new Error('this build of Node cannot make one');
  if (type === 'fifo') calls.makeFifo(path, ownerOnly);
  else if (type === 'chardev') calls.makeDevice(path, constants.S_IFCHR | ownerOnly, metadata.deviceNumber);
  else if (type === 'dev') calls.makeDevice(path, constants.S_IFBLK | ownerOnly, metadata.deviceNumber);
  else throw new Error('not a special file');
}

const ownerOnly = 0o600;
const setuidBit = 0o4000;
const setgidBit = 0o2000;

function attempt(problems: string[], what: string, act: () => void): void {
  try {
    act();
  } catch (error) {
    problems.push(`${what} not restored: ${messageOf(error)}`);
  }
}

type OwnerPart = 'user' | 'group';

/** Which of both are not as they were. An unprivileged owner may still choose among the groups it belongs to. */
function applyOwner(path: string, metadata: FileMetadata, isWanted: boolean): readonly OwnerPart[] {
  const stats = lstatSync(fsPath(path));
  const differing = (): OwnerPart[] => [
    ...(stats.uid === metadata.uid ? [] : (['user'] as const)),
    ...(stats.gid === metadata.gid ? [] : (['group'] as const)),
  ];
  if (!isWanted || differing().length === 0) return differing();
  if (tryChown(path, metadata.uid, metadata.gid)) return [];
  return tryChown(path, stats.uid, metadata.gid) ? ['user'] : differing();
}

function tryChown(path: string, uid: number, gid: number): boolean {
  try {
    lchownSync(fsPath(path), uid, gid);
    return true;
  } catch (error) {
    if (errnoOf(error) !== 'EPERM') throw error;
    return false;
  }
}

/** What a restore may take away again; other names are put there by the system itself (labels, NFS ACLs). */
const removable = /^(?:user\.|trusted\.|system\.posix_acl_|security\.capability$)/;

function applyExtendedAttributes(path: string, metadata: FileMetadata, problems: string[]): void {
  const wanted = metadata.extendedAttributes;
  const calls = native();
  if (calls === undefined) {
    if (wanted.length > 0) problems.push(`${wanted.length} extended attributes not restored: Node lacks node:ffi here`);
    return;
  }
  let present: readonly string[] = [];
  attempt(problems, 'extended attributes', () => {
    present = listOrNone(path);
  });
  const surplus = present.filter(
    (name) => removable.test(name) && !wanted.some((attribute) => attribute.name === name),
  );
  const missing = wanted.filter((attribute) => !present.includes(attribute.name) || !isSame(path, attribute));
  if (surplus.length + missing.length === 0) return;
  // Only root may change the attributes of a write-protected file; the mode is put right at the end.
  if (process.geteuid?.() !== 0 && metadata.type !== 'symlink') {
    attempt(problems, 'access to extended attributes', () => calls.writeMode(path, 0o700));
  }
  for (const name of surplus) {
    attempt(problems, `absence of extended attribute ${name}`, () => calls.removeExtendedAttribute(path, name));
  }
  for (const { name, value } of missing) {
    attempt(problems, `extended attribute ${name}`, () => calls.writeExtendedAttribute(path, name, value));
  }
}

function listOrNone(path: string): readonly string[] {
  try {
    return native()?.listExtendedAttributes(path) ?? [];
  } catch (error) {
    if (errnoOf(error) === 'ENOTSUP') return [];
    throw error;
  }
}

/** Labels that only root may write are often right already. */
function isSame(path: string, { name, value }: ExtendedAttribute): boolean {
  try {
    return native()?.readExtendedAttribute(path, name)?.equals(value) ?? false;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false; // Writing it tells better what is wrong.
  }
}

function applyTimes(path: string, { atimeNs, mtimeNs }: FileMetadata): void {
  const calls = native();
  if (calls !== undefined) calls.writeTimes(path, atimeNs, mtimeNs);
  // To about 100 ns only: Node takes the seconds as a floating-point number.
  else lutimesSync(fsPath(path), Number(atimeNs) / 1e9, Number(mtimeNs) / 1e9);
}

function applyMode(path: string, { type, mode }: FileMetadata, refused: readonly OwnerPart[]): void {
  // A setuid bit that meant another owner must not become ours. On a directory setgid only hands the group down.
  const kept = mode & ~(refused.includes('user') ? setuidBit : 0);
  const safe = kept & ~(refused.includes('group') && type !== 'dir' ? setgidBit : 0);
  const calls = native();
  if (calls !== undefined) {
    calls.writeMode(path, safe);
    return;
  }
  if (lstatSync(fsPath(path)).isSymbolicLink()) throw new Error('a symbolic link has taken its place');
  chmodSync(fsPath(path), safe);
}
