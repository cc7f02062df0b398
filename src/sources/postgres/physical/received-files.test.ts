import { hash } from 'node:crypto';
import { expect, test } from 'vitest';
import { ReceivedFiles } from './received-files.ts';

const bytes = Buffer.from('a file of the server');
const listed = { path: 'base/5/1', sizeBytes: bytes.length, algorithm: 'SHA256', checksum: hash('sha256', bytes) };

async function received(content: Buffer, isWayOpen: boolean): Promise<ReceivedFiles> {
  const files = new ReceivedFiles({ startLsn: 0n, hasChecksums: false, isWayOpen });
  // eslint-disable-next-line typescript/require-await -- The contract wants an async iterable.
  const pieces = async function* (): AsyncGenerator<Uint8Array> {
    yield content.subarray(0, 5);
    yield content.subarray(5);
  };
  const passed = await Array.fromAsync(files.watch('base/5/1', content.length, pieces()));
  expect(Buffer.concat(passed)).toEqual(content);
  return files;
}

test('files that came as the manifest says are taken', async () => {
  for (const isWayOpen of [true, false]) {
    const files = await received(bytes, isWayOpen);
    files.compare(listed);
    files.finish();
    expect(files.sizeBytes).toBe(bytes.length);
  }
});

test('a file that changed on its way is told where that can happen', async () => {
  const files = await received(Buffer.from('A file of the server'), true);
  expect(() => files.compare(listed)).toThrow(/base\/5\/1 came with other bytes/);
});

test('a file of another length, a missing one and one too many are told', async () => {
  const files = await received(bytes.subarray(1), false);
  expect(() => files.compare(listed)).toThrow(/19 bytes in place of 20/);
  expect(() => files.compare({ ...listed, path: 'base/5/2' })).toThrow(/did not come/);
  expect(() => files.finish()).toThrow(/1 file/);
});

test('less content than was announced is a bug, not a file', async () => {
  const files = new ReceivedFiles({ startLsn: 0n, hasChecksums: false, isWayOpen: false });
  const nothing = {
    [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve({ done: true, value: undefined } as const) }),
  };
  await expect(Array.fromAsync(files.watch('base/5/1', 3, nothing))).rejects.toThrow(/another length/);
});
