import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { lsnOf, parseLsn } from '../../src/sources/postgres/wal/lsn.ts';
import { readTimelineBranch } from '../../src/sources/postgres/lineage.ts';
import { memoryJournal } from '../support/memory-journal.ts';
import { alikeCluster, makeCluster } from '../support/postgres-cluster.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import { until } from '../support/journal-events.ts';
import {
  branchOf,
  currentLsn,
  expectSameBytes,
  fill,
  filledCluster,
  makeFilled,
  receiveOnce,
  startReceiving,
  untilKept,
} from '../support/receiving.ts';

const keep = "wal_keep_size = '1GB'";
const segmentBytes = 16 * 2 ** 20;

for (const major of [15, 18]) {
  describeWithPostgres(major, `timelines of PostgreSQL ${major}`, () => {
    test('a standby is received from, and its promotion is followed without a hole', async () => {
      await using primary = await alikeCluster(major, keep);
      await primary.start();
      await primary.sql(makeFilled, fill(5));
      await using standby = await primary.standby();
      const journal = memoryJournal();
      await using receiving = startReceiving(standby, { target: journal });
      await primary.sql(fill(20));
      await untilKept(journal, primary);
      await standby.promote();
      await standby.sql(fill(20));
      await untilKept(journal, standby, 2);
      await receiving.stop();
      expect(receiving.events.warnings).toEqual([]);
      const [old, fresh] = await Promise.all([branchOf(journal, 1), branchOf(journal, 2)]);
      const { history = '' } = (fresh && readTimelineBranch(fresh)) ?? {};
      const switched = parseLsn(history.split('\t')[1] ?? '');
      expect(old && lsnOf(old.end, segmentBytes)).toBe(switched);
      expect(fresh?.start).toEqual({ segment: old?.end.segment, offset: 0 });
      expect((await expectSameBytes(journal.reader, standby, 2)).length).toBeGreaterThan(1);
    });

    test('after a failover to another host the new timeline begins where the old one was left', async () => {
      await using primary = await filledCluster(major, keep);
      await using standby = await primary.standby();
      const journal = memoryJournal();
      {
        await using receiving = startReceiving(primary, { target: journal });
        await primary.sql(fill(20));
        await untilKept(journal, primary);
        await until(
          async () => (await standby.sql('SELECT pg_last_wal_replay_lsn() AS lsn'))[0]?.['lsn'] !== undefined,
        );
        await receiving.stop();
      }
      await primary.stop('fast');
      await standby.promote();
      await standby.sql(fill(40));
      await using receiving = startReceiving(standby, { target: journal });
      await untilKept(journal, standby, 2);
      expect(receiving.events.bases).toEqual([]);
      expect(journal.gaps).toEqual([]);
      await expectSameBytes(journal.reader, standby, 2);
    });

    test.runIf(major === 15)(
      'a new primary that removed where its timeline begins is told of, and a new base asked for',
      async () => {
        await using primary = await alikeCluster(major);
        await primary.start();
        await primary.sql(makeFilled);
        await using standby = await primary.standby();
        const journal = memoryJournal();
        {
          await using receiving = startReceiving(primary, { target: journal });
          await untilKept(journal, primary);
          await receiving.stop();
          // Whoever begins has lost nothing.
          expect(receiving.events.bases).toEqual([]);
        }
        await primary.stop('fast');
        await standby.promote();
        for (let round = 0; round < 3; round += 1) await standby.sql(fill(1), 'SELECT pg_switch_wal()', 'CHECKPOINT');
        await using receiving = startReceiving(standby, { target: journal });
        await until(() => receiving.events.bases.length > 0);
        await untilKept(journal, standby, 2);
        await receiving.stop();
        expect(receiving.events.bases).toEqual([expect.stringContaining('the server had removed it')]);
        expect(receiving.events.warnings).toMatchObject([{ aspect: 'journal gap', outcome: 'failed' }]);
      },
    );

    test('a server that was recovered to the past goes on in a lineage of its own, and the old one stays', async () => {
      await using server = await alikeCluster(major, keep);
      await server.start();
      await server.sql(makeFilled, 'CHECKPOINT');
      await server.stop('fast');
      await using past = await server.copy();
      await server.start();
      const journal = memoryJournal();
      {
        await using receiving = startReceiving(server, { target: journal });
        await server.sql(fill(60));
        await untilKept(journal, server);
        await receiving.stop();
      }
      await server.stop('fast');
      const kept = await branchOf(journal, 1);
      await writeFile(join(past.dataFolder, 'recovery.signal'), '');
      await past.configure("restore_command = 'false'");
      await past.start();
      await until(async () => (await past.sql('SELECT pg_is_in_recovery() AS is'))[0]?.['is'] === false);
      await past.sql(fill(20));
      await using receiving = startReceiving(past, { target: journal });
      await untilKept(journal, past, 2);
      const fresh = await branchOf(journal, 2);
      expect((fresh?.start.segment ?? 0) < (kept?.end.segment ?? 0)).toBe(true);
      expect(await branchOf(journal, 1)).toEqual(kept);
      await expectSameBytes(journal.reader, past, 2);
      await receiving.stop();
    });

    test('a copy that went its own way on the same timeline is refused, and nothing of the original is touched', async () => {
      await using server = await alikeCluster(major, keep);
      await server.start();
      await server.sql(makeFilled, 'SELECT pg_switch_wal()');
      await server.stop('fast');
      await using clone = await server.copy();
      await server.start();
      const journal = memoryJournal();
      {
        await using receiving = startReceiving(server, { target: journal });
        await server.sql(fill(20));
        await untilKept(journal, server);
        await receiving.stop();
      }
      const kept = await branchOf(journal, 1);
      await clone.start();
      await clone.sql(makeFilled, 'CREATE TABLE other (n int)', fill(30));
      await using receiving = startReceiving(clone, { target: journal });
      await expect(receiving.ended).rejects.toMatchObject({ code: 'JOURNAL_FORKED' });
      expect(await branchOf(journal, 1)).toEqual(kept);
      await expectSameBytes(journal.reader, server);
    });

    test('a copy whose WAL differs only before a border of segments is refused', async () => {
      await using server = await alikeCluster(major, keep);
      await server.start();
      await server.sql(makeFilled, 'SELECT pg_switch_wal()');
      await server.stop('fast');
      await using clone = await server.copy();
      const journal = memoryJournal();
      await server.start();
      {
        await using receiving = startReceiving(server, { target: journal });
        await server.sql(fill(1), 'SELECT pg_switch_wal()');
        await untilKept(journal, server);
        await receiving.stop();
      }
      await clone.start();
      await clone.sql('CREATE TABLE other (n int)', 'SELECT pg_switch_wal()', fill(1));
      await using receiving = startReceiving(clone, { target: journal });
      await expect(receiving.ended).rejects.toMatchObject({ code: 'JOURNAL_FORKED' });
    });

    test('a server that was put back to an earlier state on its timeline is refused', async () => {
      await using server = await filledCluster(major, keep);
      await server.stop('fast');
      await using earlier = await server.copy();
      await server.start();
      const journal = memoryJournal();
      {
        await using receiving = startReceiving(server, { target: journal });
        await server.sql(fill(40));
        await untilKept(journal, server);
        await receiving.stop();
      }
      await earlier.start();
      await using receiving = startReceiving(earlier, { target: journal });
      await expect(receiving.ended).rejects.toMatchObject({
        code: 'JOURNAL_FORKED',
        message: expect.stringContaining('earlier state'),
      });
    });

    test('a server of another system is refused unless it is expected', async () => {
      await using server = await alikeCluster(major);
      await using other = await makeCluster(major);
      await Promise.all([server.start(), other.start()]);
      const journal = memoryJournal();
      await receiveOnce(server, journal);
      await using refused = startReceiving(other, { target: journal });
      await expect(refused.ended).rejects.toMatchObject({
        code: 'JOURNAL_FORKED',
        message: expect.stringContaining('system identifier'),
      });
      const isKept = async (): Promise<boolean> => (await journal.branches(new AbortController().signal)).length === 2;
      await using expected = startReceiving(other, { target: journal, tuning: { acceptsOtherSystem: true } });
      await until(isKept);
      await expected.stop();
      await using again = startReceiving(other, { target: journal });
      await other.sql(makeFilled, fill(1));
      const end = await currentLsn(other);
      await until(async () => {
        const branches = await journal.branches(new AbortController().signal);
        return branches.some((branch) => lsnOf(branch.end, segmentBytes) >= end);
      });
      await again.stop();
    });
  });
}
