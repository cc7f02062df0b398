// What a copy of a server at an instant must hold, and whether it does: the ledger exactly the committed prefix, the other tables
// equal to the model after it, indexes and heaps sound.
import type { Random } from '../../src/base/random.ts';
import type { RecoveryTarget } from '../../src/model/recovery-target.ts';
import { formatInstantUs } from '../../src/model/recovery-target.ts';
import { formatLsn, type Lsn } from '../../src/sources/postgres/wal/lsn.ts';
import type { CommitLog, TransactionEnd } from './commit-log.ts';
import { md5, rowsAfter, type LedgerTable } from './ledger.ts';
import type { Sent, SentPoint, SentTransaction } from './ledger-load.ts';
import { Violation } from './simulated-repository.ts';

/** One line of history: a server's timeline, with what was sent to it. */
export interface Line {
  readonly timeline: number;
  readonly sent: Sent;
  readonly log: CommitLog;
  /** The line that it left, and where. */
  readonly parent?: { readonly line: Line; readonly forkLsn: Lsn } | undefined;
}

/** Something that was committed or given up, and what it was. */
export interface Ended {
  readonly end: TransactionEnd;
  /** Absent for what is no transaction of ours. */
  readonly sent: SentTransaction | undefined;
}

/** All ends of transactions along a line, in the order of the log. */
export function endsOf({ sent, log, parent }: Line): Ended[] {
  const byXid = new Map(sent.transactions.map((one) => [one.xid, one]));
  const own = log.ends.map((end) => ({ end, sent: byXid.get(end.xid) }));
  if (parent === undefined) return own;
  const before = endsOf(parent.line).filter(({ end }) => end.endLsn <= parent.forkLsn);
  return [...before, ...own.filter(({ end }) => end.lsn >= parent.forkLsn)];
}

export function pointsOf({ sent, parent }: Line): SentPoint[] {
  const before = parent === undefined ? [] : pointsOf(parent.line).filter(({ lsn }) => lsn <= parent.forkLsn);
  return [...before, ...sent.points];
}

export interface Aim {
  readonly target: RecoveryTarget;
  /** As options of `restore`. */
  readonly options: readonly string[];
  readonly isThere: (ended: Ended, index: number) => boolean;
}

/** Where targets may lie: after `from` (a base is consistent there), and up to `receivedTo`, or at `to`, the end of all. */
export interface Reachable {
  readonly fromLsn: Lsn;
  readonly fromUs: number;
  readonly receivedToLsn: Lsn;
  readonly toLsn: Lsn;
}

/** A random instant; undefined if there is none of that kind. */
export function randomAim(line: Line, reachable: Reachable, random: Random): Aim | undefined {
  const ends = endsOf(line);
  const { fromLsn, fromUs, receivedToLsn } = reachable;
  const inside = ends.filter(({ end }) => end.lsn >= fromLsn && end.endLsn <= receivedToLsn && end.timeUs > fromUs);
  const chosen = inside[Math.floor(random() * inside.length)];
  if (chosen === undefined) return undefined;
  const isInclusive = random() < 0.5;
  const kind = Math.floor(random() * 5);
  // Nothing is known of what happened behind the newest.
  const newestUs = Math.max(...inside.map(({ end }) => end.timeUs));
  const timeUs = Math.min(newestUs, chosen.end.timeUs + Math.floor(random() * 3) - 1);
  if (kind === 0) return aimAtTime(ends, timeUs, isInclusive);
  if (kind === 1) return aimAtTransaction(ends, chosen.end, isInclusive);
  if (kind === 2) return aimAtLsn(chosen.end.lsn, isInclusive);
  // Anywhere, not only at a record's start.
  if (kind === 3) return aimAtLsn(chosen.end.lsn - BigInt(Math.floor(random() * 300)), false, fromLsn);
  const points = pointsOf(line).filter(({ lsn }) => lsn > fromLsn && lsn <= receivedToLsn);
  const point = points[Math.floor(random() * points.length)];
  return point === undefined ? aimAtLsn(chosen.end.lsn, isInclusive) : aimAtPoint(point);
}

function aimAtTime(ends: readonly Ended[], timeUs: number, isInclusive: boolean): Aim {
  const later = ends.findIndex(({ end }) => (isInclusive ? end.timeUs > timeUs : end.timeUs >= timeUs));
  const text = formatInstantUs(timeUs).replace(' ', 'T').replace(' UTC', 'Z');
  return {
    target: { kind: 'time', timeUs, isInclusive },
    options: ['--at', text, ...(isInclusive ? [] : ['--exclusive'])],
    isThere: (_, index) => later === -1 || index < later,
  };
}

