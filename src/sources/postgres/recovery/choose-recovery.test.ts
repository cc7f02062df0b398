import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  endOf,
  type MadeBase,
  type MadeEvent,
  MadeTimelines,
  type MadeTimeline,
} from '../../../../test/support/made-timelines.ts';
import { madeWalOptions } from '../../../../test/support/made-wal.ts';
import { AppError, isAppError } from '../../../base/errors.ts';
import type { RecoveryTarget, TimelineChoice } from '../../../model/recovery-target.ts';
import type { UnreadableBase } from '../../replay.ts';
import { formatLsn, type Lsn } from '../wal/lsn.ts';
import { chooseRecovery, type Recovery } from './choose-recovery.ts';
import { readReplayMap } from './replay-map.ts';

const { signal } = new AbortController();
const { segmentBytes } = madeWalOptions;
const latest: TimelineChoice = { kind: 'latest' };
const number = (timeline: number): TimelineChoice => ({ kind: 'number', timeline });
const time = (timeUs: number, isInclusive = true): RecoveryTarget => ({ kind: 'time', timeUs, isInclusive });
const end: RecoveryTarget = { kind: 'end' };

async function choose(made: MadeTimelines, target: RecoveryTarget, timeline = latest): Promise<Recovery> {
  const place = await made.place();
  const map = await readReplayMap(place, signal);
  return chooseRecovery(map, { target, timeline }, { journal: place.journal, signal });
}

/** Transactions that are there after the recovery. */
function outcome(made: MadeTimelines, recovery: Recovery): number[] {
  const goal = made.timelines.find(({ lineage }) => lineage === recovery.goal.lineage)!;
  const base = made.bases.find(({ id }) => id === recovery.base.id)!;
  const { stop } = recovery;
  const isThere = ({ lsn }: MadeEvent): boolean =>
    lsn < base.lsn || (stop.kind === 'record' && (stop.isInclusive ? lsn <= stop.lsn : lsn < stop.lsn));
  return made
    .eventsTo(goal)
    .filter((event) => event.kind === 'commit' && isThere(event))
    .map(({ xid }) => xid);
}

test('after a promotion the newest timeline is followed, and the old one only if it is named', async () => {
  const made = new MadeTimelines();
  const [first] = made.timelines as [MadeTimeline];
  made.commit(first);
  made.backUp(first);
  for (let at = 0; at < 4; at += 1) made.commit(first);
  const second = made.promote(first, 2);
  const lost = made.commit(first);
  const other = made.commit(second);
  made.commit(second);

  const between = lost.timeUs + 1;
  expect(outcome(made, await choose(made, time(between)))).toEqual([701, 702, 703, 704, 705]);
  expect(outcome(made, await choose(made, time(lost.timeUs), number(1)))).toEqual([701, 702, 703, 704, 705, 706]);
  expect(outcome(made, await choose(made, time(other.timeUs)))).toEqual([701, 702, 703, 704, 705, other.xid]);
  expect(outcome(made, await choose(made, end, { kind: 'current' }))).toEqual([701, 702, 703, 704, 705, 706]);
  await expect(choose(made, end, number(7))).rejects.toThrow(/timeline 7 is not known; those kept are 1, 2/);
});

test('a backup that can not be read is told of, and an older one leads there as well', async () => {
  const made = new MadeTimelines();
  const [first] = made.timelines as [MadeTimeline];
  made.commit(first);
  const older = made.backUp(first);
  made.commit(first);
  const incomplete = made.backUp(first);
  const damaged = made.backUp(first);
  made.commit(first);
  const { bases, journal } = await made.place();
  const told: UnreadableBase[] = [];
  const reading = (left: readonly string[]) =>
    readReplayMap(
      {
        journal,
        bases: bases
          .filter(({ id }) => left.includes(id))
          .map((base) => ({
            ...base,
            async facts(until) {
              if (base.id === damaged.id) throw new AppError('REPOSITORY_DAMAGED', 'a pack is gone', { hint: 'Look.' });
              const { walSegmentBytes, ...rest } = await base.facts(until);
              return base.id === incomplete.id ? rest : { walSegmentBytes: walSegmentBytes ?? 0, ...rest };
            },
          })),
        onUnreadable: (base) => void told.push(base),
      },
      signal,
    );
  const map = await reading(bases.map(({ id }) => id));
  const request = { target: end, timeline: latest };
  expect((await chooseRecovery(map, request, { journal, signal })).base.id).toBe(older.id);
  expect(told.toSorted((left, right) => (left.id < right.id ? -1 : 1))).toEqual([
    { id: incomplete.id, message: 'what it says of itself is not complete (walSegmentBytes)' },
    { id: damaged.id, message: 'a pack is gone' },
  ]);
  const none = chooseRecovery(await reading([incomplete.id, damaged.id]), request, { journal, signal });
  await expect(none).rejects.toThrow('no physical backup can be read to start a recovery from: 2 backups left out');
});

