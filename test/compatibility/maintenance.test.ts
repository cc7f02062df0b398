// Maintenance by stock restic of what Lifeboat wrote, by Lifeboat of what restic wrote, and both in turn.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { copySnapshots } from '../../src/repository/copy.ts';
import { forgetSnapshots } from '../../src/repository/forget.ts';
import { acquireJournalLease } from '../../src/repository/journal/lease.ts';
import { acquireLock, readLocks } from '../../src/repository/lock.ts';
import { readNotes, writeNote } from '../../src/repository/note.ts';
import { initRepository } from '../../src/repository/open-repository.ts';
import { prune } from '../../src/repository/prune-execute.ts';
import { rebuildIndex } from '../../src/repository/rebuild-index.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { rewriteTags } from '../../src/repository/rewrite-tags.ts';
import { loadSnapshots } from '../../src/repository/snapshot.ts';
import { verifyRepository } from '../../src/repository/verify.ts';
import { localStore } from '../../src/storage/local/store.ts';
import { goldenContent, goldenFiles, goldenPassword } from '../support/golden-repository.ts';
import { openTestJournal, readBytes, segmentContent, sourceOf } from '../support/journal.ts';
import { noise } from '../support/sample-repository.ts';
import {
  backupFolder,
  cheapScrypt,
  createRepository,
  noSignal,
  reopen,
  restoreTo,
  testPassword,
} from '../support/repository.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';
import { describeWith, findTool } from '../support/tools.ts';

const clean = 'no errors were found';
const signal = noSignal;

