// A base backup as it comes over the connection: the members of its archives one after the other, then the manifest, then the end.
// Who takes members sets the pace; what is not read of one is passed over.
import { AppError } from '../../../base/errors.ts';
import type { BaseBackupEvent, Tablespace } from '../protocol/base-backup-decoder.ts';
import type { Lsn } from '../wal/lsn.ts';
import { TarReader, type TarEvent, type TarMember } from './tar-reader.ts';

export interface WalPlace {
  readonly lsn: Lsn;
  readonly timeline: number;
}

export type ReceivedPart =
  /** What follows up to the next one belongs to this archive; undefined is the data directory's, the last. */
  | { readonly kind: 'archive'; readonly tablespace: Tablespace | undefined }
  | { readonly kind: 'member'; readonly member: TarMember; readonly content: AsyncIterable<Uint8Array> }
  | { readonly kind: 'manifest'; readonly content: AsyncIterable<Uint8Array> };

export interface BackupBegin {
  readonly start: WalPlace;
  readonly tablespaces: readonly Tablespace[];
  /** An estimate of the server's: all archives together. */
  readonly sizeBytes: number;
}

export class ReceivedBackup {
  readonly begin: BackupBegin;
  readonly #events: AsyncGenerator<BaseBackupEvent, void>;
  #end: WalPlace | undefined;

  private constructor(events: AsyncGenerator<BaseBackupEvent, void>, begin: BackupBegin) {
    this.#events = events;
    this.begin = begin;
  }

  /** Resolves when the server has made its checkpoint and is about to send. */
  static async begin(events: AsyncGenerator<BaseBackupEvent, void>): Promise<ReceivedBackup> {
    const start = await events.next();
    const tablespaces = await events.next();
    if (start.done === true || start.value.kind !== 'start') throw unexpected();
    if (tablespaces.done === true || tablespaces.value.kind !== 'tablespaces') throw unexpected();
    const { lsn, timeline } = start.value;
    const { tablespaces: own, baseSizeBytes = 0 } = tablespaces.value;
    const sizeBytes = own.reduce((sum, one) => sum + (one.sizeBytes ?? 0), baseSizeBytes);
    return new ReceivedBackup(events, { start: { lsn, timeline }, tablespaces: own, sizeBytes });
  }

  /** Complete once `parts` has ended. */
  get end(): WalPlace {
    if (this.#end === undefined) throw new Error('the base backup was not read to its end');
    return this.#end;
  }

  async *parts(): AsyncGenerator<ReceivedPart, void> {
    for (;;) {
      const { value: event } = await this.#events.next();
      if (event?.kind === 'progress') continue;
      if (event?.kind === 'archive') {
        yield { kind: 'archive', tablespace: event.tablespace };
        yield* this.#members();
      } else if (event?.kind === 'manifest') {
        const content = this.#manifest();
        yield { kind: 'manifest', content };
        await pass(content);
      } else if (event?.kind === 'end') {
        this.#end = { lsn: event.lsn, timeline: event.timeline };
        // The generator must run to its end, or the connection counts as left in the middle.
        await this.#events.next();
        return;
      } else throw unexpected();
    }
  }

  async *#members(): AsyncGenerator<ReceivedPart, void> {
    const events = this.#tarEvents();
    for (;;) {
      const next = await events.next();
      if (next.done === true) return;
      if (next.value.kind !== 'member') throw unexpected();
      const content = contentOf(events);
      yield { kind: 'member', member: next.value.member, content };
      await pass(content);
    }
  }

  async *#tarEvents(): AsyncGenerator<TarEvent, void> {
    const reader = new TarReader();
    for (;;) {
      const { value: event } = await this.#events.next();
      if (event?.kind === 'data') yield* reader.push(event.bytes);
      else if (event?.kind === 'archive-end') break;
      else if (event?.kind !== 'progress') throw unexpected();
    }
    reader.finish();
  }

  async *#manifest(): AsyncGenerator<Uint8Array, void> {
    for (;;) {
      const { value: event } = await this.#events.next();
      if (event?.kind === 'manifest-data') yield event.bytes;
      else if (event?.kind === 'manifest-end') return;
      else if (event?.kind !== 'progress') throw unexpected();
    }
  }
}

/** A class, not a generator: one that was left in the middle can still be read to its end. */
function contentOf(events: AsyncGenerator<TarEvent, void>): AsyncIterableIterator<Uint8Array> {
  let isOver = false;
  return {
    async next() {
      if (!isOver) {
        const { value: event } = await events.next();
        if (event?.kind === 'content') return { done: false, value: event.bytes };
        if (event?.kind !== 'member-end') throw unexpected();
        isOver = true;
      }
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

async function pass(content: AsyncIterator<Uint8Array>): Promise<void> {
  while ((await content.next()).done !== true);
}

function unexpected(): AppError {
  return new AppError(
    'SOURCE_FAILED',
    'the base backup broke off, or its parts came in another order than they should',
    {
      hint: 'Take the backup again.',
    },
  );
}