test('an instant is refused with the reason and what can be reached instead', async () => {
  const made = new MadeTimelines();
  const [first] = made.timelines as [MadeTimeline];
  const early = made.commit(first);
  const base = made.backUp(first);
  const commit = made.commit(first);
  made.fill(first, 3 * segmentBytes);
  const point = made.restorePoint(first, 'before the change');
  const last = made.commit(first);

  await expect(choose(made, time(early.timeUs))).rejects.toThrow(
    /before the oldest backup is consistent\n {2}reachable/,
  );
  await expect(choose(made, time(last.timeUs + 90_000_000))).rejects.toThrow(
    /behind the end of what was received, .*, 90 s before/,
  );
  await expect(choose(made, { kind: 'restore-point', name: 'other' })).rejects.toThrow(/kept are 'before the change'/);
  await expect(choose(made, { kind: 'transaction', xid: early.xid, isInclusive: true })).rejects.toThrow(
    /no transaction of this number ends/,
  );
  const found = await choose(made, { kind: 'restore-point', name: 'before the change' });
  expect(found.stop).toMatchObject({ lsn: point.lsn, isInclusive: true });
  expect(found.window).toMatchObject({
    branch: 'timeline 1',
    to: { position: formatLsn(endOf(first)), timeUs: last.timeUs },
  });

  const hole = Number(base.lsn / BigInt(segmentBytes)) + 1;
  made.lost.add(`${first.lineage} ${hole}`);
  await expect(choose(made, time(last.timeUs))).rejects.toThrow(
    new RegExp(`in or behind a hole: changes of timeline 1 from ${formatLsn(BigInt(hole * segmentBytes))} to `),
  );
  expect(outcome(made, await choose(made, end))).toEqual([early.xid, commit.xid]);
  expect(isAppError(await choose(made, time(1)).catch((error: unknown) => error), 'RECOVERY_TARGET_UNREACHABLE')).toBe(
    true,
  );
});

test('two copies promoted apart as timeline 2 are told apart by their origin, and never mixed up', async () => {
  const made = new MadeTimelines();
  const [first] = made.timelines as [MadeTimeline];
  made.backUp(first);
  const common = made.commit(first);
  const one = made.promote(first, 2);
  const another = made.promote(first, 2);
  const [ofOne, ofAnother] = [made.commit(one), made.commit(another)];
  await expect(choose(made, end)).rejects.toThrow(/went their own ways as timelines 2-[0-9a-f]{12} and 2-[0-9a-f]{12}/);
  const origin = (timeline: MadeTimeline): string => timeline.lineage.split('-').at(-1)!.slice(0, 6);
  const choice = (timeline: MadeTimeline): TimelineChoice => ({
    kind: 'number',
    timeline: 2,
    origin: origin(timeline),
  });
  expect(outcome(made, await choose(made, end, choice(one)))).toEqual([common.xid, ofOne.xid]);
  expect(outcome(made, await choose(made, end, choice(another)))).toEqual([common.xid, ofAnother.xid]);
});

test('a line of history that leads there is named where the newest one does not, and not taken', async () => {
  const made = new MadeTimelines();
  const [first] = made.timelines as [MadeTimeline];
  made.backUp(first);
  const common = made.commit(first);
  const second = made.promote(first, 2);
  made.commit(first);
  made.fill(second, segmentBytes);
  const switched = Number(second.wal.options.startLsn / BigInt(segmentBytes));
  made.lost.add(`${second.lineage} ${switched}`);
  const refused = choose(made, time(common.timeUs));
  await expect(refused).rejects.toThrow(/in or behind a hole: changes of timeline 2/);
  await expect(refused).rejects.toMatchObject({ hint: expect.stringContaining('--timeline 1.') as string });
  const named = await choose(made, time(common.timeUs), { kind: 'number', timeline: 1 });
  expect(outcome(made, named)).toEqual([common.xid]);
});

test('a tablespace that the replay would make at its place is known beforehand', async () => {
  const made = new MadeTimelines();
  const [first] = made.timelines as [MadeTimeline];
  made.backUp(first);
  const before = made.commit(first);
  made.commit(first);
  first.wal.tablespace(16_400, '/srv/fast');
  made.commit(first);
  expect((await choose(made, end)).tablespaces).toEqual([{ oid: 16_400, location: '/srv/fast' }]);
  expect((await choose(made, time(before.timeUs))).tablespaces).toEqual([]);
});

type Step = { readonly kind: number; readonly which: number; readonly size: number };
const steps = fc.array(fc.record({ kind: fc.nat(9), which: fc.nat(7), size: fc.nat(100) }), {
  minLength: 8,
  maxLength: 30,
});
const losses = fc.array(fc.record({ which: fc.nat(7), segment: fc.nat(9) }), { maxLength: 2 });

