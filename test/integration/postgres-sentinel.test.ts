// Sentinels on a real server: the rights they need, the ring they are written into, and the newest one found again in every copy.
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { expect, test, vi } from 'vitest';
import type { Finding } from '../../src/model/finding.ts';
import { feedFrom } from '../../src/operations/restore/feed.ts';
import { postgresSource } from '../../src/sources/postgres/postgres-source.ts';
import type { ExplorableSource } from '../../src/sources/explore.ts';
import type { ServiceRestore } from '../../src/sources/source.ts';
import { systemSleep } from '../../src/storage/interruption.ts';
import { recordEvents, until, type RecordedEvents } from '../support/journal-events.ts';
import type { Cluster } from '../support/postgres-cluster.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import { recoveryScene } from '../support/recovery-scene.ts';
import { noSignal } from '../support/repository.ts';

vi.setConfig({ testTimeout: 180_000 });

const sentinel = { intervalMs: 20, database: undefined };

/** Without rights it is said what is missing, before and while a receiver runs; and exactly that is enough. */
async function grantAsHinted(
  source: ExplorableSource,
  { cluster, events }: { readonly cluster: Cluster; readonly events: RecordedEvents },
): Promise<void> {
  const finding = async (): Promise<Finding | undefined> =>
    (await Array.fromAsync(source.check(noSignal))).find(({ aspect }) => aspect === 'sentinel');
  const lacking = await finding();
  expect(lacking).toMatchObject({ outcome: 'failed', message: expect.stringContaining('may not create it') });

  const stop = new AbortController();
  const written = source.journal?.sentinels?.write(events, stop.signal);
  await until(() => events.warnings.length > 0);
  stop.abort();
  await written;
  expect(events.warnings).toMatchObject([{ aspect: 'sentinel', hint: lacking?.hint }]);
  // Exactly what the hint says is enough.
  const statements = /^Run as a superuser in database postgres: (.*)$/s.exec(lacking?.hint ?? '')?.[1] ?? '';
  await cluster.sql(statements);
  expect(await finding()).toMatchObject({ outcome: 'passed' });
}

describeWithPostgres(15, 'sentinels', () => {
  test('are written by a role that may, in a ring, and found in every recovered copy', async () => {
    await using scene = await recoveryScene(15);
    const { cluster } = scene;
    await cluster.sql('CREATE ROLE receiver LOGIN REPLICATION', 'GRANT pg_read_all_data TO receiver');
    const options = {
      ...cluster.source({ method: 'physical', user: 'receiver', sentinel }),
      programFolders: (process.env['PATH'] ?? '').split(':'),
    };
    const source = postgresSource(options);
    const events = recordEvents();
    await scene.receiveFrom(cluster);
    await grantAsHinted(source, { cluster, events });

    const again = new AbortController();
    const writing = source.journal?.sentinels?.write(events, again.signal);
    const newest = async (): Promise<number> => {
      const [row] = await cluster.sql(
        'SELECT (extract(epoch FROM max(written_at)) * 1000)::float8 AS ms FROM lifeboat.sentinel',
      );
      return Number(row?.['ms'] ?? 0);
    };
    await until(async () => (await newest()) > 0);
    const base = await scene.backUp();
    const atBackup = await newest();
    // More than the ring holds.
    await until(async () => (await newest()) > atBackup + 70 * sentinel.intervalMs);
    again.abort();
    await writing;
    expect(events.warnings).toHaveLength(1);
    const [ring] = await cluster.sql('SELECT count(*)::int AS rows FROM lifeboat.sentinel');
    expect(ring?.['rows']).toBeGreaterThan(1);
    expect(ring?.['rows']).toBeLessThanOrEqual(60);
    const last = await newest();
    // Nothing keeps others from writing there what no date can hold.
    await cluster.sql("INSERT INTO lifeboat.sentinel VALUES (1000, 'infinity'), (1001, '200000-01-01')");
    await cluster.sql('CREATE TABLE later ()');
    await scene.received();

    const place = await source.explore.makePlace({
      openFeed: feedFrom({ clock: systemClock, random: systemRandom, sleep: systemSleep }),
      onBytes: () => undefined,
    });
    await using _ = place;
    const choice = await scene.choose({ kind: 'end' });
    await using server = await place.open(choice, { reader: await scene.reader(choice.base) }, noSignal);
    expect(await source.explore.newestSentinel(server, noSignal)).toBeCloseTo(last, 0);

    const reader = await scene.reader(base);
    await using sandbox = await (source.restore as ServiceRestore).sandbox(reader, noSignal);
    await sandbox.restore(reader, noSignal);
    const found = await sandbox.newestSentinel?.(noSignal);
    expect(found?.writtenMs).toBeLessThanOrEqual(atBackup);
    expect(found?.writtenMs).toBeLessThanOrEqual(found?.instantMs ?? 0);
  });
});
