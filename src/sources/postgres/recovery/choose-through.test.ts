import { expect, test } from 'vitest';
import { MadeTimelines, type MadeTimeline } from '../../../../test/support/made-timelines.ts';
import { madeWalOptions } from '../../../../test/support/made-wal.ts';
import { makeOptions } from '../../../../test/support/made-postgres-options.ts';
import { formatLsn } from '../wal/lsn.ts';
import { chooseThrough, chosenOf } from './replay-restore.ts';

const { signal } = new AbortController();
const { segmentBytes } = madeWalOptions;

async function through(made: MadeTimelines, base: string) {
  const choice = await chooseThrough(makeOptions(), { place: await made.place(), base }, signal);
  return chosenOf(choice).recovery;
}

test('a backup is reached from the newest older one, up to the record before its position and no further', async () => {
  const made = new MadeTimelines();
  const [first] = made.timelines as [MadeTimeline];
  made.backUp(first);
  made.commit(first);
  const older = made.backUp(first);
  made.commit(first);
  const aim = made.backUp(first);
  made.commit(first); // Begins at the very position.
  made.backUp(first);
  const recovery = await through(made, aim.id);
  expect(recovery.base.id).toBe(older.id);
  expect(recovery.stop).toMatchObject({ kind: 'record', lsn: aim.lsn, isInclusive: false });
});

test('where nothing came behind it yet, all that there is is replayed', async () => {
  const made = new MadeTimelines();
  const [first] = made.timelines as [MadeTimeline];
  const older = made.backUp(first);
  const aim = made.backUp(first);
  const recovery = await through(made, aim.id);
  expect(recovery).toMatchObject({ base: { id: older.id }, stop: { kind: 'record', isInclusive: true } });
});

test('the timeline of the backup is followed, not a newer one', async () => {
  const made = new MadeTimelines();
  const [first] = made.timelines as [MadeTimeline];
  made.backUp(first);
  made.commit(first);
  const second = made.promote(first, 2);
  made.commit(first);
  const aim = made.backUp(first);
  made.commit(first);
  made.commit(second);
  expect((await through(made, aim.id)).goal.lineage).toBe(first.lineage);
});

test('without an older backup, or behind a hole, there is no way', async () => {
  const made = new MadeTimelines();
  const [first] = made.timelines as [MadeTimeline];
  const older = made.backUp(first);
  made.fill(first, 4 * segmentBytes);
  const aim = made.backUp(first);
  made.commit(first);
  await expect(through(made, older.id)).rejects.toMatchObject({ code: 'RECOVERY_TARGET_UNREACHABLE' });
  const hole = Number(older.lsn / BigInt(segmentBytes)) + 1;
  made.lost.add(`${first.lineage} ${hole}`);
  await expect(through(made, aim.id)).rejects.toThrow(
    `in or behind a hole: changes of timeline 1 from ${formatLsn(BigInt(hole * segmentBytes))} to `,
  );
});