function aimAtTransaction(ends: readonly Ended[], { xid }: TransactionEnd, isInclusive: boolean): Aim {
  const at = ends.findIndex(({ end }) => end.xid === xid);
  return {
    target: { kind: 'transaction', xid, isInclusive },
    options: ['--xid', String(xid), ...(isInclusive ? [] : ['--exclusive'])],
    isThere: (_, index) => (isInclusive ? index <= at : index < at),
  };
}

function aimAtLsn(lsn: Lsn, isInclusive: boolean, atLeast: Lsn = lsn): Aim {
  const aimed = lsn < atLeast ? atLeast : lsn;
  return {
    target: { kind: 'lsn', lsn: formatLsn(aimed), isInclusive },
    options: ['--lsn', formatLsn(aimed), ...(isInclusive ? [] : ['--exclusive'])],
    isThere: ({ end }) => (isInclusive ? end.lsn <= aimed : end.lsn < aimed),
  };
}

function aimAtPoint({ name, lsn }: SentPoint): Aim {
  return {
    target: { kind: 'restore-point', name },
    options: ['--restore-point', name],
    isThere: ({ end }) => end.endLsn <= lsn,
  };
}

/** All that is kept. */
export function aimAtEnd(): Aim {
  return { target: { kind: 'end' }, options: ['--at-end'], isThere: () => true };
}

/** Committed by then and kept, oldest first. */
export function committedBy(line: Line, { isThere }: Aim, keptTo: Lsn): SentTransaction[] {
  return endsOf(line)
    .filter((ended, index) => isThere(ended, index) && ended.end.outcome === 'commit' && ended.end.endLsn <= keptTo)
    .flatMap(({ sent }) => sent ?? []);
}

type Query = (text: string) => Promise<Record<string, unknown>[]>;

/** Throws a `Violation` that says what differs. */
export async function compareWithModel(query: Query, expected: readonly SentTransaction[]): Promise<void> {
  const rows = await query('SELECT id::int AS id, xid FROM ledger ORDER BY id');
  const found = rows.map(({ id, xid }) => `${Number(id)}/${Number(BigInt(String(xid)) & 0xffff_ffffn)}`);
  const wanted = expected.toSorted((left, right) => left.id - right.id).map(({ id, xid }) => `${id}/${xid}`);
  const missing = wanted.filter((one) => !found.includes(one));
  const surplus = found.filter((one) => !wanted.includes(one));
  if (missing.length + surplus.length > 0 || found.length !== wanted.length) {
    throw new Violation(
      `the ledger has ${found.length} of ${wanted.length} transactions; missing ${some(missing)}; surplus ${some(surplus)}`,
    );
  }
  const model = rowsAfter(expected.map(({ changes }) => changes));
  for (const table of ['shelf', 'papers'] satisfies LedgerTable[]) {
    const hashes = await query(`SELECT key, md5(value) AS hash FROM ${table} ORDER BY key`);
    const is = hashes.map(({ key, hash }) => `${Number(key)}:${String(hash)}`);
    const shouldBe = [...model[table]]
      .toSorted(([left], [right]) => left - right)
      .map(([key, value]) => `${key}:${md5(value)}`);
    if (is.join() === shouldBe.join()) continue;
    const wrong = is.filter((one) => !shouldBe.includes(one));
    throw new Violation(`${table} has ${is.length} rows instead of ${shouldBe.length}, or others: ${some(wrong)}`);
  }
}

function some(all: readonly string[]): string {
  const more = all.length > 5 ? ` and ${all.length - 5} more` : '';
  return all.length === 0 ? 'none' : `${all.slice(0, 5).join(', ')}${more}`;
}

/** Every B-tree against its table, every table against itself; where the extension comes with the server. */
export async function checkSoundness(query: Query): Promise<boolean> {
  const [extension] = await query("SELECT 1 FROM pg_available_extensions WHERE name = 'amcheck'");
  if (extension === undefined) return false;
  await query('CREATE EXTENSION IF NOT EXISTS amcheck');
  await query(
    `SELECT count(bt_index_check(i.indexrelid, true)) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'btree' AND c.relpersistence <> 't' AND i.indisvalid`,
  );
  const problems = await query(
    `SELECT c.relname, v.blkno, v.msg FROM pg_class c CROSS JOIN LATERAL verify_heapam(c.oid) v
     WHERE c.relkind IN ('r', 't', 'm') AND c.relpersistence <> 't' LIMIT 5`,
  );
  if (problems.length > 0) throw new Violation(`verify_heapam: ${JSON.stringify(problems)}`);
  return true;
}
