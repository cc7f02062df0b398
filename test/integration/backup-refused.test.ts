// What keeps a backup out, or stops it: other processes, stores that refuse, repositories that are not as they should be.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { loadIndex } from '../../src/repository/load-index.ts';
import { acquireLock, readLocks } from '../../src/repository/lock.ts';
import { openRepository } from '../../src/repository/open-repository.ts';
import { seal } from '../../src/repository/seal.ts';
import { loadSnapshots } from '../../src/repository/snapshot.ts';
import { filesSource } from '../../src/sources/files/files-source.ts';
import { localStore } from '../../src/storage/local/store.ts';
import { saveHandmade, type RawNode } from '../support/handmade-tree.ts';
import { disturbedSource } from '../support/made-source.ts';
import { fillFolder, noise } from '../support/random-tree.ts';
import { noSignal, testPassword } from '../support/repository.ts';
import { canMount, mountSmallDisk } from '../support/small-disk.ts';
import { useScenes } from '../support/scene.ts';
import { expectSound, giveToNobody } from '../support/soundness.ts';
import { isRoot, unprivilegedAsync } from '../support/unprivileged.ts';

const mebibyte = 1024 * 1024;

describe('a backup', () => {
  const scene = useScenes();

  const random = seededRandom(12);

  describe('beside others', () => {
    beforeEach(() => fillFolder(scene.data, seededRandom(21), 40));

    test('succeeds while another one runs, and both are whole', async () => {
      const [left, right] = await Promise.all([
        scene.backUp({ component: 'left' }),
        scene.backUp({ component: 'right' }),
      ]);
      expect(left.snapshot.tree).toBe(right.snapshot.tree);
      await expectSound(scene.repository, 2);
      expect((await scene.restore()).problems).toEqual([]);
    });

    test('is refused under an exclusive lock', async () => {
      {
        await using _ = await acquireLock(scene.repository, { isExclusive: true, signal: noSignal });
        await expect(scene.backUp()).rejects.toMatchObject({ code: 'REPOSITORY_LOCKED', exitCode: 11 });
        expect(await readLocks(scene.repository, noSignal)).toHaveLength(1);
      }
      await scene.backUp();
      await expectSound(scene.repository, 1);
    });

    test('whose lock is taken away writes no snapshot', async () => {
      const source = disturbedSource(filesSource({ paths: [scene.data] }), () => {
        for (const name of readdirSync(join(scene.folder, 'repository/locks')))
          rmSync(join(scene.folder, 'repository/locks', name));
      });
      await expect(scene.backUpFrom(source)).rejects.toMatchObject({ code: 'LOCK_LOST', exitCode: 11 });
      await expectSound(scene.repository, 0);
    });
  });

  describe.skipIf(!canMount)('into a store that is full', () => {
    test('says so, leaves nothing half visible, and goes on from there when there is space again', async () => {
      for (let number = 0; number < 20; number += 1)
        writeFileSync(join(scene.data, `x-${number}`), noise(random, 900_000));
      const path = join(scene.folder, 'repository');
      renameSync(path, `${path}-full`);
      using disk = mountSmallDisk(path, 'size=8m');
      execFileSync('cp', ['-a', `${path}-full/.`, disk.path]);
      await expect(scene.backUp({ packTargetBytes: mebibyte })).rejects.toMatchObject({ code: 'STORE_FULL' });
      expect(await readLocks(scene.repository, noSignal)).toEqual([]);
      expect(await loadSnapshots(scene.repository, noSignal)).toEqual([]);
      execFileSync('mount', ['-o', 'remount,size=60m', disk.path]);
      await scene.backUp({ packTargetBytes: mebibyte });
      await expectSound(scene.repository, 1);
      expect((await scene.restore()).problems).toEqual([]);
      scene.expectAllBack();
    });
  });

  test.skipIf(!isRoot)('into a store that refuses says so', async () => {
    writeFileSync(join(scene.data, 'file'), 'x');
    giveToNobody(join(scene.folder, 'repository'));
    chmodSync(scene.folder, 0o777);
    mkdirSync(join(scene.folder, 'repository/data'), { mode: 0o755 });
    await expect(unprivilegedAsync(() => scene.backUp())).rejects.toMatchObject({ code: 'STORE_DENIED' });
    expect(await loadSnapshots(scene.repository, noSignal)).toEqual([]);
    expect(await readLocks(scene.repository, noSignal)).toEqual([]);
  });

  describe('into a repository that is not as it should be', () => {
    beforeEach(async () => {
      writeFileSync(join(scene.data, 'file'), 'x');
      await scene.backUp();
    });
    const root = () => join(scene.folder, 'repository');
    const open = () => openRepository(localStore(root()), { password: testPassword, signal: noSignal });
    const openAndBackUp = async () => scene.backUp({}, { ...(await open()), lockSettings: { settleMs: 0 } });

    function overwrite(path: string, change: (bytes: Buffer) => Buffer): void {
      const bytes = change(readFileSync(path));
      rmSync(path);
      writeFileSync(path, bytes);
    }

    test.each([1, 3])('of version %i says that it does not know it', async (version) => {
      const json = JSON.stringify({ version, id: 'a'.repeat(64), chunker_polynomial: '25b468838dcb75' });
      overwrite(join(root(), 'config'), () => seal(scene.repository.keys, Buffer.from(json)));
      await expect(open()).rejects.toMatchObject({
        code: 'REPOSITORY_UNSUPPORTED',
        message: expect.stringContaining(`version ${version}`) as string,
      });
    });

    const flip = (bytes: Buffer): Buffer => bytes.fill((bytes[20] ?? 0) ^ 4, 20, 21);
    test.each([
      ['config', 'flipped', flip],
      ['config', 'cut', (bytes) => bytes.subarray(0, 9)],
      ['keys', 'flipped', flip],
      ['keys', 'cut', () => Buffer.alloc(0)],
      ['index', 'flipped', flip],
      ['index', 'cut', () => Buffer.alloc(0)],
    ] as [string, string, (bytes: Buffer) => Buffer][])('whose %s is %s names the file', async (kind, _how, damage) => {
      const [name] = kind === 'config' ? [''] : readdirSync(join(root(), kind));
      const file = join(kind, name ?? '');
      overwrite(join(root(), file), damage);
      await expect(openAndBackUp()).rejects.toMatchObject({
        code: 'REPOSITORY_DAMAGED',
        exitCode: 20,
        message: expect.stringContaining(file.replace(/\/$/, '')) as string,
      });
    });

    test('that has a damaged snapshot goes ahead all the same, and names it', async () => {
      const [name = ''] = readdirSync(join(root(), 'snapshots'));
      overwrite(join(root(), 'snapshots', name), flip);
      const { problems, parent } = await openAndBackUp();
      expect(problems).toMatchObject([{ path: `snapshots/${name}` }]);
      expect(parent).toBeUndefined();
    });

    test('whose parent snapshot has trees that are lost reads all again and stores them again', async () => {
      const indexed = await loadIndex(scene.repository, noSignal);
      for (let record = 0; record < indexed.size; record += 1) {
        const { type, pack } = indexed.at(record);
        const path = join(root(), 'data', pack.slice(0, 2), pack);
        if (type === 'tree' && existsSync(path)) overwrite(path, (bytes) => bytes.fill(0));
      }
      const { problems, files } = await scene.backUp();
      expect(problems).toEqual([]);
      expect(files).toEqual({ new: 1, changed: 0, unmodified: 0, failed: 0 });
      expect((await scene.restore()).problems).toEqual([]);
      scene.expectAllBack();
    });

    test('whose parent snapshot has times that are none takes its files for changed', async () => {
      const names = scene.data.split('/').slice(1);
      const file = { name: 'file', type: 'file', data: [Buffer.from('old')], mtime: 'long ago', ctime: '', size: 1 };
      const { ino } = lstatSync(join(scene.data, 'file'));
      const nodes = names.reduceRight<RawNode[]>(
        (below, name) => [{ name, type: 'dir', nodes: below }],
        [{ ...file, inode: ino }],
      );
      await saveHandmade(scene.repository, { nodes, paths: [scene.data], time: '2030-01-01T00:00:00Z' }, scene.pool);
      const { files } = await scene.backUp({ host: 'hostile' });
      expect(files).toEqual({ new: 0, changed: 1, unmodified: 0, failed: 0 });
    });
  });
});
