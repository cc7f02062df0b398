import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { fsPath, nameFromBytes } from '../../base/byte-name.ts';
import { systemClock } from '../../base/clock.ts';
import { AppError } from '../../base/errors.ts';
import { native } from '../../base/native.ts';
import { seededRandom, systemRandom } from '../../base/random.ts';
import type { ContentCheck } from '../../model/content-check.ts';
import type { Fingerprint } from '../../model/fingerprint.ts';
import type { Proof } from '../../model/proof.ts';
import { loadIndex } from '../../repository/load-index.ts';
import type { Repository } from '../../repository/repository.ts';
import type { StoredSnapshot } from '../../repository/snapshot.ts';
import { WorkerPool, type Workers } from '../../repository/worker-pool.ts';
import type { Sandbox, Source } from '../../sources/source.ts';
import { madeSource } from '../../../test/support/made-source.ts';
import { fillFolder } from '../../../test/support/random-tree.ts';
import { backupFolder, createRepository, noSignal, restoreTo } from '../../../test/support/repository.ts';
import { temporaryFolder, type TemporaryFolder } from '../../../test/support/temporary-folder.ts';
import { isRoot, unprivilegedAsync } from '../../../test/support/unprivileged.ts';
import { backup } from '../backup/backup.ts';
import type { ProveRequest } from './evidence.ts';
import { compareTree, type TreeComparison } from './compare-tree.ts';
import { prove } from './prove.ts';

const files: Source = madeSource({ entries: () => [] });

