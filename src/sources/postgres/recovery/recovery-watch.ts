// Follows a recovering server by its log: how far it is, whether it waits at its target or was promoted, and how it ended.
import type { ChildProcess } from 'node:child_process';
import { messageOf } from '../../../base/errors.ts';
import type { Lsn } from '../wal/lsn.ts';
import { type LogEvent, LogLines, readLogLine } from './recovery-log.ts';

export class RecoveryWatch {
  readonly #lines: LogLines;
  readonly #onReplayed: (lsn: Lsn) => void;
  #wake = (): void => undefined;
  #hasEnded = false;
  #isPaused = false;
  #isPromoted = false;
  #replayedLsn: Lsn | undefined;
  #lastTransaction: string | undefined;
  #stopping: string | undefined;
  #failure: string | undefined;
  #limits: string | undefined;

  constructor(child: ChildProcess, onReplayed: (lsn: Lsn) => void) {
    this.#onReplayed = onReplayed;
    this.#lines = new LogLines((line) => {
      const event = readLogLine(line);
      if (event !== undefined) this.#note(event);
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#lines.push(text));
    // Not its exit: the last words may still be on their way.
    child.once('close', () => this.#end());
    child.once('error', (error) => {
      this.#failure = messageOf(error);
      if (child.pid === undefined) this.#end();
    });
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get isPromoted(): boolean {
    return this.#isPromoted;
  }

  /** Where the replay ended; a server that is shut down at its target does not say it. */
  get replayedLsn(): Lsn | undefined {
    return this.#replayedLsn;
  }

  get lastTransaction(): string | undefined {
    return this.#lastTransaction;
  }

  /** Where the server said that it stops; it says so at its target only. */
  get stopping(): string | undefined {
    return this.#stopping;
  }

  get complaints(): string {
    return this.#failure ?? this.#lines.complaints;
  }

  /** Why it can't be read while it recovers, and therefore waits for ever. */
  get limits(): string | undefined {
    return this.#limits;
  }

  async next(): Promise<'paused' | 'promoted' | 'ended' | 'stuck'> {
    await this.#until(() => this.#isPaused || this.#isPromoted || this.#hasEnded || this.#limits !== undefined);
    if (this.#isPromoted) return 'promoted';
    if (this.#hasEnded) return 'ended';
    return this.#isPaused ? 'paused' : 'stuck';
  }

  async promotedOrEnded(): Promise<void> {
    await this.#until(() => this.#isPromoted || this.#hasEnded);
  }

  async ended(): Promise<void> {
    await this.#until(() => this.#hasEnded);
  }

  async #until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  #end(): void {
    this.#hasEnded = true;
    this.#wake();
  }

  #note(event: LogEvent): void {
    switch (event.kind) {
      case 'consistent':
      case 'replaying':
        this.#onReplayed(event.lsn);
        return;
      case 'replayed':
        this.#replayedLsn = event.lsn;
        this.#onReplayed(event.lsn);
        return;
      case 'stopping':
        this.#stopping = event.words;
        return;
      case 'last-transaction':
        this.#lastTransaction = event.time;
        return;
      case 'paused':
        this.#isPaused = true;
        break;
      case 'promoted':
        this.#isPromoted = true;
        break;
      case 'limits-too-low':
        this.#limits = event.words;
        break;
      case 'failure':
      case 'timeline':
      case 'readable':
        return;
      default:
        event satisfies never;
    }
    this.#wake();
  }
}
