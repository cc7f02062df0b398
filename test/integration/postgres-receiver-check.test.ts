import { expect, test } from 'vitest';
import type { Finding } from '../../src/model/finding.ts';
import { postgresSource } from '../../src/sources/postgres/postgres-source.ts';
import { until } from '../support/journal-events.ts';
import { memoryJournal } from '../support/memory-journal.ts';
import { alikeCluster, type Cluster } from '../support/postgres-cluster.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import { fill, makeFilled, startReceiving, untilKept } from '../support/receiving.ts';

const { signal } = new AbortController();

async function check(cluster: Cluster, changes: Parameters<Cluster['source']>[0] = {}): Promise<Finding[]> {
  return Array.fromAsync(postgresSource(cluster.source(changes)).journal?.check(signal) ?? []);
}

describeWithPostgres(18, 'what is needed to receive a journal', () => {
  test('a fit server passes, but for a slot without a limit', async () => {
    await using cluster = await alikeCluster(18);
    await cluster.start();
    const findings = await check(cluster);
    expect(findings.map(({ aspect, outcome }) => `${aspect}: ${outcome}`)).toEqual([
      'journal connection: passed',
      'replication slot: passed',
      'slot limit: warning',
      'synchronous standbys: passed',
    ]);
    await cluster.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'", 'SELECT pg_reload_conf()');
    const journal = memoryJournal();
    await using _ = startReceiving(cluster, { target: journal });
    await untilKept(journal, cluster);
    await until(async () => (await check(cluster)).every(({ outcome }) => outcome === 'passed'));
    expect((await check(cluster))[1]?.message).toMatch(
      /^lifeboat_test: in use by process \d+; it keeps .* of at most 1 GiB$/,
    );
  });

  test('what is missing is named with the statement that mends it', async () => {
    await using cluster = await alikeCluster(18, 'max_replication_slots = 1');
    await cluster.start();
    await cluster.sql('CREATE ROLE weak LOGIN', "SELECT pg_create_physical_replication_slot('x', true)");
    expect(await check(cluster, { user: 'weak' })).toMatchObject([
      { outcome: 'failed', hint: expect.stringContaining('ALTER ROLE "weak" REPLICATION') },
    ]);
    expect(await check(cluster)).toContainEqual(
      expect.objectContaining({ outcome: 'failed', hint: expect.stringContaining('max_replication_slots = 6') }),
    );
    await using refused = startReceiving(cluster, { target: memoryJournal(), address: { user: 'weak' } });
    await expect(refused.ended).rejects.toMatchObject({ code: 'SOURCE_DENIED' });
  });

  test('commits that wait for the receiver are told of, before and while it receives', async () => {
    await using cluster = await alikeCluster(18, "synchronous_standby_names = '*'");
    await cluster.start();
    expect(await check(cluster)).toContainEqual(
      expect.objectContaining({ aspect: 'synchronous standbys', outcome: 'warning' }),
    );
    const journal = memoryJournal();
    await using receiving = startReceiving(cluster, { target: journal, tuning: { slotWatchMs: 50 } });
    await until(() => receiving.events.warnings.length > 0);
    expect(receiving.events.warnings[0]).toMatchObject({ aspect: 'synchronous standbys' });
    // It is a standby as good as any: commits go through once they are durable here.
    await cluster.sql(makeFilled);
    expect(journal.syncCount).toBeGreaterThan(0);
  });

  test('a slot that fills up is told of before and when it is beyond its limit, while the journal takes nothing', async () => {
    await using cluster = await alikeCluster(18, "max_slot_wal_keep_size = '128MB'");
    await cluster.start();
    await cluster.sql(makeFilled);
    let isFull = false;
    const full = Promise.withResolvers<void>();
    const journal = memoryJournal({
      beforeAppend: async () => {
        if (isFull) await full.promise;
      },
    });
    const tuning = { slotWatchMs: 30, times: { blockedMaxMs: 200 } };
    await using receiving = startReceiving(cluster, { target: journal, tuning });
    await untilKept(journal, cluster);
    isFull = true;
    const messages = (): string[] => {
      return receiving.events.warnings
        .filter(({ aspect }) => aspect === 'replication slot')
        .map(({ message }) => message);
    };
    while (!messages().some((message) => message.includes('next checkpoint may remove'))) await cluster.sql(fill(8));
    expect(messages().length).toBeGreaterThan(1);
    expect(new Set(messages()).size).toBe(messages().length);
    isFull = false;
    full.resolve();
    await untilKept(journal, cluster);
    await until(() => receiving.events.notes.some((note) => note.endsWith('again')));
    expect(journal.gaps).toEqual([]);
  });
});
