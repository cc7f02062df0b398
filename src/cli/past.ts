// What the commands that look into the past of a component begin with: its repositories, read under shared locks, the way to an instant,
// and a throw-away server there.
import { AppError } from '../base/errors.ts';
import { feedFrom } from '../operations/restore/feed.ts';
import { recoveryReader } from '../operations/restore/recovery-reader.ts';
import { chooseReplay, replayPlace, type ChosenReplay, type ReplayRepository } from '../operations/restore/replay.ts';
import { isExplorable, type ExplorableSource, type PastPlace, type PastServer } from '../sources/explore.ts';
import type { ReplayRequest } from '../sources/replay.ts';
import { systemSleep } from '../storage/interruption.ts';
import type { CommandContext } from './context.ts';
import type { Recovered } from './measured-rpo.ts';
import { requiredArgument, textOption } from './option.ts';
import { reachedData, type ReachedData } from './past-words.ts';
import { noteUnread, PointSearch, type UnreadRepository } from './point-search.ts';
import { sharedLock } from './recovery-point.ts';
import { noInstant, replayOptions, replayRequestOf, zoneNote } from './replay-request.ts';
import { replayRepository, sourceOf } from './restore-to-instant.ts';
import { snapshotWords } from './snapshot-argument.ts';

export const pastArguments = { component: requiredArgument('<component>', 'a component whose backups are physical') };

const { at, lsn, xid, restorePoint, isAtEnd, isExclusive, timeline } = replayOptions;

/** Which instant is meant; the newest backup itself if none is named. */
export const instantOptions = {
  at,
  lsn,
  xid,
  restorePoint,
  isAtEnd,
  isExclusive,
  timeline,
  from: textOption('--from <snapshot>', `a backup itself, or the one to start from: ${snapshotWords}`),
};

type InstantOptions = Pick<
  Parameters<typeof replayRequestOf>[0],
  'at' | 'lsn' | 'xid' | 'restorePoint' | 'isAtEnd' | 'isExclusive' | 'timeline'
> & { readonly from: string | undefined };

/** Undefined if a backup itself is meant. Says on the way what a time without a zone was taken for. */
function instantRequest(input: InstantOptions, { progress }: CommandContext): ReplayRequest | undefined {
  const zone = Temporal.Now.timeZoneId();
  const whole = { ...noInstant, ...input };
  const request = replayRequestOf(whole, zone);
  const note = request === undefined ? undefined : zoneNote(whole, request, zone);
  if (note !== undefined) progress.note(note);
  return request;
}

/** The past of one component. While it is open no prune removes what is read. */
export interface Past extends AsyncDisposable {
  readonly source: ExplorableSource;
  /** Aborts with the command, and when a lock is lost. */
  readonly signal: AbortSignal;
  choose(request: ReplayRequest | undefined): Promise<ChosenReplay>;
  /** Servers of it outlive this past. */
  makePlace(): Promise<PastPlace>;
  open(place: PastPlace, chosen: ChosenReplay, wish?: { readonly isWritable?: boolean }): Promise<PastServer>;
}

