import fc from 'fast-check';
import { expect, test } from 'vitest';
import { onlyAppErrors } from '../../../../test/support/only-app-errors.ts';
import { readControlFile } from './control-file.ts';
import { crc32c } from './crc32c.ts';

/** The part of pg_control that is used, from fresh servers 14.23, 15.20, 16.14, 17.10 and 18.4, and what their SQL said. */
const goldens = [
  {
    major: 14,
    systemIdentifier: 7712977607880948200n,
    lsn: 0x1943380n,
    timeSeconds: 1_795_817_546,
    base64:
      '6DlJ7kQACmsUBQAALekLDAYAAAAAAAAASgAKawAAAACAM5QBAAAAAIAzlAEAAAAAAQAAAAEAAAABAAAAAAAAAN4CAAAAAAAAgDUAAAEAAAAAAAAA1wIAAAEAAAABAAAAAQAAAAAAAABKAAprAAAAAAAAAAAAAAAAAAAAAAAAAADoAwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEAAAAAAAAAZAAAAAgAAAAKAAAAAAAAAEAAAAAAAAAACAAAAAAAAACH1jJBACAAAAAAAgAAIAAAAAAAAUAAAAAgAAAAzAcAAAAIAAABAAAAAQAAAE1HhpLOUBpGhPegZUzYF/e1xApUGzUCEyrg4uND3zJpCBnToQAAAAA=',
  },
  {
    major: 15,
    systemIdentifier: 7712977635986877026n,
    lsn: 0x1741868n,
    timeSeconds: 1_795_817_551,
    base64:
      'YqqHeUsACmsUBQAAJXcNDAYAAAAAAAAAUAAKawAAAABoGHQBAAAAAGgYdAEAAAAAAQAAAAEAAAABAAAAAAAAANUCAAAAAAAABDUAAAEAAAAAAAAAzQIAAAEAAAABAAAAAQAAAAAAAABPAAprAAAAAAAAAAAAAAAAAAAAAAAAAADoAwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEAAAAAAAAAZAAAAAgAAAAKAAAAAAAAAEAAAAAAAAAACAAAAAAAAACH1jJBACAAAAAAAgAAIAAAAAAAAUAAAAAgAAAAzAcAAAAIAAABAAAAAQAAAFLHb6WZ7yrH0zaXrSF/o5JOaJuaL7i1/oIULWFhj57T0W7jGgAAAAA=',
  },
  {
    major: 16,
    systemIdentifier: 7712977662083599179n,
    lsn: 0x1721308n,
    timeSeconds: 1_795_817_558,
    base64:
      'SwsEjVEACmsUBQAA//UODAYAAAAAAAAAVgAKawAAAAAIE3IBAAAAAAgTcgEAAAAAAQAAAAEAAAABAAAAAAAAANsCAAAAAAAAtDQAAAEAAAAAAAAA0wIAAAEAAAABAAAAAQAAAAAAAABWAAprAAAAAAAAAAAAAAAAAAAAAAAAAADoAwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEAAAAAAAAAZAAAAAgAAAAKAAAAAAAAAEAAAAAAAAAACAAAAAAAAACH1jJBACAAAAAAAgAAIAAAAAAAAUAAAAAgAAAAzAcAAAAIAAABAAAAAQAAAJHt0SOG/blQZD2ZJKCYavsV6J/wyfUogu0eyem1lp4B9ghaNQAAAAA=',
  },
  {
    major: 17,
    systemIdentifier: 7712977688414448557n,
    lsn: 0x1721bc0n,
    timeSeconds: 1_795_817_564,
    base64:
      'ret0rlcACmukBgAAiXkQDAYAAAAAAAAAXAAKawAAAADAG3IBAAAAAMAbcgEAAAAAAQAAAAEAAAABAAAAAQAAAOMCAAAAAAAAuTQAAAEAAAAAAAAA2wIAAAEAAAABAAAAAQAAAAAAAABcAAprAAAAAAAAAAAAAAAAAAAAAAAAAADoAwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEAAAAAAAAAZAAAAAgAAAAKAAAAAAAAAEAAAAAAAAAACAAAAAAAAACH1jJBACAAAAAAAgAAIAAAAAAAAUAAAAAgAAAAzAcAAAAIAAABAAAAAQAAAOBrtdTYF7gxVEY1k3bqbFHyaHHkWeVXA8FEu/ZjTSGd6y5qVAAAAAA=',
  },
  {
    major: 18,
    systemIdentifier: 7712977709989874678n,
    lsn: 0x174b570n,
    timeSeconds: 1_795_817_566,
    base64:
      '9stztFwACmsIBwAAMwASDAYAAAAAAAAAXgAKawAAAABwtXQBAAAAAHC1dAEAAAAAAQAAAAEAAAABAAAAAQAAAPECAAAAAAAAwzQAAAEAAAAAAAAA6QIAAAEAAAABAAAAAQAAAAAAAABeAAprAAAAAAAAAAAAAAAAAAAAAAAAAADoAwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEAAAAAAAAAZAAAAAgAAAAKAAAAAAAAAEAAAAAAAAAACAAAAAAAAACH1jJBACAAAAAAAgAAIAAAAAAAAUAAAAAgAAAAzAcAAAAIAAABAAAAAQAAAAFpE8tHzqInril/BPny8HyNvkEIuXJ9KDdwf4timOP9fgAAALXL4Os=',
  },
];

