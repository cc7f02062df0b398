// Where a restore goes, from the words of a user, and the names of databases on the way.
import { unescape } from 'node:querystring';
import { AppError } from '../../../base/errors.ts';
import type { ServerAddress } from '../server-address.ts';

export interface RestoreTarget {
  readonly address: ServerAddress;
  /** The one database's new name; each its own if absent. */
  readonly database: string | undefined;
}

/** `to` is `postgres://user@host:port/newname` (all parts optional, and never a password: it comes from an argument), a database's name on the original server, or absent. */
export function restoreTarget(
  to: string | undefined,
  origin: ServerAddress,
  passwordOfOthers: string | undefined = origin.password,
): RestoreTarget {
  if (to === undefined || to === '') return { address: origin, database: undefined };
  if (!/^postgres(?:ql)?:\/\//.test(to)) return { address: origin, database: to };
  const url = URL.parse(to);
  if (url === null) {
    throw new AppError('USAGE', 'the target is not a valid postgres:// address', {
      hint: 'Write postgres://user@host:port/database, with special characters as %XX.',
    });
  }
  if (url.password !== '' || url.searchParams.has('password')) {
    throw new AppError('SECRET_IN_ARGUMENT', 'the target holds a password, which every user of this machine can see', {
      hint: "Leave it out: set PGPASSWORD, write it into ~/.pgpass, or give it as the component's password.",
    });
  }
  if (url.search !== '') {
    throw new AppError('USAGE', 'the target has parameters behind a question mark, which nobody would read', {
      hint: 'Leave them out: TLS is used as the settings of the component say.',
    });
  }
  const host = unescape(url.hostname).replace(/^\[(.*)\]$/, '$1') || origin.host;
  const user = url.username === '' ? origin.user : unescape(url.username);
  const password = user === origin.user ? origin.password : passwordOfOthers;
  const database = unescape(url.pathname.slice(1));
  return {
    address: {
      host,
      port: url.port === '' ? portOf(host, origin) : Number(url.port),
      password,
      ssl: origin.ssl,
      user,
    },
    database: database === '' ? undefined : database,
  };
}

function portOf(host: string, origin: ServerAddress): number {
  return host === origin.host ? origin.port : 5432;
}

const nameMaxBytes = 63;

/** `name` with an ending, cut by whole characters to what PostgreSQL takes: it would cut the ending. */
function nameWithEnding(name: string, ending: string): string {
  let kept = '';
  for (const character of name) {
    if (Buffer.byteLength(kept + character + ending) > nameMaxBytes) break;
    kept += character;
  }
  return kept + ending;
}

/** As `nameWithEnding`, for many: names that begin alike and are cut get a number before the ending. */
export function namesWithEnding(names: readonly string[], ending: string): string[] {
  const taken = new Set<string>();
  for (const name of names) {
    let candidate = nameWithEnding(name, ending);
    for (let number = 2; taken.has(candidate); number += 1) candidate = nameWithEnding(name, `_${number}${ending}`);
    taken.add(candidate);
  }
  return [...taken];
}

/** `20261120t185200`: sorts by time and needs no quotes in SQL. */
export function nameStamp(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, '').toLowerCase();
}
