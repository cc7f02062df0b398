import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seededRandom } from '../../base/random.ts';
import { syntheticMetadata } from '../../base/synthetic-metadata.ts';
import { loadIndex } from '../../repository/load-index.ts';
import { readContent } from '../../repository/read-content.ts';
import type { Repository } from '../../repository/repository.ts';
import { findNode } from '../../repository/walk.ts';
import { WorkerPool } from '../../repository/worker-pool.ts';
import type { Content, Entry } from '../../sources/source.ts';
import { madeSource } from '../../../test/support/made-source.ts';
import { noise } from '../../../test/support/random-tree.ts';
import { createRepository, noSignal } from '../../../test/support/repository.ts';
import { temporaryFolder, type TemporaryFolder } from '../../../test/support/temporary-folder.ts';
import { watchRepository } from '../../../test/support/watched-store.ts';
import { backup, type BackupResult } from './backup.ts';

const chunkBytes = 64 * 1024;
const pageBytes = 8192;

describe('files made of pages', () => {
  let folder: TemporaryFolder;
  let repository: Repository;
  let pool: WorkerPool;
  let hosts = 0;

  beforeAll(async () => {
    folder = await temporaryFolder();
    mkdirSync(join(folder.path, 'data'));
    repository = await createRepository(folder.path);
    pool = new WorkerPool(repository);
  });
  afterAll(async () => {
    await pool[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  const metadata = (sizeBytes: number) => ({ ...syntheticMetadata('file', 0n), sizeBytes });

  function save(entries: readonly Entry[], host: string, into = repository): Promise<BackupResult> {
    const source = madeSource({ entries: () => entries, pagedBytes: 1_000_000 });
    return backup(into, source, { host, component: 'file', programVersion: 'test', signal: noSignal, pool });
  }

  const whole = (path: string, content: Content, sizeBytes: number): Entry => ({
    kind: 'whole',
    path,
    metadata: metadata(sizeBytes),
    content,
  });

  /** In pieces of odd sizes, as they come from a socket. */
  const streamed = (path: string, bytes: Buffer): Entry =>
    whole(
      path,
      {
        from: 'stream',
        // eslint-disable-next-line typescript/require-await -- The contract wants an async iterable.
        async *open() {
          for (let at = 0; at < bytes.length; at += 32_123) yield bytes.subarray(at, at + 32_123);
        },
      },
      bytes.length,
    );

  async function chunksOf({ snapshot }: BackupResult, path: string): Promise<{ bytes: Buffer; lengths: number[] }> {
    const indexed = { repository, index: await loadIndex(repository, noSignal) };
    const node = await findNode(indexed, snapshot.tree, { path, signal: noSignal });
    const parts = await Array.fromAsync(readContent(indexed, node?.content ?? [], { pool, signal: noSignal }));
    expect(node?.sizeBytes).toBe(parts.reduce((sum, { length }) => sum + length, 0));
    return { bytes: Buffer.concat(parts), lengths: parts.map(({ length }) => length) };
  }

  /** Pages of a file as it grows, shrinks and changes. */
  const change = fc.record({
    parentPages: fc.nat(60),
    sizePages: fc.nat(60),
    changed: fc.uniqueArray(fc.nat(59), { maxLength: 20 }),
    joins: fc.boolean(),
  });

  test('come back byte for byte in chunks of one size, however they changed, grew or shrank', async () => {
    const random = seededRandom(11);
    await fc.assert(
      fc.asyncProperty(change, async ({ parentPages, sizePages, changed, joins }) => {
        hosts += 1;
        const before = noise(random, parentPages * pageBytes);
        await save([streamed('/data', before)], `host-${hosts}`);
        const after = Buffer.alloc(sizePages * pageBytes);
        before.copy(after);
        const grown = Array.from({ length: Math.max(0, sizePages - parentPages) }, (_, at) => parentPages + at);
        const pages = [...new Set([...changed.filter((page) => page < sizePages), ...grown])].toSorted((a, b) => a - b);
        for (const page of pages) noise(random, pageBytes).copy(after, page * pageBytes);
        const ranges = pages.map((page) => ({
          offset: page * pageBytes,
          bytes: after.subarray(page * pageBytes, (page + 1) * pageBytes),
        }));
        const spans = ranges.map(({ offset, bytes }) => ({ offset, length: bytes.length }));
        const joined = joins && spans.length > 0 ? joinNeighbours(spans) : spans;
        const entry: Entry = {
          kind: 'patched',
          path: '/data',
          metadata: metadata(after.length),
          spans: joined,
          // eslint-disable-next-line typescript/require-await -- As above.
          async *ranges() {
            yield* ranges;
          },
        };
        const { bytes, lengths } = await chunksOf(await save([entry], `host-${hosts}`), '/data');
        expect(bytes.equals(after)).toBe(true);
        expect(lengths.slice(0, -1).every((length) => length === chunkBytes)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  test('are cut alike whether they come as a stream, at once or later, so that nothing is stored twice', async () => {
    const bytes = noise(seededRandom(12), 300_000);
    const { promise, resolve } = Promise.withResolvers<Uint8Array>();
    async function* entries(): AsyncGenerator<Entry> {
      yield whole('/made/a', { from: 'later', bytes: promise }, bytes.length);
      yield whole('/made/b', { from: 'bytes', bytes }, bytes.length);
      yield streamed('/made/c', bytes);
      await Promise.resolve();
      resolve(bytes);
    }
    const source = madeSource({ entries, pagedBytes: 1 });
    const options = { host: 'alike', component: 'file', programVersion: 'test', signal: noSignal, pool };
    const result = await backup(repository, source, options);
    expect(result.addedBytes).toBeLessThan(bytes.length + 10_000);
    const a = await chunksOf(result, '/made/a');
    expect(a.bytes.equals(bytes)).toBe(true);
    expect(await chunksOf(result, '/made/b')).toEqual(a);
    expect(await chunksOf(result, '/made/c')).toEqual(a);
    expect(result.files).toEqual({ new: 3, changed: 0, unmodified: 0, failed: 0 });
  });

  test('bytes that were promised for later and never come fail the backup, and no snapshot is written', async () => {
    const late = Promise.reject(new Error('the server went away'));
    late.catch(() => undefined);
    const entry = whole('/made/a', { from: 'later', bytes: late }, 8192);
    await expect(save([entry, streamed('/made/b', Buffer.alloc(9))], 'never')).rejects.toThrow('the server went away');
  });

  test('a changed page costs one chunk read and one written, and chunks that are wholly new are not read', async () => {
    const before = noise(seededRandom(13), 40 * chunkBytes);
    await save([streamed('/data', before)], 'cheap');
    const watched = watchRepository(repository);
    const fresh = noise(seededRandom(14), 2 * chunkBytes);
    const ranges = [
      { offset: 3 * chunkBytes + pageBytes, bytes: fresh.subarray(0, pageBytes) },
      { offset: 10 * chunkBytes, bytes: fresh.subarray(0, chunkBytes) },
    ];
    const entry: Entry = {
      kind: 'patched',
      path: '/data',
      metadata: metadata(before.length),
      spans: ranges.map(({ offset, bytes }) => ({ offset, length: bytes.length })),
      // eslint-disable-next-line typescript/require-await -- As above.
      async *ranges() {
        yield* ranges;
      },
    };
    await save([entry], 'cheap', watched);
    expect(watched.store.packBytesRead).toBeLessThan(1.5 * chunkBytes);
    expect(watched.store.packBytesWritten).toBeLessThan(2.5 * chunkBytes);
  });

  test('a span that ranges do not keep is refused: the rest would be a guess', async () => {
    await save([streamed('/data', noise(seededRandom(15), 3 * chunkBytes))], 'lying');
    const entry: Entry = {
      kind: 'patched',
      path: '/data',
      metadata: metadata(3 * chunkBytes),
      spans: [{ offset: 0, length: chunkBytes }],
      // eslint-disable-next-line typescript/require-await -- As above.
      async *ranges() {
        yield { offset: 0, bytes: Buffer.alloc(pageBytes) };
      },
    };
    await expect(save([entry], 'lying')).rejects.toThrow('do not cover what their spans said');
  });
});

function joinNeighbours(
  spans: readonly { readonly offset: number; readonly length: number }[],
): { offset: number; length: number }[] {
  const joined: { offset: number; length: number }[] = [];
  for (const { offset, length } of spans) {
    const last = joined.at(-1);
    if (last !== undefined && last.offset + last.length === offset) last.length += length;
    else joined.push({ offset, length });
  }
  return joined;
}
