// The thin loop around the decoder: reads a socket ahead as far as a limit, waits where nothing is there, and says why no more
// will come. What is behind the limit stays with the server: that is the back-pressure.
import type { Socket } from 'node:net';
import { freeMemory } from '../../../base/free-memory.ts';
import { BackendDecoder, type Frame } from './backend-decoder.ts';

/** Above the first, the socket is not read; below the second, it is again. */
const bufferedMaxBytes = 8 * 1024 * 1024;
const bufferedLowBytes = 4 * 1024 * 1024;
const closeWaitMaxMs = 2_000;
/** Chunks that were taken and are still remembered. */
const takenMax = 16;

export class MessageChannel {
  readonly #socket: Socket;
  readonly #decoder = new BackendDecoder();
  #chunks: Buffer[] = [];
  #taken = 0;
  #bufferedBytes = 0;
  #chunksReceived = 0;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  /** How long to wait for the next bytes; undefined: as long as the connection stands. */
  silenceMaxMs: number | undefined;
  #arePassing = false;
  /** The decoder's chunk, if all frames in it are passing. */
  #passing: Buffer | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', (error) => this.#end(error));
    socket.on('end', () => this.#end(new Error('Connection terminated by the server')));
    socket.on('close', () => this.#end(new Error('Connection terminated')));
  }

  /** Grows with each arrival: tells whether the server was silent. */
  get chunksReceived(): number {
    return this.#chunksReceived;
  }

  /** Whether the socket is not being read, because the reader of the frames is slow. */
  get isHeldBack(): boolean {
    return this.#socket.isPaused();
  }

  /**
   * Copy data begins that whoever takes a frame of it is done with once the next one is taken: gigabytes pass by whose memory is given
   * back at once. Ends by itself with the message that ends the copy: the rest of the chunk at hand belongs to its readers, who put
   * rows of several chunks together. What is read of a frame too late is empty.
   */
  passCopyData(): void {
    this.#arePassing = true;
  }

  /** The next frame if it is here already. */
  nextNow(): Frame | undefined {
    for (;;) {
      const frame = this.#decoder.next();
      if (frame !== undefined && endsCopy(frame)) this.#stopPassing();
      if (frame !== undefined || !this.#feed()) return frame;
    }
  }

  /** Rejects with the error of the socket, the reason it was destroyed for, or a decoder's error. */
  async next(): Promise<Frame> {
    for (;;) {
      const frame = this.nextNow();
      if (frame !== undefined) return frame;
      if (this.#failure !== undefined) throw this.#failure;
      await this.#arrival();
    }
  }

  /** Returns false if what was written before has not gone out: wait for `drained` before you write much more. */
  send(bytes: Uint8Array): boolean {
    return this.#failure !== undefined || this.#socket.write(bytes);
  }

  async drained(): Promise<void> {
    while (this.#failure === undefined && this.#socket.writableNeedDrain) {
      await new Promise<void>((resolve) => {
        this.#socket.once('drain', resolve);
        this.#socket.once('close', resolve);
      });
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  destroy(reason: Error): void {
    this.#end(reason);
    this.#socket.destroy();
  }

  get hasEnded(): boolean {
    return this.#failure !== undefined;
  }

  /** Sends the last bytes and closes. */
  async close(farewell: Uint8Array): Promise<void> {
    if (this.#socket.destroyed) return;
    this.#end(new Error('Connection terminated by us'));
    const closed = new Promise<void>((resolve) => this.#socket.once('close', () => resolve()));
    const timer = setTimeout(() => this.#socket.destroy(), closeWaitMaxMs);
    this.#socket.resume();
    this.#socket.end(farewell);
    await closed;
    clearTimeout(timer);
  }

  #stopPassing(): void {
    this.#arePassing = false;
    this.#passing = undefined;
  }

  #receive(chunk: Buffer): void {
    this.#chunksReceived += 1;
    if (this.#failure !== undefined) return;
    this.#chunks.push(chunk);
    this.#bufferedBytes += chunk.length;
    if (this.#bufferedBytes > bufferedMaxBytes) this.#socket.pause();
    this.#wake?.();
  }

  #end(error: Error): void {
    this.#failure ??= error;
    this.#wake?.();
  }

  /** Gives the decoder one chunk more; false if there is none. */
  #feed(): boolean {
    const chunk = this.#chunks[this.#taken];
    if (chunk === undefined) return false;
    this.#taken += 1;
    // Also while more arrive without a pause: what was taken must not stay in memory.
    if (this.#taken === this.#chunks.length || this.#taken === takenMax) {
      this.#chunks = this.#chunks.slice(this.#taken);
      this.#taken = 0;
    }
    this.#bufferedBytes -= chunk.length;
    if (this.#bufferedBytes < bufferedLowBytes && this.#socket.isPaused()) this.#socket.resume();
    const passed = this.#passing;
    this.#passing = this.#arePassing ? chunk : undefined;
    this.#decoder.push(chunk);
    if (passed !== undefined) freeMemory(passed);
    return true;
  }

  async #arrival(): Promise<void> {
    const { silenceMaxMs } = this;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (silenceMaxMs !== undefined) {
        timer = setTimeout(() => this.destroy(silenceError(silenceMaxMs)), silenceMaxMs);
      }
    });
    clearTimeout(timer);
    this.#wake = undefined;
  }
}

/** Notices and changed settings come in between. */
function endsCopy(frame: Frame): boolean {
  return frame.kind === 'message' && frame.type !== 'N' && frame.type !== 'S';
}

/** Also for those who find it out by their own means. */
export function silenceError(silenceMaxMs: number): Error {
  const error = new Error(`no answer for ${Math.round(silenceMaxMs / 1000)} s: connection timed out`);
  return Object.assign(error, { code: 'ETIMEDOUT' });
}
