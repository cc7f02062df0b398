import { expect, test } from 'vitest';
import { memoryJournal } from '../support/memory-journal.ts';
import { alikeCluster } from '../support/postgres-cluster.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import { until } from '../support/journal-events.ts';
import { branchOf, expectSameBytes, fill, makeFilled, range, startReceiving, untilKept } from '../support/receiving.ts';

const never = new AbortController().signal;

for (const major of [14, 15, 16, 17, 18]) {
  describeWithPostgres(major, `the receiver of PostgreSQL ${major}`, () => {
    test(
      'keeps every byte as the server has it, and tells the server how far it is',
      { timeout: 240_000 },
      async () => {
        await using cluster = await alikeCluster(major, "wal_keep_size = '1GB'");
        await cluster.start();
        const journal = memoryJournal();
        await using receiving = startReceiving(cluster, { target: journal, tuning: { statusIntervalMs: 100 } });
        await cluster.sql(
          makeFilled,
          fill(40),
          "SELECT pg_create_restore_point('half way')",
          'SELECT pg_switch_wal()',
          fill(1),
        );
        await untilKept(journal, cluster);
        await until(async () => {
          const query = 'SELECT restart_lsn >= pg_current_wal_flush_lsn() AS is_told FROM pg_replication_slots';
          const [slot] = await cluster.sql(query);
          return slot?.['is_told'] === true;
        });
        // Also while nothing comes it is known that there is nothing.
        const heardMs = receiving.events.newest?.complete?.timeMs ?? 0;
        await until(() => (receiving.events.newest?.complete?.timeMs ?? 0) > heardMs);
        expect(receiving.events.newest?.complete?.position).toEqual(receiving.events.newest?.receivedEnd);
        await receiving.stop();
        expect(receiving.events.warnings).toEqual([]);
        const segments = await expectSameBytes(journal.reader, cluster);
        expect(segments.length).toBeGreaterThan(3);
        expect(segments).toEqual(range(segments[0] ?? 0, segments.length));
        const { lineage } = (await branchOf(journal, 1)) ?? { lineage: '' };
        const facts = await Promise.all(segments.map((segment) => journal.reader.facts(lineage, segment, never)));
        const points = facts.flatMap((each) => (each['restorePoints'] as { name: string }[]).map(({ name }) => name));
        expect(points).toEqual(['half way']);
        expect(facts.map((each) => each['isSwitched'])).toContain(true);
      },
    );
  });
}
