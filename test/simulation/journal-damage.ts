// Something of a journal in a repository is no longer what was stored there: whoever goes back gets the very rows, or a refusal.
import { AppError, isAppError } from '../../src/base/errors.ts';
import { lineageFolder } from '../../src/repository/journal/object-name.ts';
import { walSegmentBytes } from './commit-log.ts';
import { randomAim } from './ledger-truth.ts';
import type { ChosenReplay } from '../../src/operations/restore/replay.ts';
import {
  choose,
  lineOf,
  open,
  reachableIn,
  recover,
  windowsOf,
  type History,
  type Opened,
  type Recovery,
} from './protected-history.ts';
import { Violation } from './simulated-repository.ts';

const damages = ['missing', 'altered', 'cut', 'under another name'] as const;

export async function damage(history: History): Promise<void> {
  const { at, random, counts, options, tell } = history;
  const branch = await at.keptBranch(1);
  if (branch === undefined) throw new Violation('nothing is kept');
  const line = lineOf(history);
  const before = await windowsOf(history);
  const { store } = at.repository;
  const folder = `${lineageFolder(at.repository, branch.lineage)}segments/`;
  // One that is replayed, not one that lies before all bases.
  const first = Number(reachableIn(before[0]).fromLsn / BigInt(walSegmentBytes)) + 1;
  const names = (await Array.fromAsync(store.list(folder), ({ name }) => name))
    .filter((one) => Number.parseInt(one.slice(folder.length), 16) >= first)
    .toSorted();
  const index = Math.floor(random() * names.length);
  const [name, other] = [names[index], names[(index + 1) % names.length]];
  if (name === undefined || other === undefined) return;
  const how = damages[Math.floor(random() * damages.length)] ?? 'missing';
  await damageObject(history, { name, other, how });
  counts.damages += 1;
  tell(`segment ${name.slice(folder.length, folder.length + 16)} is ${how}`);
  await using opened = await open(history);
  const damagedLsn = BigInt(Number.parseInt(name.slice(folder.length), 16)) * BigInt(walSegmentBytes);
  const reaches = before.map(reachableIn);
  const concerned = reaches.find(({ fromLsn, toLsn }) => fromLsn <= damagedLsn && damagedLsn < toLsn);
  for (let left = options.recoveries; left > 0; left -= 1) {
    const reachable = concerned ?? reaches[Math.floor(random() * reaches.length)];
    // Every other time for sure behind the damage.
    const from = left % 2 === 0 && concerned !== undefined ? damagedLsn : undefined;
    const aim = reachable && randomAim(line, { ...reachable, fromLsn: from ?? reachable.fromLsn }, random);
    if (reachable === undefined || aim === undefined) continue;
    await recoverOrRefuse(history, { aim, line, reachable, opened, isListed: how !== 'missing' });
  }
}

interface Damage {
  readonly name: string;
  readonly other: string;
  readonly how: (typeof damages)[number];
}

async function damageObject({ at, random }: History, { name, other, how }: Damage): Promise<void> {
  const { store } = at.repository;
  const bytes = Buffer.from(await store.get(name));
  const place = Math.floor(random() * bytes.length);
  await store.remove(name);
  if (how === 'altered') bytes.writeUInt8(bytes.readUInt8(place) ^ (1 + Math.floor(random() * 255)), place);
  if (how === 'altered') await store.put(name, [bytes]);
  if (how === 'cut') await store.put(name, [bytes.subarray(0, place)]);
  if (how === 'under another name') await store.put(name, [await store.get(other)]);
}

interface Attempt extends Omit<Recovery, 'chosen'> {
  readonly opened: Opened;
  /** A listing does not tell of the damage. */
  readonly isListed: boolean;
}

async function recoverOrRefuse(history: History, { opened, isListed, ...recovery }: Attempt): Promise<void> {
  const { counts, tell } = history;
  const words = recovery.aim.options.join(' ');
  let chosen: ChosenReplay;
  try {
    chosen = await choose(history, opened, recovery.aim.target);
  } catch (error) {
    if (!isAppError(error, 'RECOVERY_TARGET_UNREACHABLE', 'REPOSITORY_DAMAGED')) throw error;
    counts.refused += 1;
    tell(`${words}: refused, ${error.code}`);
    return;
  }
  try {
    await recover(history, { chosen, ...recovery });
    counts.recoveries += 1;
  } catch (error) {
    const isOfDamage = error instanceof AppError && /damaged/.test(error.message) && isListed;
    if (!isOfDamage) throw error;
    counts.failedAtDamage += 1;
    tell(`${words}: failed, ${error.message}`);
  }
}
