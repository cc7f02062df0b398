// Feeds a server that follows a journal without an end: each file is looked for when the server asks for it, again and again for
// the newest one. What can't be known is tried again for as long as it takes; meanwhile the server waits and can be read.
import type { Random } from '../../base/random.ts';
import type { JournalReader } from '../../sources/journal.ts';
import type { Feed } from '../../sources/replay.ts';
import type { FollowingRequest, OpenFollowingFeed } from '../../sources/standby.ts';
import type { Sleep } from '../../storage/interruption.ts';
import { startPrefetcher } from '../journal/prefetch.ts';
import { makeFeedFolder } from '../restore/feed-folder.ts';

export interface FollowingParts {
  readonly random: Random;
  readonly sleep: Sleep;
  /** Told of each failure to get a file; it is tried again. */
  readonly onFailure: (name: string, error: Error) => void;
}

/** A server that is refused stops; one that waits for a repository needs not. */
const waitMaxSeconds = 30 * 86_400;

export function followingFeedFrom(parts: FollowingParts): OpenFollowingFeed {
  return (request) => openFeed(request, parts);
}

async function openFeed(request: FollowingRequest, { random, sleep, onFailure }: FollowingParts): Promise<Feed> {
  const { folder, command } = await makeFeedFolder(request, { waitMaxSeconds, isUnhurried: true });
  const prefetcher = await startPrefetcher({
    folder,
    reader: nothingPlanned,
    plan: [],
    async find(name, signal) {
      const bytes = await request.find(name, signal);
      return bytes && { kind: 'bytes', bytes };
    },
    owner: request.account,
    onFailure,
    random,
    sleep,
  });
  return {
    command,
    signal: prefetcher.signal,
    [Symbol.asyncDispose]: () => prefetcher[Symbol.asyncDispose](),
  };
}

const unplanned = (): Promise<never> => Promise.reject(new Error('nothing was planned'));

const nothingPlanned: JournalReader = {
  branches: unplanned,
  segments: unplanned,
  facts: unplanned,
  read: unplanned,
  readOn: unplanned,
};
