import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { formatLsn, parseLsn } from '../../src/sources/postgres/wal/lsn.ts';
import type { WalEvent } from '../../src/sources/postgres/wal/record-event.ts';
import { controlFilePath, readControlFile } from '../../src/sources/postgres/wal/control-file.ts';
import { pageFlags, readSegmentHeader, walPageBytes } from '../../src/sources/postgres/wal/page-header.ts';
import { RecordWalker } from '../../src/sources/postgres/wal/record-walker.ts';
import { segmentProblem } from '../../src/sources/postgres/wal/segment-header.ts';
import { historyName } from '../../src/sources/postgres/wal/segment-name.ts';
import { isOnPath, parseTimelineHistory } from '../../src/sources/postgres/wal/timeline-history.ts';
import { crash, promote } from '../support/postgres-promotion.ts';
import { describeWithPostgres, startPostgres, type TestServer } from '../support/postgres-server.ts';
import { dataFolder, readSegments, systemIdentifier, walSegmentBytes } from '../support/postgres-wal.ts';

/** Comes with Debian's server; the comparison with it is left out where there is none. */
const walDump = '/usr/lib/postgresql/15/bin/pg_waldump';

const settings = [
  'full_page_writes=on',
  'wal_level=replica',
  'synchronous_commit=on',
  'max_prepared_transactions=5',
  'track_commit_timestamp=on',
  'autovacuum=off',
];

/** Small and large records, all ends of transactions, two switches; the second leaves nothing unwritten. */
async function work(server: TestServer): Promise<{ restorePoint: string; end: string }> {
  await server.sql(
    'postgres',
    'CREATE TABLE t (id int, text text)',
    "INSERT INTO t SELECT n, repeat('x', n % 500) FROM generate_series(1, 20000) n",
    'CHECKPOINT',
    "BEGIN; UPDATE t SET text = text || 'y'; ROLLBACK",
    "BEGIN; DELETE FROM t WHERE id < 100; PREPARE TRANSACTION 'first'",
    "COMMIT PREPARED 'first'",
    "BEGIN; DELETE FROM t WHERE id < 200; PREPARE TRANSACTION 'second'",
    "ROLLBACK PREPARED 'second'",
    "SELECT pg_logical_emit_message(true, 'larger than a segment', repeat('z', 20000000))",
    'SELECT pg_switch_wal()',
    'DO $$ BEGIN FOR n IN 1..300 LOOP INSERT INTO t VALUES (n); COMMIT; END LOOP; END $$',
  );
  const [point] = await server.sql('postgres', "SELECT pg_create_restore_point('before the ört') AS lsn");
  await server.sql('postgres', 'SELECT pg_switch_wal()');
  const [end] = await server.sql('postgres', 'SELECT pg_current_wal_lsn() AS lsn');
  return { restorePoint: String(point?.['lsn']), end: String(end?.['lsn']) };
}

async function walk(
  server: TestServer,
  end: bigint,
  timeline = 1,
): Promise<{ walker: RecordWalker; events: WalEvent[] }> {
  const all = await readSegments(await dataFolder(server));
  const segments = all.filter((one) => one.timeline === timeline);
  const events: WalEvent[] = [];
  const walker = new RecordWalker(
    {
      startLsn: BigInt((segments[0]?.segment ?? 0) * walSegmentBytes),
      segmentBytes: walSegmentBytes,
      major: server.major,
      systemIdentifier: await systemIdentifier(server),
      timeline,
    },
    (event) => events.push(event),
  );
  for (const { segment, bytes } of segments) if (BigInt(segment * walSegmentBytes) < end) walker.push(bytes);
  return { walker, events };
}

for (const major of [14, 15, 16, 17, 18]) {
  describeWithPostgres(major, `the WAL of PostgreSQL ${major}`, () => {
    test('is walked to its end, and says of transactions and restore points what the server says', async () => {
      await using server = await startPostgres(major, settings);
      const { restorePoint, end } = await work(server);
      const { walker, events } = await walk(server, parseLsn(end)!);
      expect(walker.stop).toBeUndefined();
      expect(formatLsn(walker.recordsEnd!)).toBe(end);

      const points = events.filter((event) => event.kind === 'restore-point');
      expect(points).toMatchObject([{ name: 'before the ört', endLsn: parseLsn(restorePoint) }]);
      const ends = events.filter((event) => event.kind === 'transaction-end');
      expect(ends.filter((one) => one.outcome === 'abort' && !one.isPrepared)).toHaveLength(1);
      expect(ends.filter((one) => one.isPrepared).map(({ outcome }) => outcome)).toEqual(['commit', 'abort']);
      await compareCommitTimes(server, ends);
      if (major === 15 && existsSync(walDump)) await compareWithDump(server, walker.records, events);
      await compareControlFile(server); // Last: its checkpoint removes segments.
    });
  });
}

