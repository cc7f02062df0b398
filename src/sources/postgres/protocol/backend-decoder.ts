// From the bytes of a server, cut anywhere, to its messages. Pure. Small messages come whole; the data of a copy, which may be
// gigabytes, comes in pieces as the network delivered it, without being copied.
import assert from 'node:assert/strict';
import { protocolError } from './protocol-error.ts';

export type Frame = MessageFrame | CopyFrame;

/** A whole message other than copy data. */
export interface MessageFrame {
  readonly kind: 'message';
  /** The character of its type: `R`, `T`, `E` … */
  readonly type: string;
  readonly body: Buffer;
}

/**
 * A piece of one copy data message. The first piece holds the whole message if that has at most `copyHeadBytes`, else at least
 * that many bytes: whoever reads the head of a message never has to put it together.
 */
export interface CopyFrame {
  readonly kind: 'copy';
  readonly bytes: Buffer;
  readonly isStart: boolean;
  readonly isEnd: boolean;
}

export const copyHeadBytes = 4096;

/** A row may hold a file; everything else that servers send is short. */
const rowBytesMax = 256 * 1024 * 1024;
const messageBytesMax = 1024 * 1024;

const headerBytes = 5;
const codeOfCopyData = 0x64; // d
const codeOfRow = 0x44; // D
const knownTypes = new Set('RSKZTDCENIGHWcdv12nsAt3VF'.split(''));

/**
 * Takes chunks with `push` and gives frames with `next` until it has none. The frames are views of the chunks: the memory of a
 * chunk belongs to the decoder and its readers from `push` on.
 */
export class BackendDecoder {
  #chunk: Buffer = Buffer.alloc(0);
  #at = 0;
  /** A message of which only the beginning came, with the header; grows with what comes, not with what is announced. */
  #held: Buffer = Buffer.alloc(0);
  #heldBytes = 0;
  /** What is still to come of the copy data message that was begun. */
  #copyMissingBytes = 0;

  /** Only after `next` had no more. */
  push(chunk: Buffer): void {
    assert.equal(this.#at, this.#chunk.length);
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** Undefined: more bytes are needed. Throws what `protocolError` makes on what no PostgreSQL server sends. */
  next(): Frame | undefined {
    if (this.#copyMissingBytes > 0) return this.#nextPiece();
    if (this.#heldBytes > 0 && !this.#hold(headerBytes)) return undefined;
    const from = this.#heldBytes > 0 ? this.#held : this.#chunk;
    const start = this.#heldBytes > 0 ? 0 : this.#at;
    if (from.length - start < headerBytes) {
      this.#hold(headerBytes); // Keeps the few bytes there are.
      return undefined;
    }
    const code = from[start] ?? 0;
    const totalBytes = 1 + checkedLength(code, from.readInt32BE(start + 1));
    return code === codeOfCopyData ? this.#beginCopy(totalBytes) : this.#wholeMessage(code, totalBytes);
  }

  #wholeMessage(code: number, totalBytes: number): MessageFrame | undefined {
    const message = this.#take(totalBytes);
    if (message === undefined) return undefined;
    return { kind: 'message', type: String.fromCharCode(code), body: message.subarray(headerBytes) };
  }

  #beginCopy(totalBytes: number): CopyFrame | undefined {
    const wantedBytes = Math.min(totalBytes, headerBytes + copyHeadBytes);
    if (this.#heldBytes === 0 && this.#chunk.length - this.#at >= wantedBytes) {
      // The usual case: all that the chunk has of it, in place.
      const end = Math.min(this.#chunk.length, this.#at + totalBytes);
      const bytes = this.#chunk.subarray(this.#at + headerBytes, end);
      this.#copyMissingBytes = totalBytes - (end - this.#at);
      this.#at = end;
      return { kind: 'copy', bytes, isStart: true, isEnd: this.#copyMissingBytes === 0 };
    }
    const head = this.#take(wantedBytes);
    if (head === undefined) return undefined;
    this.#copyMissingBytes = totalBytes - wantedBytes;
    return {
      kind: 'copy',
      bytes: head.subarray(headerBytes),
      isStart: true,
      isEnd: this.#copyMissingBytes === 0,
    };
  }

  #nextPiece(): CopyFrame | undefined {
    const end = Math.min(this.#chunk.length, this.#at + this.#copyMissingBytes);
    if (end === this.#at) return undefined;
    const bytes = this.#chunk.subarray(this.#at, end);
    this.#copyMissingBytes -= bytes.length;
    this.#at = end;
    return { kind: 'copy', bytes, isStart: false, isEnd: this.#copyMissingBytes === 0 };
  }

  /** The next bytes in one piece: in place where they are, else put together. */
  #take(wantedBytes: number): Buffer | undefined {
    if (this.#heldBytes === 0 && this.#chunk.length - this.#at >= wantedBytes) {
      this.#at += wantedBytes;
      return this.#chunk.subarray(this.#at - wantedBytes, this.#at);
    }
    if (!this.#hold(wantedBytes)) return undefined;
    const whole = this.#held.subarray(0, wantedBytes);
    this.#held = Buffer.alloc(0);
    this.#heldBytes = 0;
    return whole;
  }

  /** Moves bytes of the chunk to what is held, up to `wantedBytes` there; tells whether so many are held now. */
  #hold(wantedBytes: number): boolean {
    const movedBytes = Math.min(wantedBytes - this.#heldBytes, this.#chunk.length - this.#at);
    if (movedBytes > 0) {
      const neededBytes = this.#heldBytes + movedBytes;
      if (this.#held.length < neededBytes) {
        const grown = Buffer.allocUnsafeSlow(Math.min(wantedBytes, Math.max(neededBytes, 2 * this.#held.length)));
        this.#held.copy(grown, 0, 0, this.#heldBytes);
        this.#held = grown;
      }
      this.#chunk.copy(this.#held, this.#heldBytes, this.#at, this.#at + movedBytes);
      this.#heldBytes = neededBytes;
      this.#at += movedBytes;
    }
    return this.#heldBytes >= wantedBytes;
  }
}

/** The length of a message without its type, if a server may send it. */
function checkedLength(code: number, length: number): number {
  const type = String.fromCharCode(code);
  if (!knownTypes.has(type)) throw protocolError(`a message of the unknown type 0x${code.toString(16)}`);
  if (length < 4) throw protocolError(`a message '${type}' with the length ${length}`);
  const lengthMax = code === codeOfRow ? rowBytesMax : messageBytesMax;
  if (code !== codeOfCopyData && length > lengthMax) throw protocolError(`a message '${type}' of ${length} bytes`);
  return length;
}
