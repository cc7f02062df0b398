import { createHash } from 'node:crypto';
import { chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PageCheck } from '../../src/sources/postgres/physical/page-check.ts';
import { ManifestIndex } from '../../src/sources/postgres/physical/manifest-index.ts';
import {
  ManifestReader,
  type ManifestFile,
  type ManifestSummary,
} from '../../src/sources/postgres/physical/manifest.ts';
import { relationFile } from '../../src/sources/postgres/physical/relation-file.ts';
import { TarReader, type TarMember } from '../../src/sources/postgres/physical/tar-reader.ts';
import { parseLsn } from '../../src/sources/postgres/wal/lsn.ts';
import { type ReceivedBackup, takeBaseBackup } from '../support/base-backup.ts';
import { pieceLengths, pieces } from '../support/pieces.ts';
import { describeWithPostgres, startPostgres, type TestServer } from '../support/postgres-server.ts';
import { dataFolder, systemIdentifier } from '../support/postgres-wal.ts';

const settings = ['full_page_writes=on', 'wal_level=replica', 'max_wal_senders=4'];

interface ReadMember extends TarMember {
  readonly sha256: string;
}

function readArchive(bytes: readonly Uint8Array[]): ReadMember[] {
  const reader = new TarReader();
  const members: ReadMember[] = [];
  let hash = createHash('sha256');
  for (const piece of bytes) {
    for (const event of reader.push(piece)) {
      if (event.kind === 'member') {
        hash = createHash('sha256');
        members.push({ ...event.member, sha256: '' });
      } else if (event.kind === 'content') hash.update(event.bytes);
      else members.push({ ...members.pop()!, sha256: hash.digest('hex') });
    }
  }
  reader.finish();
  return members;
}

function readManifest(bytes: readonly Uint8Array[]): { files: ManifestFile[]; summary: ManifestSummary } {
  const reader = new ManifestReader();
  const files: ManifestFile[] = [];
  for (const piece of bytes) files.push(...reader.push(piece));
  return { files, summary: reader.finish() };
}

/** As the manifest names them: files of a tablespace's archive lie below its link. */
function manifestPath(archive: string, path: string): string {
  return archive === 'base.tar' ? path : `pg_tblspc/${archive.replace('.tar', '')}/${path}`;
}

async function fillServer(server: TestServer): Promise<void> {
  const folder = join(await dataFolder(server), '..', 'a tablespace');
  await mkdir(folder);
  if (process.getuid?.() === 0) await chown(folder, 65_534, 65_534);
  await server.sql(
    'postgres',
    `CREATE TABLESPACE aside LOCATION '${folder}'`,
    'CREATE TABLE t (id int PRIMARY KEY, text text)',
    "INSERT INTO t SELECT n, repeat('x', n % 500) FROM generate_series(1, 20000) n",
    'CREATE TABLE there TABLESPACE aside AS SELECT n FROM generate_series(1, 5000) n',
    'CREATE UNLOGGED TABLE u AS SELECT n FROM generate_series(1, 5000) n',
    'VACUUM',
  );
}

function compare(backup: ReceivedBackup): number {
  const { files } = readManifest(backup.manifest);
  const index = new ManifestIndex();
  for (const { path, sizeBytes, checksum } of files) index.set(path, { sizeBytes, checksum });
  let compared = 0;
  for (const { name, pieces: bytes } of backup.archives) {
    for (const member of readArchive(bytes)) {
      if (member.type !== 'file') continue;
      const path = manifestPath(name, member.path);
      expect({ path, ...index.get(path) }).toEqual({ path, sizeBytes: member.sizeBytes, checksum: member.sha256 });
      compared += 1;
    }
  }
  expect(compared).toBe(index.size);
  return compared;
}

