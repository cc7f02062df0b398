// Feeds a recovering server from a repository: files are fetched ahead into a folder, from which a small script hands them out.
// What can't be fetched is tried again for a while; then the replay is given up, since a server takes a "no" for the end.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { AppError, errnoOf, errorKinds, isAppError } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import type { JournalReader } from '../../sources/journal.ts';
import type { Feed, FeedRequest, OpenFeed } from '../../sources/replay.ts';
import type { Sleep } from '../../storage/interruption.ts';
import { startPrefetcher } from '../journal/prefetch.ts';
import { makeFeedFolder } from './feed-folder.ts';

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
  const { silenceMaxSeconds } = parts;
  const { folder, command } = await makeFeedFolder({ parentFolder, account }, { silenceMaxSeconds });
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
    command,
    signal: AbortSignal.any([broken.signal, prefetcher.signal]),
    [Symbol.asyncDispose]: () => prefetcher[Symbol.asyncDispose](),
  };
}

const noListing: Omit<JournalReader, 'read'> = {
  branches: () => Promise.resolve([]),
  segments: () => Promise.resolve([]),
  facts: () => Promise.resolve({}),
  readOn: ({ known }) => Promise.resolve(known),
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
