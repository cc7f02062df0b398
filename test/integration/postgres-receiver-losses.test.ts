import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { freshSeed } from '../support/fresh-seed.ts';
import { alteringProxy } from '../support/altering-proxy.ts';
import { halfOpenProxy } from '../support/half-open-proxy.ts';
import { until } from '../support/journal-events.ts';
import { memoryJournal } from '../support/memory-journal.ts';
import { alikeCluster, type Cluster } from '../support/postgres-cluster.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import {
  branchOf,
  expectSameBytes,
  fill,
  filledCluster,
  makeFilled,
  range,
  receiveOnce,
  startReceiving,
  untilKept,
} from '../support/receiving.ts';

const keep = "wal_keep_size = '1GB'";

async function expectNoHole(journal: ReturnType<typeof memoryJournal>, cluster: Cluster): Promise<void> {
  const segments = await expectSameBytes(journal.reader, cluster);
  expect(segments).toEqual(range(segments[0] ?? 0, segments.length));
  expect(journal.gaps).toEqual([]);
}

/** Makes the server forget what no slot keeps. */
async function forget(cluster: Cluster): Promise<void> {
  for (let round = 0; round < 3; round += 1) await cluster.sql(fill(20), 'SELECT pg_switch_wal()', 'CHECKPOINT');
}

vi.setConfig({ testTimeout: 180_000 });