describe('a proof', () => {
  let home: TemporaryFolder;
  let repository: Repository;
  let pool: WorkerPool;
  let work: string;

  beforeAll(async () => {
    home = await temporaryFolder();
    repository = await createRepository(home.path);
    pool = new WorkerPool(repository);
  });
  afterAll(async () => {
    await pool[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });
  beforeEach(() => {
    work = join(home.path, 'work');
    mkdirSync(work);
  });
  afterEach(() => rmSync(work, { recursive: true }));

  async function parts(snapshot: StoredSnapshot) {
    return { indexed: { repository, index: await loadIndex(repository, noSignal) }, pool, snapshot };
  }

  async function proofOf(
    snapshot: StoredSnapshot,
    options: Partial<Pick<ProveRequest, 'source' | 'checks' | 'workFolder' | 'pool'>> & { signal?: AbortSignal } = {},
  ): Promise<Proof> {
    const { signal = noSignal, ...chosen } = options;
    const request = { ...(await parts(snapshot)), source: files, checks: [], workFolder: work, ...chosen };
    return prove({ ...request, component: 'files', clock: systemClock, program: 'test' }, signal);
  }

  describe('of files', () => {
    let data: string;
    let snapshot: StoredSnapshot;

    beforeAll(async () => {
      data = join(home.path, 'data');
      mkdirSync(data);
      for (const name of ['plain', 'twin-a']) writeFileSync(join(data, name), `content of ${name}`);
      linkSync(join(data, 'twin-a'), join(data, 'twin-b'));
      writeFileSync(join(data, 'copy'), `content of plain`);
      utimesSync(join(data, 'copy'), 5, 5);
      utimesSync(join(data, 'plain'), 5, 5);
      symlinkSync('plain', join(data, 'link'));
      mkdirSync(join(data, 'folder/empty'), { recursive: true });
      writeFileSync(join(data, 'attributed'), 'x');
      native()?.writeExtendedAttribute(join(data, 'attributed'), 'user.note', Buffer.from('kept'));
      ({ snapshot } = await backupFolder(repository, data, { pool }));
    });

    test('passes when all came back, tells what it looked at, and cleans up', async () => {
      const proof = await proofOf(snapshot, { checks: [{ file: 'plain', minBytes: 3 }] });
      expect(proof).toMatchObject({ outcome: 'passed', tree: snapshot.tree, differences: [] });
      expect(proof.compared).toBeGreaterThan(10);
      expect(readdirSync(work)).toEqual([]);
    });

    const tampering: Record<string, (folder: string) => void> = {
      'a file is lost': (folder) => rmSync(join(folder, 'plain')),
      'a link is lost': (folder) => rmSync(join(folder, 'link')),
      'an empty folder is lost': (folder) => rmSync(join(folder, 'folder/empty'), { recursive: true }),
      'a file is added': (folder) => writeFileSync(join(folder, 'folder/empty/extra'), ''),
      'a folder is added': (folder) => mkdirSync(join(folder, 'extra')),
      'a file was renamed': (folder) => renameSync(join(folder, 'plain'), join(folder, 'plane')),
      'one byte is another': (folder) =>
        keepingTimes(join(folder, 'plain'), (path) => writeFileSync(path, 'content of plaiN')),
      'a byte is added': (folder) => keepingTimes(join(folder, 'plain'), (path) => appendFileSync(path, '!')),
      'a byte is cut': (folder) => keepingTimes(join(folder, 'plain'), (path) => truncateSync(path, 3)),
      'a mode is another': (folder) => chmodSync(join(folder, 'plain'), 0o604),
      'the mode of a folder is another': (folder) => chmodSync(join(folder, 'folder'), 0o701),
      'a time is another': (folder) => utimesSync(join(folder, 'plain'), 5, 6),
      'the time of a link is another': (folder) => lutimesSync(join(folder, 'link'), 5, 6),
      'a link points elsewhere': (folder) =>
        keepingTimes(join(folder, 'link'), (path) => (rmSync(path), symlinkSync('copy', path))),
      'a link is a copy': (folder) =>
        keepingTimes(join(folder, 'link'), (path) => (rmSync(path), copyFileSync(join(folder, 'plain'), path))),
      'a folder is a link to its like': (folder) => {
        renameSync(join(folder, 'folder'), join(work, 'elsewhere'));
        symlinkSync(join(work, 'elsewhere'), join(folder, 'folder'));
      },
      'a hard link is a copy': (folder) =>
        keepingTimes(join(folder, 'twin-b'), (path) => (rmSync(path), writeFileSync(path, 'content of twin-a'))),
      'equal files are one': (folder) => {
        rmSync(join(folder, 'copy'));
        linkSync(join(folder, 'plain'), join(folder, 'copy'));
      },
      'an attribute is lost': (folder) => native()?.removeExtendedAttribute(join(folder, 'attributed'), 'user.note'),
      'an attribute is another': (folder) =>
        native()?.writeExtendedAttribute(join(folder, 'attributed'), 'user.note', Buffer.from('lost')),
      'an attribute is added': (folder) =>
        native()?.writeExtendedAttribute(join(folder, 'plain'), 'user.more', Buffer.from('x')),
      ...(isRoot && { 'an owner is another': (folder: string) => chownSync(join(folder, 'plain'), 12, 12) }),
    };

    test.each(Object.keys(tampering))('sees that %s', async (name) => {
      const folder = await restored();
      const place = join(folder, data);
      const untouched = await compare(folder);
      expect(untouched.differences).toEqual([]);
      keepingTimes(place, () =>
        keepingTimes(join(place, 'folder'), () =>
          keepingTimes(join(place, 'folder/empty'), () => tampering[name]?.(place)),
        ),
      );
      const { differences } = await compare(folder);
      expect(differences.length).toBeGreaterThan(0);
      expect(differences.length).toBeLessThanOrEqual(3);
    });

    test('passes on a tree made at random, and sees any byte of it that is another', async () => {
      const seed = Math.floor(systemRandom() * 2 ** 32);
      process.stdout.write(`proven tree with seed ${seed}\n`);
      const random = seededRandom(seed);
      const wild = join(home.path, 'wild');
      mkdirSync(wild);
      fillFolder(wild, random, 80);
      const taken = await backupFolder(repository, wild, { pool });
      expect(await proofOf(taken.snapshot)).toMatchObject({ outcome: 'passed' });
      const folder = await restored(taken.snapshot);
      const names = readdirSync(fsPath(wild), { recursive: true, encoding: 'buffer' }).map(nameFromBytes);
      const changed = names.filter((name) => {
        const place = `${folder}${wild}/${name}`;
        const stats = lstatSync(fsPath(place));
        if (!stats.isFile() || stats.size === 0 || stats.nlink > 1) return false;
        const bytes = readFileSync(fsPath(place));
        const at = Math.floor(random() * stats.size);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8));
        keepingTimes(place, () => writeFileSync(fsPath(place), bytes));
        return true;
      });
      const { differences } = await compare(folder, taken.snapshot);
      expect(differences.map(({ name }) => name).toSorted()).toEqual(
        changed.map((name) => `${wild}/${name}`).toSorted(),
      );
    });

    test('fails with the file and the pack where a pack is damaged, and cleans up', async () => {
      await using own = await temporaryFolder();
      mkdirSync(join(own.path, 'data'));
      writeFileSync(join(own.path, 'data/file'), 'precious');
      const lone = await createRepository(own.path);
      const taken = await backupFolder(lone, join(own.path, 'data'));
      await using threads = new WorkerPool(lone);
      const index = await loadIndex(lone, noSignal);
      const { pack } =
        Array.from({ length: index.size }, (_, at) => index.at(at)).find(({ type }) => type === 'data') ?? {};
      const path = join(own.path, 'repository/data', String(pack).slice(0, 2), String(pack));
      rmSync(path);
      writeFileSync(path, 'garbage');
      const request = { indexed: { repository: lone, index }, pool: threads, snapshot: taken.snapshot, source: files };
      const rest = { checks: [], workFolder: work, component: 'files', clock: systemClock, program: 'test' };
      const proof = await prove({ ...request, ...rest }, noSignal);
      expect(proof).toMatchObject({
        outcome: 'failed',
        differences: [{ name: join(own.path, 'data/file'), kind: 'missing' }],
      });
      expect(readdirSync(work)).toEqual([]);
    });

    test.each([
      ['that is not there', { file: 'plane' }, 'failed', 'nothing'],
      ['that is too small', { file: 'plain', minBytes: 1000 }, 'failed', '16'],
      ['outside of it', { file: '../../../../../../etc/passwd' }, 'failed', 'nothing'],
      ['in a database', { sql: 'select 1' }, 'inconclusive', 'no tables'],
    ] as [string, ContentCheck, string, string][])(
      'whose check asks for something %s says so',
      async (_what, check, outcome, words) => {
        const proof = await proofOf(snapshot, { checks: [check] });
        expect(proof).toMatchObject({ outcome, differences: [] });
        expect(proof.message).toContain(words);
      },
    );

    test('is inconclusive where there is nowhere to restore to', async () => {
      expect(await proofOf(snapshot, { workFolder: join(work, 'missing') })).toMatchObject({ outcome: 'inconclusive' });
    });

    test('that is aborted rejects and cleans up', async () => {
      const stop = new AbortController();
      const stopping: Workers = {
        threadsMax: 1,
        run(kind, task, transfer) {
          if (kind === 'compare') stop.abort();
          return pool.run(kind, task, transfer);
        },
      };
      await expect(proofOf(snapshot, { pool: stopping, signal: stop.signal })).rejects.toThrow('aborted');
      expect(readdirSync(work)).toEqual([]);
    });

    test.skipIf(!isRoot)('passes without rights too, and clears away what it restored write-protected', async () => {
      mkdirSync(join(home.path, 'protected/inner'), { recursive: true });
      writeFileSync(join(home.path, 'protected/inner/file'), 'x', { mode: 0o400 });
      chmodSync(join(home.path, 'protected/inner'), 0o500);
      const taken = await backupFolder(repository, join(home.path, 'protected'), { pool });
      for (const at of [home.path, work]) chmodSync(at, 0o777);
      openForAll(join(home.path, 'repository'));
      expect(await unprivilegedAsync(() => proofOf(taken.snapshot))).toMatchObject({ outcome: 'passed' });
      expect(readdirSync(work)).toEqual([]);
    });

    async function restored(wanted = snapshot): Promise<string> {
      const folder = join(work, 'restored');
      expect((await restoreTo(repository, { pool, snapshot: wanted, target: folder })).problems).toEqual([]);
      return folder;
    }

    async function compare(folder: string, wanted = snapshot): Promise<TreeComparison> {
      return compareTree(await parts(wanted), folder, noSignal);
    }
  });

  describe('of a service', () => {
    const fingerprint = (rows: number, sum: string, method = 'm1'): Fingerprint => ({
      ...{ version: 1, method },
      items: [{ name: 'shop.public.orders', rows, sum }],
    });

    async function snapshotWith(stored: Fingerprint | undefined): Promise<StoredSnapshot> {
      const source = madeSource({ entries: () => [], fingerprint: stored });
      const options = { component: `service-${systemRandom()}`, programVersion: 'test', signal: noSignal, pool };
      return (await backup(repository, source, options)).snapshot;
    }

    /** A service whose sandbox comes up with `found` in it, or breaks. */
    function service(found: Partial<Sandbox> | AppError, open: { count: number }): Source {
      const sandbox: Sandbox = {
        description: 'a sandbox',
        restore: () => Promise.resolve(),
        fingerprint: () => Promise.resolve(fingerprint(7, '42')),
        valueOf: () => Promise.resolve(1),
        [Symbol.asyncDispose]: () => Promise.resolve(),
        ...(found instanceof AppError ? {} : found),
      };
      return {
        ...madeSource({ entries: () => [] }),
        restore: {
          kind: 'service',
          decide: () => Promise.reject(new Error('not asked for')),
          sandbox() {
            if (found instanceof AppError) return Promise.reject(found);
            open.count += 1;
            const dispose = async () => {
              open.count -= 1;
              await sandbox[Symbol.asyncDispose]();
            };
            return Promise.resolve({ ...sandbox, [Symbol.asyncDispose]: dispose });
          },
        },
      };
    }

    const stored = fingerprint(7, '42');
    const missingTool = new AppError('TOOL_MISSING', 'no server of version 15', { hint: 'Install it.' });
    test.each([
      ['passes where the fingerprint agrees', stored, {}, 'passed', '7 rows'],
      [
        'fails where a row is lost',
        stored,
        { fingerprint: () => Promise.resolve(fingerprint(6, '40')) },
        'failed',
        '6 rows instead of 7',
      ],
      [
        'fails where a row is another',
        stored,
        { fingerprint: () => Promise.resolve(fingerprint(7, '43')) },
        'failed',
        'not the same',
      ],
      [
        'fails where a table is lost',
        stored,
        { fingerprint: () => Promise.resolve({ ...stored, items: [] }) },
        'failed',
        'missing',
      ],
      ['fails where a table is added', { ...stored, items: [] }, {}, 'failed', 'added'],
      [
        'fails where the restore does',
        stored,
        { restore: () => Promise.reject(new Error('line 7: syntax error')) },
        'failed',
        'syntax error',
      ],
      ['fails where a check does', stored, { valueOf: () => Promise.resolve(0) }, 'failed', 'select'],
      ['is inconclusive without a fingerprint', undefined, {}, 'inconclusive', 'no fingerprint'],
      ['is inconclusive with one of another method', fingerprint(7, '42', 'm0'), {}, 'inconclusive', "'m0'"],
      ['is inconclusive where a tool is missing', stored, missingTool, 'inconclusive', 'version 15'],
      [
        'tells what could not be cleaned away, and its verdict stays',
        stored,
        { [Symbol.asyncDispose]: () => Promise.reject(new Error('pid 7 stays')) },
        'passed',
        'pid 7 stays',
      ],
    ] as [string, Fingerprint | undefined, Partial<Sandbox> | AppError, string, string][])(
      '%s',
      async (_what, expected, found, outcome, words) => {
        const open = { count: 0 };
        const source = service(found, open);
        const proof = await proofOf(await snapshotWith(expected), { source, checks: [{ sql: 'select count(*)' }] });
        expect(proof.outcome).toBe(outcome);
        expect(proof.message).toContain(words);
        expect(open.count).toBe(0);
      },
    );
  });
});

/** Changes something without leaving a trace in the time of its last change. */
function keepingTimes(path: string, change: (path: string) => void): void {
  const before = lstatSync(fsPath(path), { bigint: true });
  change(path);
  if (lstatSync(fsPath(path), { throwIfNoEntry: false }) === undefined) return;
  if (lstatSync(fsPath(path)).isSymbolicLink() && !before.isSymbolicLink()) return;
  native()?.writeTimes(path, before.atimeNs, before.mtimeNs);
}

function openForAll(at: string): void {
  const isFolder = lstatSync(at).isDirectory();
  chmodSync(at, isFolder ? 0o755 : 0o444);
  if (isFolder) for (const name of readdirSync(at)) openForAll(join(at, name));
}