function build(all: readonly Step[], lost: readonly { which: number; segment: number }[]): MadeTimelines {
  const made = new MadeTimelines();
  for (const { kind, which, size } of all) {
    const timeline = made.timelines.at(which % made.timelines.length)!;
    if (kind <= 3) made.commit(timeline);
    else if (kind <= 5) made.fill(timeline, size * 9000);
    else if (kind === 6) made.restorePoint(timeline, `point ${size % 5}`);
    else if (kind === 7 && made.timelines.length < 5) made.promote(timeline, made.timelines.length + 1);
    else made.backUp(timeline);
  }
  for (const { which, segment } of lost) {
    const { lineage, wal } = made.timelines.at(which % made.timelines.length)!;
    made.lost.add(`${lineage} ${Number(wal.options.startLsn / BigInt(segmentBytes)) + segment}`);
  }
  return made;
}

/** By looking at every event: the newest backup from which the target can be reached, and which transactions are there then. */
function expectation(
  made: MadeTimelines,
  goal: MadeTimeline,
  target: RecoveryTarget,
): { base: string; commits: number[] } | undefined {
  const events = made.eventsTo(goal);
  const newestFirst = made.bases.toSorted((left, right) => (left.lsn > right.lsn ? -1 : 1));
  for (const base of newestFirst.filter((one) => leadsTo(one, goal))) {
    const after = events.filter(({ lsn }) => lsn >= base.lsn);
    const reached = after.filter(({ endLsn }) => isCovered(made, goal, { from: base.lsn, to: endLsn }));
    const upTo = reachedUpTo(reached, target, base);
    if (upTo === undefined) continue;
    const there = [...events.filter(({ lsn }) => lsn < base.lsn), ...reached.slice(0, upTo)];
    return { base: base.id, commits: there.filter(({ kind }) => kind === 'commit').map(({ xid }) => xid) };
  }
  return undefined;
}

/** How many of the events there are to be; undefined if the target can't be reached. */
function reachedUpTo(events: readonly MadeEvent[], target: RecoveryTarget, base: MadeBase): number | undefined {
  const at = (index: number, shift: number): number | undefined => (index === -1 ? undefined : index + shift);
  switch (target.kind) {
    case 'end':
      return events.length;
    case 'time': {
      if (base.timeUs > target.timeUs) return undefined;
      const later = events.findIndex(({ kind, timeUs }) => kind === 'commit' && timeUs > target.timeUs);
      if (later !== -1) return later;
      const known = Math.max(...events.map(({ timeUs }) => timeUs));
      return target.timeUs <= known ? events.length : undefined;
    }
    case 'transaction':
      return at(
        events.findIndex(({ kind, xid }) => kind === 'commit' && xid === target.xid),
        1,
      );
    case 'restore-point':
      return at(
        events.findLastIndex(({ name }) => name === target.name),
        1,
      );
    case 'lsn':
      return undefined;
    default:
      return target satisfies never;
  }
}

function leadsTo({ timeline, lsn }: MadeBase, goal: MadeTimeline): boolean {
  for (let at: MadeTimeline | undefined = goal, until: Lsn | undefined; at !== undefined; at = at.parent) {
    if (at === timeline) return until === undefined || lsn <= until;
    until = at.switchLsn;
  }
  return false;
}

function isCovered(made: MadeTimelines, goal: MadeTimeline, { from, to }: { from: Lsn; to: Lsn }): boolean {
  const [first, last] = [Number(from / BigInt(segmentBytes)), Number((to - 1n) / BigInt(segmentBytes))];
  for (let segment = first; segment <= last; segment += 1) if (!made.isKept(goal, segment)) return false;
  return true;
}

test('on random trees with holes, the choice is the newest backup that leads to exactly what was committed by then', async () => {
  const wishes = fc.record({ kind: fc.nat(3), at: fc.double({ min: 0, max: 1, noNaN: true }), goal: fc.nat(7) });
  await fc.assert(
    fc.asyncProperty(steps, losses, fc.array(wishes, { minLength: 4, maxLength: 8 }), async (all, lost, wished) => {
      const made = build(all, lost);
      const place = await made.place();
      const map = await readReplayMap(place, signal);
      for (const { kind, at, goal: which } of wished) {
        const goal = made.timelines.at(which % made.timelines.length)!;
        const target = wishOf(made, goal, { kind, at });
        const request = { target, timeline: number(goal.number) };
        const chosen = await chooseRecovery(map, request, { journal: place.journal, signal }).catch(
          (error: unknown) => {
            if (isAppError(error, 'RECOVERY_TARGET_UNREACHABLE')) return undefined;
            throw error;
          },
        );
        const found = chosen === undefined ? undefined : { base: chosen.base.id, commits: outcome(made, chosen) };
        expect(found).toEqual(expectation(made, goal, target));
      }
    }),
    { numRuns: 60 },
  );
});

function wishOf(made: MadeTimelines, goal: MadeTimeline, { kind, at }: { kind: number; at: number }): RecoveryTarget {
  const start = 1_795_000_000_000_000;
  if (kind === 0) return time(Math.floor(start + at * (made.timeUs + 2_000_000 - start)));
  if (kind === 1) return end;
  const events = made.eventsTo(goal);
  const event = events[Math.floor(at * events.length)];
  if (kind === 2) return { kind: 'transaction', xid: event?.xid ?? 9999, isInclusive: true };
  return { kind: 'restore-point', name: event?.name === '' || event === undefined ? 'point 1' : event.name };
}
