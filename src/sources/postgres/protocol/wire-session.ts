// One conversation with a server after its start: questions and answers in turn, notices aside, and the end of it told in the same
// words to whoever asks afterwards.
import assert from 'node:assert/strict';
import { AppError, asError, isAppError } from '../../../base/errors.ts';
import type { ServerAddress } from '../server-address.ts';
import type { Frame, MessageFrame } from './backend-decoder.ts';
import { BodyReader } from './body-reader.ts';
import { encodeQuery, encodeTerminate } from './frontend-messages.ts';
import type { MessageChannel } from './message-channel.ts';
import { protocolError } from './protocol-error.ts';
import { replicationError } from './replication-error.ts';
import { decodeRow, decodeRowDescription, type Column, type RawRow, type ResultSet } from './rows.ts';
import { decodeNotice, ServerError, type NoticeFields } from './server-notice.ts';

export interface SessionContext {
  readonly address: ServerAddress;
  /** As it was asked for; undefined for `replication=true`. */
  readonly database: string | undefined;
  readonly onNotice: (notice: NoticeFields) => void;
  /** How long a command that does no work may take to be answered. */
  readonly answerWaitMaxMs: number;
  readonly signal: AbortSignal;
}

export class WireSession {
  readonly channel: MessageChannel;
  readonly parameters = new Map<string, string>();
  readonly #context: SessionContext;
  #state: 'ready' | 'busy' | 'dead' = 'busy';
  #death: AppError | undefined;

  constructor(channel: MessageChannel, context: SessionContext) {
    this.channel = channel;
    this.#context = context;
  }

  /** The next message that is no notice and no change of a parameter. Rejects with our errors. */
  async next(): Promise<Frame> {
    for (;;) {
      let frame: Frame;
      try {
        frame = await this.channel.next();
      } catch (error) {
        throw this.die(error);
      }
      if (frame.kind === 'copy' || !this.#tookAside(frame)) return frame;
    }
  }

  /** As `next`, if it is here already. */
  nextNow(): Frame | undefined {
    try {
      for (;;) {
        const frame = this.channel.nextNow();
        if (frame === undefined || frame.kind === 'copy' || !this.#tookAside(frame)) return frame;
      }
    } catch (error) {
      throw this.die(error);
    }
  }

  /** As `next`, for where no copy data may come and an error is the answer. */
  async nextMessage(): Promise<MessageFrame> {
    const frame = await this.next();
    if (frame.kind === 'copy') throw this.die(protocolError('copy data where none was asked for'));
    if (frame.type === 'E') throw await this.refused(frame.body);
    return frame;
  }

  /** Begins a command: nothing else may begin until `isReady` was called by what reads its answer. */
  begin(text: string): void {
    if (this.#death !== undefined) throw this.#deathAgain(this.#death);
    assert.equal(this.#state, 'ready', 'one command at a time');
    this.#state = 'busy';
    this.channel.silenceMaxMs = this.#context.answerWaitMaxMs;
    this.channel.send(encodeQuery(text));
  }

  /** The server has said `Z`. */
  isReady(): void {
    if (this.#state === 'busy') this.#state = 'ready';
    this.channel.silenceMaxMs = undefined;
  }

  async simpleQuery(text: string): Promise<ResultSet[]> {
    this.begin(text);
    return this.restOfResults();
  }

  /** Result sets and tags up to the end of the command. */
  async restOfResults(): Promise<ResultSet[]> {
    const results: ResultSet[] = [];
    for (;;) {
      const result = await this.nextResult();
      if (result === undefined) return results;
      results.push(result);
    }
  }

  /** One result set, or undefined at the end of the command. `first` is a message of it that was read already. */
  async nextResult(first?: MessageFrame): Promise<ResultSet | undefined> {
    let columns: Column[] = [];
    const rows: RawRow[] = [];
    for (let read = first; ; read = undefined) {
      const { type, body } = read ?? (await this.nextMessage());
      if (type === 'Z') {
        this.isReady();
        return undefined;
      }
      this.orDie(() => {
        if (type === 'T') columns = decodeRowDescription(body);
        else if (type === 'D') rows.push(decodeRow(body, columns));
        else if (type !== 'C' && type !== 'I') throw protocolError(`a message '${type}' within a result`);
      });
      if (type === 'C') return { columns, rows, tag: new BodyReader(body, 'tag').text() };
    }
  }

  /** The error that an `E` message stands for. If the server goes on, so may we: the rest of the answer is passed over. */
  async refused(body: Buffer): Promise<Error> {
    const error = this.orDie(() => new ServerError(decodeNotice(body)));
    if (error.isFatal) return this.die(error);
    const { address, database, answerWaitMaxMs } = this.#context;
    this.channel.silenceMaxMs = answerWaitMaxMs;
    for (;;) {
      const frame = await this.next();
      if (frame.kind === 'message' && frame.type === 'Z') break;
    }
    this.isReady();
    return replicationError(error, address, database);
  }

  /** What the server sent is decoded by this: if that fails, the conversation can't go on. */
  orDie<Result>(decode: () => Result): Result {
    try {
      return decode();
    } catch (error) {
      const failure = this.die(error);
      throw isAppError(error) ? failure : error; // Anything else is a fault of ours, and shows.
    }
  }

  /** Ends the connection for a reason; returns it as an error of ours, or the reason of the abort. */
  die(reason: unknown): Error {
    this.#state = 'dead';
    this.channel.destroy(asError(reason));
    const { signal, address, database } = this.#context;
    if (signal.aborted) {
      this.#death ??= new AppError('SOURCE_FAILED', 'the replication connection was ended', { hint: 'Connect anew.' });
      return signal.reason as Error;
    }
    const error = replicationError(reason, address, database);
    this.#death ??= error;
    return error;
  }

  async close(): Promise<void> {
    if (this.#state === 'ready') await this.channel.close(encodeTerminate());
    else this.channel.destroy(new Error('Connection terminated by us'));
    this.#state = 'dead';
    this.#death ??= new AppError('SOURCE_FAILED', 'the replication connection was closed', { hint: 'Connect anew.' });
  }

  #deathAgain(death: AppError): AppError {
    return new AppError(death.code, `the replication connection is no more: ${death.message}`, {
      hint: death.hint,
      cause: death.cause ?? death,
    });
  }

  #tookAside({ type, body }: MessageFrame): boolean {
    if (type === 'N') {
      this.orDie(() => this.#context.onNotice(decodeNotice(body)));
    } else if (type === 'S') {
      const reader = new BodyReader(body, 'parameter');
      this.orDie(() => this.parameters.set(reader.text(), reader.text()));
    } else {
      return type === 'A'; // Nobody asked for notifications.
    }
    return true;
  }
}
