import { createHash } from 'node:crypto';
import { chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { nameToBytes } from '../../src/base/byte-name.ts';
import { labelOfFull, parseBackupLabel } from '../../src/sources/postgres/physical/backup-label.ts';
import { ManifestIndex } from '../../src/sources/postgres/physical/manifest-index.ts';
import { type ManifestFile, ManifestReader } from '../../src/sources/postgres/physical/manifest.ts';
import { PageCheck } from '../../src/sources/postgres/physical/page-check.ts';
import { relationFile } from '../../src/sources/postgres/physical/relation-file.ts';
import { formatTablespaceMap, parseTablespaceMap } from '../../src/sources/postgres/physical/tablespace-map.ts';
import { controlFilePath, readControlFile } from '../../src/sources/postgres/wal/control-file.ts';
import { contentOf, type ReceivedFile, readArchive, readArchives, takeBaseBackup } from '../support/base-backup.ts';
import { pieceLengths, pieces } from '../support/pieces.ts';
import { describeWithPostgres, startPostgres, type TestServer } from '../support/postgres-server.ts';
import { dataFolder, systemIdentifier } from '../support/postgres-wal.ts';
import { isRoot, nobody } from '../support/unprivileged.ts';

const settings = [
  'full_page_writes=on',
  'wal_level=replica',
  'autovacuum=off',
  'max_connections=37',
  'max_prepared_transactions=3',
];
const majors = [14, 15, 16, 17, 18];

function readManifest(bytes: Uint8Array, lengths: readonly number[] = [bytes.length]) {
  const reader = new ManifestReader();
  const files: ManifestFile[] = [];
  for (const piece of pieces(bytes, lengths)) files.push(...reader.push(piece));
  return { files, summary: reader.finish() };
}

/** Tells where its tablespace is: a place that holds what the map must escape. */
async function fillServer(server: TestServer): Promise<string> {
  const folder = join(await dataFolder(server), '..', 'a \\ tablespace');
  await mkdir(folder);
  if (isRoot) await chown(folder, nobody, nobody);
  await server.sql(
    'postgres',
    `CREATE TABLESPACE aside LOCATION '${folder}'`,
    'CREATE TABLE t (id int PRIMARY KEY, text text)',
    "INSERT INTO t SELECT n, repeat('x', n % 500) FROM generate_series(1, 20000) n",
    'CREATE TABLE there TABLESPACE aside AS SELECT n FROM generate_series(1, 5000) n',
    'CREATE UNLOGGED TABLE u AS SELECT n FROM generate_series(1, 5000) n',
    'VACUUM',
  );
  return folder;
}

/** Pages that do not fit, as `path block`. */
function damagedPages(files: Iterable<ReceivedFile>, startLsn: bigint): { found: string[]; pages: number } {
  const found: string[] = [];
  let pages = 0;
  for (const { path, content } of files) {
    const relation = relationFile(path);
    if (relation === undefined) continue;
    const check = new PageCheck({ segment: relation.segment, startLsn });
    for (const piece of pieces(content, [8192, 3, 32_768, 5000])) check.push(piece);
    const result = check.finish();
    pages += result.pages;
    found.push(...result.damaged.map(({ block }) => `${path} ${block}`));
    if (result.partialBytes > 0) found.push(`${path} has a part of a page`);
  }
  return { found, pages };
}

for (const major of majors) {
  describeWithPostgres(major, `a base backup of PostgreSQL ${major}`, () => {
    let server: TestServer;
    let location: string;
    beforeAll(async () => {
      server = await startPostgres(major, settings);
      location = await fillServer(server);
    });
    afterAll(() => server[Symbol.asyncDispose]());

    test('is read from archives and manifest, and each file is the one that the manifest lists', async () => {
      const odd = 'odd \udcff name';
      await writeFile(Buffer.concat([Buffer.from(`${await dataFolder(server)}/`), nameToBytes(odd)]), 'x', {
        mode: 0o644,
      });
      const backup = await takeBaseBackup(server);
      const { files, summary } = readManifest(backup.manifest);
      const index = new ManifestIndex();
      for (const { path, sizeBytes, checksum } of files) index.set(path, { sizeBytes, checksum });
      const members = readArchives(backup);
      const received = [...members.values()].filter(({ type }) => type === 'file');
      for (const { path, sizeBytes, content } of received) {
        const checksum = createHash('sha256').update(content).digest('hex');
        expect({ path, ...index.get(path) }).toEqual({ path, sizeBytes, checksum });
      }
      expect(received).toHaveLength(index.size);
      expect(members.has(odd)).toBe(true);
      expect(summary).toMatchObject({
        version: major < 17 ? 1 : 2,
        systemIdentifier: major < 17 ? undefined : await systemIdentifier(server),
        walRanges: [{ timeline: 1, startLsn: backup.startLsn, endLsn: backup.endLsn }],
      });
      expect(members.get('pg_wal/archive_status')).toMatchObject({ type: 'folder', mode: 0o700 });
      expect(members.get('PG_VERSION')).toMatchObject({ type: 'file', mode: 0o600 });
      const relations = received.flatMap(({ path }) => relationFile(path) ?? []);
      expect(relations.some(({ tablespaceOid }) => tablespaceOid !== undefined)).toBe(true);
      expect(relations.some(({ fork }) => fork === 'init')).toBe(true);

      const label = contentOf(members, 'backup_label');
      expect(parseBackupLabel(label)).toMatchObject({
        startLsn: backup.startLsn,
        timeline: 1,
        takenFrom: 'primary',
        label: 'try',
        incrementalFrom: undefined,
      });
      expect(labelOfFull(label)).toEqual(label);
      const map = contentOf(members, 'tablespace_map');
      expect(parseTablespaceMap(map)).toEqual([{ oid: backup.archives[0]?.tablespaceOid, location }]);
      expect(formatTablespaceMap(parseTablespaceMap(map))).toEqual(map);

      const { archives, manifest } = backup;
      const base = archives.slice(-1).map(({ pieces: bytes }) => Buffer.concat(bytes));
      const split = base.flatMap((bytes) => [...pieces(bytes, [1, 511, 513, 20_000, 7])]);
      const digests = (bytes: readonly Uint8Array[]): string[] =>
        readArchive({ tablespaceOid: undefined, pieces: bytes }).map(
          ({ path, mode, content }) => `${path} ${mode} ${createHash('sha256').update(content).digest('hex')}`,
        );
      expect(digests(split)).toEqual(digests(base));
      fc.assert(
        fc.property(pieceLengths, (lengths) => {
          expect(JSON.stringify(readManifest(manifest, lengths).files)).toBe(JSON.stringify(files));
        }),
        { numRuns: 3 },
      );
    });

    test('has a manifest also without checksums, and holds a control file', async () => {
      const backup = await takeBaseBackup(server, { manifestChecksums: 'NONE' });
      const { files } = readManifest(backup.manifest);
      expect(files.length).toBeGreaterThan(800);
      expect(files.every(({ checksum, algorithm }) => checksum === undefined && algorithm === undefined)).toBe(true);
      const control = readControlFile(contentOf(readArchives(backup), controlFilePath));
      expect(control).toMatchObject({ major, state: 'in production', walLevel: 'replica', hasChecksums: true });
      expect(control.limits).toMatchObject({ max_connections: 37, max_prepared_transactions: 3 });
    });

    test('has pages with good checksums only, and a byte that flipped is found in exactly its page', async () => {
      const backup = await takeBaseBackup(server);
      const files = readArchives(backup);
      const good = damagedPages(files.values(), backup.startLsn);
      expect(good.found).toEqual([]);
      expect(good.pages).toBeGreaterThan(2000);
      const [row] = await server.sql('postgres', "SELECT pg_relation_filepath('t') AS path");
      const table = String(row?.['path']);
      const content = contentOf(files, table);
      for (const at of [7 * 8192 + 5000, 12 * 8192 + 8191]) content.writeUInt8(content.readUInt8(at) ^ 0x80, at);
      expect(damagedPages(files.values(), backup.startLsn).found).toEqual([`${table} 7`, `${table} 12`]);
    });
  });
}
