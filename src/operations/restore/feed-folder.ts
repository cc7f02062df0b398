// The folder through which a server in recovery is handed its files, with the script that it runs for each of them.
import { chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FeedRequest } from '../../sources/replay.ts';
import { prefetchShim, shimFile } from '../journal/prefetch-shim.ts';

export interface FeedFolder {
  readonly folder: string;
  /** For sh, with `%f` and `%p`. */
  readonly command: string;
}

export async function makeFeedFolder(
  { parentFolder, account }: Pick<FeedRequest, 'parentFolder' | 'account'>,
  patience: Parameters<typeof prefetchShim>[0],
): Promise<FeedFolder> {
  const folder = join(parentFolder, 'feed');
  await mkdir(folder, { mode: 0o700 });
  const script = join(folder, shimFile);
  await writeFile(script, prefetchShim(patience), { mode: 0o700 });
  if (account !== undefined) {
    await chown(script, account.uid, account.gid);
    await chown(folder, account.uid, account.gid);
  }
  return { folder, command: `/bin/sh ${quoted(script)} '%f' '%p'` };
}

/** For sh; `%` is the server's own sign. */
function quoted(path: string): string {
  return `'${path.replaceAll("'", String.raw`'\''`).replaceAll('%', '%%')}'`;
}
