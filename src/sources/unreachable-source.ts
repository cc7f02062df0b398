// A component whose address or password is not known here, as on a machine that lost its .env file. What needs no server of
// its own works: proofs in a sandbox, restores to a place that is named, also to an instant, and what repositories tell of its journal.
import type { AppError } from '../base/errors.ts';
import { isExplorable, type Explore } from './explore.ts';
import { isReplayable } from './replay.ts';
import type { Source } from './source.ts';

/** `source` may have been made from defaults: its own server is never asked, each such call fails with `reason`. */
export function unreachableSource(source: Source, reason: AppError): Source {
  const { restore, journal } = source;
  return {
    kind: source.kind,
    check: () => failing(reason),
    open: () => Promise.reject(reason),
    decideBackup: () => Promise.reject(reason),
    journal: journal && {
      ...journal,
      check: () => failing(reason),
      receive: () => Promise.reject(reason),
      handover: journal.handover && {
        ...journal.handover,
        check: () => failing(reason),
      },
    },
    restore:
      restore.kind === 'tree'
        ? restore
        : {
            ...restore,
            async decide(reader, request, signal) {
              if (!isElsewhere(request.to)) throw reason;
              return restore.decide(reader, request, signal);
            },
          },
    // Both go by backups and the received journal, and write to folders.
    ...(isReplayable(source) && { replay: source.replay }),
    ...(isExplorable(source) && { explore: unreachableExplore(source.explore, reason) }),
  };
}

function unreachableExplore(explore: Explore, reason: AppError): Explore {
  return {
    ...explore,
    async requireTarget(request, signal) {
      if (!isElsewhere(request.to)) throw reason;
      await explore.requireTarget(request, signal);
    },
    async extract(server, request, signal) {
      if (!isElsewhere(request.to)) throw reason;
      return explore.extract(server, request, signal);
    },
  };
}

// oxlint-disable-next-line require-yield -- the contract wants an async iterable, and there is nothing to yield
async function* failing(reason: AppError): AsyncGenerator<never, void> {
  await Promise.reject(reason);
}

/** A folder, or an address with a host of its own. */
function isElsewhere(to: string | undefined): boolean {
  if (to === undefined) return false;
  const url = URL.parse(to);
  return url === null ? to.includes('/') : url.hostname !== '' || url.protocol === 'unix:';
}
