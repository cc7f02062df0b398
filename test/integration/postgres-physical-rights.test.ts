// Physical backups by roles that may little, and of servers that are busy: the copy is taken all the same, and what it lacks is said.
import { expect, test } from 'vitest';
import { compareFingerprints } from '../../src/model/fingerprint.ts';
import { connect } from '../../src/sources/postgres/connection.ts';
import { postgresSource } from '../../src/sources/postgres/postgres-source.ts';
import type { BackupSession, ServiceRestore } from '../../src/sources/source.ts';
import { everything } from '../support/postgres-samples.ts';
import { describeWithPostgres, letIn, startPostgres } from '../support/postgres-server.ts';
import { recordBackup } from '../support/recorded-backup.ts';

const never = new AbortController().signal;

/** Reads all of a session that is to have no fingerprint. */
async function walk(session: BackupSession): Promise<void> {
  for await (const entry of session.entries(never)) {
    if (entry.kind !== 'whole' || entry.content?.from !== 'stream') continue;
    for await (const piece of entry.content.open(never)) expect(piece.length).toBeGreaterThan(0);
  }
}

describeWithPostgres(17, 'a role with no more rights than documented', () => {
  test('takes a backup that is proven to the row', async () => {
    await using server = await startPostgres(17);
    await server.sql('postgres', 'CREATE DATABASE shop');
    await server.sql('shop', ...everything);
    await server.sql(
      'postgres',
      "CREATE ROLE backup LOGIN REPLICATION BYPASSRLS PASSWORD 'secret'",
      'GRANT pg_read_all_data, pg_maintain TO backup',
    );
    await letIn(server, 'backup');
    const source = postgresSource(server.options({ method: 'auto', user: 'backup', password: 'secret' }));
    const fingerprintFinding = async () =>
      (await Array.fromAsync(source.check(never))).find(({ aspect }) => aspect === 'fingerprint');
    expect(await fingerprintFinding()).toMatchObject({ outcome: 'passed' });
    await server.sql('postgres', 'REVOKE pg_maintain FROM backup');
    const hint = 'Run as a superuser: GRANT pg_maintain TO "backup";';
    expect(await fingerprintFinding()).toMatchObject({ outcome: 'warning', hint });
    await server.sql('postgres', 'REVOKE pg_read_all_data FROM backup');
    expect(await fingerprintFinding()).toMatchObject({ hint: expect.stringContaining('pg_read_all_data') });
    await server.sql('postgres', 'GRANT pg_read_all_data, pg_maintain TO backup');
    const recorded = await recordBackup(source);
    expect(recorded.notes).toEqual([]);
    expect(recorded.recordedFacts).toMatchObject({
      method: 'physical',
      methodReason: 'the role may replicate and all databases are meant',
      fingerprint: { leftOut: ['postgres (large objects)', 'shop (large objects)'] },
    });
    await using sandbox = await (source.restore as ServiceRestore).sandbox(recorded, never);
    await sandbox.restore(recorded, never);
    expect(compareFingerprints(recorded.recordedFingerprint, await sandbox.fingerprint(never))).toEqual([]);
  });
});

describeWithPostgres(15, 'a backup without a fingerprint', () => {
  test('by a role that may replicate and nothing else, says so', async () => {
    await using server = await startPostgres(15);
    await server.sql('postgres', 'CREATE TABLE t AS SELECT 1 AS a');
    await server.sql('postgres', "CREATE ROLE backup LOGIN REPLICATION PASSWORD 'secret'");
    await letIn(server, 'backup');
    const source = postgresSource(server.options({ method: 'physical', user: 'backup', password: 'secret' }));
    await using session = await source.open(never);
    await walk(session);
    expect(await session.facts(never)).toMatchObject({ fingerprint: null, endLsn: expect.any(String) });
    expect(await session.fingerprint(never)).toBe(undefined);
    expect(session.problems).toEqual([]);
    expect(session.notes?.map(({ message }) => message)).toContainEqual(
      expect.stringMatching(/^no fingerprint of the rows.*permission denied for table t/),
    );
  });

  test('of a server where a transaction holds a table for long, says so and ends no other transaction', async () => {
    await using server = await startPostgres(15);
    await server.sql('postgres', 'CREATE TABLE t AS SELECT 1 AS a', 'CREATE TABLE other (a int)');
    await using writer = await connect(server.address, 'postgres', never);
    await writer.query('BEGIN; INSERT INTO t VALUES (2)');
    await using session = await postgresSource(server.options({ method: 'physical' })).open(never);
    const over = new AbortController();
    const work = (async () => {
      await using other = await connect(server.address, 'postgres', never);
      while (!over.signal.aborted) {
        // Both ways round at once: what the server would take for a deadlock, if we let it come to that.
        await other.query(
          'BEGIN; INSERT INTO other VALUES (1); SELECT count(*) FROM t; INSERT INTO t VALUES (3); COMMIT',
        );
        await other.query('SELECT pg_sleep(0.01)');
      }
    })();
    await walk(session);
    over.abort();
    await work;
    expect(session.notes?.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^no fingerprint of the rows.*lock timeout \(6 attempts\)$/),
    ]);
    await writer.query('COMMIT');
  });

  test('as configured, ends where the server said that the backup ends', async () => {
    await using server = await startPostgres(15);
    const { physical } = server.options();
    const options = server.options({ method: 'physical', physical: { ...physical, takesFingerprint: false } });
    await using session = await postgresSource(options).open(never);
    await walk(session);
    const facts = await session.facts(never);
    expect(facts).toMatchObject({ fingerprint: null, consistentLsn: facts['endLsn'] });
    expect(session.notes).toEqual([]);
  });
});