for (const major of [15, 18]) {
  describeWithPostgres(major, `losses of the receiver of PostgreSQL ${major}`, () => {
    test('a receiver that dies at any moment is followed by one that leaves no hole', async () => {
      const random = seededRandom(freshSeed('receiver deaths'));
      await using cluster = await filledCluster(major, keep);
      const journal = memoryJournal();
      const writing = (async () => {
        for (let round = 0; round < 12; round += 1) await cluster.sql(fill(10));
      })();
      let deaths = 0;
      for (let isWriting = true; isWriting; deaths += 1) {
        await using _ = startReceiving(cluster, { target: journal });
        isWriting = await Promise.race([writing.then(() => false), sleep(random() * 700).then(() => true)]);
        journal.crash();
      }
      await using receiving = startReceiving(cluster, { target: journal });
      await untilKept(journal, cluster);
      await receiving.stop();
      expect(deaths).toBeGreaterThan(1);
      await expectNoHole(journal, cluster);
    });

    test('a server that crashes, and a connection that breaks, are come back to', async () => {
      await using cluster = await filledCluster(major, keep);
      await using proxy = await halfOpenProxy(cluster.address);
      const journal = memoryJournal();
      await using receiving = startReceiving(cluster, { target: journal, address: { port: proxy.port } });
      await cluster.sql(fill(10));
      proxy.cut();
      await cluster.sql(fill(10));
      await untilKept(journal, cluster);
      await cluster.stop('crash');
      await cluster.start();
      await cluster.sql(fill(10));
      await untilKept(journal, cluster);
      await receiving.stop();
      expect(receiving.events.warnings.length).toBeGreaterThanOrEqual(2);
      expect(receiving.events.bases).toEqual([]);
      await expectNoHole(journal, cluster);
    });

    test('a connection on which nothing passes any more is given up for a new one', async () => {
      await using cluster = await filledCluster(major, keep, "wal_sender_timeout = '2s'");
      await using proxy = await halfOpenProxy(cluster.address);
      const journal = memoryJournal();
      const tuning = { silenceMaxMs: 1000, statusIntervalMs: 200 };
      await using receiving = startReceiving(cluster, { target: journal, address: { port: proxy.port }, tuning });
      await untilKept(journal, cluster);
      proxy.darken();
      await cluster.sql(fill(10));
      proxy.lighten();
      await untilKept(journal, cluster);
      await receiving.stop();
      expect(receiving.events.warnings.map(({ message }) => message)).toContainEqual(
        expect.stringContaining('timed out'),
      );
      await expectNoHole(journal, cluster);
    });

    test('a server that is stopped does not wait for the receiver', async () => {
      await using cluster = await alikeCluster(major, keep, 'wal_sender_timeout = 0');
      await cluster.start();
      const journal = memoryJournal();
      await using receiving = startReceiving(cluster, { target: journal });
      await cluster.sql(makeFilled, fill(20));
      // Without a timeout of its own the server would wait for ever.
      await cluster.beginStop();
      await cluster.start();
      await untilKept(journal, cluster);
      await receiving.stop();
      expect(receiving.events.bases).toEqual([]);
      await expectNoHole(journal, cluster);
    });

    test('a server that is stopped waits neither for a journal that is full nor for a repository that is away', async () => {
      await using cluster = await filledCluster(major, keep, 'wal_sender_timeout = 0');
      let release: () => void = () => undefined;
      let isFull = false;
      const full = new Promise<void>((resolve) => (release = resolve));
      const journal = memoryJournal({
        beforeAppend: async () => {
          if (isFull) await full;
        },
      });
      const times = { blockedMaxMs: 500, shutdownWaitMaxMs: 500 };
      {
        await using receiving = startReceiving(cluster, { target: journal, tuning: { times } });
        await untilKept(journal, cluster);
        isFull = true;
        await cluster.sql(fill(5));
        await cluster.beginStop();
        release();
        await receiving.stop();
      }
      await cluster.start();
      const away = memoryJournal({ acknowledge: () => ({ segment: 1, offset: 0 }) });
      await using receiving = startReceiving(cluster, { target: away, tuning: { times } });
      await cluster.sql(fill(20));
      await untilKept(away, cluster);
      await cluster.beginStop();
      await until(() => receiving.events.warnings.length > 0);
      expect(receiving.events.warnings[0]?.message).toContain('the server stops');
    });

    test('a slot that was dropped behind our back is made again, and what the server forgot is a gap with a reason', async () => {
      await using cluster = await filledCluster(major);
      const journal = memoryJournal();
      await receiveOnce(cluster, journal);
      const before = await branchOf(journal, 1);
      await cluster.sql("SELECT pg_drop_replication_slot('lifeboat_test')");
      await forget(cluster);
      await using receiving = startReceiving(cluster, { target: journal });
      await until(() => receiving.events.bases.length > 0);
      await cluster.sql(fill(1));
      await untilKept(journal, cluster);
      await receiving.stop();
      expect(journal.gaps).toMatchObject([
        { from: before?.end, reason: expect.stringContaining('no replication slot') },
      ]);
      expect(receiving.events.warnings).toMatchObject([
        { aspect: 'journal gap', outcome: 'failed', hint: expect.stringContaining('full backup') },
      ]);
    });

    test('a slot that vanished without a loss leaves no gap', async () => {
      await using cluster = await filledCluster(major, keep);
      const journal = memoryJournal();
      await receiveOnce(cluster, journal);
      await cluster.sql("SELECT pg_drop_replication_slot('lifeboat_test')", fill(40), 'CHECKPOINT');
      await using receiving = startReceiving(cluster, { target: journal });
      await untilKept(journal, cluster);
      await receiving.stop();
      expect(receiving.events.bases).toEqual([]);
      await expectNoHole(journal, cluster);
    });

    test('a slot that the server gave up is made again, with a gap and a call for a new base', async () => {
      await using cluster = await filledCluster(major, "max_slot_wal_keep_size = '32MB'", "max_wal_size = '64MB'");
      const journal = memoryJournal();
      await receiveOnce(cluster, journal);
      for (let round = 0; round < 4; round += 1) await forget(cluster);
      const [slot] = await cluster.sql('SELECT wal_status FROM pg_replication_slots');
      expect(slot?.['wal_status']).toBe('lost');
      await using receiving = startReceiving(cluster, { target: journal });
      await until(() => receiving.events.bases.length > 0);
      await cluster.sql(fill(1));
      await untilKept(journal, cluster);
      await receiving.stop();
      expect(journal.gaps).toMatchObject([{ reason: expect.stringContaining('max_slot_wal_keep_size') }]);
    });

    test('WAL that is altered on its way is asked for again, and only what is sound is kept', async () => {
      await using cluster = await filledCluster(major, keep);
      let flips = 1;
      const alter = (bytes: Buffer): void => {
        if (flips === 0 || bytes.length < 40_000) return;
        flips -= 1;
        bytes[20_000] = (bytes[20_000] ?? 0) ^ 0x40;
      };
      await using proxy = await alteringProxy(cluster.address, alter);
      const journal = memoryJournal();
      await using receiving = startReceiving(cluster, { target: journal, address: { port: proxy.port } });
      await cluster.sql(fill(20));
      await untilKept(journal, cluster);
      await receiving.stop();
      expect(flips).toBe(0);
      expect(receiving.events.warnings).toMatchObject([{ aspect: 'journal damage', outcome: 'warning' }]);
      expect(receiving.events.bases).toEqual([]);
      await expectNoHole(journal, cluster);
    });

    test('a receiver that was fenced stops, also while nothing comes', async () => {
      await using cluster = await alikeCluster(major, keep);
      await cluster.start();
      const journal = memoryJournal();
      await using receiving = startReceiving(cluster, { target: journal });
      await untilKept(journal, cluster);
      journal.fence();
      await expect(receiving.ended).rejects.toMatchObject({ code: 'JOURNAL_FENCED' });
    });

    test('a second receiver on the slot waits and says for whom', async () => {
      await using cluster = await filledCluster(major, keep);
      const [journal, other] = [memoryJournal(), memoryJournal()];
      await using first = startReceiving(cluster, { target: journal });
      await untilKept(journal, cluster);
      await using second = startReceiving(cluster, { target: other });
      await until(() => second.events.warnings.length > 0);
      expect(second.events.warnings[0]?.message).toMatch(/another receiver holds the replication slot/);
      await first.stop();
      await cluster.sql(fill(1));
      await untilKept(other, cluster);
    });
  });
}
