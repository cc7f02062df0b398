// Where a restore goes: a running server, or the folder of a stopped one.
import { basename, dirname, resolve } from 'node:path';
import { AppError } from '../../base/errors.ts';
import type { RedisAddress } from './connection.ts';

export type RestoreTarget =
  | { readonly kind: 'server'; readonly address: RedisAddress }
  | { readonly kind: 'folder'; readonly folder: string; readonly fileName: string };

const portDefault = 6379;

/** `redis://host:port` (encrypted: `rediss://`), a folder, or a path that ends in `.rdb`. Credentials are those of the component. */
export function parseTarget(to: string | undefined, origin: RedisAddress): RestoreTarget {
  if (to === undefined) return { kind: 'server', address: origin };
  if (to.startsWith('/')) {
    const path = resolve(to);
    const isFile = path.endsWith('.rdb');
    return { kind: 'folder', folder: isFile ? dirname(path) : path, fileName: isFile ? basename(path) : 'dump.rdb' };
  }
  const url = /^rediss?:\/\//.test(to) ? URL.parse(to) : null;
  if (url === null || url.hostname === '' || (url.pathname !== '' && url.pathname !== '/')) {
    throw new AppError('USAGE', 'the target is neither redis://host:port nor an absolute path', {
      hint: 'Name a server as redis://host:port, or the folder of a stopped server as an absolute path.',
    });
  }
  if (url.username !== '' || url.password !== '') {
    throw new AppError('USAGE', 'the target holds credentials', {
      hint: 'Leave user and password out: those of the component are used.',
    });
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const { username, password } = origin;
  const tls = url.protocol === 'rediss:' ? (origin.tls ?? {}) : undefined;
  const port = url.port === '' ? portDefault : Number(url.port);
  return { kind: 'server', address: { host, port, username, password, tls } };
}

/** Database indexes from `0`, `db0`; none means all. */
export function parseDatabases(include: readonly string[]): number[] {
  return include.map((name) => {
    const index = /^(?:db)?(\d{1,9})$/.exec(name)?.[1];
    if (index !== undefined) return Number(index);
    throw new AppError('USAGE', `'${name}' is no Redis database`, { hint: 'Name databases as db0, db1 and so on.' });
  });
}
