// What a Redis server sends to a replica, up to the end of the RDB file. Pure: bytes in, events out.
import { AppError } from '../../base/errors.ts';

export type ReplicationEvent =
  /** An answer to one command: a status without its `+`, or an error without its `-`. */
  | { readonly kind: 'status'; readonly text: string }
  | { readonly kind: 'error'; readonly text: string }
  /** The server will send its whole data, as of this offset. */
  | { readonly kind: 'resync'; readonly replicationId: string; readonly offset: string }
  /** A view of the bytes pushed. */
  | { readonly kind: 'payload'; readonly bytes: Buffer }
  | { readonly kind: 'end' };

const lineBytesMax = 16 * 1024;
const markBytes = 40;

type Phase = 'line' | 'length' | 'mark' | 'done';

export class ReplicationStream {
  #phase: Phase = 'line';
  #awaitsPayload = false;
  /** A line or a mark of which only the beginning came. */
  #held = Buffer.alloc(0);
  #missingBytes = 0;
  #mark = Buffer.alloc(0);

  /** Throws `AppError` on what no Redis server sends. */
  push(bytes: Buffer): ReplicationEvent[] {
    const events: ReplicationEvent[] = [];
    let rest = this.#held.length > 0 ? Buffer.concat([this.#held, bytes]) : bytes;
    this.#held = Buffer.alloc(0);
    while (rest.length > 0 && this.#phase !== 'done') {
      if (this.#phase === 'line') rest = this.#pushLine(rest, events);
      else if (this.#phase === 'length') rest = this.#pushCounted(rest, events);
      else rest = this.#pushMarked(rest, events);
    }
    return events;
  }

  /** The server closed the connection. */
  finish(): void {
    if (this.#phase === 'done') return;
    const isBefore = this.#phase === 'line';
    const when = isBefore ? 'before it sent any data' : 'in the middle of its data';
    throw new AppError('SOURCE_FAILED', `the server closed the connection ${when}`, {
      hint: isBefore
        ? 'Look whether the server still runs and into its log: it may lack memory or disk space for a snapshot, or host and port belong to something else.'
        : "Look into the server's log: it ended, or 'client-output-buffer-limit replica' or 'repl-timeout' is too low.",
    });
  }

  #pushLine(bytes: Buffer, events: ReplicationEvent[]): Buffer {
    const end = bytes.indexOf(0x0a);
    if (end < 0) {
      if (bytes.length > lineBytesMax) throw notRedis('a line without an end');
      this.#held = Buffer.from(bytes);
      return bytes.subarray(bytes.length);
    }
    const line = bytes.toString('latin1', 0, end).replace(/\r$/, '');
    if (line.length > 0) this.#takeLine(line, events); // Empty lines only keep the connection alive.
    return bytes.subarray(end + 1);
  }

  #takeLine(line: string, events: ReplicationEvent[]): void {
    const text = line.slice(1);
    if (line.startsWith('-')) {
      events.push({ kind: 'error', text });
    } else if (line.startsWith('$') && this.#awaitsPayload) {
      this.#beginPayload(text, events);
    } else if (line.startsWith('+FULLRESYNC ')) {
      const [, replicationId = '', offset = ''] = line.split(' ');
      this.#awaitsPayload = true;
      events.push({ kind: 'resync', replicationId, offset });
    } else if (line.startsWith('+')) {
      events.push({ kind: 'status', text });
    } else {
      throw notRedis('an answer of an unknown form');
    }
  }

  #beginPayload(text: string, events: ReplicationEvent[]): void {
    const mark = /^EOF:(.{40})$/s.exec(text)?.[1];
    if (mark !== undefined) {
      this.#mark = Buffer.from(mark, 'latin1');
      this.#phase = 'mark';
      return;
    }
    if (!/^\d{1,15}$/.test(text)) throw notRedis('data of an unknown form');
    this.#missingBytes = Number(text);
    this.#phase = 'length';
    if (this.#missingBytes === 0) this.#end(events);
  }

  #pushCounted(bytes: Buffer, events: ReplicationEvent[]): Buffer {
    const payload = bytes.subarray(0, this.#missingBytes);
    events.push({ kind: 'payload', bytes: payload });
    this.#missingBytes -= payload.length;
    if (this.#missingBytes === 0) this.#end(events);
    return bytes.subarray(payload.length);
  }

  /** The mark is 40 random characters that follow the data. As long as it may have begun, bytes are held back. */
  #pushMarked(bytes: Buffer, events: ReplicationEvent[]): Buffer {
    const at = bytes.indexOf(this.#mark);
    const payloadBytes = at >= 0 ? at : Math.max(0, bytes.length - (markBytes - 1));
    if (payloadBytes > 0) events.push({ kind: 'payload', bytes: bytes.subarray(0, payloadBytes) });
    if (at >= 0) this.#end(events);
    else this.#held = Buffer.from(bytes.subarray(payloadBytes));
    return bytes.subarray(bytes.length);
  }

  #end(events: ReplicationEvent[]): void {
    this.#phase = 'done';
    events.push({ kind: 'end' });
  }
}

function notRedis(what: string): AppError {
  return new AppError('SOURCE_FAILED', `the server sent ${what}`, {
    hint: 'Check that host and port belong to a Redis server.',
  });
}
