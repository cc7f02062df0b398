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
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { fsPath, nameFromBytes } from '../../base/byte-name.ts';
import { systemClock } from '../../base/clock.ts';
import { native } from '../../base/native.ts';
import { seededRandom } from '../../base/random.ts';
import type { ContentCheck } from '../../model/content-check.ts';
import { loadIndex } from '../../repository/load-index.ts';
import type { Repository } from '../../repository/repository.ts';
import type { StoredSnapshot } from '../../repository/snapshot.ts';
import { WorkerPool, type Workers } from '../../repository/worker-pool.ts';
import type { Source } from '../../sources/source.ts';
import { madeSource } from '../../../test/support/made-source.ts';
import { fillFolder } from '../../../test/support/random-tree.ts';
import { backupFolder, createRepository, noSignal, restoreTo } from '../../../test/support/repository.ts';
import { useProofScene, type ProofScene } from '../../../test/support/proof-scene.ts';
import { openForAll } from '../../../test/support/scene.ts';
import { temporaryFolder } from '../../../test/support/temporary-folder.ts';
import { isRoot, unprivilegedAsync } from '../../../test/support/unprivileged.ts';
import { compareTree, type TreeComparison } from './compare-tree.ts';
import { prove } from './prove.ts';
import { freshSeed } from '../../../test/support/fresh-seed.ts';

const files: Source = madeSource({ entries: () => [] });

describe('a proof of files', () => {
  let scene: ProofScene;
  let repository: Repository;
  let pool: WorkerPool;
  let work: string;
  useProofScene((made) => {
    scene = made;
    ({ repository, pool, work } = made);
  });

  let data: string;
  let snapshot: StoredSnapshot;

  beforeAll(async () => {
    data = join(scene.folder, 'data');
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
    const proof = await scene.proofOf(snapshot, { checks: [{ file: 'plain', minBytes: 3 }] });
    expect(proof).toMatchObject({ outcome: 'passed', tree: snapshot.tree, differences: [] });
    expect(proof.compared).toBeGreaterThan(10);
    const counts = Object.fromEntries((proof.content ?? []).map(({ what, count }) => [what, count]));
    expect(counts).toMatchObject({ file: 5, byte: 16 * 2 + 17 * 2 + 1, link: 1 });
    expect(proof.message).toMatch(/^5 files of 67 B, \d+ folders and 1 link came back as they were$/);
    expect(proof.rows).toBe(0);
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
    const seed = freshSeed('proven tree');
    const random = seededRandom(seed);
    const wild = join(scene.folder, 'wild');
    mkdirSync(wild);
    fillFolder(wild, random, 80);
    const taken = await backupFolder(repository, wild, { pool });
    expect(await scene.proofOf(taken.snapshot)).toMatchObject({ outcome: 'passed' });
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
    expect(differences.map(({ name }) => name).toSorted()).toEqual(changed.map((name) => `${wild}/${name}`).toSorted());
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
    async (...[, check, outcome, words]) => {
      const proof = await scene.proofOf(snapshot, { checks: [check] });
      expect(proof).toMatchObject({ outcome, differences: [] });
      expect(proof.message).toContain(words);
    },
  );

  test('is inconclusive where there is nowhere to restore to', async () => {
    expect(await scene.proofOf(snapshot, { workFolder: join(work, 'missing') })).toMatchObject({
      outcome: 'inconclusive',
    });
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
    await expect(scene.proofOf(snapshot, { pool: stopping, signal: stop.signal })).rejects.toThrow('aborted');
    expect(readdirSync(work)).toEqual([]);
  });

  test.skipIf(!isRoot)(
    'passes without rights too, also where folders and files bar their owner, and clears them away',
    async () => {
      mkdirSync(join(scene.folder, 'protected/inner'), { recursive: true });
      writeFileSync(join(scene.folder, 'protected/inner/file'), 'x', { mode: 0o400 });
      chmodSync(join(scene.folder, 'protected/inner'), 0o500);
      mkdirSync(join(scene.folder, 'protected/barred/deep'), { recursive: true });
      const barred = join(scene.folder, 'protected/barred/deep/file');
      writeFileSync(barred, 'y');
      linkSync(barred, join(scene.folder, 'protected/barred/twin'));
      native()?.writeExtendedAttribute(barred, 'user.note', Buffer.from('kept'));
      for (const path of [barred, dirname(barred), join(scene.folder, 'protected/barred')]) chmodSync(path, 0o000);
      const taken = await backupFolder(repository, join(scene.folder, 'protected'), { pool });
      for (const at of [scene.folder, work]) chmodSync(at, 0o777);
      openForAll(join(scene.folder, 'repository'));
      const proof = await unprivilegedAsync(() => scene.proofOf(taken.snapshot));
      expect(proof).toMatchObject({ outcome: 'passed', differences: [] });
      expect(proof.message).toContain('3 files of 3 B');
      expect(readdirSync(work)).toEqual([]);
    },
  );

  async function restored(wanted = snapshot): Promise<string> {
    const folder = join(work, 'restored');
    expect((await restoreTo(repository, { pool, snapshot: wanted, target: folder })).problems).toEqual([]);
    return folder;
  }

  async function compare(folder: string, wanted = snapshot): Promise<TreeComparison> {
    return compareTree(await scene.parts(wanted), folder, noSignal);
  }
});

/** Changes something without leaving a trace in the time of its last change. */
function keepingTimes(path: string, change: (path: string) => void): void {
  const before = lstatSync(fsPath(path), { bigint: true });
  change(path);
  if (lstatSync(fsPath(path), { throwIfNoEntry: false }) === undefined) return;
  if (lstatSync(fsPath(path)).isSymbolicLink() && !before.isSymbolicLink()) return;
  native()?.writeTimes(path, before.atimeNs, before.mtimeNs);
}