/** The oldest and the newest: between them nothing changed here. */
for (const major of [14, 18]) {
  describeWithPostgres(major, `the WAL of PostgreSQL ${major}, begun anew,`, () => {
    test('is walked over a record that a crash cut off', async () => {
      await using server = await startPostgres(major, [...settings, 'wal_writer_delay=10s', 'synchronous_commit=off']);
      // Too large for the buffers: its beginning is written out, its end is not.
      await server.sql('postgres', 'CHECKPOINT', "SELECT pg_logical_emit_message(false, 'p', repeat('z', 9000000))");
      await using restarted = new AsyncDisposableStack();
      restarted.use(await crash(server));
      await server.sql('postgres', 'CREATE TABLE later (id int)', 'SELECT pg_switch_wal()');
      const [end] = await server.sql('postgres', 'SELECT pg_current_wal_lsn() AS lsn');
      const { walker } = await walk(server, parseLsn(String(end?.['lsn']))!);
      expect(walker.stop).toBeUndefined();
      expect(formatLsn(walker.recordsEnd!)).toBe(end?.['lsn']);
      const pages = (await readSegments(await dataFolder(server))).flatMap(({ bytes }) =>
        Array.from({ length: bytes.length / walPageBytes }, (_, page) => bytes.readUInt16LE(page * walPageBytes + 2)),
      );
      expect(pages.some((flags) => (flags & pageFlags.overwritten) !== 0)).toBe(true);
    });

    test("is walked from a timeline's first segment on, which begins as its parent's", async () => {
      await using server = await startPostgres(major, settings);
      await server.sql('postgres', 'CREATE TABLE before (id int)');
      await using restarted = new AsyncDisposableStack();
      restarted.use(await promote(server));
      await server.sql('postgres', 'CREATE TABLE later AS SELECT generate_series(1, 1000)', 'SELECT pg_switch_wal()');
      const [end] = await server.sql('postgres', 'SELECT pg_current_wal_lsn() AS lsn');
      const segments = (await readSegments(await dataFolder(server))).filter(({ timeline }) => timeline === 2);
      const [first] = segments;
      const expected = { major, segmentBytes: walSegmentBytes, systemIdentifier: await systemIdentifier(server) };
      expect(first && readSegmentHeader(first.bytes).timeline).toBe(1);
      expect(first && segmentProblem(first.bytes, { ...expected, ...first })).toBeUndefined();
      const { walker } = await walk(server, parseLsn(String(end?.['lsn']))!, 2);
      expect(walker.stop).toBeUndefined();
      expect(formatLsn(walker.recordsEnd!)).toBe(end?.['lsn']);
      const history = await readFile(join(await dataFolder(server), 'pg_wal', historyName(2)));
      const { ancestors } = parseTimelineHistory(2, history);
      expect(ancestors).toMatchObject([{ timeline: 1, reason: 'no recovery target specified' }]);
      expect(isOnPath({ timeline: 2, ancestors }, { timeline: 1, lsn: ancestors[0]?.switchLsn ?? 0n })).toBe(true);
    });
  });
}

async function compareControlFile(server: TestServer): Promise<void> {
  await server.sql('postgres', 'CHECKPOINT');
  const [row] = await server.sql(
    'postgres',
    `SELECT system_identifier::text AS id, checkpoint_lsn::text AS lsn, redo_lsn::text AS redo, timeline_id AS timeline,
            extract(epoch FROM checkpoint_time)::int AS time FROM pg_control_system(), pg_control_checkpoint()`,
  );
  const file = readControlFile(await readFile(join(await dataFolder(server), controlFilePath)));
  expect(file).toMatchObject({
    systemIdentifier: BigInt(String(row?.['id'])),
    major: server.major,
    state: 'in production',
    timeline: row?.['timeline'],
    segmentBytes: walSegmentBytes,
    hasChecksums: true,
    tracksCommitTimes: true,
    walLevel: 'replica',
    limits: { max_connections: 100, max_prepared_transactions: 5, max_locks_per_transaction: 64 },
  });
  expect([formatLsn(file.checkpointLsn), formatLsn(file.redoLsn)]).toEqual([row?.['lsn'], row?.['redo']]);
  expect(file.checkpointMs).toBe(Number(row?.['time']) * 1000);
}

async function compareCommitTimes(server: TestServer, ends: readonly WalEvent[]): Promise<void> {
  const query = `SELECT xid::text, (extract(epoch FROM pg_xact_commit_timestamp(xid)) * 1000000)::bigint::text AS time
    FROM (SELECT n::text::xid AS xid FROM generate_series(
      (SELECT xid::text::int FROM pg_last_committed_xact()) - 299, (SELECT xid::text::int FROM pg_last_committed_xact())) n) x`;
  const rows = await server.sql('postgres', query);
  const times = new Map(ends.flatMap((one) => (one.kind === 'transaction-end' ? [[String(one.xid), one.timeUs]] : [])));
  expect(rows).toHaveLength(300);
  for (const row of rows) expect(times.get(String(row['xid']))).toBe(Number(row['time']));
}

/** `pg_waldump` decodes with the server's own code. */
async function compareWithDump(server: TestServer, records: number, events: readonly WalEvent[]): Promise<void> {
  const folder = join(await dataFolder(server), 'pg_wal');
  const segments = await readSegments(await dataFolder(server));
  const start = formatLsn(BigInt((segments[0]?.segment ?? 0) * walSegmentBytes));
  let text = '';
  try {
    text = execFileSync(walDump, ['--path', folder, '--start', start], {
      maxBuffer: 2 ** 28,
      stdio: 'pipe',
    }).toString();
  } catch (error) {
    // It ends at the empty segment behind with an error, having printed all there is.
    text = String((error as { stdout?: Buffer }).stdout);
  }
  const lines = text.trim().split('\n');
  expect(lines).toHaveLength(records);
  const commits = lines.filter((line) => /desc: (?:COMMIT|ABORT)/.test(line));
  const lsns = commits.map((line) => /lsn: ([0-9A-F/]+)/.exec(line)?.[1]?.replace(/\/0+/, '/'));
  expect(events.filter(({ kind }) => kind === 'transaction-end').map(({ lsn }) => formatLsn(lsn))).toEqual(lsns);
}
