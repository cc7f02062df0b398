import { expect, test } from 'vitest';
import { crc32c } from './crc32c.ts';
import { readControlFile } from './control-file.ts';

/** As `initdb` of 15 leaves it, in the fields that are read. */
function madeFile(): Buffer {
  const bytes = Buffer.alloc(8192);
  bytes.writeBigUInt64LE(7_394_000_000_000_000_001n, 0);
  bytes.writeUInt32LE(1300, 8);
  bytes.writeUInt32LE(202_209_061, 12);
  bytes.writeUInt32LE(1, 16);
  bytes.writeUInt32LE(1, 172);
  bytes.writeUInt32LE(2 ** 24, 228);
  return sealed(bytes);
}

function sealed(bytes: Buffer): Buffer {
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, 288)), 288);
  return bytes;
}

test('a control file says whose it is and whether its server was stopped', () => {
  expect(readControlFile(madeFile())).toMatchObject({
    systemIdentifier: 7_394_000_000_000_000_001n,
    major: 15,
    state: 'shut down',
    segmentBytes: 2 ** 24,
  });
});

test('a control file that is short, altered, or of a version nobody knows is refused', () => {
  expect(() => readControlFile(madeFile().subarray(0, 300))).toThrow(/only 300 bytes/);
  const altered = madeFile();
  altered[40] = 1;
  expect(() => readControlFile(altered)).toThrow(/its checksum is wrong/);
  const later = madeFile();
  later.writeUInt32LE(1900, 8);
  expect(() => readControlFile(sealed(later))).toThrow(/version 1900, catalogue 202209061 is not known/);
  const odd = madeFile();
  odd.writeUInt32LE(9, 16);
  expect(() => readControlFile(sealed(odd))).toThrow(/its state is not known/);
});