describeWith(['restic'], 'restic and Lifeboat maintain one repository', () => {
  let folder: TemporaryFolder;
  let data: string;
  let ours: Repository;

  beforeEach(async () => {
    folder = await temporaryFolder();
    data = join(folder.path, 'data');
    mkdirSync(join(data, 'deep'), { recursive: true });
    ours = await createRepository(folder.path, 'rabin');
  });
  afterEach(() => folder[Symbol.asyncDispose]());

  const repositoryPath = (): string => join(folder.path, 'repository');
  function restic(args: readonly string[], environment: Record<string, string> = {}): string {
    return execFileSync(findTool('restic') ?? '', ['--no-cache', ...args], {
      encoding: 'utf8',
      env: { RESTIC_REPOSITORY: repositoryPath(), RESTIC_PASSWORD: testPassword, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }
  function fill(state: number): void {
    writeFileSync(join(data, 'same'), noise(1, 700_000));
    writeFileSync(join(data, 'deep', 'changing'), noise(100 + state, 900_000));
    writeFileSync(join(data, `of-${state}`), noise(200 + state, 300_000));
    if (state > 1) rmSync(join(data, `of-${state - 1}`));
  }
  /** Three states, by turns of both programs. */
  async function history(): Promise<void> {
    fill(1);
    restic(['backup', data]);
    fill(2);
    await backupFolder(ours, data);
    fill(3);
    restic(['backup', data]);
    fill(4);
    await backupFolder(ours, data);
  }
  const verify = async (repository = ours) => (await verifyRepository(repository, { level: 'data', signal })).findings;
  const check = (): string => restic(['check', '--read-data']);
  const content = (root: string): string[] =>
    ['same', 'deep/changing', 'of-4'].map((name) => readFileSync(join(root, data, name), 'utf8').slice(0, 5000));
  async function expectRestorable(): Promise<void> {
    restic(['restore', 'latest', '--target', join(folder.path, 'by-restic')]);
    await restoreTo(ours, { target: join(folder.path, 'by-us') });
    expect(content(join(folder.path, 'by-restic'))).toEqual(content('/'));
    expect(content(join(folder.path, 'by-us'))).toEqual(content('/'));
  }

  test('restic prunes, rebuilds and checks after us', async () => {
    await history();
    expect(check()).toContain(clean);
    restic(['forget', '--keep-last', '1', '--group-by', '', '--prune', '--max-unused', '0']);
    restic(['rebuild-index']);
    restic(['prune', '--max-unused', '0']);
    expect(check()).toContain(clean);
    expect(restic(['snapshots', '--json'])).toContain('component=files');
    expect(restic(['ls', 'latest'])).toContain('/deep/changing');
    expect(await verify()).toEqual([]);
    await expectRestorable();
  });

  test('we forget, prune, rebuild and retag after restic, and restic finds nothing wrong', async () => {
    await history();
    const [first, second, third] = await loadSnapshots(ours, signal);
    await forgetSnapshots(
      ours,
      [first, third].flatMap((each) => (each === undefined ? [] : [each.id])),
      { signal },
    );
    const sizeBefore = Number(/(\d+)/.exec(execFileSync('du', ['-sk', repositoryPath()], { encoding: 'utf8' }))?.[1]);
    const { bytes } = await prune(ours, { maxUnused: { bytes: 0 }, signal });
    const sizeAfter = Number(/(\d+)/.exec(execFileSync('du', ['-sk', repositoryPath()], { encoding: 'utf8' }))?.[1]);
    expect(bytes.freed).toBeGreaterThan(1_500_000);
    expect((sizeBefore - sizeAfter) * 1024).toBeGreaterThan(bytes.freed * 0.9);
    expect(check()).toContain(clean);
    expect(await verify()).toEqual([]);
    await rebuildIndex(ours, { signal });
    await rewriteTags(ours, { snapshots: second === undefined ? [] : [second.id], add: ['by-us'], signal });
    expect(check()).toContain(clean);
    expect(JSON.parse(restic(['snapshots', '--tag', 'by-us', '--json']))).toMatchObject([{ original: second?.id }]);
    restic(['tag', '--add', 'by-restic', 'latest']);
    expect((await loadSnapshots(ours, signal)).at(-1)?.tags).toContain('by-restic');
    expect(restic(['prune', '--max-unused', '0', '--dry-run'])).toMatch(/to delete:\s+0 blobs/);
    await expectRestorable();
  });

  test('we compress the trees of a repository that restic began in format 1', async () => {
    rmSync(repositoryPath(), { recursive: true });
    restic(['init', '--repository-version', '1']);
    fill(1);
    restic(['backup', data]);
    restic(['migrate', 'upgrade_repo_v2']);
    ours = await reopen(folder.path);
    const wouldRepack = (): string => restic(['prune', '--dry-run']).match(/to repack:\s+(\d+) blobs/)?.[1] ?? '';
    expect(Number(wouldRepack())).toBeGreaterThan(0);
    const { repack } = await prune(ours, { signal });
    expect(repack).toHaveLength(1);
    expect(wouldRepack()).toBe('0');
    expect(check()).toContain(clean);
    expect(await verify()).toEqual([]);
    expect((await prune(ours, { signal, isDryRun: true })).repack).toEqual([]);
  });

  test('copies by either program are recognised by the other', async () => {
    await history();
    const elsewhere = join(folder.path, 'elsewhere');
    const target = await initRepository(localStore(elsewhere), {
      password: 'other',
      signal,
      chunkerDefault: 'rabin',
      scryptCost: cheapScrypt,
    });
    const all = (await loadSnapshots(ours, signal)).map(({ id }) => id);
    await copySnapshots(ours, target, { snapshots: all.slice(0, 2), signal });
    const passwordFile = join(folder.path, 'password');
    writeFileSync(passwordFile, testPassword);
    const other = { RESTIC_REPOSITORY: elsewhere, RESTIC_PASSWORD: 'other' };
    // restic 0.14: from the second repository into the first.
    const output = restic(['copy', '--from-repo', repositoryPath(), '--from-password-file', passwordFile], other);
    expect([...output.matchAll(/skipping source snapshot/g)]).toHaveLength(2);
    expect(restic(['check', '--read-data'], other)).toContain(clean);
    expect(await loadSnapshots(target, signal)).toHaveLength(4);
    const { snapshots, blobs } = await copySnapshots(ours, target, { snapshots: all, signal });
    expect([blobs, snapshots.map(({ wasThere }) => wasThere)]).toEqual([0, [true, true, true, true]]);
    restic(['restore', 'latest', '--target', join(folder.path, 'restored')], other);
    expect(content(join(folder.path, 'restored'))).toEqual(content('/'));
  });

  test('notes of ours disturb no command of restic, and outlive its prune', async () => {
    await history();
    const [snapshot] = await loadSnapshots(ours, signal);
    await writeNote(ours, { purpose: 'proof', subject: snapshot?.tree ?? '', json: { outcome: 'passed' } }, signal);
    expect(check()).toContain(clean);
    restic(['forget', '--keep-last', '1', '--group-by', '', '--prune']);
    restic(['rebuild-index']);
    expect(check()).toContain(clean);
    expect((await readNotes(ours, { purpose: 'proof' }, signal)).notes).toMatchObject([
      { json: { outcome: 'passed' } },
    ]);
  });

  test('journals of ours disturb no command of restic, and outlive its prune and ours', async () => {
    await history();
    const journal = await openTestJournal(ours, 1);
    await journal.sealSegment(sourceOf(1, segmentContent(1)), signal);
    await journal.putPart({ segment: 2, offset: 0, bytes: segmentContent(2).subarray(0, 50), facts: {} }, signal);
    await using _ = await acquireJournalLease(ours, { family: 'database', takesOver: false, signal });
    const before = readdirSync(join(repositoryPath(), 'journals'), { recursive: true });
    expect(check()).toContain(clean);
    restic(['forget', '--keep-last', '1', '--group-by', '', '--prune', '--max-unused', '0']);
    restic(['rebuild-index']);
    restic(['prune', '--max-unused', '0']);
    expect(check()).toContain(clean);
    fill(5);
    await backupFolder(ours, data);
    const [old] = await loadSnapshots(ours, signal);
    await forgetSnapshots(ours, old === undefined ? [] : [old.id], { signal });
    await prune(ours, { maxUnused: { bytes: 0 }, signal });
    expect(check()).toContain(clean);
    expect(readdirSync(join(repositoryPath(), 'journals'), { recursive: true })).toEqual(before);
    expect((await readBytes(ours, 1)).bytes).toEqual(segmentContent(1));
    expect((await readBytes(ours, 2)).bytes).toEqual(segmentContent(2).subarray(0, 50));
    expect(await verify()).toEqual([]);
  });

  test('our locks stop restic, and restic tells whose they are', async () => {
    fill(1);
    {
      await using _ = await acquireLock(ours, { isExclusive: true, signal });
      expect(() => restic(['backup', data])).toThrow(/already locked exclusively by PID \d+/);
    }
    {
      await using _ = await acquireLock(ours, { isExclusive: false, signal });
      restic(['backup', data]);
      expect(() => restic(['prune'])).toThrow(/already locked by PID \d+/);
      // Neither program takes a lock of a living process for stale.
      restic(['unlock']);
      expect(await readLocks(ours, signal)).toHaveLength(1);
    }
    restic(['prune']);
  });

  test("restic's locks stop us while it works", async () => {
    fill(1);
    // restic reads its standard input as a file, so it holds its lock until that ends.
    const child = spawn(findTool('restic') ?? '', ['--no-cache', 'backup', '--stdin'], {
      env: { RESTIC_REPOSITORY: repositoryPath(), RESTIC_PASSWORD: testPassword },
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    const isOver = once(child, 'exit');
    child.stdin.write('begun');
    const deadlineMs = systemClock.now() + 30_000;
    while ((await readLocks(ours, signal)).length === 0 && systemClock.now() < deadlineMs)
      await new Promise((resolve) => setTimeout(resolve, 20));
    await expect(prune(ours, { signal })).rejects.toMatchObject({ code: 'REPOSITORY_LOCKED' });
    await backupFolder(ours, data);
    child.stdin.end();
    expect(await isOver).toEqual([0, null]);
    await prune(ours, { signal });
    expect(check()).toContain(clean);
  });

  test('restic checks and restores the golden repository from the very bytes that we read', async () => {
    const golden = join(folder.path, 'golden');
    for (const [name, bytes] of goldenFiles()) {
      mkdirSync(dirname(join(golden, name)), { recursive: true });
      writeFileSync(join(golden, name), bytes);
    }
    const environment = { RESTIC_REPOSITORY: golden, RESTIC_PASSWORD: goldenPassword };
    expect(restic(['check', '--read-data'], environment)).toContain(clean);
    restic(['restore', 'latest', '--target', join(folder.path, 'restored')], environment);
    expect(readFileSync(join(folder.path, 'restored', 'a<b'), 'utf8')).toBe(goldenContent);
  });

  test('an index file that is lost comes back from the packs of both programs', async () => {
    await history();
    const [index = ''] = readdirSync(join(repositoryPath(), 'index'));
    rmSync(join(repositoryPath(), 'index', index));
    expect((await verify()).map(({ severity }) => severity)).toContain('error');
    await rebuildIndex(ours, { signal });
    expect(await verify()).toEqual([]);
    expect(check()).toContain(clean);
    await expectRestorable();
  });
});
