import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import type { RecoveryTarget } from '../../src/model/recovery-target.ts';
import { connect } from '../../src/sources/postgres/connection.ts';
import { postgresSource } from '../../src/sources/postgres/postgres-source.ts';
import { until } from '../support/journal-events.ts';
import { freshSeed } from '../support/fresh-seed.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import type { Cluster } from '../support/postgres-cluster.ts';
import { dataIn, idsCommittedBy, ledger, recoveryScene, writeLedger } from '../support/recovery-scene.ts';
import { noSignal } from '../support/repository.ts';
import { startRestored } from '../support/restored-server.ts';

async function rowsIn(major: number, dataFolder: string, query: string): Promise<Record<string, unknown>[]> {
  await using server = await startRestored(major, { dataFolder, workFolder: dirname(dataFolder) });
  return await server.sql('postgres', query);
}

async function idsIn(major: number, dataFolder: string): Promise<{ ids: number[]; timeline: number }> {
  const query =
    'SELECT coalesce(array_agg(id::int ORDER BY id), ARRAY[]::int[]) AS ids, (SELECT timeline_id FROM pg_control_checkpoint()) AS timeline FROM ledger';
  const [row] = await rowsIn(major, dataFolder, query);
  return { ids: row?.['ids'] as number[], timeline: Number(row?.['timeline']) };
}

/** Commits one row; tells its id, its transaction, and where the log ended then. */
async function commit(cluster: Cluster): Promise<{ id: number; xid: number; lsn: string; timeUs: number }> {
  const [row] = await cluster.sql("INSERT INTO ledger (note) VALUES ('one') RETURNING id::int, xmin::text AS xid");
  const [more] = await cluster.sql(
    `SELECT pg_current_wal_insert_lsn()::text AS lsn, (extract(epoch FROM pg_xact_commit_timestamp('${String(row?.['xid'])}'::xid)) * 1000000)::bigint::text AS us`,
  );
  return {
    id: Number(row?.['id']),
    xid: Number(row?.['xid']),
    lsn: String(more?.['lsn']),
    timeUs: Number(more?.['us']),
  };
}

