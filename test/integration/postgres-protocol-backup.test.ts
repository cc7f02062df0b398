import { chown, mkdir } from 'node:fs/promises';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serverUserId } from '../../src/base/throw-away-folder.ts';
import type { BaseBackupEvent } from '../../src/sources/postgres/protocol/base-backup-decoder.ts';
import type { ReplicationConnection } from '../../src/sources/postgres/protocol/replication-connection.ts';
import { halfOpenProxy } from '../support/half-open-proxy.ts';
import { replicate } from '../support/postgres-access.ts';
import { describeWithPostgres, startPostgres, type TestServer } from '../support/postgres-server.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

type Told = Exclude<BaseBackupEvent, { kind: 'data' | 'manifest-data' }>;

/** A whole backup: its events without the data, the names in each archive, and the manifest. */
async function readBackup(connection: ReplicationConnection, options: { isIncremental?: boolean } = {}) {
  const told: Told[] = [];
  const archives: Buffer[][] = [];
  const manifest: Buffer[] = [];
  for await (const event of connection.baseBackup({ label: 'test', manifestChecksums: 'CRC32C', ...options })) {
    if (event.kind === 'archive') archives.push([]);
    if (event.kind === 'data') archives.at(-1)?.push(Buffer.from(event.bytes));
    else if (event.kind === 'manifest-data') manifest.push(Buffer.from(event.bytes));
    else told.push(event);
  }
  return { told, archives: archives.map((parts) => namesIn(Buffer.concat(parts))), manifest: Buffer.concat(manifest) };
}

/** Names of the members of a tar archive. */
function namesIn(tar: Buffer): string[] {
  const names: string[] = [];
  for (let at = 0; at < tar.length;) {
    const name = tar.toString('utf8', at, tar.indexOf(0, at));
    if (name === '') break;
    names.push(name);
    const sizeBytes = Number.parseInt(tar.toString('latin1', at + 124, at + 136), 8);
    at += 512 + Math.ceil(sizeBytes / 512) * 512;
  }
  return names;
}

