import { once } from 'node:events';
import { expect, test } from 'vitest';
import { endOf, type MadeTimeline, MadeTimelines } from '../../../../test/support/made-timelines.ts';
import { madeWalOptions } from '../../../../test/support/made-wal.ts';
import type { JournalReader } from '../../journal.ts';
import { markedLsn, markPrefix, markText } from '../instant-mark.ts';
import { readReplayMap } from '../recovery/replay-map.ts';
import { type Lsn, lsnOf, positionOf } from '../wal/lsn.ts';
import { historyName, segmentName } from '../wal/segment-name.ts';
import { isOnWay, standbyMap } from './journal-view.ts';
import { WalSupply } from './wal-supply.ts';

const never = new AbortController().signal;
const { segmentBytes } = madeWalOptions;

/** What a server writes for pg_logical_emit_message. */
function emit({ wal }: MadeTimeline, text: string): void {
  const prefix = Buffer.from(`${markPrefix}\0`);
  const head = Buffer.alloc(24);
  head.writeUInt32LE(5, 0);
  head.writeUInt8(1, 4);
  head.writeUInt32LE(prefix.length, 8);
  head.writeUInt32LE(text.length, 16);
  const data = Buffer.concat([head, prefix, Buffer.from(text)]);
  wal.record({ manager: 21, info: 0, body: Buffer.concat([Buffer.of(255, data.length), data]) });
}

async function scene() {
  const made = new MadeTimelines();
  const [first] = made.timelines;
  if (first === undefined) throw new Error('there is a first timeline');
  const base = made.backUp(first);
  let kept = await made.place();
  const weather = { isAway: false, isHanging: false };
  const journal: JournalReader = {
    branches: (signal) => kept.journal.branches(signal),
    segments: (lineage, signal) => kept.journal.segments(lineage, signal),
    facts: (lineage, segment, signal) => kept.journal.facts(lineage, segment, signal),
    read: async (lineage, segment, signal) => {
      if (weather.isHanging && !signal.aborted) await once(signal, 'abort');
      signal.throwIfAborted();
      if (weather.isAway) throw new Error('away');
      return kept.journal.read(lineage, segment, signal);
    },
    readOn: (place, signal) => kept.journal.readOn(place, signal),
  };
  const look = async () => {
    kept = await made.place();
    return standbyMap(await readReplayMap({ ...kept, journal }, never)).view;
  };
  const marks: Lsn[] = [];
  const supply: WalSupply = new WalSupply({
    journal,
    view: await look(),
    from: base.lsn,
    waitMs: 1,
    onRecord(event) {
      const lsn = markedLsn(event);
      if (lsn !== undefined && lsn >= supply.given) marks.push(lsn);
      if (marks[0] !== undefined) supply.limitTo(marks[0]);
    },
  });
  const nameAt = (timeline: MadeTimeline, lsn: Lsn): string =>
    segmentName(timeline.number, positionOf(lsn, segmentBytes).segment, segmentBytes);
  const find = async (name: string) => supply.find(name, never);
  return { made, first, base, supply, marks, look, nameAt, find, weather };
}

/** Up to there it is the server's, behind it are zeros. */
function expectUpTo(found: Uint8Array | undefined, { wal }: MadeTimeline, end: Lsn): void {
  const { segment } = positionOf(end - 1n, segmentBytes);
  const start = lsnOf({ segment, offset: 0 }, segmentBytes);
  const length = Number(end - start);
  expect(found).toHaveLength(segmentBytes);
  const bytes = Buffer.from(found ?? []);
  const from = Number(start - wal.options.startLsn);
  expect(bytes.subarray(0, length).equals(wal.bytes.subarray(from, from + length))).toBe(true);
  expect(bytes.subarray(length).every((byte) => byte === 0)).toBe(true);
}

test('gives the newest segment again each time there is more of it, and says no while there is not', async () => {
  const { made, first, supply, look, nameAt, find } = await scene();
  const name = nameAt(first, endOf(first));
  expectUpTo(await find(name), first, first.wal.end);
  for (let round = 0; round < 3; round += 1) {
    made.commit(first);
    expect(await find(name)).toBe(undefined);
    supply.see(await look());
    expectUpTo(await find(name), first, first.wal.end);
    expect(supply.given).toBe(first.wal.end);
  }
  expect(await find(segmentName(1, positionOf(supply.given, segmentBytes).segment + 1, segmentBytes))).toBe(undefined);
});

