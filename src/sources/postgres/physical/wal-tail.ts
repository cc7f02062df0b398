// The WAL that a base backup needs: from its start to an exact end, as the files of pg_wal. It is fetched from a slot made before
// the backup, checked record by record, and the last segment is cut at the end: a server started from the copy recovers to
// there and no further.
import { AppError } from '../../../base/errors.ts';
import type { Entry } from '../../source.ts';
import type { ReplicationConnection } from '../protocol/replication-connection.ts';
import type { WalEvent, WalStream } from '../protocol/wal-stream.ts';
import { formatLsn, type Lsn } from '../wal/lsn.ts';
import { longHeaderBytes, walPageBytes } from '../wal/page-header.ts';
import { RecordWalker } from '../wal/record-walker.ts';
import { historyName, segmentName } from '../wal/segment-name.ts';
import { fileMetadata, type FileForm } from './member-metadata.ts';
import type { WalPlace } from './received-backup.ts';

export interface WalTailOptions {
  readonly connection: ReplicationConnection;
  /** Undefined: none could be had, so the server may have removed what is needed. */
  readonly slot: string | undefined;
  readonly start: WalPlace;
  /** The end of a record, or a page header behind it. */
  readonly end: Lsn;
  readonly segmentBytes: number;
  readonly systemIdentifier: bigint;
  readonly major: number;
  readonly folder: string;
  readonly form: FileForm;
  /** Told at the end, when all WAL was found sound. */
  readonly onEnd: (end: WalEnd) => void;
}

export interface WalEnd extends WalPlace {
  /** Of its timeline; timeline 1 has none. */
  readonly history: Buffer | undefined;
  /** The server's clock when it sent the first of the WAL, milliseconds since 1970. */
  readonly sentAtMs: number | undefined;
  /** Of the newest commit in the WAL, microseconds since 1970. */
  readonly lastCommitUs: number | undefined;
}

const zeros = new Uint8Array(64 * 1024);

/** Segments and histories of timelines, in the order in which recovery reads them. */
export async function* walTail(options: WalTailOptions, signal: AbortSignal): AsyncGenerator<Entry, void> {
  const { connection, start, end, segmentBytes } = options;
  let { timeline } = start;
  let from = segmentStart(start.lsn, segmentBytes);
  let lastCommitUs: number | undefined;
  let sentAtMs: number | undefined;
  let history: Buffer | undefined;
  for (;;) {
    signal.throwIfAborted();
    if (timeline > 1) {
      history = (await connection.timelineHistory(timeline)).content;
      yield historyEntry(options, { timeline, content: history });
    }
    const stream = await connection.startReplication({ slot: options.slot, start: from, timeline });
    const stretch = new WalStretch(stream, { ...options, from, timeline });
    yield* stretch.segments(signal);
    lastCommitUs = stretch.lastCommitUs ?? lastCommitUs;
    sentAtMs ??= stretch.sentAtMs;
    if (stretch.next === undefined) break;
    timeline = stretch.next.timeline;
    from = segmentStart(stretch.next.lsn, segmentBytes);
  }
  options.onEnd({ lsn: end, timeline, history, lastCommitUs, sentAtMs });
}

function segmentStart(lsn: Lsn, segmentBytes: number): Lsn {
  return lsn - (lsn % BigInt(segmentBytes));
}

function historyEntry(
  { folder, form }: WalTailOptions,
  { timeline, content }: { readonly timeline: number; readonly content: Buffer },
): Entry {
  const path = `${folder}/${historyName(timeline)}`;
  const metadata = fileMetadata(form, content.length);
  return { kind: 'whole', path, metadata, content: { from: 'bytes', bytes: content } };
}

interface StretchOptions extends WalTailOptions {
  readonly from: Lsn;
  readonly timeline: number;
}

/** What is needed of one timeline. */
class WalStretch {
  readonly #options: StretchOptions;
  readonly #stream: WalStream;
  readonly #events: AsyncIterator<WalEvent>;
  readonly #walker: RecordWalker;
  /** Of the last event, what has not been handed on. */
  #rest: Uint8Array = new Uint8Array(0);
  #at: Lsn;
  lastCommitUs: number | undefined;
  sentAtMs: number | undefined;
  /** Where another timeline goes on, if that happened before the end. */
  next: WalPlace | undefined;

