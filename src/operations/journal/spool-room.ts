// How much a spool may hold. Who wants to write more waits, and is told of: for room below the limit, or for room on a full
// disk. Nothing is dropped; the server keeps what is not acknowledged.
import assert from 'node:assert/strict';
import { formatByteSize } from '../../base/byte-size.ts';
import { throwIfAborted, untilAborted, type Sleep } from '../../storage/interruption.ts';
import type { JournalEvents } from '../../sources/journal.ts';
import { isDiskFull } from './spool-errors.ts';

export interface SpoolRoomOptions {
  readonly maxBytes: number;
  readonly events: Pick<JournalEvents, 'note' | 'warn'>;
  readonly sleep: Sleep;
}

/** How often a full disk is tried again. */
const diskRetryMs = 1000;

export class SpoolRoom {
  readonly maxBytes: number;
  readonly #events: SpoolRoomOptions['events'];
  readonly #sleep: Sleep;
  #usedBytes = 0;
  #waitsFor: 'limit' | 'disk' | undefined;
  #released = Promise.withResolvers<void>();

  constructor({ maxBytes, events, sleep }: SpoolRoomOptions) {
    this.maxBytes = maxBytes;
    this.#events = events;
    this.#sleep = sleep;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** What writing waits for at the moment, if it does. */
  get waitsFor(): 'limit' | 'disk' | undefined {
    return this.#waitsFor;
  }

  /** Counts bytes that are there already, also beyond the limit: it may have been lowered. */
  add(sizeBytes: number): void {
    this.#usedBytes += sizeBytes;
  }

  release(sizeBytes: number): void {
    this.#usedBytes -= sizeBytes;
    assert.ok(this.#usedBytes >= 0, 'more is released than was taken');
    this.#released.resolve();
    this.#released = Promise.withResolvers<void>();
  }

  /** Waits until so many bytes fit below the limit, and counts them. */
  async take(sizeBytes: number, signal: AbortSignal): Promise<void> {
    assert.ok(sizeBytes <= this.maxBytes, 'it fits an empty spool');
    while (this.#usedBytes + sizeBytes > this.maxBytes) {
      this.#begin('limit');
      await untilAborted(this.#released.promise, signal);
    }
    if (this.#waitsFor === 'limit') this.#end();
    this.#usedBytes += sizeBytes;
  }

  /** Tries again for as long as the disk is full. `work` may be done several times. */
  async onDisk<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    for (;;) {
      throwIfAborted(signal);
      try {
        const result = await work();
        if (this.#waitsFor === 'disk') this.#end();
        return result;
      } catch (error) {
        if (!isDiskFull(error)) throw error;
        this.#begin('disk');
        await this.#sleep(diskRetryMs, signal);
      }
    }
  }

  #begin(reason: 'limit' | 'disk'): void {
    if (this.#waitsFor === reason) return;
    this.#waitsFor = reason;
    this.#events.warn({
      aspect: 'journal spool',
      outcome: 'warning',
      message:
        reason === 'limit'
          ? `the spool holds ${formatByteSize(this.#usedBytes)} of at most ${formatByteSize(this.maxBytes)}: nothing more is acknowledged until a repository takes some`
          : 'the disk of the spool is full: nothing more is acknowledged until there is room',
      hint:
        reason === 'limit'
          ? 'Look at why the repositories are slow or away; meanwhile the server keeps its changes, so watch its disk.'
          : 'Free space on the file system of the spool; meanwhile the server keeps its changes, so watch its disk.',
    });
  }

  #end(): void {
    this.#waitsFor = undefined;
    this.#events.note('the spool has room again, the journal goes on');
  }
}
