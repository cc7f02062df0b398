import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { receive } from '../../src/sources/postgres/receiver/receive.ts';
import { lsnOf, parseLsn } from '../../src/sources/postgres/wal/lsn.ts';
import { segmentName } from '../../src/sources/postgres/wal/segment-name.ts';
import { recordEvents, until } from '../support/journal-events.ts';
import { memoryJournal, type MemoryJournal } from '../support/memory-journal.ts';
import { makeCluster, type Cluster } from '../support/postgres-cluster.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';

const never = new AbortController().signal;
const segmentBytes = 16 * 2 ** 20;

async function currentLsn(cluster: Cluster): Promise<bigint> {
  const [row] = await cluster.sql('SELECT pg_current_wal_flush_lsn()::text AS lsn');
  return parseLsn(String(row?.['lsn'])) ?? 0n;
}

async function keptEnd(journal: MemoryJournal, timeline: string): Promise<bigint> {
  const branch = (await journal.branches(never)).find(({ lineage }) => lineage.includes(`/${timeline}`));
  return branch === undefined ? 0n : lsnOf(branch.end, segmentBytes);
}

/** All that is kept of a timeline is what the server has in its files. */
async function expectSameBytes(journal: MemoryJournal, cluster: Cluster, timeline: number): Promise<number> {
  const branches = await journal.branches(never);
  const branch = branches.find(({ about }) => about['timeline'] === timeline);
  let compared = 0;
  for (const { segment, sizeBytes } of await journal.reader.segments(branch?.lineage ?? '', never)) {
    const name = segmentName(timeline, segment, segmentBytes);
    const file = await readFile(join(cluster.dataFolder, 'pg_wal', name));
    const kept = await journal.reader.read(branch?.lineage ?? '', segment, never);
    expect({ name, isSame: kept.equals(file.subarray(0, sizeBytes)) }).toEqual({ name, isSame: true });
    compared += sizeBytes;
  }
  return compared;
}

for (const major of [14, 15, 16, 17, 18]) {
  describeWithPostgres(major, `the receiver of PostgreSQL ${major}`, () => {
    test('keeps every byte as the server has it, and tells the server how far it is', async () => {
      await using cluster = await makeCluster(major, "wal_keep_size = '1GB'");
      await cluster.start();
      const journal = memoryJournal();
      const events = recordEvents();
      const stop = new AbortController();
      const received = receive({ source: cluster.source(), target: journal, events }, stop.signal);
      await cluster.sql(
        'CREATE TABLE t AS SELECT n, repeat(md5(n::text), 10) AS text FROM generate_series(1, 150000) AS n',
        "SELECT pg_create_restore_point('half way')",
        'SELECT pg_switch_wal()',
        'INSERT INTO t SELECT n, md5(n::text) FROM generate_series(1, 1000) AS n',
      );
      const end = await currentLsn(cluster);
      await until(async () => (await keptEnd(journal, '00000001')) >= end);
      await until(async () => {
        const [slot] = await cluster.sql(
          'SELECT restart_lsn >= pg_current_wal_flush_lsn() AS done FROM pg_replication_slots',
        );
        return slot?.['done'] === true;
      });
      stop.abort();
      await received;
      expect(events.warnings).toEqual([]);
      expect(await expectSameBytes(journal, cluster, 1)).toBeGreaterThan(3 * segmentBytes);
      const [{ lineage } = { lineage: '' }] = await journal.branches(never);
      const segments = await journal.reader.segments(lineage, never);
      const facts = await Promise.all(segments.map(({ segment }) => journal.reader.facts(lineage, segment, never)));
      const points = facts.flatMap((each) => (each['restorePoints'] as { name: string }[]).map(({ name }) => name));
      expect(points).toEqual(['half way']);
    });
  });
}