test('goes on into the next segment, and can give one that is behind once more', async () => {
  const { made, first, supply, look, nameAt, find } = await scene();
  made.fill(first, 3 * segmentBytes);
  made.commit(first);
  supply.see(await look());
  const names = [0, 1, 2, 3].map((each) => nameAt(first, first.wal.options.startLsn + BigInt(each * segmentBytes)));
  for (const name of names) expect(await find(name)).toHaveLength(segmentBytes);
  expect(supply.given).toBe(first.wal.end);
  expect(supply.reach.hole).toBe(undefined);
});

test('keeps back what follows a mark until it is let go, and sees a mark of the past for nothing', async () => {
  const { made, first, supply, marks, look, nameAt, find } = await scene();
  made.commit(first);
  const at = endOf(first);
  made.commit(first); // Of somebody else, between the position and the mark.
  emit(first, markText(at));
  emit(first, markText(first.wal.options.startLsn + 40n));
  emit(first, 'something else');
  made.commit(first);
  supply.see(await look());
  const name = nameAt(first, at);
  expectUpTo(await find(name), first, at);
  expect(marks).toEqual([at]);
  expect(await find(name)).toBe(undefined);
  marks.pop();
  supply.limitTo(undefined);
  expectUpTo(await find(name), first, first.wal.end);
});

test('follows a promotion by the histories it gives, and names no segment of the line that was left', async () => {
  const { made, first, supply, look, nameAt, find } = await scene();
  expect(await find(historyName(2))).toBe(undefined);
  const before = { lineage: first.lineage, lsn: endOf(first) };
  const second = made.promote(first, 2);
  made.commit(first);
  const lost = { lineage: first.lineage, lsn: endOf(first) };
  made.commit(second);
  const view = await look();
  expect([isOnWay(view, before), isOnWay(view, lost)]).toEqual([true, false]);
  supply.see(view);
  expect(Buffer.from((await find(historyName(2))) ?? [])).toEqual(second.history);
  expect(await find(historyName(3))).toBe(undefined);
  expect(await find(nameAt(first, second.switchLsn))).toBe(undefined);
  expectUpTo(await find(nameAt(second, second.switchLsn)), second, second.wal.end);
});

test('says of what could not be had why, until it comes', async () => {
  const { made, first, supply, look, nameAt, find, weather } = await scene();
  made.commit(first);
  supply.see(await look());
  weather.isAway = true;
  await expect(find(nameAt(first, supply.given))).rejects.toThrow('away');
  expect(supply.failure?.message).toBe('away');
  weather.isAway = false;
  expectUpTo(await find(nameAt(first, supply.given)), first, first.wal.end);
  expect(supply.failure).toBe(undefined);
});

test('tells where what it needs is missing though more is kept', async () => {
  const { made, first, supply, look, nameAt, find } = await scene();
  made.fill(first, 3 * segmentBytes);
  const { segment } = positionOf(supply.given, segmentBytes);
  made.lost.add(`${first.lineage} ${segment + 1}`);
  supply.see(await look());
  await find(nameAt(first, supply.given));
  const hole = lsnOf({ segment: segment + 1, offset: 0 }, segmentBytes);
  expect(supply.given).toBe(hole);
  expect(await find(nameAt(first, hole))).toBe(undefined);
  expect(supply.reach.hole).toMatchObject({ from: hole, to: hole + BigInt(segmentBytes) });
});

test('a server that is to end its recovery is told at once that nothing comes, though a store hangs', async () => {
  const { first, supply, nameAt, find, weather } = await scene();
  weather.isHanging = true;
  const name = nameAt(first, endOf(first));
  const asked = find(name);
  supply.hurry();
  expect(await asked).toBe(undefined);
  expect(await find(name)).toBe(undefined);
  expect(supply.failure).toBe(undefined);
});
