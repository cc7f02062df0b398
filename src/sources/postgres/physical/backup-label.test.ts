import fc from 'fast-check';
import { expect, test } from 'vitest';
import { onlyAppErrors } from '../../../../test/support/only-app-errors.ts';
import { labelOfFull, parseBackupLabel } from './backup-label.ts';
import { formatTablespaceMap, parseTablespaceMap } from './tablespace-map.ts';

/** What PostgreSQL 18 wrote for an incremental backup. */
const label = Buffer.from(`START WAL LOCATION: 0/7000028 (file 000000010000000000000007)
CHECKPOINT LOCATION: 0/7000080
BACKUP METHOD: streamed
BACKUP FROM: standby
START TIME: 2026-11-20 18:21:21 GMT
LABEL: CHECKPOINT LOCATION: 0/1
START TIMELINE: 12
INCREMENTAL FROM LSN: 0/5000028
INCREMENTAL FROM TLI: 11
`);

test('a backup label says where recovery begins and what it builds on', () => {
  expect(parseBackupLabel(label)).toEqual({
    startLsn: 0x7000028n,
    startSegmentName: '000000010000000000000007',
    checkpointLsn: 0x7000080n,
    timeline: 12,
    takenFrom: 'standby',
    startTime: '2026-11-20 18:21:21 GMT',
    label: 'CHECKPOINT LOCATION: 0/1',
    incrementalFrom: { lsn: 0x5000028n, timeline: 11 },
  });
});

test('the label of a full backup is the same without the two lines, byte for byte', () => {
  const odd = Buffer.concat([Buffer.from('LABEL: '), Buffer.of(0xff, 0xfe), Buffer.from('\n'), label]);
  const text = odd.toString('latin1');
  expect(labelOfFull(odd).toString('latin1')).toBe(text.slice(0, text.indexOf('INCREMENTAL')));
});

test.each([
  ['START WAL LOCATION: 0/7000028 (file 000000010000000000000007)', '', 'it lacks START WAL LOCATION'],
  ['(file 000000010000000000000007)', '', 'START WAL LOCATION names no segment'],
  ['0/7000080', 'x', 'CHECKPOINT LOCATION is no position'],
  ['standby', 'elsewhere', 'BACKUP FROM is neither primary nor standby'],
  ['START TIMELINE: 12', 'START TIMELINE: 0', 'START TIMELINE is no timeline'],
  ['INCREMENTAL FROM TLI: 11\n', '', 'it lacks INCREMENTAL FROM TLI'],
])('a label with %j replaced by %j is refused', (from, to, message) => {
  expect(() => parseBackupLabel(Buffer.from(label.toString().replace(from, to)))).toThrow(message);
});

test('every tablespace map survives being written', () => {
  const location = fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => bytes.filter((byte) => byte !== 0));
  const tablespaces = fc.array(fc.tuple(fc.integer({ min: 1, max: 2 ** 32 - 1 }), location), { maxLength: 5 });
  fc.assert(
    fc.property(tablespaces, (list) => {
      const maps = list.map(([oid, bytes]) => ({
        oid,
        location: Buffer.from(`/${Buffer.from(bytes).toString()}`).toString(),
      }));
      expect(parseTablespaceMap(formatTablespaceMap(maps))).toEqual(maps);
    }),
  );
  expect(formatTablespaceMap([{ oid: 16400, location: '/a\nb\\c\r' }]).toString()).toBe('16400 /a\\\nb\\\\c\\\r\n');
});

test.each(['16400', '16400 \n', 'x /a\n', '0 /a\n', ' /a\n', '16400 /a'])('the map %j is refused', (text) => {
  expect(() => parseTablespaceMap(Buffer.from(text))).toThrow(
    'a file of the PostgreSQL server is damaged: tablespace_map',
  );
});

test('any bytes are a label or a map or our error', () => {
  const spoilt = fc.array(fc.tuple(fc.nat(label.length - 1), fc.nat(255)), { maxLength: 5 }).map((changes) => {
    const copy = Buffer.from(label);
    for (const [at, byte] of changes) copy[at] = byte;
    return copy;
  });
  fc.assert(
    fc.property(
      fc.oneof(
        spoilt,
        fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      ),
      (bytes) => {
        expect(() => onlyAppErrors(() => parseBackupLabel(bytes))).not.toThrow();
        expect(() => onlyAppErrors(() => parseTablespaceMap(bytes))).not.toThrow();
        expect(labelOfFull(bytes).length).toBeLessThanOrEqual(bytes.length);
      },
    ),
    { numRuns: 500 },
  );
});
