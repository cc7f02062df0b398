import { createCipheriv } from 'node:crypto';
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { assert, expect, test } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { alignedBytes } from '../base/aligned-memory.ts';
import { chunkMaxBytes } from './chunker.ts';
import { createChunker, type ChunkerName } from './create-chunker.ts';
import { hashOf } from './ids.ts';
import { fillArea, slabMarginBytes } from './slab-pool.ts';
import { scanBytes, scanPart } from './worker-scan.ts';

const mebibyte = 1024 * 1024;
const parameters = { polynomial: '3da3358b4dc173', gearSecret: Buffer.alloc(32, 7) };

test('a file with holes is cut as if its zeros were read', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'sparse');
  const noise = createCipheriv('aes-256-ctr', Buffer.alloc(32, 1), Buffer.alloc(16)).update(Buffer.alloc(3_000_000));
  const file = openSync(path, 'w');
  for (const at of [9_000_000, 31_000_001, 64 * mebibyte]) writeSync(file, noise, 0, noise.length, at);
  ftruncateSync(file, 100_000_007);
  closeSync(file);
  const content = readFileSync(path);
  const chunker = createChunker('gear', parameters);
  const slab = new SharedArrayBuffer(slabMarginBytes + chunkMaxBytes + 256 * 1024);
  const lengths: number[] = [];
  for (let offsetBytes = 0; ;) {
    fillArea(slab).fill(0xff); // What another file left there.
    const part = scanPart({ slab, path, offsetBytes, chunker: 'gear' }, chunker);
    assert(part.outcome === 'read');
    for (const { id, offsetBytes: at, lengthBytes } of part.chunks) {
      expect(id).toBe(hashOf(content.subarray(offsetBytes + at, offsetBytes + at + lengthBytes)));
      expect(fillArea(slab).subarray(at, at + lengthBytes)).toEqual(
        new Uint8Array(content.subarray(offsetBytes + at, offsetBytes + at + lengthBytes)),
      );
      lengths.push(lengthBytes);
    }
    offsetBytes += part.consumedBytes;
    if (part.isEnd) break;
  }
  expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(content.length);
});

test.each<ChunkerName>(['gear', 'rabin'])(
  '%s cuts long runs of zeros between noise where it would byte for byte',
  (name) => {
    const noise = createCipheriv('aes-256-ctr', Buffer.alloc(32), Buffer.alloc(16)).update(Buffer.alloc(3 * mebibyte));
    const content = alignedBytes(40 * mebibyte).fill(0);
    noise.copy(content, 5_000_001);
    noise.copy(content, 26_000_000);
    const slab = new SharedArrayBuffer(slabMarginBytes + content.length);
    fillArea(slab).set(content);
    const chunker = createChunker(name, parameters);
    const expected: { id: string; offsetBytes: number; lengthBytes: number }[] = [];
    for (let from = 0; from < content.length;) {
      const end = chunker.nextCut(content, from, content.length) || content.length;
      expected.push({ id: hashOf(content.subarray(from, end)), offsetBytes: from, lengthBytes: end - from });
      from = end;
    }
    for (let turn = 0; turn < 2; turn += 1) {
      const task = { slab, lengthBytes: content.length, isLast: true, chunker: name };
      expect(scanBytes(task, chunker)).toEqual(expected);
    }
  },
);
