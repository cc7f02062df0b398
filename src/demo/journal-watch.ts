// Looks at the repository while the server receives the journal, and tells how far behind the shop it is.
import { AppError, asError } from '../base/errors.ts';
import type { CommandContext, OpenedRepository } from '../cli/context.ts';
import { requireJournal } from '../cli/journal-subject.ts';
import { surveyJournal } from '../operations/journal/survey.ts';
import { systemSleep } from '../storage/interruption.ts';
import { LossMeter, type LossWindow } from './loss-window.ts';

export interface JournalWatch extends AsyncDisposable {
  readonly intervalMs: number;
  /** A commit was confirmed: up to there the server's log has it. */
  committed(walBytes: number): void;
  /** Waits until the repository holds the log up to there. Rejects if it does not come. */
  untilStored(walBytes: number): Promise<void>;
  lossWindow(): LossWindow | undefined;
}

const lookEveryMs = 50;
const storedWaitMaxMs = 120_000;

export async function watchJournal(context: CommandContext, component: string): Promise<JournalWatch> {
  const { family, settings, repositories } = await requireJournal(context, component);
  const [repository] = repositories;
  if (repository === undefined) throw new AppError('CONFIG_MISSING', 'no repository', { hint: 'Name one.' });
  const opened = await context.openRepository(repository, 'read');
  const over = new AbortController();
  const watch = new StoredWatch(context, { opened, family, signal: AbortSignal.any([context.signal, over.signal]) });
  return {
    intervalMs: settings.intervalMs,
    committed: (walBytes) => watch.meter.committed(walBytes, context.clock.now()),
    untilStored: (walBytes) => watch.until(walBytes),
    lossWindow: () => watch.meter.figures(),
    async [Symbol.asyncDispose]() {
      over.abort();
      await watch.ended;
      await opened[Symbol.asyncDispose]();
    },
  };
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
