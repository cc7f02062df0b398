// What goes wrong while data comes back: no space, things in the way, kills, damaged packs. And what must not be touched.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { AppError } from '../../src/base/errors.ts';
import { native } from '../../src/base/native.ts';
import { seededRandom } from '../../src/base/random.ts';
import { BlobIndex } from '../../src/repository/blob-index.ts';
import { listFolder } from '../support/compare-folders.ts';
import { saveHandmade } from '../support/handmade-tree.ts';
import { fillFolder, noise } from '../support/random-tree.ts';
import { restoreTo } from '../support/repository.ts';
import { canMount, mountSmallDisk } from '../support/small-disk.ts';
import { openForAll, useScenes } from '../support/scene.ts';
import { damagePacks, dataPacks } from '../support/damaged-packs.ts';
import { isRoot, unprivilegedAsync } from '../support/unprivileged.ts';
import { watchRepository } from '../support/watched-store.ts';
import { freshSeed } from '../support/fresh-seed.ts';

const mebibyte = 1024 * 1024;

describe('a restore', () => {
  const scene = useScenes();

  const random = seededRandom(3);

  test('brings back what is sparse as sparse', async () => {
    for (const [name, size] of [
      ['small', 3],
      ['middle', 40],
      ['large', 200],
    ] as const) {
      writeFileSync(join(scene.data, name), 'at the beginning');
      if (name === 'small') truncateSync(join(scene.data, name), 0);
      truncateSync(join(scene.data, name), size * mebibyte);
    }
    await scene.backUp();
    expect((await scene.restore()).problems).toEqual([]);
    scene.expectAllBack();
    const blocks = (name: string) => (lstatSync(join(scene.target, name)).blocks * 512) / mebibyte;
    expect(blocks('small')).toBeLessThan(1);
    expect(blocks('middle')).toBeLessThan(9);
    expect(blocks('large')).toBeLessThan(9);
  });

  test('brings back a file of more than 4 GiB that is nearly all hole, in the same blocks', async () => {
    const islands = [0, 2 ** 32 - 50, 2 ** 32 + 3_000_000].map((at) => ({ at, bytes: noise(random, 100) }));
    const path = join(scene.data, 'huge');
    writeFileSync(path, '');
    const file = openSync(path, 'r+');
    for (const { at, bytes } of islands) writeSync(file, bytes, 0, bytes.length, at);
    closeSync(file);
    await scene.backUp();
    expect((await scene.restore()).problems).toEqual([]);
    const [before, after] = [path, join(scene.target, 'huge')].map((each) => {
      const found = openSync(each, 'r');
      const data = islands.map(({ at }) => {
        const bytes = Buffer.alloc(100);
        readSync(found, bytes, 0, 100, at);
        return bytes.toString('hex');
      });
      const next = [0, mebibyte, 2 ** 32 + mebibyte].map((from) => native()?.nextData(found, from));
      closeSync(found);
      return { data, next, size: lstatSync(each).size, isSmall: lstatSync(each).blocks * 512 < mebibyte };
    });
    expect(before?.isSmall).toBe(true);
    expect(after).toMatchObject({ data: before?.data, size: before?.size, isSmall: true });
    // Holes are made in pieces of 64 KiB.
    for (const [at, place] of (before?.next ?? []).entries())
      expect(Math.abs((after?.next[at] ?? 0) - (place ?? 0))).toBeLessThan(64 * 1024);
  });

  test.skipIf(!isRoot)('without rights brings all back but the owners, and counts those', async () => {
    writeFileSync(join(scene.data, 'mine'), 'x', { mode: 0o4755 });
    mkdirSync(join(scene.data, 'closed'), { mode: 0o500 });
    writeFileSync(join(scene.data, 'closed/inside'), 'y', { mode: 0o400 });
    await scene.backUp();
    chmodSync(scene.folder, 0o777);
    openForAll(join(scene.folder, 'repository'));
    const { problems, ownersRefused } = await unprivilegedAsync(() => scene.restore());
    expect(problems).toEqual([]);
    expect(ownersRefused).toBe(3);
    expect(readFileSync(join(scene.target, 'closed/inside'), 'utf8')).toBe('y');
    expect(lstatSync(join(scene.target, 'mine')).mode & 0o7777).toBe(0o755);
    expect(lstatSync(join(scene.target, 'closed')).mode & 0o777).toBe(0o500);
  });

  describe('from damaged packs', () => {
    beforeEach(async () => {
      for (const name of ['a', 'b', 'c']) writeFileSync(join(scene.data, name), noise(random, 300_000));
      await scene.backUp({ packTargetBytes: 200_000 });
    });

    test.each([
      ['flipped', (bytes: Buffer) => ((bytes[1000] = (bytes[1000] ?? 0) ^ 1), bytes)],
      ['cut', (bytes: Buffer) => bytes.subarray(0, 1000)],
      ['gone', () => undefined],
    ] as [string, (bytes: Buffer) => Buffer | undefined][])(
      'that are %s: reports the file with the pack, restores all others',
      async (_how, damage) => {
        const [name = ''] = await dataPacks(scene.repository);
        damagePacks(scene.repository, [name], damage);
        const { problems } = await scene.restore();
        expect(problems).toHaveLength(1);
        expect(problems[0]?.message).toContain(name);
        const lost = problems[0]?.path.slice(scene.target.length + 1) ?? '';
        expect(readdirSync(scene.target).toSorted()).toEqual(['a', 'b', 'c'].filter((each) => each !== lost));
        rmSync(join(scene.data, lost));
        scene.expectAllBack();
      },
    );

    test('whose sectors can’t be read does the same', async () => {
      const [broken = ''] = await dataPacks(scene.repository);
      const watched = watchRepository(scene.repository, {
        beforeGet(name) {
          if (name.endsWith(broken)) throw new AppError('STORE_FAILED', `could not read ${name}: EIO`, { hint: 'x' });
        },
      });
      const { problems } = await scene.restore({}, watched);
      expect(problems).toHaveLength(1);
      expect(problems[0]?.message).toContain(broken);
    });

    test('of which others have a copy takes that one', async () => {
      const before = new Set(await dataPacks(scene.repository));
      const bytes = noise(random, 5000);
      const nodes = [{ name: 'x', type: 'file', data: [bytes] }];
      const snapshot = await saveHandmade(scene.repository, { nodes }, scene.pool);
      const first = (await dataPacks(scene.repository)).filter((name) => !before.has(name));
      await saveHandmade(scene.repository, { nodes, index: new BlobIndex() }, scene.pool);
      for (const damage of [(old: Buffer) => old.fill(1), () => undefined]) {
        damagePacks(scene.repository, first, damage);
        rmSync(scene.target, { recursive: true, force: true });
        const { problems } = await restoreTo(scene.repository, {
          pool: scene.pool,
          snapshot,
          target: scene.target,
          isDelta: true,
        });
        expect(problems).toEqual([]);
        expect(readFileSync(join(scene.target, 'x')).equals(bytes)).toBe(true);
      }
    });

    test('does not give a second name to what is lost', async () => {
      writeFileSync(join(scene.data, 'd'), noise(random, 300_000));
      linkSync(join(scene.data, 'd'), join(scene.data, 'e'));
      const before = new Set(await dataPacks(scene.repository));
      await scene.backUp({ packTargetBytes: 200_000 });
      mkdirSync(scene.target);
      writeFileSync(join(scene.target, 'd'), 'something else');
      const added = (await dataPacks(scene.repository)).filter((name) => !before.has(name));
      damagePacks(scene.repository, added, (bytes) => bytes.fill(1));
      const { problems } = await scene.restore();
      expect(problems.map(({ path }) => path)).toEqual([join(scene.target, 'd'), join(scene.target, 'e')]);
      expect(readdirSync(scene.target).toSorted()).toEqual(['a', 'b', 'c', 'd']);
    });
  });

  test('that is killed at any moment leaves what its repetition makes good', async () => {
    const seed = freshSeed('kills');
    const seeded = seededRandom(seed);
    mkdirSync(join(scene.data, 'random'));
    fillFolder(join(scene.data, 'random'), seeded, 40);
    for (let number = 0; number < 40; number += 1)
      writeFileSync(join(scene.data, `file-${number}`), noise(seeded, 400_000));
    await scene.backUp({ packTargetBytes: 500_000 });
    mkdirSync(join(scene.target, scene.data), { recursive: true });
    for (let number = 0; number < 20; number += 1)
      writeFileSync(join(scene.target, scene.data, `file-${number}`), 'old');
    for (let round = 0; round < 2; round += 1) {
      const child = fork(new URL('../support/restore-child.ts', import.meta.url), [scene.folder, scene.target]);
      let left = 1 + Math.floor(seeded() * 12);
      child.on('message', () => {
        left -= 1;
        if (left === 0) child.kill('SIGKILL');
      });
      await once(child, 'exit');
    }
    expect((await restoreTo(scene.repository, { pool: scene.pool, target: scene.target })).problems).toEqual([]);
    expect(listFolder(join(scene.target, scene.data)).slice(1)).toEqual(listFolder(scene.data).slice(1));
  });

  test('that is aborted leaves complete files only', async () => {
    for (let number = 0; number < 30; number += 1)
      writeFileSync(join(scene.data, `file-${number}`), noise(random, 900_000));
    await scene.backUp({ packTargetBytes: 500_000 });
    const stop = new AbortController();
    let gets = 0;
    const watched = watchRepository(scene.repository, {
      beforeGet(name) {
        if (name.startsWith('data/')) gets += 1;
        if (gets === 15) stop.abort();
      },
    });
    await expect(scene.restore({ signal: stop.signal }, watched)).rejects.toThrow('aborted');
    expectComplete();
  });

  describe.skipIf(!canMount)('onto a small disk', () => {
    beforeEach(() => {
      for (let number = 0; number < 30; number += 1)
        writeFileSync(join(scene.data, `file-${number}`), noise(random, 900_000));
    });

    test('is refused beforehand where the space does not suffice', async () => {
      await scene.backUp();
      using disk = mountSmallDisk(scene.target, 'size=20m');
      await expect(scene.restore()).rejects.toMatchObject({ code: 'TARGET_SPACE' });
      expect(readdirSync(disk.path)).toEqual([]);
    });

    test('ends clearly where the space vanishes meanwhile, and leaves complete files only', async () => {
      await scene.backUp({ packTargetBytes: 500_000 });
      using disk = mountSmallDisk(scene.target, 'size=60m');
      let gets = 0;
      const watched = watchRepository(scene.repository, {
        beforeGet(name) {
          if (!name.startsWith('data/')) return;
          gets += 1;
          if (gets === 10) writeFileSync(join(disk.path, 'eater'), noise(random, 45 * mebibyte));
        },
      });
      await expect(scene.restore({}, watched)).rejects.toMatchObject({ code: 'TARGET_SPACE' });
      rmSync(join(disk.path, 'eater'));
      expectComplete();
      expect((await scene.restore()).problems).toEqual([]);
      scene.expectAllBack();
    });

    test('that is write-protected is refused', async () => {
      await scene.backUp();
      using _ = mountSmallDisk(scene.target, 'size=60m,ro');
      for (const each of [scene.target, join(scene.target, 'below')]) {
        await expect(scene.restore({ target: each })).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
      }
    });
  });

  /** Whatever is in the target is as it was in the data; something is missing, and a mark says so. */
  function expectComplete(): void {
    const isMark = (name: string): boolean => name.startsWith('.lifeboat-unfinished-');
    expect(readdirSync(scene.target).filter(isMark)).toHaveLength(1);
    const names = readdirSync(scene.target).filter((name) => !isMark(name));
    expect(names.length).toBeGreaterThan(0);
    expect(names.length).toBeLessThan(readdirSync(scene.data).length);
    const good = new Set(listFolder(scene.data));
    expect(
      listFolder(scene.target)
        .slice(1)
        .filter((line) => !good.has(line) && !isMark(line.slice(2))),
    ).toEqual([]);
  }
});
