import { describe, expect, test } from 'vitest';
import { decideRetention, retentionPolicySchema, type RetainableSnapshot, type RetentionContext } from './retention.ts';

const now = Date.parse('2026-06-30T12:00:00Z');
const context: RetentionContext = { now, provenIds: new Set(), verifiedIds: new Set(), forgetProven: false };

function snapshot(time: string, tags: readonly string[] = []): RetainableSnapshot {
  return { id: time, time, tags };
}

/** One a day at 02:00, the newest first. */
function daily(count: number): RetainableSnapshot[] {
  return Array.from({ length: count }, (_, day) =>
    snapshot(new Date(Date.parse('2026-06-30T02:00:00Z') - day * 86_400_000).toISOString()),
  );
}

function kept(
  snapshots: readonly RetainableSnapshot[],
  policy: unknown,
  own: Partial<RetentionContext> = {},
): string[] {
  const decisions = decideRetention(snapshots, retentionPolicySchema.parse(policy), { ...context, ...own });
  return decisions.filter(({ keep }) => keep).map(({ snapshot: { id } }) => id);
}

describe('decideRetention', () => {
  test('keeps everything under an empty policy', () => {
    expect(kept(daily(5), {})).toHaveLength(5);
    expect(kept(daily(5), { keepLast: 0, keepTags: [] })).toHaveLength(5);
  });

  test('decides the same whatever the order of the snapshots', () => {
    const snapshots = daily(40);
    const policy = { keepDaily: 3, keepWeekly: 2 };
    expect(kept(snapshots.toReversed(), policy)).toEqual(kept(snapshots, policy));
  });

  test('keeps 7 days, 4 weeks and 12 months as S2-029 wants', () => {
    const snapshots = daily(400);
    const ids = kept(snapshots, { keepDaily: 7, keepWeekly: 4, keepMonthly: 12 });
    expect(ids).toEqual([
      ...snapshots.slice(0, 7).map(({ id }) => id),
      '2026-06-21T02:00:00.000Z',
      '2026-06-14T02:00:00.000Z',
      '2026-05-31T02:00:00.000Z',
      '2026-04-30T02:00:00.000Z',
      '2026-03-31T02:00:00.000Z',
      '2026-02-28T02:00:00.000Z',
      '2026-01-31T02:00:00.000Z',
      '2025-12-31T02:00:00.000Z',
      '2025-11-30T02:00:00.000Z',
      '2025-10-31T02:00:00.000Z',
      '2025-09-30T02:00:00.000Z',
      '2025-08-31T02:00:00.000Z',
      '2025-07-31T02:00:00.000Z',
    ]);
  });

  test('keeps the oldest while a bucket has counts left', () => {
    const snapshots = [
      snapshot('2026-06-02T10:00:00Z'),
      snapshot('2026-06-01T10:00:00Z'),
      snapshot('2026-06-01T09:00:00Z'),
    ];
    const decisions = decideRetention(snapshots, { keepDaily: 5 }, context);
    expect(decisions.map(({ reasons }) => reasons)).toEqual([
      ['daily snapshot'],
      ['daily snapshot'],
      ['oldest daily snapshot'],
    ]);
    expect(kept(snapshots, { keepDaily: 2 })).toHaveLength(2);
  });

  test("takes the day from the offset in the snapshot's own time", () => {
    const sameDayInUtc = [
      snapshot('2026-06-02T00:30:00+02:00'),
      snapshot('2026-06-01T23:30:00+02:00'),
      snapshot('2026-05-01T00:00:00Z'),
    ];
    expect(kept(sameDayInUtc, { keepDaily: 2 })).toEqual(['2026-06-02T00:30:00+02:00', '2026-06-01T23:30:00+02:00']);
  });

  test('takes weeks by ISO 8601, across the turn of the year', () => {
    const snapshots = [
      snapshot('2026-01-01T10:00:00Z'),
      snapshot('2025-12-29T10:00:00Z'),
      snapshot('2025-12-28T10:00:00Z'),
      snapshot('2025-12-01T10:00:00Z'),
    ];
    expect(kept(snapshots, { keepWeekly: 2 })).toEqual(['2026-01-01T10:00:00Z', '2025-12-28T10:00:00Z']);
  });

  test('counts a span from the newest snapshot that is not in the future', () => {
    const snapshots = [
      snapshot('2027-06-30T00:00:00Z'),
      snapshot('2026-06-10T00:00:00Z'),
      snapshot('2026-06-08T00:00:00Z'),
      snapshot('2026-06-07T00:00:00Z'),
    ];
    expect(kept(snapshots, { keepWithin: '3d' })).toEqual(snapshots.slice(0, 3).map(({ id }) => id));
    expect(
      kept([snapshot('2027-01-02T00:00:00Z'), snapshot('2027-01-01T00:00:00Z')], { keepWithin: '1h' }),
    ).toHaveLength(2);
  });

  test('does not keep what lies exactly at the far end of a span', () => {
    const snapshots = [
      snapshot('2026-06-10T00:00:00.000000001Z'),
      snapshot('2026-06-09T00:00:00.000000002Z'),
      snapshot('2026-06-09T00:00:00.000000001Z'),
    ];
    expect(kept(snapshots, { keepWithin: '1d' })).toHaveLength(2);
  });

  test('keeps snapshots that carry all tags of one list', () => {
    const snapshots = [
      snapshot('2026-06-03T00:00:00Z'),
      snapshot('2026-06-02T00:00:00Z', ['a']),
      snapshot('2026-06-01T00:00:00Z', ['a', 'b']),
    ];
    expect(kept(snapshots, { keepTags: ['a,b'] })).toEqual(['2026-06-01T00:00:00Z']);
    expect(kept(snapshots, { keepTags: ['b', 'a'] })).toEqual(['2026-06-02T00:00:00Z', '2026-06-01T00:00:00Z']);
  });

  test('refuses a policy that would keep nothing of a group, proven or not', () => {
    const snapshots = daily(3);
    const refused = () => kept(snapshots, { keepTags: ['typo'] }, { provenIds: new Set([snapshots[0]?.id ?? '']) });
    expect(refused).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    expect(kept([], { keepLast: 1 })).toEqual([]);
  });

  test('never removes the newest proven recovery point, and removes an older proven one', () => {
    const snapshots = daily(10);
    const provenIds = new Set([snapshots[6]?.id ?? '', snapshots[8]?.id ?? '']);
    const verifiedIds = new Set([snapshots[3]?.id ?? '']);
    expect(kept(snapshots, { keepLast: 1 }, { provenIds, verifiedIds })).toEqual([snapshots[0]?.id, snapshots[6]?.id]);
    expect(kept(snapshots, { keepLast: 1 }, { provenIds, verifiedIds, forgetProven: true })).toEqual([
      snapshots[0]?.id,
    ]);
  });

  test('falls back to the newest verified recovery point while none is proven', () => {
    const snapshots = daily(10);
    const verifiedIds = new Set([snapshots[3]?.id ?? '', snapshots[5]?.id ?? '']);
    const decisions = decideRetention(snapshots, { keepLast: 1 }, { ...context, verifiedIds });
    expect(decisions[3]).toMatchObject({ keep: true, reasons: ['newest verified recovery point, none is proven'] });
    expect(decisions.filter(({ keep }) => keep)).toHaveLength(2);
  });

  test('keeps 7 days, but 90 of what was backed up by hand, as S0-74 wants', () => {
    const manual = [0, 30, 89, 90, 200].map((day) =>
      snapshot(new Date(Date.parse('2026-06-30T09:00:00Z') - day * 86_400_000).toISOString(), ['manual']),
    );
    const policy = { keepWithin: '7d', tagged: { manual: { keepWithin: '90d' } } };
    expect(kept([...daily(100), ...manual], policy)).toEqual([
      manual[0]?.id,
      ...daily(7).map(({ id }) => id),
      manual[1]?.id,
      manual[2]?.id,
    ]);
    // A day that was backed up by hand still has its daily one.
    expect(kept([...daily(3), ...manual.slice(0, 1)], { keepDaily: 1, tagged: { manual: { keepLast: 1 } } })).toEqual([
      manual[0]?.id,
      daily(1)[0]?.id,
    ]);
  });

  test('counts the rules of a tag apart: none keeps all of it, and all of it may go where others stay', () => {
    const old = snapshot('2026-01-01T00:00:00Z', ['legal', 'manual']);
    const policy = { keepLast: 1, tagged: { legal: {}, manual: { keepWithin: '1d' } } };
    expect(kept([...daily(3), old], policy)).toEqual([daily(1)[0]?.id, old.id]);
    const other = { ...old, tags: ['manual'] };
    expect(kept([...daily(3), other], policy)).toEqual([daily(1)[0]?.id]);
    expect(kept([...daily(3), other], policy, { provenIds: new Set([other.id]) })).toEqual([daily(1)[0]?.id, other.id]);
    // A backup by hand today is no reason to remove those of nights that ended long ago.
    const stalled = [
      snapshot('2026-06-30T09:00:00Z', ['manual']),
      snapshot('2026-05-02T02:00:00Z'),
      snapshot('2026-05-01T02:00:00Z'),
    ];
    expect(kept(stalled, { keepWithin: '7d', tagged: { manual: { keepLast: 1 } } })).toHaveLength(3);
    const typo = () => kept(stalled, { keepTags: ['typo'], tagged: { manual: { keepLast: 1 } } });
    expect(typo).toThrow(expect.objectContaining({ message: expect.stringContaining('2 snapshots') }));
    const alone = [snapshot('2026-06-29T00:00:00Z'), other];
    expect(kept(alone, { tagged: { manual: { keepWithin: '1d' } } })).toEqual([alone[0]?.id]);
  });

  test('keeps Redis snapshots of 3 days as S2-033 wants', () => {
    const sixHourly = Array.from({ length: 40 }, (_, index) =>
      snapshot(new Date(Date.parse('2026-06-30T06:00:00Z') - index * 6 * 3_600_000).toISOString()),
    );
    expect(kept(sixHourly, { keepWithin: '3d' })).toHaveLength(12);
  });
});
