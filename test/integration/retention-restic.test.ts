// Holds our retention decisions against those of the original: the same snapshots, the same policies, the same answer.
import { execFile } from 'node:child_process';
import crypto, { createCipheriv, createHash, randomBytes, scryptSync } from 'node:crypto';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { seededRandom, type Random } from '../../src/base/random.ts';
import { decideRetention, retentionPolicySchema } from '../../src/model/retention.ts';
import { groupSnapshots } from '../../src/model/snapshot-groups.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';
import { describeWith } from '../support/tools.ts';

const run = promisify(execFile);
// Part of Node 26, not yet of its types.
const crypto26 = crypto as typeof crypto & {
  createMac(name: 'poly1305', key: Buffer): { update(data: Buffer): void; final(): Buffer };
};
const policiesMax = 80;
const budgetMs = 30_000;
const bucketKeys = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;
const zones = ['UTC', 'Asia/Kolkata', 'America/New_York'];

interface ResticSnapshot {
  readonly id: string;
  readonly time: string;
  readonly tags: readonly string[];
  readonly hostname: string;
  readonly paths: readonly string[];
}

describeWith(['restic'], 'retention decides as restic forget does', () => {
  const seed = randomBytes(4).readUInt32LE();
  const random = seededRandom(seed);
  let folder: TemporaryFolder;
  let repository: string;
  /** Versions before 0.16 did not keep the oldest snapshot while counts were left. */
  let hasOldestRule: boolean;

  async function restic(args: readonly string[], zone = 'UTC'): Promise<string> {
    const env = { PATH: process.env['PATH'], TZ: zone, RESTIC_PASSWORD: 'test', RESTIC_REPOSITORY: repository };
    const { stdout } = await run('restic', ['--no-cache', ...args], { env, maxBuffer: 64 * 2 ** 20 });
    return stdout;
  }

  beforeAll(async () => {
    folder = await temporaryFolder();
    repository = join(folder.path, 'repository');
    await restic(['init', '--quiet']);
    await cheapenKey(repository, JSON.parse(await restic(['cat', 'masterkey'])) as MasterKey);
    const file = join(folder.path, 'file');
    await writeFile(file, 'a tiny file');
    hasOldestRule = Number(/^restic 0\.(\d+)/.exec(await restic(['version']))?.[1]) >= 17;
    for (const time of snapshotTimes(random)) {
      const tags = ['red', 'blue', 'legal'].filter(() => random() < 0.2).flatMap((tag) => ['--tag', tag]);
      const host = random() < 0.7 ? 'shop' : 'blog';
      const zone = zones[Math.floor(random() * zones.length)];
      await restic(['backup', '--quiet', '--force', '--host', host, '--time', time, ...tags, file], zone);
    }
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  test(`keeps the same snapshots for random policies (seed ${seed})`, async () => {
    const snapshots = await readSnapshots();
    expect(snapshots.length).toBeGreaterThan(50);
    const startedMs = performance.now();
    let compared = 0;
    let removed = 0;
    for (; compared < policiesMax && performance.now() - startedMs < budgetMs; compared += 1) {
      const policy = randomPolicy(random);
      const theirs = await keptByRestic(policy);
      const ours = keptByUs(snapshots, policy, hasOldestRule);
      removed += snapshots.length - ours.size;
      expect([...ours].toSorted(), `seed ${seed}, policy ${JSON.stringify(policy)}`).toEqual([...theirs].toSorted());
    }
    expect(compared).toBeGreaterThan(10);
    expect(removed).toBeGreaterThan(0);
  });

  async function readSnapshots(): Promise<ResticSnapshot[]> {
    const list = JSON.parse(await restic(['snapshots', '--json'])) as (Omit<ResticSnapshot, 'tags'> & {
      readonly tags?: readonly string[];
    })[];
    return list.map((snapshot) => ({ ...snapshot, tags: snapshot.tags ?? [] }));
  }

  async function keptByRestic(policy: RandomPolicy): Promise<Set<string>> {
    const args = [
      ...Object.entries(policy.counts).flatMap(([key, count]) => [
        `--keep-${key}`,
        String(count === 'unlimited' ? 100_000 : count),
      ]),
      ...Object.entries(policy.spans).flatMap(([key, span]) => [`--keep-${key}`, span]),
      ...policy.tags.flatMap((tag) => ['--keep-tag', tag]),
    ];
    const groups = JSON.parse(await restic(['forget', '--dry-run', '--json', ...args])) as {
      readonly keep: readonly ResticSnapshot[] | null;
    }[];
    return new Set(groups.flatMap(({ keep }) => keep ?? []).map(({ id }) => id));
  }
});

interface RandomPolicy {
  readonly counts: Readonly<Record<string, number | 'unlimited'>>;
  readonly spans: Readonly<Record<string, string>>;
  readonly tags: readonly string[];
}

function keptByUs(snapshots: readonly ResticSnapshot[], policy: RandomPolicy, hasOldestRule: boolean): Set<string> {
  const settings = Object.entries({ ...policy.counts, ...policy.spans }).map(([key, value]) => [settingOf(key), value]);
  const parsed = retentionPolicySchema.parse({ ...Object.fromEntries(settings), keepTags: policy.tags });
  const none = new Set<string>();
  const decisions = groupSnapshots(snapshots).flatMap((group) =>
    decideRetention(group.snapshots, parsed, {
      now: new Date().getTime(),
      provenIds: none,
      verifiedIds: none,
      forgetProven: false,
    }),
  );
  // That rule concerns the last snapshot looked at, so without it nothing else would be decided differently.
  const isKept = (reason: string) => hasOldestRule || !reason.startsWith('oldest ');
  return new Set(decisions.filter(({ reasons }) => reasons.some(isKept)).map(({ snapshot }) => snapshot.id));
}

/** `within-daily`: `keepWithinDaily`. */
function settingOf(key: string): string {
  return `keep-${key}`.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

function pick<Value>(random: Random, values: readonly Value[]): Value {
  const index = Math.floor(random() * values.length);
  return values.at(index) as Value;
}

/** Always with one rule besides tags, so that restic 0.14 and ours agree on groups that tags alone would empty. */
function randomPolicy(random: Random): RandomPolicy {
  const counts: Record<string, number | 'unlimited'> = {};
  const spans: Record<string, string> = {};
  for (const key of bucketKeys) {
    if (random() < 0.3) counts[key] = random() < 0.05 ? 'unlimited' : 1 + Math.floor(random() * 12);
    const name = key === 'last' ? 'within' : `within-${key}`;
    if (random() < 0.15) spans[name] = pick(random, ['1h', '36h', '3d', '14d', '1m', '2m3d', '13m', '1y', '1y1m1d1h']);
  }
  if (Object.keys(counts).length + Object.keys(spans).length === 0) counts['daily'] = 2;
  const tags = ['red', 'blue', 'legal', 'red,blue'].filter(() => random() < 0.1);
  return { counts, spans, tags };
}

/** Bunches within hours and days, and a long tail over three years; a few lie in the future. Distinct times only. */
function snapshotTimes(random: Random): Set<string> {
  const times = new Set<string>();
  const nowMs = new Date().getTime();
  while (times.size < 60) {
    const spanDays = pick(random, [0.2, 3, 30, 400, 1100]);
    const sign = random() < 0.05 ? -1 : 1;
    const at = new Date(nowMs - sign * random() * spanDays * 86_400_000);
    times.add(at.toISOString().slice(0, 19).replace('T', ' '));
  }
  return times;
}

interface MasterKey {
  readonly mac: { readonly k: string; readonly r: string };
  readonly encrypt: string;
}

/** Puts a second key beside the one that takes half a second to open, and removes that: the test opens 200 times. */
async function cheapenKey(repository: string, master: MasterKey): Promise<void> {
  const salt = randomBytes(64);
  const user = scryptSync('test', salt, 64, { N: 2, r: 8, p: 1 });
  const iv = randomBytes(16);
  const cipher = createCipheriv('aes-256-ctr', user.subarray(0, 32), iv);
  const sealed = Buffer.concat([cipher.update(JSON.stringify(master)), cipher.final()]);
  const block = createCipheriv('aes-128-ecb', user.subarray(32, 48), null).setAutoPadding(false);
  const mac = crypto26.createMac('poly1305', Buffer.concat([user.subarray(48, 64), block.update(iv), block.final()]));
  mac.update(sealed);
  const key = {
    created: '2026-01-01T00:00:00Z',
    username: 'test',
    hostname: 'test',
    kdf: 'scrypt',
    N: 2,
    r: 8,
    p: 1,
    salt: salt.toString('base64'),
    data: Buffer.concat([iv, sealed, mac.final()]).toString('base64'),
  };
  const folder = join(repository, 'keys');
  const [costly = ''] = await readdir(folder);
  const text = JSON.stringify(key);
  await writeFile(join(folder, createHash('sha256').update(text).digest('hex')), text);
  await rm(join(folder, costly), { force: true });
}