export async function openPast(
  context: CommandContext,
  { component, from }: { readonly component: string; readonly from: string | undefined },
): Promise<Past> {
  const stack = new AsyncDisposableStack();
  try {
    const search = stack.use(new PointSearch(context, 'write'));
    const read = await search.ofComponent(component, from);
    const told = new Set<string>();
    const tellUnread = (): void => {
      const isNew = ({ repository, snapshot = '' }: UnreadRepository): boolean =>
        !told.has(`${repository} ${snapshot}`);
      const fresh = search.unread.filter(isNew);
      for (const { repository, snapshot = '' } of fresh) told.add(`${repository} ${snapshot}`);
      noteUnread(fresh, context);
    };
    tellUnread();
    const signals = [context.signal];
    const repositories: ReplayRepository[] = [];
    for (const one of read) {
      const lock = stack.use(await sharedLock(one.opened.repository, context));
      signals.push(lock.signal);
      const parts = { from: undefined, opened: stack, context, search };
      repositories.push(await replayRepository(one, parts));
    }
    const source = await sourceOf(repositories, context);
    if (!isExplorable(source)) throw notExplorable(component, source.kind);
    const signal = AbortSignal.any(signals);
    let bytesDone = 0;
    const onBytes = (count: number): void => {
      bytesDone += count;
      context.progress.update({ work: `bring ${component} there`, bytesDone });
    };
    return {
      source,
      signal,
      async choose(request) {
        try {
          if (request === undefined) {
            const found = await search.find({ component, from: from ?? 'latest' });
            return await chooseBase({ source, repositories }, { found, signal });
          }
          const fitting =
            from === undefined ? repositories : await startingFrom(from, { repositories, search, component });
          return await chooseReplay(fitting, { replay: source.replay, request }, signal);
        } finally {
          tellUnread();
        }
      },
      makePlace: () =>
        source.explore.makePlace({
          openFeed: feedFrom({ clock: context.clock, random: context.random, sleep: systemSleep }),
          onBytes,
        }),
      open: async (place, { repository, snapshot, choice }, { isWritable } = {}) => {
        const server = await place.open(
          choice,
          { reader: recoveryReader({ ...repository, snapshot }), isWritable },
          signal,
        );
        context.progress.clear();
        return server;
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** A throw-away server at the instant that the options of a command name. */
export interface OpenedPast extends AsyncDisposable {
  readonly source: ExplorableSource;
  readonly server: PastServer;
  readonly reached: ReachedData;
  readonly instant: Pick<Recovered, 'target' | 'reaches'>;
}

export interface OpenWish {
  readonly isWritable?: boolean;
  /** Looks at what could be in the way of all that follows. */
  readonly before?: (source: ExplorableSource, signal: AbortSignal) => Promise<void>;
}

/** What is read of the repositories is read when the server stands there: from then on a prune need not wait. */
export async function openInstant(
  context: CommandContext,
  input: InstantOptions & { readonly component: string },
  { isWritable, before }: OpenWish = {},
): Promise<OpenedPast> {
  const request = instantRequest(input, context);
  await using stack = new AsyncDisposableStack();
  const reading = stack.use(new AsyncDisposableStack());
  const past = reading.use(await openPast(context, input));
  await before?.(past.source, past.signal);
  const place = stack.use(await past.makePlace());
  const chosen = await past.choose(request);
  const server = stack.use(await past.open(place, chosen, isWritable === undefined ? {} : { isWritable }));
  await reading.disposeAsync();
  const held = stack.move();
  return {
    source: past.source,
    server,
    reached: reachedData(chosen, server),
    instant: { target: request?.target, reaches: request === undefined ? server.reached : chosen.choice.reaches },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

interface Kept {
  readonly repositories: readonly ReplayRepository[];
}

type FoundPoint = Awaited<ReturnType<PointSearch['find']>>;

async function startingFrom(
  from: string,
  { repositories, search, component }: Kept & { readonly search: PointSearch; readonly component: string },
): Promise<ReplayRepository[]> {
  const { snapshot } = await search.find({ component, from });
  return repositories.map((one) => ({ ...one, snapshots: one.snapshots.filter(({ id }) => id === snapshot.id) }));
}

async function chooseBase(
  { source, repositories }: Kept & { readonly source: ExplorableSource },
  { found: { opened, snapshot }, signal }: { readonly found: FoundPoint; readonly signal: AbortSignal },
): Promise<ChosenReplay> {
  const repository = repositories.find(({ name }) => name === opened.settings.name);
  if (repository === undefined) throw new Error(`repository ${opened.settings.name} was not read`);
  const choice = await source.explore.chooseBase(await replayPlace(repository, signal), snapshot.id, signal);
  return { repository, snapshot, choice };
}

function notExplorable(component: string, kind: string): AppError {
  return new AppError('USAGE', `${component} is of the kind ${kind}, whose past can't be looked at`, {
    hint: "Name a PostgreSQL component; restore others with 'lifeboat restore' to another place.",
  });
}