/** Commits one row; tells its id, and where the record of its commit begins. */
async function commitAt(cluster: Cluster): Promise<{ id: number; lsn: string }> {
  await using connection = await connect(cluster.address, 'postgres', noSignal);
  await connection.query('BEGIN');
  const insert = "INSERT INTO ledger (note) VALUES ('at') RETURNING id::int";
  const [row] = await connection.query<{ readonly id: number }>(insert);
  const [more] = await connection.query<{ readonly lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
  await connection.query('COMMIT');
  return { id: row?.id ?? 0, lsn: more?.lsn ?? '' };
}

for (const major of [14, 15, 16, 17, 18]) {
  describeWithPostgres(major, `recovery of PostgreSQL ${major}`, () => {
    test('to random instants under load brings back exactly what was committed by then', async () => {
      await using scene = await recoveryScene(major);
      const { cluster } = scene;
      await cluster.sql(ledger);
      await scene.receiveFrom(cluster);
      {
        await using load = writeLedger(cluster);
        await expect.poll(load.count, { timeout: 20_000 }).toBeGreaterThan(50);
        await scene.backUp();
        const before = load.count();
        await expect.poll(load.count, { timeout: 20_000 }).toBeGreaterThan(before + 300);
      }
      await scene.received();
      const commits = await cluster.sql(
        'SELECT (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint::text AS us FROM ledger ORDER BY id',
      );
      const random = seededRandom(freshSeed('instants'));
      const [first, last] = [Number(commits.at(-280)?.['us']), Number(commits.at(-2)?.['us'])];
      const timeUs = Math.floor(first + random() * (last - first));
      const folder = dataIn(scene.folder, 'copy');
      const outcome = await scene.recover({ kind: 'time', timeUs, isInclusive: true }, folder);
      expect(outcome.restored.join('\n')).toMatch(/recovered to .*on timeline 2/s);
      expect(await idsIn(major, folder)).toEqual({ ids: await idsCommittedBy(cluster, timeUs), timeline: 2 });
    });
  });
}

for (const major of [18]) {
  describeWithPostgres(major, `targets of recoveries of PostgreSQL ${major}`, () => {
    test(
      'of each kind stop exactly there, with or without what is named, in the open segment too',
      { timeout: 180_000 },
      async () => {
        await using scene = await recoveryScene(major);
        const { cluster } = scene;
        await cluster.sql(ledger);
        await scene.receiveFrom(cluster);
        await commit(cluster);
        await scene.backUp();
        await cluster.sql('INSERT INTO ledger (note) SELECT md5(n::text) FROM generate_series(1, 3) AS n');
        const one = await commit(cluster);
        await cluster.sql("SELECT pg_create_restore_point('half way')");
        const two = await commit(cluster);
        await cluster.sql('SELECT pg_switch_wal()');
        const three = await commit(cluster);
        await cluster.sql("SELECT pg_create_restore_point('half way')");
        const last = await commitAt(cluster);
        await scene.received();
        const upTo = (id: number): number[] => Array.from({ length: id }, (_, at) => at + 1);
        const wishes: [RecoveryTarget, number][] = [
          [{ kind: 'time', timeUs: two.timeUs, isInclusive: true }, two.id],
          [{ kind: 'time', timeUs: two.timeUs, isInclusive: false }, one.id],
          [{ kind: 'transaction', xid: three.xid, isInclusive: true }, three.id],
          [{ kind: 'transaction', xid: three.xid, isInclusive: false }, two.id],
          [{ kind: 'lsn', lsn: one.lsn, isInclusive: false }, one.id],
          [{ kind: 'lsn', lsn: last.lsn, isInclusive: false }, three.id],
          [{ kind: 'lsn', lsn: last.lsn, isInclusive: true }, last.id],
          [{ kind: 'restore-point', name: 'half way' }, three.id],
          [{ kind: 'end' }, last.id],
        ];
        for (const [at, [target, id]] of wishes.entries()) {
          const folder = dataIn(scene.folder, `copy-${at}`);
          await scene.recover(target, folder);
          expect({ target, ...(await idsIn(major, folder)) }).toEqual({ target, ids: upTo(id), timeline: 2 });
        }
      },
    );
  });
}

for (const major of [15, 18]) {
  describeWithPostgres(major, `timelines of recoveries of PostgreSQL ${major}`, () => {
    test('follow the newest timeline unless the old one is named', { timeout: 180_000 }, async () => {
      await using scene = await recoveryScene(major);
      const { cluster } = scene;
      await cluster.sql(ledger);
      const promoted = await cluster.standby();
      await scene.receiveFrom(cluster);
      await scene.backUp();
      for (let at = 0; at < 5; at += 1) await commit(cluster);
      await until(async () => (await promoted.sql('SELECT count(*)::int AS rows FROM ledger'))[0]?.['rows'] === 5);
      await promoted.promote();
      const lost = await commit(cluster);
      await scene.received();
      await scene.receiveFrom(promoted);
      for (let at = 0; at < 2; at += 1) await commit(promoted);
      await scene.received(promoted);

      const between: RecoveryTarget = { kind: 'time', timeUs: lost.timeUs, isInclusive: true };
      const choice = await scene.choose(between);
      expect(choice.reasons.join('\n')).toMatch(/follows timeline 1 to .*, then timeline 2: 2 is the newest/);
      expect(choice.reasons.join('\n')).toMatch(/leaves aside what timeline 1 has from .*--timeline 1 leads there/);
      await scene.recover(between, dataIn(scene.folder, 'latest'));
      expect(await idsIn(major, dataIn(scene.folder, 'latest'))).toEqual({ ids: [1, 2, 3, 4, 5], timeline: 3 });
      // Nobody gets the number of a timeline that there is: the next is 3 on the old way, too.
      await scene.recover(between, dataIn(scene.folder, 'old'), { timeline: { kind: 'number', timeline: 1 } });
      expect(await idsIn(major, dataIn(scene.folder, 'old'))).toEqual({ ids: [1, 2, 3, 4, 5, 6], timeline: 3 });
      await scene.recover({ kind: 'end' }, dataIn(scene.folder, 'end'));
      const { ids } = await idsIn(major, dataIn(scene.folder, 'end'));
      expect(ids).toHaveLength(7);
    });
  });
}

describeWithPostgres(15, 'WAL in segments of other sizes', () => {
  test.each([1, 64])('such as of %i MiB are received and replayed to their end', async (walSegmentMegabytes) => {
    await using scene = await recoveryScene({ major: 15, walSegmentMegabytes });
    const { cluster } = scene;
    await cluster.sql(ledger);
    await scene.receiveFrom(cluster);
    await scene.backUp();
    await cluster.sql("INSERT INTO ledger (note) SELECT repeat('x', 2000) FROM generate_series(1, 1500)");
    const { id } = await commit(cluster);
    await scene.received();
    const [branch] = await scene.journal.branches(noSignal);
    expect(branch?.segmentBytes).toBe(walSegmentMegabytes * 2 ** 20);
    const folder = dataIn(scene.folder, 'copy');
    await scene.recover({ kind: 'end' }, folder);
    expect((await idsIn(15, folder)).ids.at(-1)).toBe(id);
    if (walSegmentMegabytes === 1) return;
    // The default of min_wal_size is too little for these: the server of a proof must start, too.
    const programFolders = (process.env['PATH'] ?? '').split(':');
    const { restore } = postgresSource(cluster.source({ method: 'physical', programFolders }));
    const [base] = (await scene.place()).bases;
    if (restore.kind !== 'service') throw new Error('it restores by a server');
    await using _ = await restore.sandbox(await scene.reader(base?.id ?? ''), noSignal);
  });
});

describeWithPostgres(15, 'a recovered data directory', () => {
  test('is whole, stopped, and says nothing of a recovery or of the original', async () => {
    await using scene = await recoveryScene(15, 'archive_mode = on', "archive_command = 'false'");
    const { cluster } = scene;
    await cluster.sql(
      ledger,
      "ALTER SYSTEM SET recovery_target_name = 'of an earlier recovery'",
      "ALTER SYSTEM SET work_mem = '5MB'",
    );
    await scene.receiveFrom(cluster);
    await scene.backUp();
    await commit(cluster);
    await scene.received();
    const folder = dataIn(scene.folder, 'copy');
    const outcome = await scene.recover({ kind: 'end' }, folder);
    expect(outcome.restored).toHaveLength(3);
    const settings = readFileSync(join(folder, 'postgresql.auto.conf'), 'utf8');
    expect(settings).toMatch(/work_mem = '5MB'/);
    expect(settings).not.toMatch(/recovery_|restore_command/);
    for (const name of ['recovery.signal', 'backup_label', 'postmaster.pid', 'lifeboat-restore.unfinished']) {
      expect({ name, isThere: existsSync(join(folder, name)) }).toEqual({ name, isThere: false });
    }
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(readFileSync(join(folder, 'pg_wal/00000002.history'), 'utf8')).toMatch(/^1\t/);
  });
});
