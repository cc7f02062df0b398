import { expect, test } from 'vitest';
import { labelOfFull, parseBackupLabel } from '../../src/sources/postgres/physical/backup-label.ts';
import { IncrementalReader, type IncrementalHeader } from '../../src/sources/postgres/physical/incremental-file.ts';
import { PageCheck } from '../../src/sources/postgres/physical/page-check.ts';
import {
  pageBytes,
  pagesPerSegment,
  relationFile,
  relationPath,
} from '../../src/sources/postgres/physical/relation-file.ts';
import { ChangedBlocks, repairMapPage } from '../../src/sources/postgres/physical/visibility-map.ts';
import { contentOf, type ReceivedFile, readArchives, takeBaseBackup } from '../support/base-backup.ts';
import { pieces } from '../support/pieces.ts';
import { describeWithPostgres, startPostgres, type TestServer } from '../support/postgres-server.ts';

const settings = [
  'full_page_writes=on',
  'wal_level=replica',
  'summarize_wal=on',
  'autovacuum=off',
  'synchronous_commit=on',
];

async function fill(server: TestServer): Promise<void> {
  await server.sql(
    'postgres',
    'CREATE TABLE kept (id int PRIMARY KEY, text text)',
    "INSERT INTO kept SELECT n, repeat('x', 200) FROM generate_series(1, 50000) n",
    "CREATE TABLE shrunk AS SELECT n, repeat('y', 200) AS text FROM generate_series(1, 20000) n",
    'CREATE TABLE emptied AS SELECT n FROM generate_series(1, 20000) n',
    'CREATE TABLE dropped AS SELECT n FROM generate_series(1, 20000) n',
    'VACUUM FREEZE',
    'CHECKPOINT',
  );
}

async function change(server: TestServer): Promise<void> {
  await server.sql(
    'postgres',
    'DELETE FROM kept WHERE id % 1000 = 0',
    'BEGIN; SELECT * FROM kept WHERE id = 31234 FOR SHARE; COMMIT',
    'DELETE FROM shrunk WHERE n > 5000',
    'VACUUM shrunk',
    'TRUNCATE emptied',
    'DROP TABLE dropped',
    'CREATE TABLE fresh AS SELECT n FROM generate_series(1, 1000) n',
    'CHECKPOINT',
  );
}

interface Patch {
  readonly header: IncrementalHeader;
  /** The parent's file with the patch on it. */
  readonly result: Buffer;
}

function patch(parent: Buffer, incremental: Buffer): Patch {
  const reader = new IncrementalReader(incremental.length);
  let header: IncrementalHeader | undefined;
  let result = Buffer.alloc(0);
  for (const piece of pieces(incremental, [5000, 3, 20_000])) {
    for (const event of reader.push(piece)) {
      if (event.kind === 'header') {
        ({ header } = event);
        const valid = parent.subarray(0, header.truncationBlocks * pageBytes);
        result = Buffer.concat([valid.subarray(0, header.resultBytes)], header.resultBytes);
      } else result.set(event.bytes, event.offset);
    }
  }
  reader.finish();
  if (header === undefined) throw new Error('no header came');
  return { header, result };
}

/** All files as the incremental backup makes them out of its parent, and which pages of tables it says have changed. */
function combine(parent: ReadonlyMap<string, ReceivedFile>, incremental: ReadonlyMap<string, ReceivedFile>) {
  const files = new Map<string, Buffer>();
  const changed = new Map<string, ChangedBlocks>();
  for (const [path, { type, content }] of incremental) {
    if (type !== 'file') continue;
    const file = relationFile(path);
    if (file?.isIncremental !== true) {
      files.set(path, content);
      continue;
    }
    const target = relationPath({ ...file, isIncremental: false });
    const { header, result } = patch(contentOf(parent, target), content);
    files.set(target, result);
    if (file.fork !== 'main') continue;
    const blocks = new ChangedBlocks();
    blocks.addBlocks(file.segment, header.blocks, pagesPerSegment);
    changed.set(target, blocks);
  }
  return { files, changed };
}

/** Bits that are set in `left` but not in `right`. */
function bitsBeyond(left: Buffer, right: Buffer): number {
  let count = 0;
  for (let at = 0; at < left.length; at += 1) {
    if (at % pageBytes < 24) continue;
    for (let bits = left.readUInt8(at) & ~(right[at] ?? 0); bits > 0; bits >>= 1) count += bits & 1;
  }
  return count;
}

for (const major of [17, 18]) {
  describeWithPostgres(major, `an incremental backup of PostgreSQL ${major}`, () => {
    test('makes of its parent the files that a full backup has, and its visibility maps claim nothing false once repaired', async () => {
      await using server = await startPostgres(major, settings);
      await fill(server);
      const parent = await takeBaseBackup(server);
      await change(server);
      const incremental = await takeBaseBackup(server, {}, parent.manifest);
      const actual = readArchives(await takeBaseBackup(server));
      const received = readArchives(incremental);

      const label = contentOf(received, 'backup_label');
      expect(parseBackupLabel(label).incrementalFrom).toEqual({ lsn: parent.startLsn, timeline: 1 });
      expect(parseBackupLabel(labelOfFull(label))).toEqual({ ...parseBackupLabel(label), incrementalFrom: undefined });

      const { files, changed } = combine(readArchives(parent), received);
      const different: string[] = [];
      let [stubs, claimed] = [0, 0];
      for (const [path, content] of files) {
        const file = relationFile(path);
        if (file === undefined) continue;
        const expected = contentOf(actual, path);
        if (file.fork === 'main' && !content.equals(expected)) different.push(path);
        if (file.fork !== 'vm') continue;
        const heap = relationPath({ ...file, fork: 'main' });
        const repair = {
          changed: changed.get(heap) ?? new ChangedBlocks(),
          heapBlocks: (files.get(heap)?.length ?? 0) / pageBytes,
          hasChecksums: true,
        };
        const copy = Buffer.from(new Uint8Array(content).buffer);
        const check = new PageCheck({ segment: file.segment, startLsn: 2n ** 63n });
        for (let at = 0; at < copy.length; at += pageBytes) {
          const page = copy.subarray(at, at + pageBytes);
          repairMapPage(page, at / pageBytes, repair);
          check.push(page);
        }
        expect(check.finish()).toMatchObject({ damagedPages: 0, partialBytes: 0 });
        expect({ path, beyond: bitsBeyond(copy, expected) }).toEqual({ path, beyond: 0 });
        claimed += bitsBeyond(copy, Buffer.alloc(0));
      }
      for (const { path, content } of received.values()) {
        if (relationFile(path)?.isIncremental === true && content.length === 12) stubs += 1;
      }
      expect(different).toEqual([]);
      expect(stubs).toBeGreaterThan(100);
      expect(claimed).toBeGreaterThan(1000);
    });
  });
}
