import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seededRandom } from '../../base/random.ts';
import type { Repository } from '../../repository/repository.ts';
import type { Entry } from '../../sources/source.ts';
import { noise } from '../../../test/support/random-tree.ts';
import {
  patchedFile,
  savedFiles,
  streamedFile as streamed,
  wholeFile as whole,
  type SavedFiles,
} from '../../../test/support/saved-files.ts';
import { watchRepository } from '../../../test/support/watched-store.ts';
import type { BackupResult } from './backup.ts';

const chunkBytes = 64 * 1024;
const pageBytes = 8192;

describe('files made of pages', () => {
  let files: SavedFiles;
  let hosts = 0;

  beforeAll(async () => {
    files = await savedFiles(1_000_000);
  });
  afterAll(() => files[Symbol.asyncDispose]());

  const save = (entries: readonly Entry[], host: string, into?: Repository): Promise<BackupResult> =>
    files.save(() => entries, host, into);

  async function chunksOf(saved: BackupResult, path: string): Promise<{ bytes: Buffer; lengths: number[] }> {
    const pieces = await files.piecesOf(saved, path);
    return { bytes: Buffer.concat(pieces), lengths: pieces.map(({ length }) => length) };
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
        const entry = patchedFile('/data', { sizeBytes: after.length, ranges, spans: joined });
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
    const result = await files.save(entries, 'alike');
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
    const watched = watchRepository(files.repository);
    const fresh = noise(seededRandom(14), 2 * chunkBytes);
    const ranges = [
      { offset: 3 * chunkBytes + pageBytes, bytes: fresh.subarray(0, pageBytes) },
      { offset: 10 * chunkBytes, bytes: fresh.subarray(0, chunkBytes) },
    ];
    const entry = patchedFile('/data', { sizeBytes: before.length, ranges });
    await save([entry], 'cheap', watched);
    expect(watched.store.packBytesRead).toBeLessThan(1.5 * chunkBytes);
    expect(watched.store.packBytesWritten).toBeLessThan(2.5 * chunkBytes);
  });

  test('a span that ranges do not keep is refused: the rest would be a guess', async () => {
    await save([streamed('/data', noise(seededRandom(15), 3 * chunkBytes))], 'lying');
    const entry = patchedFile('/data', {
      sizeBytes: 3 * chunkBytes,
      spans: [{ offset: 0, length: chunkBytes }],
      ranges: [{ offset: 0, bytes: Buffer.alloc(pageBytes) }],
    });
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
