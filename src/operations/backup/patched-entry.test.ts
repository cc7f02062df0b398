import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { seededRandom } from '../../base/random.ts';
import { findNode } from '../../repository/walk.ts';
import { loadIndex } from '../../repository/load-index.ts';
import type { Repository } from '../../repository/repository.ts';
import type { Entry, PatchedEntry } from '../../sources/source.ts';
import { noise } from '../../../test/support/random-tree.ts';
import { noSignal } from '../../../test/support/repository.ts';
import {
  patchedFile,
  savedFiles,
  streamedFile,
  type PatchedRange,
  type SavedFiles,
} from '../../../test/support/saved-files.ts';
import { watchRepository } from '../../../test/support/watched-store.ts';
import type { BackupResult } from './backup.ts';

describe('a file of which only changed ranges come', () => {
  let files: SavedFiles;
  const parentBytes = noise(seededRandom(5), 5_000_000);
  let hosts = 0;

  beforeAll(async () => {
    files = await savedFiles();
  });
  afterAll(() => files[Symbol.asyncDispose]());

  /** Each test has a host of its own, so that each has its own parent. */
  const save = (entry: Entry, host: string, into?: Repository): Promise<BackupResult> =>
    files.save(() => [entry], host, into);
  const whole = (bytes: Buffer): Entry => streamedFile('/file', bytes);
  const patched = (sizeBytes: number, ranges: readonly PatchedRange[]): PatchedEntry =>
    patchedFile('/file', { sizeBytes, ranges });

  async function parent(): Promise<string> {
    hosts += 1;
    const host = `host-${hosts}`;
    await save(whole(parentBytes), host);
    return host;
  }

  const contentOf = async (saved: BackupResult): Promise<Buffer> => Buffer.concat(await files.piecesOf(saved, '/file'));

  function model(sizeBytes: number, ranges: readonly PatchedRange[]): Buffer {
    const bytes = Buffer.alloc(sizeBytes);
    parentBytes.copy(bytes);
    for (const { offset, bytes: patch } of ranges) bytes.set(patch, offset);
    return bytes;
  }

  /** Ascending cuts are begins and ends of ranges; what the file grew by is one more. */
  const patches = fc
    .record({
      cuts: fc.array(fc.nat(parentBytes.length), { maxLength: 8 }),
      sizeBytes: fc.oneof(
        fc.constant(parentBytes.length),
        fc.nat(parentBytes.length),
        fc.integer({ min: parentBytes.length, max: 14_000_000 }),
      ),
      fill: fc.integer({ min: 1, max: 255 }),
    })
    .map(({ cuts, sizeBytes, fill }) => {
      const within = cuts.filter((cut) => cut <= sizeBytes).toSorted((left, right) => left - right);
      const ranges: PatchedRange[] = [];
      for (let at = 0; at + 1 < within.length; at += 2) {
        const [offset = 0, end = 0] = within.slice(at, at + 2);
        ranges.push({ offset, bytes: new Uint8Array(end - offset).fill(fill + at) });
      }
      for (let offset = parentBytes.length; offset < sizeBytes; offset += 4_000_000)
        ranges.push({ offset, bytes: noise(seededRandom(fill + offset), Math.min(4_000_000, sizeBytes - offset)) });
      return { sizeBytes, ranges };
    });

  test('is the parent’s file with the ranges in it, grown or cut, whatever they are', async () => {
    await fc.assert(
      fc.asyncProperty(patches, async ({ sizeBytes, ranges }) => {
        const saved = await save(patched(sizeBytes, ranges), await parent());
        expect((await contentOf(saved)).equals(model(sizeBytes, ranges))).toBe(true);
      }),
      { numRuns: 15 },
    );
  });

  test('costs the reading and storing of touched chunks only', async () => {
    const host = 'host-touched';
    const { snapshot } = await save(whole(parentBytes), host);
    const { repository } = files;
    const indexed = { repository, index: await loadIndex(repository, noSignal) };
    const node = await findNode(indexed, snapshot.tree, { path: '/file', signal: noSignal });
    const lengths = (node?.content ?? []).map((id) => indexed.index.find('data', id)?.lengthBytes ?? 0);
    expect(lengths.length).toBeGreaterThan(2);
    const watched = watchRepository(repository);
    const ranges = [{ offset: 2_500_000, bytes: Buffer.from('changed') }];
    const { addedBytes } = await save(patched(parentBytes.length, ranges), host, watched);
    const chunkMaxBytes = Math.max(...lengths);
    expect(watched.store.packBytesRead).toBeLessThanOrEqual(chunkMaxBytes + 4096);
    expect(watched.store.packBytesWritten).toBeLessThanOrEqual(chunkMaxBytes + 8192);
    expect(addedBytes).toBeLessThanOrEqual(chunkMaxBytes + 4096);
  });

  test('without ranges reads and stores nothing of it', async () => {
    const host = await parent();
    const watched = watchRepository(files.repository);
    await save(patched(parentBytes.length, []), host, watched);
    expect(watched.store.packBytesRead).toBeLessThan(4096);
    expect(watched.store.packBytesWritten).toBe(0);
  });

  test.each([
    [
      'that go back',
      [
        [10, 5],
        [3, 2],
      ],
    ],
    [
      'that overlap',
      [
        [10, 5],
        [14, 2],
      ],
    ],
    ['that leave the file', [[parentBytes.length - 1, 2]]],
  ] as [string, [number, number][]][])('with ranges %s is refused, and no snapshot is written', async (_how, spans) => {
    const host = await parent();
    const ranges = spans.map(([offset, length]) => ({ offset, bytes: Buffer.alloc(length, 1) }));
    await expect(save(patched(parentBytes.length, ranges), host)).rejects.toThrow('overlaps or leaves');
  });

  test.each([
    ['at its end', [[5_000_000, 500_000]]],
    ['at its beginning', [[5_500_000, 500_000]]],
    [
      'in its middle',
      [
        [5_000_000, 100_000],
        [5_900_000, 100_000],
      ],
    ],
    ['altogether', []],
  ] as [string, [number, number][]][])(
    'whose growth is not covered %s is refused: zeros would be a guess',
    async (_where, spans) => {
      const host = await parent();
      const ranges = spans.map(([offset, length]) => ({ offset, bytes: Buffer.alloc(length, 1) }));
      await expect(save(patched(6_000_000, ranges), host)).rejects.toThrow('do not cover');
    },
  );

  test('without a parent must be covered by its ranges', async () => {
    hosts += 1;
    const bytes = noise(seededRandom(9), 9_000_000);
    const saved = await save(patched(bytes.length, [{ offset: 0, bytes }]), `host-${hosts}`);
    expect((await contentOf(saved)).equals(bytes)).toBe(true);
  });
});
