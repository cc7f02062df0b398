// The full backups that a receiver takes by itself where changes were lost: the same work as `backup --type full`, beside the
// stream, told as it goes.
import assert from 'node:assert/strict';
import { formatAge } from '../base/duration.ts';
import { AppError } from '../base/errors.ts';
import type { RepositorySettings } from '../model/repository-settings.ts';
import { BaseKeeper } from '../operations/journal/base-keeper.ts';
import { gapBehindBases } from '../operations/journal/lost-bases.ts';
import type { Repository } from '../repository/repository.ts';
import { loadSnapshots } from '../repository/snapshot.ts';
import { isReplayable } from '../sources/replay.ts';
import { systemSleep } from '../storage/interruption.ts';
import { backUp } from './back-up.ts';
import type { CommandContext } from './context.ts';
import { endOfJournal, ofApplication } from './journal-reach.ts';
import type { JournalSubject } from './journal-subject.ts';
import { progressText, type ProgressSink } from './progress.ts';
import { elapsedWords, shortId } from './style.ts';

export interface TakenBase {
  readonly repository: string;
  readonly snapshot: string;
  readonly reason: string;
}

export interface NewBases extends Pick<BaseKeeper, 'need' | 'streams' | 'needed' | 'signal'>, AsyncDisposable {
  readonly taken: readonly TakenBase[];
  /** What is being done just now, for a line that tells of more. */
  readonly working: string | undefined;
}

export function newBases(context: CommandContext, subject: JournalSubject): NewBases {
  const { component, repositories } = subject;
  const { progress, random, clock } = context;
  const taken: TakenBase[] = [];
  let working: string | undefined;
  const settingsOf = (place: string): RepositorySettings => {
    const found = repositories.find(({ name }) => name === place);
    assert.ok(found !== undefined);
    return found;
  };
  const keeper = new BaseKeeper({
    places: repositories.map(({ name }) => name),
    async look(place, signal) {
      await using opened = await context.openRepository(settingsOf(place), 'read');
      return await lackOf(opened.repository, { context, subject }, signal);
    },
    async take(place, reason, signal) {
      await requirePhysical(context, subject, signal);
      progress.note(`a new base of ${component} is taken in ${place}: ${reason}`);
      const startMs = clock.now();
      try {
        const quiet = { ...context, signal, progress: besideOthers(progress, (text) => (working = `base: ${text}`)) };
        const work = { component: subject.configured, repository: settingsOf(place), host: subject.application };
        const { snapshot } = await backUp(quiet, work, { type: 'full', description: `new base: ${reason}` });
        if (snapshot.lifeboat?.journal === undefined)
          throw notPhysical(`snapshot ${shortId(snapshot.id)} of ${component} is a dump`);
        taken.push({ repository: place, snapshot: snapshot.id, reason });
        const elapsed = elapsedWords(clock.now() - startMs);
        progress.note(`new base ${shortId(snapshot.id)} in ${place}, in ${elapsed}: what follows can be reached again`);
      } finally {
        working = undefined;
      }
    },
    onFailed({ place, error, delayMs }) {
      const next =
        delayMs === undefined
          ? 'it is not tried again'
          : `it is tried again in ${formatAge(delayMs)}; the journal is received meanwhile`;
      const hint = error instanceof AppError ? `\nhint: ${error.hint}` : '';
      progress.note(`error: no new base of ${component} in ${place}: ${error.message}; ${next}${hint}`);
    },
    random,
    sleep: systemSleep,
  });
  return {
    taken,
    signal: keeper.signal,
    get working() {
      return working;
    },
    get needed() {
      return keeper.needed;
    },
    need: (reason) => keeper.need(reason),
    streams: () => keeper.streams(),
    [Symbol.asyncDispose]: () => keeper[Symbol.asyncDispose](),
  };
}

/** A gap that was recorded, also where nothing came behind it yet; or a branch that does not begin where the one before it ends. */
async function lackOf(
  repository: Repository,
  { context, subject }: { readonly context: CommandContext; readonly subject: JournalSubject },
  signal: AbortSignal,
): Promise<string | undefined> {
  const { component, application, configured, family, spoolFolder } = subject;
  const all = await loadSnapshots(repository, signal, () => undefined); // `verify` tells of damaged ones.
  const snapshots = ofApplication(all, { component, application });
  const gap = await gapBehindBases(repository, { family, snapshots, spoolFolder }, signal);
  const source = await context.sourceOf(configured);
  if (gap !== undefined || !isReplayable(source)) return gap;
  const end = await endOfJournal(repository, { snapshots, replay: source.replay, family }, signal);
  return end?.missing === undefined ? undefined : `${end.missing} are missing`;
}

/** The line belongs to the receiver. */
function besideOthers(all: ProgressSink, tell: (text: string) => void): ProgressSink {
  return { update: (told) => tell(progressText(told)), note: (text) => all.note(text), clear: () => undefined };
}

/** Before all of it is read for nothing: where the method is left to the server, it may turn out to be a dump. */
async function requirePhysical(
  context: CommandContext,
  { component, configured }: JournalSubject,
  signal: AbortSignal,
): Promise<void> {
  const source = await context.sourceOf(configured);
  const form = await source.decideBackup?.({ type: 'full' }, signal);
  if (form?.method !== 'logical') return;
  const what = `a backup of ${component} would be ${form.reason ?? 'a dump'}`;
  if (form.isUnknown !== true) throw notPhysical(what);
  throw new AppError('SOURCE_UNREACHABLE', what, { hint: 'Check that the server can be reached.' });
}

function notPhysical(what: string): AppError {
  return new AppError('SOURCE_UNSUPPORTED', `${what}, on which no journal can be replayed`, {
    hint: "Set 'method: physical' for the component; 'lifeboat check' says what it needs.",
  });
}
