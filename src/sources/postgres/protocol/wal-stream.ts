// A running START_REPLICATION: yields WAL as it comes, tells the server how far we are, and ends cleanly from either side.
import { asError } from '../../../base/errors.ts';
import type { Clock } from '../../../base/clock.ts';
import { encodeCopyDone } from './frontend-messages.ts';
import { silenceError } from './message-channel.ts';
import { protocolError } from './protocol-error.ts';
import { encodeStandbyStatus, WalMessageDecoder, type StandbyStatus, type WalMessage } from './replication-messages.ts';
import { textRows } from './rows.ts';
import type { WireSession } from './wire-session.ts';
import { serverLsn } from './server-lsn.ts';
import type { Lsn } from '../wal/lsn.ts';

export type WalEvent = WalMessage | WalStreamEnd;

/** The last event of a stream that ended well. The connection takes commands again. */
export type WalStreamEnd =
  /** We asked for it. */
  | { readonly kind: 'end'; readonly reason: 'finished' }
  /** The timeline has no more: the server's history goes on in another, which left it at `switchLsn`. */
  | { readonly kind: 'end'; readonly reason: 'timeline'; readonly nextTimeline: number; readonly switchLsn: Lsn };

export interface WalStreamOptions {
  readonly clock: Clock;
  /** The newest report is repeated this often, so that a reader that takes its time does not look dead to the server. */
  readonly statusIntervalMs: number;
  /** A server that says nothing for so long, though it was asked, is gone. */
  readonly silenceMaxMs: number;
}

export class WalStream implements AsyncIterable<WalEvent> {
  readonly #session: WireSession;
  readonly #options: WalStreamOptions;
  readonly #decoder = new WalMessageDecoder();
  readonly #foregone: WalStreamEnd | undefined;
  #timer: NodeJS.Timeout | undefined;
  #status: StandbyStatus = { written: 0n, flushed: 0n };
  #isFinishing = false;
  #end: WalStreamEnd | undefined;
  #failure: Error | undefined;
  #chunksSeen = 0;
  #silentMs = 0;

  /** The server has just agreed to stream; or `end`: it had nothing to stream. */
  constructor(session: WireSession, options: WalStreamOptions, end?: WalStreamEnd) {
    this.#session = session;
    this.#options = options;
    this.#foregone = end;
    if (end !== undefined) return;
    session.channel.silenceMaxMs = undefined;
    session.channel.passCopyData();
    this.#timer = setInterval(() => this.#beat(), options.statusIntervalMs);
    this.#timer.unref();
  }

  /**
   * Tells the server how far we are: it forgets WAL before `flushed` where a slot keeps it for us. Never report as flushed what
   * could still be lost; answer keepalives that ask with a new report, or a server that shuts down waits for us.
   */
  report(status: StandbyStatus): void {
    this.#status = { ...status, replyRequested: false };
    this.#send(status);
  }

  /** Yields what comes, up to and with the end. Leaving the loop before leaves the stream open: `finish` it. */
  async *[Symbol.asyncIterator](): AsyncGenerator<WalEvent, void> {
    while (this.#end === undefined) yield await this.#next();
  }

  /** Asks the server to stop. What is on its way still comes, then the end. Nothing is reported any more. */
  requestEnd(): void {
    this.#stopSending();
  }

  /** Has the server stop and passes over what is still on its way. Then the connection takes commands again. */
  async finish(): Promise<WalStreamEnd> {
    this.#stopSending();
    while (this.#end === undefined) await this.#next();
    return this.#end;
  }

  async #next(): Promise<WalEvent> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#foregone !== undefined) return (this.#end = this.#foregone);
    try {
      for (;;) {
        const frame = this.#session.nextNow() ?? (await this.#session.next());
        if (frame.kind === 'copy') {
          const message = this.#session.orDie(() => this.#decoder.decode(frame));
          if (message !== undefined) return message;
        } else if (frame.type === 'c') {
          this.#stopSending();
          return await this.#readEnd();
        } else {
          throw frame.type === 'E' ? await this.#session.refused(frame.body) : this.#session.die(shutDown(frame.type));
        }
      }
    } catch (error) {
      clearInterval(this.#timer);
      this.#failure = asError(error);
      throw error;
    }
  }

  async #readEnd(): Promise<WalStreamEnd> {
    const results = await this.#session.restOfResults();
    clearInterval(this.#timer);
    this.#end = this.#session.orDie(() => endOf(results));
    return this.#end;
  }

  #stopSending(): void {
    if (this.#isFinishing || this.#failure !== undefined || this.#foregone !== undefined) return;
    this.#isFinishing = true;
    this.#session.channel.send(encodeCopyDone());
    this.#session.channel.silenceMaxMs = this.#options.silenceMaxMs;
  }

  #send(status: StandbyStatus): void {
    if (this.#isFinishing || this.#failure !== undefined || this.#foregone !== undefined) return;
    this.#session.channel.send(encodeStandbyStatus(status, this.#options.clock.now()));
  }

  /** Repeats the report, and finds out whether the server is still there: it answers when asked. */
  #beat(): void {
    const { channel } = this.#session;
    if (channel.hasEnded) {
      clearInterval(this.#timer); // Closed while nobody was reading.
      return;
    }
    const { statusIntervalMs, silenceMaxMs } = this.#options;
    const isSilent = channel.chunksReceived === this.#chunksSeen && !channel.isHeldBack;
    this.#chunksSeen = channel.chunksReceived;
    this.#silentMs = isSilent ? this.#silentMs + statusIntervalMs : 0;
    if (this.#silentMs >= silenceMaxMs) channel.destroy(silenceError(this.#silentMs));
    else this.#send({ ...this.#status, replyRequested: isSilent });
  }
}

function shutDown(type: string): Error {
  // A server that shuts down ends the copy without its usual end, then the connection.
  if (type === 'C') return Object.assign(new Error('the server shuts down'), { code: '57P01' });
  return protocolError(`a message '${type}' in a WAL stream`);
}

/** From the results after the end of a stream: the next timeline comes as a row. */
export function endOf(results: Awaited<ReturnType<WireSession['restOfResults']>>): WalStreamEnd {
  const [row] = results.flatMap(textRows);
  if (row === undefined) return { kind: 'end', reason: 'finished' };
  const { next_tli: next, next_tli_startpos: start } = row;
  if (next === undefined || start === undefined) throw protocolError('an end of a timeline without the next');
  return { kind: 'end', reason: 'timeline', nextTimeline: Number(next), switchLsn: serverLsn(start) };
}