  constructor(stream: WalStream, options: StretchOptions) {
    this.#options = options;
    this.#stream = stream;
    this.#events = stream[Symbol.asyncIterator]();
    this.#at = options.from;
    const { from: startLsn, segmentBytes, major, systemIdentifier, timeline } = options;
    this.#walker = new RecordWalker({ startLsn, segmentBytes, major, systemIdentifier, timeline }, (event) => {
      if (event.kind === 'transaction-end' && event.outcome === 'commit') this.lastCommitUs = event.timeUs;
    });
  }

  async *segments(signal: AbortSignal): AsyncGenerator<Entry, void> {
    const { segmentBytes, timeline, folder, form, end } = this.#options;
    while (this.#at < end && this.next === undefined) {
      signal.throwIfAborted();
      const name = segmentName(timeline, Number(this.#at / BigInt(segmentBytes)), segmentBytes);
      const content = this.#segment();
      const metadata = fileMetadata(form, segmentBytes);
      yield { kind: 'whole', path: `${folder}/${name}`, metadata, content: { from: 'stream', open: () => content } };
      while ((await content.next()).done !== true); // Whatever of it nobody read.
    }
    if (this.next === undefined) {
      await this.#stream.finish();
      this.#checkEnd();
    }
  }

  async *#segment(): AsyncGenerator<Uint8Array, void> {
    const { end, segmentBytes } = this.#options;
    const stop = segmentStart(this.#at, segmentBytes) + BigInt(segmentBytes);
    let bytes = 0;
    while (this.#at < stop && this.#at < end) {
      const piece = await this.#piece(stop < end ? stop : end);
      if (piece === undefined) break;
      this.#walker.push(piece);
      bytes += piece.length;
      yield piece;
    }
    for (; bytes < segmentBytes; bytes += zeros.length) yield zeros.subarray(0, segmentBytes - bytes);
  }

  /** The next bytes, none of them behind `limit`; undefined where the timeline ends. */
  async #piece(limit: Lsn): Promise<Uint8Array | undefined> {
    while (this.#rest.length === 0) {
      const { value: event, done } = await this.#events.next();
      if (done === true || event === undefined) throw walMissing(this.#at, 'the stream ended');
      if (event.kind !== 'end') this.sentAtMs ??= event.serverTimeMs;
      if (event.kind === 'keepalive') continue;
      if (event.kind === 'end') {
        if (event.reason !== 'timeline') throw walMissing(this.#at, 'the server ended the stream');
        this.next = { lsn: event.switchLsn, timeline: event.nextTimeline };
        return undefined;
      }
      if (event.lsn !== this.#at) throw walMissing(this.#at, `the server went on at ${formatLsn(event.lsn)}`);
      this.#rest = event.bytes;
    }
    const room = limit - this.#at;
    const piece = BigInt(this.#rest.length) > room ? this.#rest.subarray(0, Number(room)) : this.#rest;
    this.#rest = this.#rest.subarray(piece.length);
    this.#at += BigInt(piece.length);
    return piece;
  }

  /** An insert position right behind a page's last record counts the next page's header, too. */
  #checkEnd(): void {
    const { end, from } = this.#options;
    const { stop, recordsEnd = from } = this.#walker;
    if (stop?.kind === 'damaged') throw walMissing(stop.lsn, stop.message);
    const headerBytes = end % BigInt(walPageBytes) <= longHeaderBytes ? longHeaderBytes : 0;
    if (recordsEnd !== end && !(recordsEnd < end && end - recordsEnd <= headerBytes)) {
      throw walMissing(recordsEnd, `its records end there, not at ${formatLsn(end)}`);
    }
  }
}

function walMissing(lsn: Lsn, what: string): AppError {
  return new AppError('SOURCE_FAILED', `the WAL that the backup needs is not sound at ${formatLsn(lsn)}: ${what}`, {
    hint: 'Take the backup again.',
  });
}
