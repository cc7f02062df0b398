// Whom a restored data directory belongs to and who runs a server on it. PostgreSQL refuses root, and refuses files of others.
import { readFile, stat } from 'node:fs/promises';
import { AppError } from '../../../base/errors.ts';
import { OwnerNames } from '../../../base/owner-names.ts';
import { serverUserId } from '../../../base/throw-away-folder.ts';
import type { Account } from '../server-process.ts';

export interface FileOwner {
  /** Undefined where we are not root: then everything is ours. */
  readonly account: Account | undefined;
  /** For people. */
  readonly name: string;
  /** Nobody was named, and the original's owner does not exist here. */
  readonly isMakeshift: boolean;
}

export interface OwnerWish {
  /** `postgres`, `postgres:postgres`, `26:26`. */
  readonly named: string | undefined;
  /** As in the backup. */
  readonly stored: Account | undefined;
  /** Where files are already, theirs wins over the backup's. */
  readonly folder: string | undefined;
}

export async function chooseOwner({ named, stored, folder }: OwnerWish): Promise<FileOwner> {
  const isRoot = process.geteuid?.() === 0;
  const names = new OwnerNames();
  if (!isRoot) {
    if (named !== undefined) {
      throw new AppError('USAGE', '--owner needs root: only root may give files away', {
        hint: 'Leave it out, or run this as root.',
      });
    }
    return { account: undefined, name: names.user(process.geteuid?.() ?? 0), isMakeshift: false };
  }
  const present = folder === undefined ? undefined : await ownerOf(folder);
  const chosen = named === undefined ? (present ?? known(stored, names)) : await namedAccount(named);
  if (chosen?.uid === 0 && named !== undefined) {
    throw new AppError('USAGE', '--owner root: PostgreSQL refuses to run as root', {
      hint: 'Name the account that runs the server, such as postgres.',
    });
  }
  const account = chosen === undefined || chosen.uid === 0 ? { uid: serverUserId, gid: serverUserId } : chosen;
  const isMakeshift = account !== chosen;
  return { account, name: names.user(account.uid) || String(account.uid), isMakeshift };
}

async function ownerOf(folder: string): Promise<Account> {
  const { uid, gid } = await stat(folder);
  return { uid, gid };
}

/** A number that nobody has here would be an accident. */
function known(stored: Account | undefined, names: OwnerNames): Account | undefined {
  return stored === undefined || names.user(stored.uid) === '' ? undefined : stored;
}

async function namedAccount(named: string): Promise<Account> {
  const [user = '', group] = named.split(':');
  const users = await lines('/etc/passwd');
  const found = users.find(([name, , uid]) => name === user || uid === user);
  const uid = found?.[2] ?? (/^\d+$/.test(user) ? user : undefined);
  const groups = group === undefined ? [] : await lines('/etc/group');
  const ownGroup = groups.find(([name, , gid]) => name === group || gid === group)?.[2];
  const gid = group === undefined ? (found?.[3] ?? uid) : (ownGroup ?? (/^\d+$/.test(group) ? group : undefined));
  if (uid === undefined || gid === undefined) {
    throw new AppError('USAGE', `--owner ${named}: there is no such account on this machine`, {
      hint: 'Name an account of /etc/passwd, or numbers as in 26:26.',
    });
  }
  return { uid: Number(uid), gid: Number(gid) };
}

async function lines(path: string): Promise<string[][]> {
  return (await readFile(path, 'utf8')).split('\n').map((line) => line.split(':'));
}
