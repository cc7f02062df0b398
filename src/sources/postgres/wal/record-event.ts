// What recovery can aim at, read out of single WAL records: ends of transactions, restore points, checkpoints, switches.
import { nameFromBytes } from '../../../base/byte-name.ts';
import type { Lsn } from './lsn.ts';

interface RecordPlace {
  /** Where the record begins. */
  readonly lsn: Lsn;
  /** Where the next one may begin: what `pg_create_restore_point` returns, and what must be kept to have this record. */
  readonly endLsn: Lsn;
}

export type WalEvent = RecordPlace & RecordMeaning;

export type RecordMeaning =
  | {
      /** Times of commits and of aborts are what a recovery to an instant compares with. */
      readonly kind: 'transaction-end';
      readonly outcome: 'commit' | 'abort';
      /** The second phase of a prepared transaction; then `xid` is not the transaction's. */
      readonly isPrepared: boolean;
      readonly xid: number;
      readonly timeUs: number;
    }
  | { readonly kind: 'restore-point'; readonly name: string; readonly timeUs: number }
  /** The rest of the segment is empty. */
  | { readonly kind: 'switch' }
  /** `isShutdown`: nothing was written behind it by the same server; or it begins a timeline of its own. */
  | {
      readonly kind: 'checkpoint';
      readonly isShutdown: boolean;
      readonly redoLsn: Lsn;
      readonly timeline: number;
      readonly timeUs: number;
    }
  /** Replay makes it at this very place of the machine, whoever uses it there. A long path is cut. */
  | { readonly kind: 'tablespace'; readonly oid: number; readonly location: string }
  /** Of `pg_logical_emit_message`, where it is short: changes nothing. */
  | { readonly kind: 'message'; readonly prefix: string; readonly text: string };

export const recordHeaderBytes = 24;
/** Enough of any record to read its meaning: the longest is a checkpoint, 88 bytes behind headers. */
export const recordHeadBytes = 256;

const xlog = {
  shutdownCheckpoint: 0x00,
  onlineCheckpoint: 0x10,
  switch: 0x40,
  restorePoint: 0x70,
};
const transaction = { commit: 0x00, abort: 0x20, commitPrepared: 0x30, abortPrepared: 0x40 };
const unixMicrosecondsOf2000 = 946_684_800_000_000;

/**
 * The meaning of the record whose beginning (all of it, or `recordHeadBytes`) lies at `from` … `to` of `view`; undefined for the
 * many that are of no interest here. The record's checksum was verified, so what does not fit is a kind that is not known.
 */
export function readRecordMeaning(view: DataView, from: number, to: number): RecordMeaning | undefined {
  const manager = view.getUint8(from + 17);
  const info = view.getUint8(from + 16);
  if (manager === 1) return readTransactionEnd({ view, from, to }, info & 0x70);
  if (manager === 5 && (info & 0xf0) === 0) return readTablespace({ view, from, to });
  if (manager === 21 && (info & 0xf0) === 0) return readMessage({ view, from, to });
  if (manager !== 0) return undefined;
  const kind = info & 0xf0;
  if (kind === xlog.switch) return { kind: 'switch' };
  if (kind === xlog.restorePoint) return readRestorePoint({ view, from, to });
  const isCheckpoint = kind === xlog.shutdownCheckpoint || kind === xlog.onlineCheckpoint;
  return isCheckpoint ? readCheckpoint({ view, from, to }, kind === xlog.shutdownCheckpoint) : undefined;
}

interface RecordHead {
  readonly view: DataView;
  readonly from: number;
  readonly to: number;
}

function readTransactionEnd(head: RecordHead, kind: number): RecordMeaning | undefined {
  const isCommit = kind === transaction.commit || kind === transaction.commitPrepared;
  const isAbort = kind === transaction.abort || kind === transaction.abortPrepared;
  const at = isCommit || isAbort ? mainData(head, 8) : undefined;
  if (at === undefined) return undefined;
  return {
    kind: 'transaction-end',
    outcome: isCommit ? 'commit' : 'abort',
    isPrepared: kind === transaction.commitPrepared || kind === transaction.abortPrepared,
    xid: head.view.getUint32(head.from + 4, true),
    timeUs: readTime(head.view, at),
  };
}

const restorePointNameBytes = 64;

function readRestorePoint(head: RecordHead): RecordMeaning | undefined {
  const at = mainData(head, 8 + restorePointNameBytes);
  if (at === undefined) return undefined;
  const { view } = head;
  const field = Buffer.from(view.buffer, view.byteOffset + at + 8, restorePointNameBytes);
  const end = field.indexOf(0);
  const name = field.toString('utf8', 0, end === -1 ? field.length : end);
  return { kind: 'restore-point', name, timeUs: readTime(view, at) };
}

const checkpointBytesMin = 72;

function readCheckpoint(head: RecordHead, isShutdown: boolean): RecordMeaning | undefined {
  const at = mainData(head, checkpointBytesMin);
  if (at === undefined) return undefined;
  return {
    kind: 'checkpoint',
    isShutdown,
    redoLsn: head.view.getBigUint64(at, true),
    timeline: head.view.getUint32(at + 8, true),
    timeUs: Number(head.view.getBigInt64(at + 64, true)) * 1e6,
  };
}

function readTablespace(head: RecordHead): RecordMeaning | undefined {
  const at = mainData(head, 5);
  if (at === undefined) return undefined;
  const { view, to } = head;
  const path = Buffer.from(view.buffer, view.byteOffset + at + 4, to - at - 4);
  const end = path.indexOf(0);
  const location = nameFromBytes(end === -1 ? path : path.subarray(0, end));
  return { kind: 'tablespace', oid: view.getUint32(at, true), location };
}

/** Behind the database, a flag, and the lengths of both parts; that of the prefix counts a closing zero. */
const messageHeadBytes = 24;

function readMessage(head: RecordHead): RecordMeaning | undefined {
  const at = mainData(head, messageHeadBytes);
  if (at === undefined) return undefined;
  const { view, to } = head;
  const [prefixBytes, textBytes] = [view.getUint32(at + 8, true), view.getUint32(at + 16, true)];
  const start = at + messageHeadBytes;
  if (prefixBytes === 0 || start + prefixBytes + textBytes > to) return undefined;
  const bytes = Buffer.from(view.buffer, view.byteOffset + start, prefixBytes + textBytes);
  return {
    kind: 'message',
    prefix: bytes.toString('utf8', 0, prefixBytes - 1),
    text: bytes.toString('utf8', prefixBytes),
  };
}

/** Where the main data begins, if at least `sizeBytes` of it are there. These kinds of records refer to no blocks. */
function mainData({ view, from, to }: RecordHead, sizeBytes: number): number | undefined {
  let at = from + recordHeaderBytes;
  while (at + 2 <= to) {
    const id = view.getUint8(at);
    if (id === 253) at += 3;
    else if (id === 252) at += 5;
    else {
      const start = id === 255 ? at + 2 : id === 254 ? at + 5 : to;
      return start + sizeBytes <= to ? start : undefined;
    }
  }
  return undefined;
}

/** Microseconds since 1970; exact until the year 2255. */
function readTime(view: DataView, at: number): number {
  return view.getInt32(at + 4, true) * 2 ** 32 + view.getUint32(at, true) + unixMicrosecondsOf2000;
}
