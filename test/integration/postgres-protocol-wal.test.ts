import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isAppError } from '../../src/base/errors.ts';
import { replicationFailure } from '../../src/sources/postgres/protocol/replication-error.ts';
import type { ReplicationConnection } from '../../src/sources/postgres/protocol/replication-connection.ts';
import { WalStream, type WalEvent } from '../../src/sources/postgres/protocol/wal-stream.ts';
import { connectReplication } from '../../src/sources/postgres/protocol/connect-replication.ts';
import { parseLsn } from '../../src/sources/postgres/wal/lsn.ts';
import { halfOpenProxy } from '../support/half-open-proxy.ts';
import { replicate, setSettings } from '../support/postgres-access.ts';
import { makeCluster } from '../support/postgres-cluster.ts';
import { describeWithPostgres, startPostgres, type TestServer } from '../support/postgres-server.ts';

const { signal } = new AbortController();

/** Start of the segment of 16 MiB. */
const segmentStart = (lsn: bigint): bigint => (lsn >> 24n) << 24n;

async function streamFromHere(connection: ReplicationConnection, slot?: string): Promise<WalStream> {
  const { lsn, timeline } = await connection.identifySystem();
  return connection.startReplication({ slot, start: segmentStart(lsn), timeline });
}

/** Reads until `isEnough` says so; rejects as the stream does. */
async function readUntil(stream: WalStream, isEnough: (event: WalEvent) => boolean): Promise<WalEvent> {
  for await (const event of stream) if (isEnough(event)) return event;
  throw new Error('the stream ended before');
}

const failureOf = async (work: Promise<unknown>) => replicationFailure(await work.catch((error: unknown) => error));
const forever = () => false;
/** Writes so many MiB of WAL. */
const write = (mebibytes: number) =>
  `SELECT pg_logical_emit_message(false, 'noise', repeat('x', 1048576)) FROM generate_series(1, ${mebibytes})`;