for (const major of [14, 15, 16, 17, 18]) {
  describeWithPostgres(major, `a base backup of PostgreSQL ${major}`, () => {
    test('is read from archives and manifest, and each file is the one that the manifest lists', async () => {
      await using server = await startPostgres(major, settings);
      await fillServer(server);
      const backup = await takeBaseBackup(server);
      expect(compare(backup)).toBeGreaterThan(800);
      const { summary } = readManifest(backup.manifest);
      expect(summary).toMatchObject({
        version: major < 17 ? 1 : 2,
        systemIdentifier: major < 17 ? undefined : await systemIdentifier(server),
        walRanges: [{ timeline: 1, startLsn: parseLsn(backup.startLsn), endLsn: parseLsn(backup.endLsn) }],
      });

      const members = backup.archives.flatMap(({ name, pieces: bytes }) =>
        readArchive(bytes).map(({ path, ...rest }) => ({ ...rest, path: manifestPath(name, path) })),
      );
      expect(members.find(({ path }) => path === 'pg_wal/archive_status')).toMatchObject({
        type: 'folder',
        mode: 0o700,
      });
      expect(members.find(({ path }) => path === 'PG_VERSION')).toMatchObject({ type: 'file', mode: 0o600 });
      const relations = members.flatMap(({ path }) => relationFile(path) ?? []);
      expect(relations.filter(({ tablespaceOid }) => tablespaceOid !== undefined).length).toBeGreaterThan(0);
      expect(relations.some(({ fork }) => fork === 'init')).toBe(true);

      const base = Buffer.concat(backup.archives.at(-1)!.pieces);
      const whole = readArchive([base]);
      const manifest = Buffer.concat(backup.manifest);
      const read = readManifest([manifest]);
      fc.assert(
        fc.property(pieceLengths, (lengths) => {
          expect(readManifest([...pieces(manifest, lengths)])).toEqual(read);
        }),
        { numRuns: 5 },
      );
      expect(readArchive([...pieces(base, [1, 511, 513, 20_000, 7])])).toEqual(whole);
    });

    test('has a manifest also without checksums and with encoded names', async () => {
      await using server = await startPostgres(major, settings);
      const none = readManifest((await takeBaseBackup(server, { checksums: 'NONE' })).manifest);
      expect(none.files.every(({ checksum, algorithm }) => checksum === undefined && algorithm === undefined)).toBe(
        true,
      );
      if (major < 15) return;
      const encoded = readManifest((await takeBaseBackup(server, { manifestMode: 'force-encode' })).manifest);
      expect(encoded.files.map(({ path }) => path).toSorted()).toEqual(none.files.map(({ path }) => path).toSorted());
    });
  });
}

describeWithPostgres(18, 'the pages of a whole cluster', () => {
  async function checkAll(backup: ReceivedBackup, change?: (path: string, bytes: Buffer) => void) {
    const found: string[] = [];
    let pages = 0;
    for (const { name, pieces: bytes } of backup.archives) {
      const reader = new TarReader();
      let content: Buffer[] = [];
      let path = '';
      for (const event of bytes.flatMap((piece) => [...reader.push(piece)])) {
        if (event.kind === 'member') [path, content] = [manifestPath(name, event.member.path), []];
        else if (event.kind === 'content') content.push(Buffer.from(event.bytes));
        else {
          const relation = relationFile(path);
          if (relation === undefined) continue;
          const check = new PageCheck({ segment: relation.segment, startLsn: parseLsn(backup.startLsn)! });
          const whole = Buffer.concat(content);
          change?.(path, whole);
          for (const piece of pieces(whole, [8192, 3, 32_768, 5000])) check.push(piece);
          const result = check.finish();
          pages += result.pages;
          for (const { block } of result.damaged) found.push(`${path} ${block}`);
          if (result.partialBytes > 0) found.push(`${path} has a part of a page`);
        }
      }
    }
    return { found, pages };
  }

  test('have good checksums, and a byte that flipped is found in exactly its page', async () => {
    await using server = await startPostgres(18, [...settings, 'autovacuum=off']);
    await fillServer(server);
    const backup = await takeBaseBackup(server);
    const good = await checkAll(backup);
    expect(good.found).toEqual([]);
    expect(good.pages).toBeGreaterThan(2000);
    const [row] = await server.sql('postgres', "SELECT pg_relation_filepath('t') AS path");
    const table = String(row?.['path']);
    const spoil = (path: string, bytes: Buffer): void => {
      if (path !== table) return;
      bytes.writeUInt8(bytes.readUInt8(7 * 8192 + 5000) ^ 1, 7 * 8192 + 5000);
      bytes.writeUInt8(bytes.readUInt8(12 * 8192 + 8191) ^ 0x80, 12 * 8192 + 8191);
    };
    expect((await checkAll(backup, spoil)).found).toEqual([`${table} 7`, `${table} 12`]);
  });
});
