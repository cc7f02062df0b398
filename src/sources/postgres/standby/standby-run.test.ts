import { once } from 'node:events';
import { expect, test } from 'vitest';
import { systemClock } from '../../../base/clock.ts';
import { AppError } from '../../../base/errors.ts';
import { endOf, MadeTimelines } from '../../../../test/support/made-timelines.ts';
import { temporaryFolder } from '../../../../test/support/temporary-folder.ts';
import type { StandbyRequest } from '../../standby.ts';
import { readReplayMap } from '../recovery/replay-map.ts';
import { formatLsn } from '../wal/lsn.ts';
import { standbyMap } from './journal-view.ts';
import type { StandbyServer } from './standby-server.ts';
import { type RunOptions, StandbyRun } from './standby-run.ts';

const never = new AbortController().signal;

/** A standby at the position of its backup, whose server is not one: it stays where it is. */
async function standing(prove: StandbyRequest['prove'], changes: Partial<RunOptions> = {}) {
  const folder = await temporaryFolder();
  const made = new MadeTimelines();
  const [first] = made.timelines;
  if (first === undefined) throw new Error('there is a first timeline');
  const base = made.backUp(first);
  const place = await made.place();
  const look = async () => standbyMap(await readReplayMap(place, never));
  const { view, bases } = await look();
  const promotion = new AbortController();
  const warnings: string[] = [];
  const problems: (string | undefined)[] = [];
  const nothing = (): void => undefined;
  const request: StandbyRequest = {
    folder: folder.path,
    owner: undefined,
    intervalMs: 10,
    repository: { journal: place.journal, bases: async () => place.bases, reading: () => Promise.reject(new Error()) },
    openFeed: () => Promise.reject(new Error('nobody asks')),
    events: {
      note: nothing,
      warn: ({ message }) => void warnings.push(message),
      figures: ({ problem }) => void problems.push(problem),
      restored: nothing,
    },
    prove,
    promotion: promotion.signal,
  };
  const lsn = formatLsn(base.lsn);
  const run = new StandbyRun({
    request,
    clock: systemClock,
    view,
    from: base.lsn,
    description: 'PostgreSQL',
    state: {
      version: 1,
      base: base.id,
      baseBytes: 1,
      serverMajor: 18,
      systemIdentifier: view.goal.systemIdentifier,
      consistentLsn: lsn,
      extent: { databases: [], leftOut: [] },
      isCompared: false,
      lineage: first.lineage,
      replayedLsn: lsn,
      isPromoted: false,
    },
    lookAround: async () => ({ view, bases, candidates: place.bases, whyAnew: undefined, isOriginGone: false }),
    ...changes,
  });
  const server = {
    address: { host: '/none', port: 1, user: 'nobody', ssl: { mode: 'disable' } },
    watch: { hasEnded: false, limits: undefined, complaints: '' },
    place: async () => ({ replayed: endOf(first), lastCommitUs: undefined }),
  } as unknown as StandbyServer;
  return { run, server, promotion, warnings, problems, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

test('whoever is to take over does not wait until rows are compared', async () => {
  const begun = Promise.withResolvers<void>();
  await using at = await standing(async (_claim, signal) => {
    begun.resolve();
    await once(signal, 'abort');
    throw signal.reason;
  });
  const following = at.run.follow(at.server, never);
  await begun.promise;
  at.promotion.abort();
  expect(await following).toEqual({ kind: 'promote', isJournalKnown: true });
  expect(at.run.state.isCompared).toBe(false);
  expect(at.problems.findLast((problem) => problem !== undefined)).toBeUndefined();
});

test('a fingerprint that stays unreadable holds nobody up; one that is away for now is waited for', async () => {
  const tries: string[] = [];
  const stop = new AbortController();
  await using at = await standing(async ({ compared }) => {
    tries.push(compared);
    throw new AppError('REPOSITORY_DAMAGED', 'a pack is damaged', { hint: 'Verify.' });
  });
  const following = at.run.follow(at.server, stop.signal);
  while (at.warnings.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(at.run.supply.limit).toBeUndefined();
  stop.abort();
  expect(await following).toEqual({ kind: 'stopped' });
  expect(tries).toHaveLength(1);

  const away = new AppError('STORE_UNREACHABLE', 'the store does not answer', { hint: 'Wait.' });
  const again = new AbortController();
  await using waiting = await standing(() => Promise.reject(away));
  const held = waiting.run.follow(waiting.server, again.signal);
  while (waiting.problems.at(-1) !== away.message) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(waiting.run.supply.limit).toBe(waiting.run.supply.given);
  again.abort();
  await held;
  expect(waiting.warnings).toEqual([]);
});

test('whoever is to take over does not wait for a repository that does not answer', async () => {
  const asked: AbortSignal[] = [];
  await using at = await standing(async () => undefined, {
    answerMaxMs: 20,
    lookAround: async (_place, signal) => {
      asked.push(signal);
      await once(signal, 'abort'); // As a store that is tried again and again.
      throw signal.reason;
    },
  });
  const following = at.run.follow(at.server, never);
  while (asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  at.promotion.abort();
  expect(await following).toEqual({ kind: 'promote', isJournalKnown: false });
  expect(asked).toHaveLength(2); // While it followed, and once more for as long as it may take.
  expect(at.problems.at(-1)).toBe('the repository does not answer');
});
