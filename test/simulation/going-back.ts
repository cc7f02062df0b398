// Goes back to instants of a protected server's life: each that is said to be reachable comes back row for row, also after a restore that
// was killed, and every other one is refused before anything is written.
import type { ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../src/base/clock.ts';
import { isAppError } from '../../src/base/errors.ts';
import type { RecoveryTarget } from '../../src/model/recovery-target.ts';
import { formatLsn, lsnOf, type Lsn } from '../../src/sources/postgres/wal/lsn.ts';
import type { ReplayWindow } from '../../src/sources/replay.ts';
import { runLifeboat } from '../support/lifeboat.ts';
import { walSegmentBytes } from './commit-log.ts';
import { randomAim, type Line } from './ledger-truth.ts';
import {
  choose,
  compare,
  gapsOf,
  lineOf,
  open,
  reachableIn,
  recover,
  windowsOf,
  type History,
  type Opened,
} from './protected-history.ts';
import { Violation } from './simulated-repository.ts';

export async function goBack(history: History): Promise<void> {
  const { counts, options, random } = history;
  await using opened = await open(history);
  const windows = await windowsOf(history);
  history.tell(`windows: ${windows.map(({ from, to }) => `${from.position} to ${to.position}`).join(', ')}`);
  const line = lineOf(history);
  await refuseOthers(history, opened, windows);
  for (let left = options.recoveries; left > 0; left -= 1) {
    const reachable = reachableIn(windows[Math.floor(random() * windows.length)]);
    const aim = randomAim(line, reachable, random);
    // Of a window in which nothing happened there is only its end.
    if (aim === undefined) continue;
    const chosen = await choose(history, opened, aim.target);
    await recover(history, { chosen, aim, line, reachable });
    counts.recoveries += 1;
  }
  await killRestore(history, { line, window: windows.at(-1) });
}

/** Instants in holes, before all, behind all. */
async function refuseOthers(history: History, opened: Opened, windows: readonly ReplayWindow[]): Promise<void> {
  const reaches = windows.map(reachableIn);
  const first = reaches[0]?.fromLsn ?? 0n;
  const lsns: Lsn[] = [first - 1n, (reaches.at(-1)?.toLsn ?? 0n) + 1_000_000n];
  for (const { from, to } of await gapsOf(history)) {
    const [start, end] = [lsnOf(from, walSegmentBytes), lsnOf(to, walSegmentBytes)];
    lsns.push(start + 1n + BigInt(Math.floor(history.random() * Number(end - start - 1n))));
  }
  const targets: RecoveryTarget[] = [
    { kind: 'time', timeUs: (systemClock.now() + 3_600_000) * 1000, isInclusive: true },
    { kind: 'time', timeUs: (reaches[0]?.fromUs ?? 0) - 1_000_000, isInclusive: true },
  ];
  for (const lsn of lsns) {
    if (reaches.some(({ fromLsn, toLsn }) => fromLsn <= lsn && lsn <= toLsn)) continue;
    targets.push({ kind: 'lsn', lsn: formatLsn(lsn), isInclusive: true });
  }
  for (const target of targets) {
    try {
      const { choice } = await choose(history, opened, target);
      throw new Violation(`${JSON.stringify(target)} is not kept, and leads to ${choice.reaches.position}`);
    } catch (error) {
      if (!isAppError(error, 'RECOVERY_TARGET_UNREACHABLE')) throw error;
      history.counts.refused += 1;
    }
  }
}

/** The real program dies while it restores; the same command, given again, ends it. */
async function killRestore(
  history: History,
  { line, window }: { readonly line: Line; readonly window: ReplayWindow | undefined },
): Promise<void> {
  const { at, random, counts, tell } = history;
  const reachable = reachableIn(window);
  const aim = randomAim(line, reachable, random);
  if (aim === undefined) return;
  const workFolder = join(at.folder, 'killed-copy');
  const dataFolder = join(workFolder, 'data');
  const restore = ['restore', 'database', '--to', dataFolder, '--yes', ...aim.options];
  for (let left = 1 + Math.floor(random() * 2); left > 0; left -= 1) {
    const started = Promise.withResolvers<ChildProcess>();
    const ended = runLifeboat(restore, { folder: at.folder, onStart: started.resolve });
    const child = await started.promise;
    await Promise.race([sleep(300 + random() * 4000), ended]);
    child.kill('SIGKILL');
    const { exitCode, stderr } = await ended;
    if (exitCode === 0) break;
    if (exitCode !== -2) throw new Violation(`a restore ended with ${exitCode}: ${stderr.slice(-2000)}`);
    counts.killedRestores += 1;
  }
  const again = await at.run(...restore);
  // It may have come to its end before it was killed, and a server that was promoted goes its own way.
  if (again.exitCode !== 0)
    throw new Violation(`a restore after a killed one ended with ${again.exitCode}: ${again.stderr.slice(-2000)}`);
  await compare(history, { dataFolder, workFolder, aim, line, reachable });
  tell(`${aim.options.join(' ')} after a killed restore: equal to the row`);
  rmSync(workFolder, { recursive: true, force: true });
}
