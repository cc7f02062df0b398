// What is said inside the copy-both conversation of a WAL stream. Pure.
import { BodyReader } from './body-reader.ts';
import type { CopyFrame } from './backend-decoder.ts';
import { encodeCopyData } from './frontend-messages.ts';
import { protocolError } from './protocol-error.ts';
import type { Lsn } from '../wal/lsn.ts';

export type WalMessage = WalData | Keepalive;

export interface WalData {
  readonly kind: 'data';
  /** Place of the first byte of `bytes`; each begins where the one before ended. */
  readonly lsn: Lsn;
  /** A view of what was received, until the next message is asked for. Any length, without regard to pages, records or segments. */
  readonly bytes: Buffer;
  /** How far the server's WAL reached when it sent this. */
  readonly serverEnd: Lsn;
  /** The server's clock when it sent this, milliseconds since 1970. */
  readonly serverTimeMs: number;
}

export interface Keepalive {
  readonly kind: 'keepalive';
  readonly serverEnd: Lsn;
  readonly serverTimeMs: number;
  /** The server wants a report now; else it ends the connection after wal_sender_timeout. */
  readonly replyRequested: boolean;
}

export interface StandbyStatus {
  /** Ends of what was received, made durable, and applied. */
  readonly written: Lsn;
  readonly flushed: Lsn;
  readonly applied?: Lsn | undefined;
  /** Asks the server for a keepalive in return. */
  readonly replyRequested?: boolean | undefined;
}

const dataHeadBytes = 25;
const epoch2000Ms = 946_684_800_000;

/** From pieces of copy data to messages. */
export class WalMessageDecoder {
  #next: Lsn = 0n;
  #serverEnd: Lsn = 0n;
  #serverTimeMs = 0;

  /** Undefined for a piece that holds nothing for the reader. */
  decode(frame: CopyFrame): WalMessage | undefined {
    if (!frame.isStart) return this.#data(frame.bytes);
    const reader = new BodyReader(frame.bytes, 'replication message');
    const kind = String.fromCharCode(reader.byte());
    if (kind === 'w') {
      this.#next = reader.uint64();
      this.#serverEnd = reader.uint64();
      this.#serverTimeMs = timeOf(reader.int64());
      return this.#data(frame.bytes.subarray(dataHeadBytes));
    }
    if (kind !== 'k' || !frame.isEnd) throw protocolError(`a replication message of the unknown kind '${kind}'`);
    const serverEnd = reader.uint64();
    const serverTimeMs = timeOf(reader.int64());
    return { kind: 'keepalive', serverEnd, serverTimeMs, replyRequested: reader.byte() !== 0 };
  }

  #data(bytes: Buffer): WalData | undefined {
    if (bytes.length === 0) return undefined;
    const lsn = this.#next;
    this.#next += BigInt(bytes.length);
    return { kind: 'data', lsn, bytes, serverEnd: this.#serverEnd, serverTimeMs: this.#serverTimeMs };
  }
}

export function encodeStandbyStatus(status: StandbyStatus, nowMs: number): Buffer {
  const body = Buffer.alloc(34);
  body.write('r', 0, 'latin1');
  body.writeBigUInt64BE(status.written, 1);
  body.writeBigUInt64BE(status.flushed, 9);
  body.writeBigUInt64BE(status.applied ?? 0n, 17);
  body.writeBigInt64BE(BigInt(Math.round((nowMs - epoch2000Ms) * 1000)), 25);
  body.writeUInt8(status.replyRequested === true ? 1 : 0, 33);
  return encodeCopyData(body);
}

/** Servers count microseconds since 2000. */
function timeOf(microseconds: bigint): number {
  return epoch2000Ms + Number(microseconds) / 1000;
}
