import { expect, test } from 'vitest';
import { MadeWal, madeWalOptions } from '../../../../test/support/made-wal.ts';
import { formatLsn } from './lsn.ts';
import { SegmentFactsCollector, segmentFactsSchema, type SegmentFacts } from './segment-facts.ts';

const segmentBytes = madeWalOptions.segmentBytes;
const time = 1_795_000_000_000_000n;

function factsOf(bytes: Buffer, options = madeWalOptions): SegmentFacts[] {
  const collector = new SegmentFactsCollector(options);
  const all: SegmentFacts[] = [];
  for (let at = 0; at < bytes.length; at += segmentBytes) {
    if (at > 0) collector.nextSegment();
    const segment = bytes.subarray(at, at + segmentBytes);
    for (let from = 0; from < segment.length; from += 100_000) collector.push(segment.subarray(from, from + 100_000));
    all.push(collector.facts());
  }
  return all;
}

test('facts tell of a segment what recovery can aim at, survive JSON and fit their schema', () => {
  const wal = new MadeWal();
  const first = wal.commit(time + 5n);
  wal.commit(time + 9n);
  wal.record({ manager: 1, info: 0x20, body: Buffer.of(255, 8, 0, 0, 0, 0, 0, 0, 0, 0) });
  const point = wal.restorePoint('before', time);
  wal.commit(time + 7n);
  const { lsn } = wal.switchSegment();
  const [facts] = factsOf(wal.bytes);
  expect(facts).toEqual({
    timeline: 3,
    times: {
      first: Number(time + 5n),
      last: Number(time + 7n),
      earliest: 946_684_800_000_000,
      latest: Number(time + 9n),
    },
    commits: 3,
    aborts: 1,
    records: 6,
    restorePoints: [{ name: 'before', lsn: formatLsn(point.endLsn), timeUs: Number(time) }],
    restorePointsLeftOut: 0,
    firstRecord: formatLsn(first.lsn),
    recordsEnd: formatLsn(madeWalOptions.startLsn + BigInt(segmentBytes)),
    isSwitched: true,
    startsUnchecked: false,
  });
  expect(lsn).toBeGreaterThan(point.lsn);
  expect(segmentFactsSchema.parse(JSON.parse(JSON.stringify(facts)))).toEqual(facts);
});

test('facts tell of tablespaces whose replay would make folders, and cut what is too long to be seen whole', () => {
  const wal = new MadeWal();
  const { lsn } = wal.tablespace(16_400, '/srv/fast');
  wal.tablespace(16_401, `/${'long'.repeat(250)}`);
  const [facts] = factsOf(wal.bytes);
  expect(facts?.tablespaces?.[0]).toEqual({ oid: 16_400, location: '/srv/fast', lsn: formatLsn(lsn) });
  expect(facts?.tablespaces?.[1]?.location).toMatch(/^\/(long){50}/);
  expect(segmentFactsSchema.parse(JSON.parse(JSON.stringify(facts)))).toEqual(facts);
});

test('a record that reaches over segments counts where it ends', () => {
  const wal = new MadeWal();
  wal.record({ manager: 10, info: 0, body: Buffer.alloc(segmentBytes - 9000) });
  const large = wal.record({ manager: 10, info: 0, body: Buffer.alloc(segmentBytes + 50_000) });
  const commit = wal.commit(time);
  const all = factsOf(wal.bytes);
  expect(all.map(({ records, commits, firstRecord }) => ({ records, commits, firstRecord }))).toEqual([
    { records: 1, commits: 0, firstRecord: formatLsn(madeWalOptions.startLsn + 40n) },
    { records: 0, commits: 0, firstRecord: undefined },
    { records: 2, commits: 1, firstRecord: formatLsn(commit.lsn) },
  ]);
  expect(all[0]?.recordsEnd).toBe(formatLsn(large.lsn));
  expect(all[1]?.recordsEnd).toBeUndefined();
  // Looked at alone, the last one begins with what can't be checked.
  const startLsn = madeWalOptions.startLsn + BigInt(2 * segmentBytes);
  const [alone] = factsOf(wal.bytes.subarray(2 * segmentBytes), { ...madeWalOptions, startLsn });
  expect(alone).toMatchObject({ startsUnchecked: true, records: 1, commits: 1, firstRecord: formatLsn(commit.lsn) });
});

test('more restore points than fit are counted', () => {
  const wal = new MadeWal();
  for (let n = 0; n < 100; n += 1) wal.restorePoint(`p${n}`, time);
  const [facts] = factsOf(wal.bytes);
  expect(facts?.restorePoints).toHaveLength(64);
  expect(facts?.restorePointsLeftOut).toBe(36);
});

test('where valid WAL ends is told', () => {
  const wal = new MadeWal();
  const { endLsn } = wal.commit(time);
  const [facts] = factsOf(Buffer.concat([wal.bytes, Buffer.alloc(9000)]));
  expect(facts).toMatchObject({ recordsEnd: formatLsn(endLsn), stop: { kind: 'blank', lsn: formatLsn(endLsn) } });
  expect(segmentFactsSchema.parse(facts)).toEqual(facts);
});