for (const major of [14, 15, 16, 17, 18]) {
  describeWithPostgres(major, `a WAL stream of PostgreSQL ${major}`, () => {
    let server: TestServer;
    beforeAll(async () => {
      server = await startPostgres(major, ['wal_sender_timeout=1s', 'max_wal_size=64MB', 'min_wal_size=32MB']);
    });
    afterAll(() => server[Symbol.asyncDispose]());

    test('shows the server what was reported, under a name that no synchronous_standby_names holds', async () => {
      await using connection = await replicate(server);
      await connection.createSlot('feedback', { isTemporary: true, reservesWal: true });
      const stream = await streamFromHere(connection, 'feedback');
      const last = await readUntil(stream, (event) => event.kind === 'data');
      if (last.kind !== 'data') throw new Error('no data');
      const [written, flushed] = [last.lsn + 16n, last.lsn + 8n];
      stream.report({ written, flushed, replyRequested: true });
      expect((await readUntil(stream, (event) => event.kind === 'keepalive')).kind).toBe('keepalive');
      const [row] = await server.sql(
        'postgres',
        `SELECT application_name, write_lsn - '0/0'::pg_lsn AS written, flush_lsn - '0/0'::pg_lsn AS flushed, replay_lsn, restart_lsn - '0/0'::pg_lsn AS kept
           FROM pg_stat_replication JOIN pg_replication_slots ON active_pid = pid`,
      );
      expect(row).toEqual({
        application_name: 'lifeboat_wal_and_base_backup',
        written: String(written),
        flushed: String(flushed),
        replay_lsn: null,
        kept: String(flushed),
      });
      expect(await stream.finish()).toEqual({ kind: 'end', reason: 'finished' });
    });

    test('survives a reader that takes longer than wal_sender_timeout while more waits than is read ahead', async () => {
      await using connection = await replicate(server);
      await connection.createSlot('patient', { isTemporary: true, reservesWal: true });
      const stream = await streamFromHere(connection, 'patient');
      await readUntil(stream, (event) => event.kind === 'data');
      await server.sql('postgres', write(80));
      await sleep(1_600);
      const [row] = await server.sql('postgres', `SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn AS end`);
      const end = BigInt(String(row?.['end']));
      await readUntil(stream, (event) => event.kind === 'data' && event.lsn + BigInt(event.bytes.length) >= end);
      expect(await stream.finish()).toEqual({ kind: 'end', reason: 'finished' });
      expect((await connection.identifySystem()).timeline).toBe(1);
    });

    test('finds out that nobody is there any more', async () => {
      await using proxy = await halfOpenProxy(server.address);
      const options = { statusIntervalMs: 100, silenceMaxMs: 500, answerWaitMaxMs: 500 };
      await using streaming = await replicate(server, { port: proxy.port }, options);
      await using asking = await replicate(server, { port: proxy.port }, options);
      const stream = await streamFromHere(streaming);
      const silence = readUntil(stream, forever);
      await sleep(800); // A server that answers when asked is not gone, though nothing is written.
      proxy.darken();
      const gone = { code: 'SOURCE_UNREACHABLE', message: expect.stringContaining('timed out') };
      await expect(silence).rejects.toMatchObject(gone);
      await expect(asking.identifySystem()).rejects.toMatchObject(gone);
      await expect(asking.identifySystem()).rejects.toMatchObject({
        code: 'SOURCE_UNREACHABLE',
        message: expect.stringMatching(/^the replication connection is no more: .*timed out/),
      });
      proxy.lighten();
      await using again = await replicate(server, { port: proxy.port });
      const broken = again.query('SELECT pg_sleep(60)');
      await sleep(50);
      proxy.cut();
      await expect(broken).rejects.toMatchObject({ code: 'SOURCE_FAILED' });
    });

    test('is ended by an abort whatever it does, with the reason of the abort', async () => {
      const reason = new Error('enough');
      for (const work of ['stream', 'query', 'backup'] as const) {
        const abort = new AbortController();
        await using connection = await connectReplication(server.address, {}, abort.signal);
        setTimeout(() => abort.abort(reason), 100);
        const run = async () => {
          if (work === 'stream') await readUntil(await streamFromHere(connection), forever);
          else if (work === 'query') await connection.query('SELECT pg_sleep(60)');
          else for await (const _ of connection.baseBackup({ label: 'x', maxRateKilobytes: 32 }));
        };
        await expect(run()).rejects.toBe(reason);
        await expect(connection.identifySystem()).rejects.toMatchObject({ code: 'SOURCE_FAILED' });
      }
    });

    test('that can not be had says why, and leaves the connection usable', async () => {
      await using connection = await replicate(server);
      const { lsn, timeline } = await connection.identifySystem();
      const from = async (slot: string | undefined, start: bigint, tli = timeline) =>
        readUntil(await connection.startReplication({ slot, start, timeline: tli }), forever);
      expect(await failureOf(from('absent', segmentStart(lsn)))).toBe('slot-missing');
      expect(await failureOf(from(undefined, lsn + (1n << 32n)))).toBe('ahead-of-server');
      expect(await failureOf(from(undefined, segmentStart(lsn), 9))).toBe('timeline-unknown');
      expect(await failureOf(connection.timelineHistory(1))).toBe('no-timeline-history');

      await using other = await replicate(server);
      await other.createSlot('taken', { reservesWal: true });
      await streamFromHere(other, 'taken');
      expect(await failureOf(from('taken', segmentStart(lsn)))).toBe('slot-active');
      expect(await failureOf(connection.dropSlot('taken', { waits: false }))).toBe('slot-active');
      expect((await connection.readSlot('taken'))?.activePid).toBeGreaterThan(1);
      await other[Symbol.asyncDispose]();
      await connection.dropSlot('taken', { waits: true });
      expect(await connection.readSlot('taken')).toBe(undefined);
    });

    test('of a server that removed what was asked for is a gap, and so is a slot that was lost', async () => {
      await using connection = await replicate(server);
      const { lsn, timeline } = await connection.identifySystem();
      await connection.createSlot('slow', { reservesWal: true });
      await setSettings(server, { max_slot_wal_keep_size: '1MB' });
      for (let round = 0; round < 8; round += 1)
        await server.sql('postgres', write(20), 'SELECT pg_switch_wal()', 'CHECKPOINT');
      const removed = async () =>
        readUntil(await connection.startReplication({ start: segmentStart(lsn), timeline }), forever);
      const failure = await removed().catch((error: unknown) => error);
      expect(replicationFailure(failure)).toBe('wal-removed');
      expect(failure).toMatchObject({ code: 'JOURNAL_GAP', hint: expect.stringContaining('slot') });
      expect(await connection.readSlot('slow')).toMatchObject({ walStatus: 'lost', restartLsn: undefined });
      // Older servers let a lost slot be used again as if nothing had happened: its state must be asked for.
      const again = await streamFromHere(connection, 'slow').catch((error: unknown) => error);
      expect(replicationFailure(again)).toBe(major >= 18 ? 'slot-lost' : undefined);
      if (again instanceof WalStream) await again.finish();
      expect(again instanceof WalStream || isAppError(again, 'JOURNAL_GAP')).toBe(true);
      await connection.dropSlot('slow', { waits: false });
      await setSettings(server, { max_slot_wal_keep_size: '-1' });
    });

    test('that somebody ends says so, and so does every later call', async () => {
      await using connection = await replicate(server);
      const stream = await streamFromHere(connection);
      await readUntil(stream, (event) => event.kind === 'data');
      await server.sql('postgres', 'SELECT pg_terminate_backend(pid) FROM pg_stat_replication');
      expect(await failureOf(readUntil(stream, forever))).toBe('server-stops');
      await expect(stream.finish()).rejects.toMatchObject({ code: 'SOURCE_UNREACHABLE' });
      await expect(connection.show('wal_level')).rejects.toMatchObject({ message: expect.stringContaining('no more') });
    });

    test('of a timeline that ends says where the next begins, of a server that stops that it does', async () => {
      await using primary = await makeCluster(major);
      await primary.start();
      await using standby = await primary.standby();
      await using connection = await connectReplication(standby.address, {}, signal);
      expect(connection.facts.isStandby).toBe(true);
      await connection.createSlot('kept', { reservesWal: true });
      const { lsn } = await connection.identifySystem();
      const live = await streamFromHere(connection, 'kept');
      await readUntil(live, (event) => event.kind === 'data');
      await standby.promote();
      const end = await readUntil(live, (event) => event.kind === 'end');
      expect(end).toMatchObject({ kind: 'end', reason: 'timeline', nextTimeline: 2 });

      expect((await connection.identifySystem()).timeline).toBe(2);
      const { fileName, content } = await connection.timelineHistory(2);
      expect(fileName).toBe('00000002.history');
      const switchLsn = parseLsn(/^1\t([0-9A-F/]+)\t/.exec(content.toString())?.[1] ?? '');
      expect(end).toMatchObject({ switchLsn });
      if (switchLsn === undefined) throw new Error('no place in the history');
      // Also for whoever comes later; and asked for what comes just there, the old timeline has nothing.
      for (const start of [segmentStart(lsn), switchLsn]) {
        const late = await connection.startReplication({ slot: 'kept', start, timeline: 1 });
        expect((await Array.fromAsync(late)).at(-1)).toEqual(end);
        expect(await late.finish()).toEqual(end);
      }
      const next = await connection.startReplication({ slot: 'kept', start: segmentStart(switchLsn), timeline: 2 });
      expect(await readUntil(next, (event) => event.kind === 'data')).toMatchObject({ lsn: segmentStart(switchLsn) });

      // It waits until its last WAL is reported, then says farewell.
      const stopping = standby.beginStop();
      const reading = readUntil(next, (event) => {
        const place = event.kind === 'data' ? event.lsn + BigInt(event.bytes.length) : undefined;
        if (place !== undefined) next.report({ written: place, flushed: place });
        return false;
      });
      await expect(reading).rejects.toMatchObject({
        code: 'SOURCE_UNREACHABLE',
        hint: expect.stringContaining('runs again'),
      });
      await stopping;
    });
  });
}
