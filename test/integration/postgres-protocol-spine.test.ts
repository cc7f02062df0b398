import { expect, test } from 'vitest';
import { connectReplication } from '../../src/sources/postgres/protocol/connect-replication.ts';
import { replicationFailure } from '../../src/sources/postgres/protocol/replication-error.ts';
import { describeWithPostgres, startPostgres } from '../support/postgres-server.ts';

const { signal } = new AbortController();

/** Start of the segment of 16 MiB. */
const segmentStart = (lsn: bigint): bigint => (lsn >> 24n) << 24n;

for (const major of [15, 18]) {
  describeWithPostgres(major, `PostgreSQL ${major} over the replication protocol`, () => {
    test('hands out a base backup and its WAL, and keeps from a slot on what was not reported', async () => {
      await using server = await startPostgres(major);
      await server.sql('postgres', 'CREATE TABLE t AS SELECT generate_series(1, 100000) AS n', 'CHECKPOINT');
      await using connection = await connectReplication(server.address, {}, signal);
      expect(connection.facts).toMatchObject({ major, isStandby: false, database: 'postgres', isEncrypted: false });
      const system = await connection.identifySystem();
      const [control] = await server.sql(
        'postgres',
        'SELECT system_identifier::text AS id, pg_current_wal_flush_lsn() >= $1 AS is FROM pg_control_system()'.replace(
          '$1',
          `'0/${system.lsn.toString(16)}'`,
        ),
      );
      expect(control).toEqual({ id: system.systemIdentifier, is: true });
      await connection.createSlot('mine', { reservesWal: true });
      const before = await connection.readSlot('mine');
      expect(before).toMatchObject({ type: 'physical', walStatus: 'reserved', activePid: undefined });

      const kinds: string[] = [];
      let [bytes, startLsn, endLsn] = [0, 0n, 0n];
      const manifest: Buffer[] = [];
      for await (const event of connection.baseBackup({ label: "it's", manifestChecksums: 'SHA256' })) {
        if (kinds.at(-1) !== event.kind) kinds.push(event.kind);
        if (event.kind === 'data') bytes += event.bytes.length;
        if (event.kind === 'manifest-data') manifest.push(Buffer.from(event.bytes));
        if (event.kind === 'start') startLsn = event.lsn;
        if (event.kind === 'end') endLsn = event.lsn;
      }
      expect(kinds.filter((kind) => kind !== 'progress').filter((kind, at, all) => all[at - 1] !== kind)).toEqual(
        'start tablespaces archive data archive-end manifest manifest-data manifest-end end'.split(' '),
      );
      expect(bytes % 512).toBe(0);
      expect(bytes).toBeGreaterThan(20_000_000);
      const { Files: files } = JSON.parse(Buffer.concat(manifest).toString()) as { Files: unknown[] };
      expect(files.length).toBeGreaterThan(900);
      expect(startLsn >= before!.restartLsn! && endLsn > startLsn).toBe(true);

      const start = segmentStart(startLsn);
      const stream = await connection.startReplication({ slot: 'mine', start, timeline: system.timeline });
      let at = start;
      let holes = 0;
      for await (const event of stream) {
        if (event.kind === 'end') throw new Error('it ended by itself');
        if (event.kind === 'data') {
          if (event.lsn !== at) holes += 1;
          at = event.lsn + BigInt(event.bytes.length);
        }
        if (at >= event.serverEnd) break;
      }
      expect(holes).toBe(0);
      expect(at >= endLsn).toBe(true);
      stream.report({ written: at, flushed: at });
      expect(await stream.finish()).toEqual({ kind: 'end', reason: 'finished' });
      expect((await connection.readSlot('mine'))?.restartLsn).toBe(at);

      await expect(connection.createSlot('mine', {})).rejects.toSatisfy((e) => replicationFailure(e) === 'slot-exists');
      await connection.dropSlot('mine', { waits: false });
      expect(await connection.readSlot('mine')).toBe(undefined);
    });
  });
}
