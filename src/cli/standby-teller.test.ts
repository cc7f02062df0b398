import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { seededRandom } from '../base/random.ts';
import { isRunning, readStandbyRecord } from '../operations/standby/standby-record.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import type { CommandContext } from './context.ts';
import { StandbyTeller } from './standby-teller.ts';

test('a standby that waits for long still tells that it runs, and that what it shows grows older', async () => {
  await using folder = await temporaryFolder();
  let nowMs = 1_000_000;
  const nothing = (): void => undefined;
  const context = {
    clock: { now: () => nowMs },
    random: seededRandom(1),
    progress: { update: nothing, note: nothing, clear: nothing },
    settings: { isJson: false },
  } as unknown as CommandContext;
  const options = {
    component: 'database',
    folder: '/copy',
    recordFolder: folder.path,
    repository: 'main',
    aliveMs: 10,
  };
  const teller = new StandbyTeller(context, options);
  const unknown = { replayed: undefined, journal: undefined, lagBytes: undefined, connection: undefined };
  teller.figures({ ...unknown, phase: 'following', ageMs: 2_000, problem: undefined });
  // As where a store that is away is asked again and again.
  nowMs += 60_000;
  for (let looks = 0; looks < 200 && (await readStandbyRecord(folder.path))?.writtenAtMs !== nowMs; looks += 1)
    await sleep(10);
  const record = await readStandbyRecord(folder.path);
  expect(record).toMatchObject({ phase: 'following', ageMs: 62_000 });
  expect(record && isRunning(record, nowMs)).toBe(true);
  await teller.end({ kind: 'stopped' });
  nowMs += 60_000;
  await sleep(50);
  expect(await readStandbyRecord(folder.path)).toMatchObject({ phase: 'stopped', writtenAtMs: nowMs - 60_000 });
});