for (const major of [14, 15, 16, 17, 18]) {
  describeWithPostgres(major, `a base backup of PostgreSQL ${major}`, () => {
    let server: TestServer;
    let folder: TemporaryFolder;
    beforeAll(async () => {
      folder = await temporaryFolder();
      for (const name of ['one', 't wö']) await mkdir(join(folder.path, name), { recursive: true });
      if (process.getuid?.() === 0) {
        for (const path of ['', 'one', 't wö']) await chown(join(folder.path, path), serverUserId, serverUserId);
      }
      server = await startPostgres(major, major >= 17 ? ['summarize_wal=on'] : []);
      await server.sql(
        'postgres',
        `CREATE TABLESPACE one LOCATION '${folder.path}/one'`,
        `CREATE TABLESPACE two LOCATION '${folder.path}/t wö'`,
        'CREATE TABLE a TABLESPACE one AS SELECT 1 AS n',
        'CREATE TABLE b TABLESPACE two AS SELECT 1 AS n',
      );
    });
    afterAll(async () => {
      await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    });

    test('tells of tablespaces, their archives and its progress in one order', async () => {
      await using connection = await replicate(server);
      const spaces = await server.sql(
        'postgres',
        `SELECT oid::int, spcname, pg_tablespace_location(oid) AS location FROM pg_tablespace WHERE oid > 16383`,
      );
      const { told, archives, manifest } = await readBackup(connection);
      const [start, second, ...rest] = told;
      if (start?.kind !== 'start' || second?.kind !== 'tablespaces') throw new Error('another order');
      expect(new Set(second.tablespaces.map(({ oid, location }) => `${oid} ${location}`))).toEqual(
        new Set(spaces.map(({ oid, location }) => `${String(oid)} ${String(location)}`)),
      );
      expect(second.baseSizeBytes).toBeGreaterThan(1_000_000);
      expect(second.tablespaces.every(({ sizeBytes = 0 }) => sizeBytes > 0)).toBe(true);
      const archived = rest.filter((event) => event.kind === 'archive');
      expect(archived).toEqual([
        ...second.tablespaces.map((tablespace) => ({ kind: 'archive', name: `${tablespace.oid}.tar`, tablespace })),
        { kind: 'archive', name: 'base.tar', tablespace: undefined },
      ]);
      const order = rest.map(({ kind }) => kind).filter((kind) => kind !== 'progress');
      expect(order).toEqual([...archived.flatMap(() => ['archive', 'archive-end']), 'manifest', 'manifest-end', 'end']);
      const progress = rest.flatMap((event) => (event.kind === 'progress' ? [event.doneBytes] : []));
      expect(progress.length).toBeGreaterThanOrEqual(3);
      expect(progress).toEqual(progress.toSorted((left, right) => left - right));

      const [base = []] = archives.slice(-1);
      expect(base.slice(0, 2)).toEqual(['backup_label', 'tablespace_map']);
      expect(base.at(-1)).toBe('global/pg_control');
      for (const names of archives.slice(0, -1))
        expect(names.some((name) => /^PG_\d+_\d+\/\d+\/\d+$/.test(name))).toBe(true);
      expect(JSON.parse(manifest.toString())).toMatchObject({ 'WAL-Ranges': [{ Timeline: 1 }] });
      expect(manifest.toString()).toContain('CRC32C');
    });

    test('that the server refuses leaves the connection usable, one that is left or silent does not', async () => {
      await using connection = await replicate(server);
      const refused = Array.fromAsync(connection.baseBackup({ label: 'x'.repeat(2000) }));
      await expect(refused).rejects.toMatchObject({ code: 'SOURCE_FAILED', message: expect.stringContaining('label') });
      expect((await readBackup(connection)).archives.length).toBe(3);
      for await (const { kind } of connection.baseBackup({ label: 'left' })) if (kind === 'data') break;
      await expect(connection.identifySystem()).rejects.toMatchObject({
        message: expect.stringContaining('not read to its end'),
      });

      await using proxy = await halfOpenProxy(server.address);
      await using silent = await replicate(server, { port: proxy.port }, { dataWaitMaxMs: 300 });
      const read = async () => {
        for await (const { kind } of silent.baseBackup({ label: 'silent', maxRateKilobytes: 1024 }))
          if (kind === 'data') proxy.darken();
      };
      await expect(read()).rejects.toMatchObject({
        code: 'SOURCE_UNREACHABLE',
        message: expect.stringContaining('timed out'),
      });
    });

    test('tells what the server left out', async () => {
      const [row] = await server.sql('postgres', `SELECT current_setting('data_directory') AS folder`);
      execFileSync('mkfifo', [join(String(row?.['folder']), 'afifo')]);
      const notices: string[] = [];
      await using connection = await replicate(
        server,
        {},
        { onNotice: ({ severity, message }) => notices.push(`${severity}: ${message}`) },
      );
      await readBackup(connection);
      expect(notices).toContain('WARNING: skipping special file "./afifo"');
    });

    if (major >= 17)
      test('can be incremental, and whole again where the manifest does not fit', async () => {
        await using connection = await replicate(server);
        const { manifest } = await readBackup(connection);
        await server.sql('postgres', 'CREATE TABLE c AS SELECT generate_series(1, 1000) AS n');
        const small = Iterator.from(manifest.toString().match(/[^]{1,1000}/g) ?? []).map((text) => Buffer.from(text));
        await connection.uploadManifest(small);
        const incremental = await readBackup(connection, { isIncremental: true });
        expect(incremental.archives.at(-1)!.filter((name) => name.includes('INCREMENTAL.')).length).toBeGreaterThan(
          100,
        );

        const altered = Buffer.from(manifest.toString().replace('"Size": 8192', '"Size": 8193'));
        await expect(connection.uploadManifest([altered])).rejects.toMatchObject({
          message: expect.stringContaining('checksum mismatch'),
        });
        const reason = new Error('the disk is gone');
        const broken = async function* () {
          yield manifest.subarray(0, 100);
          throw reason;
        };
        await expect(connection.uploadManifest(broken())).rejects.toBe(reason);
        expect((await readBackup(connection)).archives.flat().some((name) => name.includes('INCREMENTAL.'))).toBe(
          false,
        );
        await using fresh = await replicate(server);
        const unprepared = readBackup(fresh, { isIncremental: true });
        await expect(unprepared).rejects.toMatchObject({ message: expect.stringContaining('must UPLOAD_MANIFEST') });
      });
  });
}
