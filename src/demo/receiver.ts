// `lifeboat journal run` beside the shop, as a service would run it, and a look at the repository that tells how far behind it is.
import { AppError, asError } from '../base/errors.ts';
import { journalRunCommand, type JournalRunData } from '../cli/commands/journal-run.ts';
import type { CommandContext, OpenedRepository } from '../cli/context.ts';
import { requireJournal } from '../cli/journal-subject.ts';
import { noProgress } from '../cli/progress.ts';
import { surveyJournal } from '../operations/journal/survey.ts';
import { systemSleep } from '../storage/interruption.ts';
import { LossMeter, type LossWindow } from './loss-window.ts';

export interface Receiver extends AsyncDisposable {
  readonly component: string;
  readonly intervalMs: number;
  /** A commit was confirmed: up to there the server's log has it. */
  committed(walBytes: number): void;
  /** Waits until the repository holds the log up to there. Rejects if it does not come, or if the receiver has failed. */
  untilStored(walBytes: number): Promise<void>;
  lossWindow(): LossWindow | undefined;
  /** As Ctrl-C would: what was received and not yet sent is sent. */
  stop(): Promise<JournalRunData>;
}

const lookEveryMs = 50;
const storedWaitMaxMs = 120_000;

export async function startReceiver(context: CommandContext, component: string): Promise<Receiver> {
  const { family, settings, repositories } = await requireJournal(context, component);
  const [repository] = repositories;
  if (repository === undefined) throw new AppError('CONFIG_MISSING', 'no repository', { hint: 'Name one.' });
  const opened = await context.openRepository(repository, 'read');
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const ended = runCommand(component, context, signal);
  const over = new AbortController(); // Nobody needs to look any more, or there is nothing to look for.
  ended.catch((error: unknown) => over.abort(asError(error)));
  const watch = new StoredWatch(context, { opened, family, signal: AbortSignal.any([context.signal, over.signal]) });
  return {
    component,
    intervalMs: settings.intervalMs,
    committed: (walBytes) => watch.meter.committed(walBytes, context.clock.now()),
    untilStored: (walBytes) => watch.until(walBytes),
    lossWindow: () => watch.meter.figures(),
    stop() {
      stop.abort();
      return ended;
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.allSettled([ended]); // Whoever waited for it has heard of a failure.
      over.abort();
      await watch.ended;
      await opened[Symbol.asyncDispose]();
    },
  };
}

/** What it tells would get between the lines of the story; a failure says enough. */
function runCommand(component: string, context: CommandContext, signal: AbortSignal): Promise<JournalRunData> {
  const input = { component, takesOver: false, acceptsNewServer: false, leavesBases: true };
  return journalRunCommand.run({ ...context, signal, progress: noProgress }, input);
}

interface Watched {
  readonly opened: OpenedRepository;
  readonly family: string;
  readonly signal: AbortSignal;
}

/** Looks again and again how far the journal in the repository reaches. */
class StoredWatch {
  readonly meter = new LossMeter();
  /** Never rejects. */
  readonly ended: Promise<void>;
  readonly #context: CommandContext;
  readonly #watched: Watched;
  #storedBytes = 0;
  #failure: Error | undefined;

  constructor(context: CommandContext, watched: Watched) {
    this.#context = context;
    this.#watched = watched;
    this.ended = this.#look().catch((error: unknown) => void (this.#failure = asError(error)));
  }

  async until(walBytes: number): Promise<void> {
    const { clock, signal } = this.#context;
    const deadlineMs = clock.now() + storedWaitMaxMs;
    while (this.#storedBytes < walBytes) {
      await systemSleep(lookEveryMs, signal);
      if (this.#failure !== undefined) throw this.#failure;
      if (clock.now() < deadlineMs) continue;
      throw new AppError('INCONCLUSIVE', `the journal did not reach the repository in ${storedWaitMaxMs / 1000} s`, {
        hint: 'Start again when the machine has less to do.',
      });
    }
  }

  async #look(): Promise<void> {
    const { opened, family, signal } = this.#watched;
    for (;;) {
      const { branches } = await surveyJournal(opened.repository, { family, withFacts: false }, signal);
      const newest = branches.at(-1);
      // Segments follow one another without a hole, so a place in the journal is a number of bytes.
      if (newest !== undefined) this.#storedBytes = newest.end.segment * newest.segmentBytes + newest.end.offset;
      this.meter.stored(this.#storedBytes, this.#context.clock.now());
      await systemSleep(lookEveryMs, signal);
    }
  }
}
