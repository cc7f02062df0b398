// A receiver of WAL under way, and what a test asks of its journal.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { receive, type ReceiverTuning } from '../../src/sources/postgres/receiver/receive.ts';
import type { JournalReader, JournalTarget, KeptBranch } from '../../src/sources/journal.ts';
import type { ServerAddress } from '../../src/sources/postgres/server-address.ts';
import { lsnOf, parseLsn, type Lsn } from '../../src/sources/postgres/wal/lsn.ts';
import { segmentName } from '../../src/sources/postgres/wal/segment-name.ts';
import { recordEvents, until, type RecordedEvents } from './journal-events.ts';
import { alikeCluster, type Cluster } from './postgres-cluster.ts';

const never = new AbortController().signal;
const segmentBytes = 16 * 2 ** 20;

export interface Receiving extends AsyncDisposable {
  readonly events: RecordedEvents;
  /** Settles when the receiver gives up or was stopped. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

export interface ReceivingOptions {
  readonly target: JournalTarget;
  readonly tuning?: ReceiverTuning;
  readonly address?: Partial<ServerAddress>;
}

export function startReceiving(cluster: Cluster, { target, tuning = {}, address = {} }: ReceivingOptions): Receiving {
  const events = recordEvents();
  const stop = new AbortController();
  const quick: ReceiverTuning = { retryFirstMs: 50, retryMaxMs: 200, ...tuning };
  const ended = receive({ source: cluster.source(address), target, events, tuning: quick }, stop.signal);
  ended.catch(() => undefined); // Looked at by the test that expects it.
  return {
    events,
    ended,
    async stop() {
      stop.abort();
      await ended;
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await ended.catch(() => undefined);
    },
  };
}

/** Started, with a table that `fill` writes into. */
export async function filledCluster(major: number, ...settings: readonly string[]): Promise<Cluster> {
  const cluster = await alikeCluster(major, ...settings);
  await cluster.start();
  await cluster.sql(makeFilled);
  return cluster;
}

/** All that the server has now, by a receiver that is stopped then. */
export async function receiveOnce(cluster: Cluster, journal: JournalTarget): Promise<void> {
  await using receiving = startReceiving(cluster, { target: journal });
  await untilKept(journal, cluster);
  await receiving.stop();
}

export async function currentLsn(cluster: Cluster): Promise<Lsn> {
  const [row] = await cluster.sql('SELECT pg_current_wal_flush_lsn()::text AS lsn');
  return parseLsn(String(row?.['lsn'])) ?? 0n;
}

interface Journal {
  branches(signal: AbortSignal): Promise<readonly KeptBranch[]>;
}

export async function branchOf(journal: Journal, timeline: number): Promise<KeptBranch | undefined> {
  const branches = await journal.branches(never);
  return branches.findLast(({ about }) => about['timeline'] === timeline);
}

/** Waits until the journal holds all that the server has written so far. */
export async function untilKept(journal: Journal, cluster: Cluster, timeline = 1): Promise<void> {
  const end = await currentLsn(cluster);
  await until(async () => {
    const branch = await branchOf(journal, timeline);
    return branch !== undefined && lsnOf(branch.end, segmentBytes) >= end;
  });
}

/** All that is kept of a timeline is what the server has in its files; returns the numbers of the segments. */
export async function expectSameBytes(reader: JournalReader, cluster: Cluster, timeline = 1): Promise<number[]> {
  const branch = await branchOf(reader, timeline);
  if (branch === undefined) throw new Error(`nothing is kept of timeline ${timeline}`);
  const segments = await reader.segments(branch.lineage, never);
  for (const { segment, sizeBytes } of segments) {
    const name = segmentName(timeline, segment, branch.segmentBytes);
    const file = await readFile(join(cluster.dataFolder, 'pg_wal', name));
    const kept = await reader.read(branch.lineage, segment, never);
    expect({ name, isSame: kept.equals(file.subarray(0, sizeBytes)) }).toEqual({ name, isSame: true });
  }
  return segments.map(({ segment }) => segment);
}

/** Numbers without a hole. */
export function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}

/** So many megabytes of WAL, more or less. */
export const fill = (megabytes: number): string =>
  `INSERT INTO filled SELECT n, repeat(md5(n::text), 30) FROM generate_series(1, ${megabytes * 950}) AS n`;

export const makeFilled = 'CREATE TABLE IF NOT EXISTS filled (n int, text text)';
