// Reads the fields of one message body, never beyond its end.
import { protocolError } from './protocol-error.ts';

export class BodyReader {
  readonly #body: Buffer;
  readonly #what: string;
  #at = 0;

  /** `what` names the message in errors: `row`. */
  constructor(body: Buffer, what: string) {
    this.#body = body;
    this.#what = what;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#body.length;
  }

  byte(): number {
    return this.#body[this.#advance(1)] ?? 0;
  }

  int16(): number {
    return this.#body.readInt16BE(this.#advance(2));
  }

  int32(): number {
    return this.#body.readInt32BE(this.#advance(4));
  }

  uint32(): number {
    return this.#body.readUInt32BE(this.#advance(4));
  }

  uint64(): bigint {
    return this.#body.readBigUInt64BE(this.#advance(8));
  }

  int64(): bigint {
    return this.#body.readBigInt64BE(this.#advance(8));
  }

  /** A view. */
  bytes(length: number): Buffer {
    const start = this.#advance(length);
    return this.#body.subarray(start, start + length);
  }

  rest(): Buffer {
    return this.bytes(this.#body.length - this.#at);
  }

  /** Text that ends with a zero byte. */
  text(): string {
    const end = this.#body.indexOf(0, this.#at);
    if (end < 0) throw protocolError(`a ${this.#what} with text that has no end`);
    const text = this.#body.toString('utf8', this.#at, end);
    this.#at = end + 1;
    return text;
  }

  #advance(length: number): number {
    const start = this.#at;
    if (length < 0 || start + length > this.#body.length) throw protocolError(`a ${this.#what} that is cut short`);
    this.#at += length;
    return start;
  }
}
