import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { alignedBytes, blockBytes, isAligned } from './aligned-memory.ts';
import { seededRandom, systemRandom } from './random.ts';
import { writePart } from './write-part.ts';

test('aligned memory begins at a block boundary, and what is cut from it elsewhere does not', () => {
  for (const sizeBytes of [1, 4096, 1_000_003]) {
    const memory = alignedBytes(sizeBytes);
    expect(memory.length).toBe(sizeBytes);
    expect(isAligned(memory)).toBe(true);
  }
  expect(isAligned(alignedBytes(5000).subarray(1))).toBe(false);
});

test('stretches of any length at any place make the file they should, in any order', async () => {
  await using folder = await temporaryFolder();
  const seed = Math.floor(systemRandom() * 2 ** 32);
  const random = seededRandom(seed);
  for (let turn = 0; turn < 12; turn += 1) {
    const path = join(folder.path, `file-${turn}`);
    const wanted = Buffer.alloc(1_500_000 + Math.floor(random() * 4_000_000));
    for (let at = 0; at < wanted.length; at += 1000) wanted[at] = Math.floor(random() * 256);
    const cuts = [0, ...Array.from({ length: turn }, () => Math.floor(random() * wanted.length)), wanted.length];
    const parts = cuts.toSorted((a, b) => a - b).map((from, at, all) => ({ from, to: all[at + 1] ?? from }));
    writeFileSync(path, '');
    for (const { from, to } of parts.toSorted(() => random() - 0.5)) {
      // As the worker does: memory and place in the file are equally far past a block.
      const memory = alignedBytes(blockBytes + to - from).subarray(from % blockBytes, (from % blockBytes) + to - from);
      wanted.copy(memory, 0, from, to);
      writePart(path, memory, { positionBytes: from, isNew: false });
    }
    expect(readFileSync(path).equals(wanted), `seed ${seed}, turn ${turn}`).toBe(true);
  }
});

test('makes a file only where there is none, and follows no link', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'file');
  const content = alignedBytes(600_000).fill('x');
  writePart(path, content, { positionBytes: 0, isNew: true });
  expect(readFileSync(path).equals(content)).toBe(true);
  expect(() => writePart(path, content, { positionBytes: 0, isNew: true })).toThrow('EEXIST');
  symlinkSync('file', join(folder.path, 'link'));
  expect(() => writePart(join(folder.path, 'link'), content, { positionBytes: 0, isNew: false })).toThrow('ELOOP');
  expect(() => writePart(join(folder.path, 'none'), content, { positionBytes: 0, isNew: false })).toThrow('ENOENT');
});