function fileOf(base64: string): Buffer {
  return Buffer.concat([Buffer.from(base64, 'base64')], 8192);
}

test.each(goldens)('the file of PostgreSQL $major is read', ({ major, systemIdentifier, base64, ...rest }) => {
  expect(readControlFile(fileOf(base64))).toEqual({
    systemIdentifier,
    major,
    state: 'in production',
    updatedMs: expect.any(Number),
    checkpointLsn: rest.lsn,
    redoLsn: rest.lsn,
    timeline: 1,
    checkpointMs: rest.timeSeconds * 1000,
    minRecoveryLsn: 0n,
    backupStartLsn: 0n,
    segmentBytes: 2 ** 24,
    hasChecksums: true,
    tracksCommitTimes: false,
    walLevel: 'replica',
    limits: {
      max_connections: 100,
      max_worker_processes: 8,
      max_wal_senders: 10,
      max_prepared_transactions: 0,
      max_locks_per_transaction: 64,
    },
  });
});

const sumAt = (major: number): number => (major === 18 ? 292 : 288);

test('any byte altered before or in the checksum is noticed', () => {
  fc.assert(
    fc.property(fc.constantFrom(...goldens), fc.nat(291), fc.integer({ min: 1, max: 255 }), (golden, at, change) => {
      const bytes = fileOf(golden.base64);
      bytes[at] = bytes.readUInt8(at) ^ change;
      expect(() => readControlFile(bytes)).toThrow(expect.objectContaining({ name: 'AppError' }));
    }),
    { numRuns: 500 },
  );
});

test('a file that is cut short is refused', () => {
  expect(() => readControlFile(Buffer.alloc(300))).toThrow('only 300 bytes');
});

test.each([
  [216, 32_768, 'its server was built with pages of 32768'],
  [220, 1000, 'files of 1000 pages'],
  [224, 4096, 'WAL pages of 4096'],
  [204, 4, 'another kind of processor'],
  [228, 3_000_000, 'WAL segments of 3000000 bytes'],
  [16, 9, 'its state is not known'],
  [172, 9, 'its state is not known'],
  [8, 1900, 'version 1900, catalogue'],
])('a server that was built otherwise is refused (at %i: %i)', (at, value, message) => {
  for (const { major, base64 } of goldens) {
    const bytes = fileOf(base64);
    bytes.writeUInt32LE(value, at);
    bytes.writeUInt32LE(crc32c(bytes.subarray(0, sumAt(major))), sumAt(major));
    expect(() => readControlFile(bytes)).toThrow(message);
  }
});

test('any bytes are a control file or our error, also under a good checksum', () => {
  const spoilt = fc.array(fc.tuple(fc.nat(287), fc.nat(255)), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.constantFrom(...goldens), spoilt, fc.nat(8192), (golden, changes, length) => {
      const bytes = fileOf(golden.base64);
      for (const [at, byte] of changes) bytes[at] = byte;
      bytes.writeUInt32LE(crc32c(bytes.subarray(0, sumAt(golden.major))), sumAt(golden.major));
      expect(() => onlyAppErrors(() => readControlFile(bytes))).not.toThrow();
      expect(() => onlyAppErrors(() => readControlFile(bytes.subarray(0, length)))).not.toThrow();
    }),
    { numRuns: 500 },
  );
});
