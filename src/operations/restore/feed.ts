// Feeds a recovering server from a repository: files are fetched ahead into a folder, from which a small script hands them out.
// What can't be fetched is tried again for a while; then the replay is given up, since a server takes a "no" for the end.
import { chown, mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { AppError, errnoOf, errorKinds, isAppError } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import type { JournalReader } from '../../sources/journal.ts';
import type { Feed, FeedRequest, OpenFeed } from '../../sources/replay.ts';
import type { Sleep } from '../../storage/interruption.ts';
import { prefetchShim, shimFile } from '../journal/prefetch-shim.ts';
import { startPrefetcher } from '../journal/prefetch.ts';

export interface FeedParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly sleep: Sleep;
  /** How long a file that the server waits for may fail to come. */
  readonly patienceMs?: number | undefined;
  /** After how long without a sign of life of this process the server is told that nobody fetches. */
  readonly silenceMaxSeconds?: number | undefined;
}

const patienceDefaultMs = 10 * 60_000;

export function feedFrom(parts: FeedParts): OpenFeed {
  return (request) => openFeed(request, parts);
}

async function openFeed({ files, parentFolder, account }: FeedRequest, parts: FeedParts): Promise<Feed> {
  const folder = join(parentFolder, 'feed');
  await mkdir(folder, { mode: 0o700 });
  const script = join(folder, shimFile);
  await writeFile(script, prefetchShim({ silenceMaxSeconds: parts.silenceMaxSeconds }), { mode: 0o700 });
  if (account !== undefined) {
    await chown(script, account.uid, account.gid);
    await chown(folder, account.uid, account.gid);
  }
  const byName = new Map(files.map((file) => [file.name, file]));
  const broken = new AbortController();
  const failingSinceMs = new Map<string, number>();
  const giveUpLater = async (name: string, error: Error): Promise<void> => {
    const sinceMs = failingSinceMs.getOrInsert(name, parts.clock.now());
    const isHopeless = isAppError(error) && errorKinds[error.code].retry !== 'later';
    const isLong = parts.clock.now() - sinceMs > (parts.patienceMs ?? patienceDefaultMs);
    // What was fetched ahead may lie behind the target, and then nobody misses it.
    if ((isHopeless || isLong) && (await isThere(join(folder, `${name}.wanted`)))) broken.abort(notGiven(name, error));
  };
  const prefetcher = await startPrefetcher({
    folder,
    // The names are all that it knows of them: what is in them, and whether it is right, is the source's affair.
    reader: {
      ...noListing,
      async read(name, _segment, within) {
        const { buffer, byteOffset, length } = await readNamed(byName, name, within);
        return Buffer.from(buffer, byteOffset, length);
      },
    },
    plan: files.map(({ name, sizeBytes }) => ({
      name,
      content: { kind: 'segment', lineage: name, segment: 0, sizeBytes },
    })),
    find: () => Promise.resolve(undefined),
    owner: account,
    onFailure: (name, error) => void giveUpLater(name, error).catch((failure: unknown) => broken.abort(failure)),
    random: parts.random,
    sleep: parts.sleep,
  });
  return {
    command: `/bin/sh ${quoted(script)} '%f' '%p'`,
    signal: AbortSignal.any([broken.signal, prefetcher.signal]),
    [Symbol.asyncDispose]: () => prefetcher[Symbol.asyncDispose](),
  };
}

const noListing: Pick<JournalReader, 'branches' | 'segments' | 'facts'> = {
  branches: () => Promise.resolve([]),
  segments: () => Promise.resolve([]),
  facts: () => Promise.resolve({}),
};

async function readNamed(
  files: ReadonlyMap<string, FeedRequest['files'][number]>,
  name: string,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const file = files.get(name);
  if (file === undefined) throw new Error(`${name} was not planned`);
  return file.read(signal);
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}

function notGiven(name: string, error: Error): AppError {
  const code = isAppError(error) ? error.code : 'RESTORE_FAILED';
  return new AppError(code, `the server waits for ${name}, which can't be had: ${error.message}`, {
    hint: isAppError(error) ? error.hint : 'Look at the repository.',
    cause: error,
  });
}

/** For sh; `%` is the server's own sign. */
function quoted(path: string): string {
  return `'${path.replaceAll("'", String.raw`'\''`).replaceAll('%', '%%')}'`;
}
