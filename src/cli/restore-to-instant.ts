// `restore --at …`: recovery to any instant, from the backup and the journal that lead there.
import { AppError } from '../base/errors.ts';
import { feedFrom } from '../operations/restore/feed.ts';
import { readJournals } from '../operations/journal/reader.ts';
import { chooseReplay, type ChosenReplay, type ReplayRepository } from '../operations/restore/replay.ts';
import { recoveryReader } from '../operations/restore/recovery-reader.ts';
import { decidedBySource, looksLikeFolder, type DecidedRestore } from '../operations/restore/restore.ts';
import { loadIndex } from '../repository/load-index.ts';
import { WorkerPool } from '../repository/worker-pool.ts';
import { isReplayable, type ReplayableSource, type ReplayRequest } from '../sources/replay.ts';
import { systemSleep } from '../storage/interruption.ts';
import { requireConsent } from './confirmation.ts';
import type { CommandContext } from './context.ts';
import { measuredRpo } from './measured-rpo.ts';
import { noteUnread, type PointSearch, type ReadRepository } from './point-search.ts';
import { componentLike, configuredComponent, noLock, sharedLock } from './recovery-point.ts';
import { placesOf, zoneNote, type ReplayInput } from './replay-request.ts';
import { dataOf, decisionLines, noteWarnings, plain, type RestoreData } from './restore-report.ts';

interface InstantInput extends ReplayInput {
  readonly what: string;
  readonly component: string | undefined;
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly base: string | undefined;
  readonly isDryRun: boolean;
  readonly isConfirmed: boolean;
}

export interface InstantRestore {
  readonly input: InstantInput;
  readonly request: ReplayRequest;
  readonly search: PointSearch;
}

export async function restoreToInstant(context: CommandContext, restore: InstantRestore): Promise<RestoreData> {
  const { input, request, search } = restore;
  const startMs = context.clock.now();
  const to = targetFolder(input);
  const component = input.component ?? input.what;
  const read = await search.ofComponent(component, input.from);
  await using opened = new AsyncDisposableStack();
  const signals = [context.signal];
  const repositories: ReplayRepository[] = [];
  for (const one of read) {
    // Of all, and before anything is read: which one leads there is not known yet.
    const lock = opened.use(input.isDryRun ? noLock() : await sharedLock(one.opened.repository, context));
    signals.push(lock.signal);
    repositories.push(await replayRepository(one, { from: input.from, opened, context, search }));
  }
  const signal = AbortSignal.any(signals);
  const source = await sourceOf(repositories, context);
  const chosen = await choose({ repositories, replay: source.replay, request }, { search, context, signal });
  const decision = await decide({ chosen, to, input, context }, signal);
  const data = { ...dataOf(pointOf(chosen, read), decision, search.unread), recovery: previewOf(chosen) };
  const note = zoneNote(input, request, Temporal.Now.timeZoneId());
  if (note !== undefined) context.progress.note(note);
  if (input.isDryRun) return { ...data, report: undefined, elapsedMs: context.clock.now() - startMs };
  const isAsking = decision.replaces !== undefined && !input.isConfirmed;
  if (!isAsking) noteWarnings(decision.findings, context);
  if (isAsking) context.progress.note(decisionLines(data, plain()).join('\n'));
  const isPossible = decision.findings.every(({ outcome }) => outcome !== 'failed');
  if (isPossible && decision.replaces !== undefined) {
    await requireConsent(context, `replace ${decision.replaces}`, input.isConfirmed);
  }
  const report = await decision.execute(({ step, bytes: bytesDone }) =>
    context.progress.update({ work: step, bytesDone, bytesTotal: undefined }),
  );
  const measured = measuredRpo({
    sentinelMs: report.sentinelMs,
    target: request.target,
    reaches: chosen.choice.reaches,
    nowMs: startMs,
  });
  return { ...data, report, measured, elapsedMs: context.clock.now() - startMs };
}

interface Choosing {
  readonly search: PointSearch;
  readonly context: CommandContext;
  readonly signal: AbortSignal;
}

/** Where none leads there, whoever asks must still hear of backups that were left out. */
async function choose(
  {
    repositories,
    ...wish
  }: { readonly repositories: readonly ReplayRepository[] } & Parameters<typeof chooseReplay>[1],
  { search, context, signal }: Choosing,
): Promise<ChosenReplay> {
  try {
    return await chooseReplay(repositories, wish, signal);
  } catch (error) {
    noteUnread(search.unread, context);
    throw error;
  }
}

