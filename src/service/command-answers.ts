// Answers of short commands about an application: a process of its own looks, a few at a time, and whoever asks the same shortly after
// gets the same answer, unless a run has ended meanwhile.
import { AppError } from '../base/errors.ts';
import { Semaphore } from '../base/semaphore.ts';
import { runJob, type JobOutcome, type Launcher } from './job-process.ts';
import { configOption, type Tenant } from './tenant.ts';

/** What was seen so lately is worth showing again. */
const freshMs = 10_000;
const atOnceMax = 2;
/** With those that wait for their turn. */
const runningMax = 32;
const timeMaxMs = 120_000;
const keptMax = 200;

interface Kept {
  readonly application: string;
  readonly answer: Promise<JobOutcome>;
  /** On the clock that never jumps; absent while it is being looked for. */
  atMs: number | undefined;
}

export class CommandAnswers implements AsyncDisposable {
  readonly #launcher: Launcher;
  readonly #abort = new AbortController();
  readonly #permits = new Semaphore(atOnceMax);
  readonly #running = new Set<Promise<JobOutcome>>();
  readonly #kept = new Map<string, Kept>();

  constructor(launcher: Launcher) {
    this.#launcher = launcher;
  }

  /** Rejects with what the command ended with; with `RATE_LIMITED` if too many are waited for. */
  async ask(tenant: Tenant, args: readonly string[]): Promise<JobOutcome> {
    const command = [...args, ...configOption(tenant)];
    const key = JSON.stringify(command);
    this.#forgetOld();
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept.answer;
    if (this.#running.size >= runningMax) throw tooMany();
    const answer = this.#look(command);
    const asked: Kept = { application: tenant.application.name, answer, atMs: undefined };
    this.#kept.set(key, asked);
    this.#running.add(answer);
    try {
      return await answer;
    } catch (error) {
      if (this.#kept.get(key) === asked) this.#kept.delete(key);
      throw error;
    } finally {
      this.#running.delete(answer);
      asked.atMs = performance.now();
    }
  }

  /** What was seen of it before says nothing any more; also what is being looked for just now. */
  changed(application: string): void {
    for (const [key, kept] of this.#kept) if (kept.application === application) this.#kept.delete(key);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new Error('the service ends'));
    await Promise.allSettled(this.#running);
  }

  async #look(args: readonly string[]): Promise<JobOutcome> {
    using _ = await this.#permits.acquire();
    const signal = AbortSignal.any([this.#abort.signal, AbortSignal.timeout(timeMaxMs)]);
    try {
      return await runJob({ ...this.#launcher, args }, { onNote: () => undefined, onStatus: () => undefined }, signal);
    } catch (error) {
      throw error instanceof DOMException && error.name === 'TimeoutError' ? tooSlow(args) : error;
    }
  }

  #forgetOld(): void {
    const oldestMs = performance.now() - freshMs;
    for (const [key, { atMs }] of this.#kept) {
      if (atMs !== undefined && (atMs < oldestMs || this.#kept.size > keptMax)) this.#kept.delete(key);
    }
  }
}

function tooMany(): AppError {
  return new AppError('RATE_LIMITED', `${runningMax} looks are being waited for`, { hint: 'Try again in a minute.' });
}

function tooSlow([command = '']: readonly string[]): AppError {
  return new AppError('TIMED_OUT', `lifeboat ${command} took longer than ${timeMaxMs / 1000} s`, {
    hint: 'See whether the repositories can be reached.',
  });
}
