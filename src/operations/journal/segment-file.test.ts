import { closeSync, openSync, readFileSync, statSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { seededRandom } from '../../base/random.ts';
import { systemSleep } from '../../storage/interruption.ts';
import { noSignal } from '../../../test/support/repository.ts';
import { temporaryFolder, type TemporaryFolder } from '../../../test/support/temporary-folder.ts';
import { SegmentFile } from './segment-file.ts';
import { decodeLog, encodeRecord } from './segment-log.ts';
import { SpoolRoom } from './spool-room.ts';

const segmentBytes = 5000;

describe('the file of a segment', () => {
  let home: TemporaryFolder;
  let room: SpoolRoom;
  beforeEach(async () => {
    home = await temporaryFolder();
    const events = { note: () => undefined, warn: () => undefined };
    room = new SpoolRoom({ maxBytes: 1_000_000, events, sleep: systemSleep });
  });
  afterEach(() => home[Symbol.asyncDispose]());
  const place = (name: string) => ({ path: join(home.path, name), segment: 7, segmentBytes });

  async function bytesOf(file: SegmentFile): Promise<Buffer> {
    const bytes = Buffer.alloc(file.durableBytes);
    await using reader = await file.reader();
    await reader.read(0, bytes);
    return bytes;
  }

  test('after a power cut keeps what was synced, and nothing of what came after', async () => {
    let files = 0;
    const pieces = fc.array(fc.tuple(fc.integer({ min: 1, max: 600 }), fc.boolean()), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(pieces, fc.integer(), async (appends, seed) => {
        const random = seededRandom(seed);
        const at = place(`segment-${(files += 1)}`);
        const written: Buffer[] = [];
        let syncedBytes = 0;
        let syncedFileBytes = 0;
        {
          await using file = await SegmentFile.create(at);
          for (const [size, isSynced] of appends) {
            const bytes = Buffer.from(Array.from({ length: size }, () => Math.floor(random() * 256)));
            written.push(bytes);
            await file.append(bytes, room, noSignal);
            if (!isSynced) continue;
            if (random() < 0.5) file.describe({ seed });
            await file.sync(room, noSignal);
            syncedBytes = file.durableBytes;
            syncedFileBytes = statSync(at.path).size;
          }
        }
        damageBehind({ path: at.path, random, fromBytes: syncedBytes, logFromBytes: syncedFileBytes });
        const all = Buffer.concat(written);
        await using again = await SegmentFile.open(at);
        expect(again.durableBytes).toBe(syncedBytes);
        expect(again.lostBytes).toBe(0);
        expect((await bytesOf(again)).equals(all.subarray(0, syncedBytes))).toBe(true);
        // It goes on as if nothing had happened.
        await again.append(all.subarray(syncedBytes), room, noSignal);
        await again.seal({ done: true }, room, noSignal);
        await using sealed = await SegmentFile.open(at);
        expect(sealed.isSealed).toBe(true);
        expect(sealed.facts).toEqual({ done: true });
        expect((await bytesOf(sealed)).equals(all)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  /** What a disk may have of writes that no sync covered: some, none, or noise. */
  function damageBehind(cut: { path: string; random: () => number; fromBytes: number; logFromBytes: number }): void {
    const { path, random, fromBytes, logFromBytes } = cut;
    const file = openSync(path, 'r+');
    const noise = Buffer.from(Array.from({ length: 300 }, () => Math.floor(random() * 256)));
    if (fromBytes + 300 < segmentBytes) writeSync(file, noise, 0, 300, fromBytes);
    const logEndBytes = Math.max(logFromBytes, segmentBytes);
    if (random() < 0.5) writeSync(file, noise, 0, 200, logEndBytes);
    closeSync(file);
  }

  test('a record whose bytes did not arrive counts for nothing', async () => {
    const at = place('torn');
    {
      await using file = await SegmentFile.create(at);
      await file.append(Buffer.alloc(1000, 1), room, noSignal);
      await file.sync(room, noSignal);
      await file.append(Buffer.alloc(1000, 2), room, noSignal);
      await file.sync(room, noSignal);
    }
    const handle = openSync(at.path, 'r+');
    writeSync(handle, Buffer.alloc(500), 0, 500, 1500);
    closeSync(handle);
    await using again = await SegmentFile.open(at);
    expect(again.durableBytes).toBe(1000);
    expect(again.lostBytes).toBe(0);
  });

  test('bytes that an earlier sync covered and that are gone are counted as lost', async () => {
    const at = place('lost');
    {
      await using file = await SegmentFile.create(at);
      for (const value of [1, 2, 3]) {
        await file.append(Buffer.alloc(100, value), room, noSignal);
        await file.sync(room, noSignal);
      }
    }
    const handle = openSync(at.path, 'r+');
    writeSync(handle, Buffer.alloc(10, 9), 0, 10, 150);
    closeSync(handle);
    await using again = await SegmentFile.open(at);
    expect(again.durableBytes).toBe(100);
    expect(again.lostBytes).toBe(100);
  });

  test('a sealed segment whose bytes changed is not read', async () => {
    const at = place('rotten');
    await using file = await SegmentFile.create(at);
    await file.append(Buffer.alloc(1000, 1), room, noSignal);
    await file.seal({}, room, noSignal);
    const handle = openSync(at.path, 'r+');
    writeSync(handle, Buffer.alloc(1), 0, 1, 500);
    closeSync(handle);
    await expect(bytesOf(file)).rejects.toMatchObject({
      code: 'STORE_FAILED',
      message: expect.stringContaining(at.path),
    });
  });

  test('begins with the bytes as they came, and reads as zeros up to a full segment', async () => {
    const at = place('plain');
    await using file = await SegmentFile.create(at);
    await file.append(Buffer.alloc(1000, 1), room, noSignal);
    await file.sync(room, noSignal);
    const expected = Buffer.concat([Buffer.alloc(1000, 1), Buffer.alloc(segmentBytes - 1000)]);
    expect(readFileSync(at.path).subarray(0, segmentBytes).equals(expected)).toBe(true);
    expect(statSync(at.path).mode & 0o777).toBe(0o600);
  });

  test('a file that was cut anywhere opens, with a prefix of what was there', async () => {
    const at = place('cut');
    const all = Buffer.from(Array.from({ length: 400 }, (_, index) => index & 0xff));
    {
      await using file = await SegmentFile.create(at);
      for (let offset = 0; offset < 400; offset += 100) {
        await file.append(all.subarray(offset, offset + 100), room, noSignal);
        await file.sync(room, noSignal);
      }
    }
    for (let sizeBytes = statSync(at.path).size; sizeBytes >= segmentBytes - 10; sizeBytes -= 7) {
      truncateSync(at.path, sizeBytes);
      await using again = await SegmentFile.open(at);
      expect(again.durableBytes % 100).toBe(0);
      expect((await bytesOf(again)).equals(all.subarray(0, again.durableBytes))).toBe(true);
    }
  });
});

test('a log is read up to its first byte that does not hold', () => {
  const facts = fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.boolean()));
  fc.assert(
    fc.property(
      fc.array(facts, { minLength: 1, maxLength: 5 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (all, at, flip) => {
        let log = Buffer.alloc(0);
        const ends: number[] = [];
        for (const each of all) {
          log = Buffer.concat([log, encodeRecord({ kind: 'facts', facts: each }, 3, log.length)]);
          ends.push(log.length);
        }
        expect(decodeLog(log, 3).records.map((record) => record.endPlace)).toEqual(ends);
        expect(decodeLog(log, 4).records).toEqual([]);
        const place = at % log.length;
        log[place] = (log[place] ?? 0) ^ flip;
        expect(decodeLog(log, 3).sizeBytes).toBe(ends.findLast((end) => end <= place) ?? 0);
      },
    ),
  );
});