function targetFolder({ to, include, exclude, base }: InstantInput): string {
  if (include.length > 0 || exclude.length > 0 || base !== undefined) {
    throw new AppError(
      'USAGE',
      'an instant is that of a whole server: --include, --exclude and --base do not go with it',
      {
        hint: 'Leave them out; take single databases from the restored server.',
      },
    );
  }
  if (to !== undefined && looksLikeFolder(to)) return to;
  const what = to === undefined ? 'no folder is named' : `'${to}' is no folder`;
  throw new AppError('USAGE', `${what}: a recovery to an instant writes the data directory of a server`, {
    hint: 'Name the folder with --to, such as --to /srv/postgres-copy.',
  });
}

interface OpeningOptions {
  readonly from: string | undefined;
  readonly opened: AsyncDisposableStack;
  readonly context: CommandContext;
  readonly search: PointSearch;
}

/** `snapshots` are those of the component. */
export async function replayRepository(
  { opened: { repository, settings }, snapshots }: ReadRepository,
  { from, opened, context, search }: OpeningOptions,
): Promise<ReplayRepository> {
  const own = snapshots.filter((one) => from === undefined || one.id.startsWith(from));
  return {
    name: settings.name,
    // Snapshots were read before: what they need is sure to be in it.
    indexed: { repository, index: await loadIndex(repository, context.signal) },
    pool: opened.use(new WorkerPool(repository)),
    snapshots: own,
    journal: readJournals(repository),
    onUnreadable: (base) => search.leaveOut(settings.name, base),
  };
}

export async function sourceOf(
  repositories: readonly ReplayRepository[],
  context: CommandContext,
): Promise<ReplayableSource> {
  const [newest] = repositories.flatMap(({ snapshots, indexed, pool }) =>
    snapshots.slice(-1).map((snapshot) => ({ indexed, pool, snapshot })),
  );
  if (newest === undefined) {
    throw new AppError('NOT_FOUND', 'no snapshot fits --from', {
      hint: 'Leave it out: the newest that is old enough is taken.',
    });
  }
  const component =
    (await configuredComponent(newest.snapshot, context)) ?? (await componentLike(newest, context.signal));
  const source = await context.sourceOf(component);
  if (isReplayable(source)) return source;
  throw new AppError('USAGE', `changes of a component of the kind ${source.kind} can't be replayed`, {
    hint: "Choose a snapshot with --from: 'lifeboat snapshots' lists them.",
  });
}

interface DecideParts {
  readonly chosen: ChosenReplay;
  readonly to: string;
  readonly input: InstantInput;
  readonly context: CommandContext;
}

async function decide({ chosen, to, input, context }: DecideParts, signal: AbortSignal): Promise<DecidedRestore> {
  const { repository, snapshot, choice } = chosen;
  const { prompter, clock, random } = context;
  const action = input.action ?? 'promote';
  if (action === 'pause' && prompter === undefined && !input.isDryRun && !input.isOnlyPrepared) {
    throw new AppError('USAGE', '--action pause needs somebody at a terminal to say how to go on', {
      hint: 'Use promote or shutdown.',
    });
  }
  if (input.isStarted && (input.isOnlyPrepared || action === 'shutdown')) {
    throw new AppError('USAGE', '--start goes with a recovery that ends in a promotion', { hint: 'Leave it out.' });
  }
  const options = {
    to,
    action,
    isStarted: input.isStarted,
    isOnlyPrepared: input.isOnlyPrepared,
    places: placesOf(input.places),
    owner: input.owner,
    openFeed: feedFrom({ clock, random, sleep: systemSleep }),
    inspect: (connection: string) => inspect(connection, context),
  };
  const decision = await choice.decide(recoveryReader({ ...repository, snapshot }), options, signal);
  return decidedBySource(decision, signal);
}

async function inspect(connection: string, { progress, prompter }: CommandContext): Promise<'promote' | 'shutdown'> {
  progress.clear();
  progress.note(`the server waits at the instant and can be read: ${connection}`);
  const answer = await prompter?.text("Type 'promote' to keep this state, or 'stop' to stop the server there");
  return answer?.trim().toLowerCase() === 'promote' ? 'promote' : 'shutdown';
}

function pointOf({ repository, snapshot }: ChosenReplay, read: readonly ReadRepository[]) {
  const found = read.find(({ opened }) => opened.settings.name === repository.name);
  if (found === undefined) throw new Error(`repository ${repository.name} was not read`);
  return { opened: found.opened, snapshot };
}

function previewOf({ choice: { reaches, branch, replayBytes, window, reasons } }: ChosenReplay) {
  return { reaches, timeline: branch, replayBytes, window, reasons };
}
