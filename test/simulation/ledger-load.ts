// Several connections that write into a server's ledger at once, for as long as they are let, and remember what they sent and what the
// server said when it was committed. Losses of the connection are part of it: what was under way then may be there or not.
import { seededRandom, type Random } from '../../src/base/random.ts';
import { connect, type Connection } from '../../src/sources/postgres/connection.ts';
import type { ServerAddress } from '../../src/sources/postgres/server-address.ts';
import { parseLsn, type Lsn } from '../../src/sources/postgres/wal/lsn.ts';
import { systemSleep } from '../../src/storage/interruption.ts';
import { randomChanges, type LedgerChange } from './ledger.ts';

const never = new AbortController().signal;

export interface SentTransaction {
  readonly id: number;
  /** The lower 32 bits, which is what the log holds. */
  readonly xid: number;
  readonly changes: readonly LedgerChange[];
  /** As asked for before the commit was. */
  readonly begunLsn: Lsn;
  /** Set once the server said so. */
  committed?: { readonly lsn: Lsn; readonly timeUs: number; readonly atMs: number };
}

export interface SentPoint {
  readonly name: string;
  /** Where it ends. */
  readonly lsn: Lsn;
}

/** What was sent to one line of history; ids are never given twice. */
export interface Sent {
  readonly firstId: number;
  readonly transactions: SentTransaction[];
  readonly points: SentPoint[];
}

export interface Load extends AsyncDisposable {
  /** Transactions that the server acknowledged. */
  readonly count: () => number;
}

export interface LoadOptions {
  readonly address: ServerAddress;
  readonly seed: number;
  readonly sent: Sent;
  readonly writers?: number;
  readonly pauseMsMax?: number;
}

/** Closing it waits for what is under way. */
export function startLoad({ address, seed, sent, writers = 4, pauseMsMax = 30 }: LoadOptions): Load {
  const over = new AbortController();
  let count = 0;
  const write = async (random: Random): Promise<void> => {
    while (!over.signal.aborted) {
      try {
        await using connection = await connect(address, 'postgres', never);
        while (!over.signal.aborted) {
          await writeOnce(connection, { random, sent, onCommit: () => (count += 1) });
          await systemSleep(random() * pauseMsMax);
        }
      } catch {
        // The server is down, or its address cut off.
        await systemSleep(50);
      }
    }
  };
  const running = Array.from({ length: writers }, (_, at) => write(seededRandom(seed + at * 7919)));
  return {
    count: () => count,
    async [Symbol.asyncDispose]() {
      over.abort();
      await Promise.all(running);
    },
  };
}

interface Writing {
  readonly random: Random;
  readonly sent: Sent;
  readonly onCommit: () => void;
}

async function writeOnce(connection: Connection, writing: Writing): Promise<void> {
  const kind = writing.random();
  if (kind < 0.001) await connection.query('SELECT pg_switch_wal()');
  else if (kind < 0.002) await connection.query('CHECKPOINT');
  else if (kind < 0.004) await connection.query('VACUUM shelf, papers');
  else if (kind < 0.03) await markPoint(connection, writing);
  else await transact(connection, writing);
}

async function markPoint(connection: Connection, { random, sent }: Writing): Promise<void> {
  const name = `point ${Math.floor(random() * 2 ** 32)}`;
  const [row] = await connection.query<{ lsn: string }>('SELECT pg_create_restore_point($1)::text AS lsn', [name]);
  sent.points.push({ name, lsn: parseLsn(row?.lsn ?? '') ?? 0n });
}

async function transact(connection: Connection, { random, sent, onCommit }: Writing): Promise<void> {
  const changes = randomChanges(random);
  const isGivenUp = random() < 0.05;
  const [begun] = await connection.query<{ xid: string; lsn: string }>(
    'BEGIN; SELECT pg_current_xact_id()::text AS xid, pg_current_wal_insert_lsn()::text AS lsn',
  );
  if (begun === undefined) throw new Error('no transaction');
  const transaction: SentTransaction = {
    id: sent.firstId + sent.transactions.length,
    xid: Number(BigInt(begun.xid) & 0xffff_ffffn),
    changes,
    begunLsn: parseLsn(begun.lsn) ?? 0n,
  };
  sent.transactions.push(transaction);
  const values = `${transaction.id}, '${JSON.stringify(changes)}'`;
  // One message: the answer comes after the end of the transaction.
  const [ended] = await connection.query<{ lsn: string; us: string }>(
    `SELECT record(${values}); ${isGivenUp ? 'ROLLBACK' : 'COMMIT'};
     SELECT pg_current_wal_insert_lsn()::text AS lsn, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text AS us`,
  );
  if (isGivenUp || ended === undefined) return;
  transaction.committed = {
    lsn: parseLsn(ended.lsn) ?? 0n,
    timeUs: Number(ended.us),
    atMs: performance.now(),
  };
  onCommit();
}
