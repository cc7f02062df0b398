// A restore into a place with something in it: what is right stays, what differs is replaced, nothing else is touched.
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { listFolder } from '../support/compare-folders.ts';
import { noise } from '../support/random-tree.ts';
import { useScenes, type Scene } from '../support/scene.ts';
import { damagePacks, dataPacks } from '../support/damaged-packs.ts';
import { isRoot } from '../support/unprivileged.ts';
import { watchRepository } from '../support/watched-store.ts';

const mebibyte = 1024 * 1024;

describe('a restore into a place with something in it', () => {
  let scene: Scene;
  let folder: string;
  let repository: Repository;
  let data: string;
  let target: string;
  useScenes((fresh) => {
    scene = fresh;
    ({ folder, repository, data, target } = fresh);
  });

  const random = seededRandom(3);

  beforeEach(async () => {
    mkdirSync(join(data, 'folder'));
    writeFileSync(join(data, 'folder/large'), noise(random, 6 * mebibyte));
    writeFileSync(join(data, 'small'), 'as it was');
    writeFileSync(join(data, 'empty'), '');
    symlinkSync('small', join(data, 'link'));
    await scene.backUp();
    await cp(data, target, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  });

  test('leaves files and links that are as they should be untouched', async () => {
    const inode = (name: string) => lstatSync(join(target, name), { bigint: true }).ino;
    const names = ['folder/large', 'small', 'empty', 'link'];
    const before = names.map(inode);
    for (const isDelta of [false, true]) {
      const watched = watchRepository(repository);
      const { problems, writtenBytes } = await scene.restore({ isDelta }, watched);
      expect({ problems, writtenBytes }).toEqual({ problems: [], writtenBytes: 0 });
    }
    expect(names.map(inode)).toEqual(before);
    expect(listFolder(target).slice(1)).toEqual(listFolder(data).slice(1));
  });

  test('shows the old content of a file until the new one is complete', async () => {
    const old = noise(random, 6 * mebibyte);
    writeFileSync(join(target, 'folder/large'), old);
    const seen: boolean[] = [];
    const watched = watchRepository(repository, {
      beforeGet: () => void seen.push(readFileSync(join(target, 'folder/large')).equals(old)),
    });
    await scene.restore({}, watched);
    expect(seen.length).toBeGreaterThan(1);
    expect(seen).not.toContain(false);
    expect(listFolder(target).slice(1)).toEqual(listFolder(data).slice(1));
  });

  test('keeps old files and links where the new ones can’t be read', async () => {
    writeFileSync(join(target, 'small'), 'newer');
    rmSync(join(target, 'empty'));
    symlinkSync('small', join(target, 'empty'));
    rmSync(join(target, 'folder/large'));
    symlinkSync('../small', join(target, 'folder/large'));
    damagePacks(repository, await dataPacks(repository), (bytes) => bytes.fill(0));
    const { problems } = await scene.restore();
    expect(problems.map(({ path }) => path).toSorted()).toEqual([join(target, 'folder/large'), join(target, 'small')]);
    expect(readFileSync(join(target, 'small'), 'utf8')).toBe('newer');
    expect(lstatSync(join(target, 'folder/large')).isSymbolicLink()).toBe(true);
    expect(lstatSync(join(target, 'empty'))).toMatchObject({ size: 0 });
    expect(readdirSync(target, { recursive: true })).toHaveLength(5);
  });

  test('writes only blocks that differ in delta mode, into the same file', async () => {
    const file = join(target, 'folder/large');
    const changed = readFileSync(file);
    changed.fill(7, 4 * mebibyte, 4 * mebibyte + 100);
    writeFileSync(file, changed);
    const { ino } = lstatSync(file);
    const watched = watchRepository(repository);
    const { writtenBytes, bytes } = await scene.restore({ isDelta: true }, watched);
    expect(lstatSync(file).ino).toBe(ino);
    expect(writtenBytes).toBeGreaterThan(0);
    expect(writtenBytes).toBeLessThan(6 * mebibyte * 0.9);
    expect(watched.store.packBytesRead).toBeLessThan(6 * mebibyte * 0.95);
    expect(bytes).toBe(6 * mebibyte + 'as it was'.length);
    expect(listFolder(target).slice(1)).toEqual(listFolder(data).slice(1));
  });

  test.each([
    ['shorter', (file: string) => truncateSync(file, 3 * mebibyte)],
    ['longer', (file: string) => truncateSync(file, 8 * mebibyte)],
    ['empty', (file: string) => truncateSync(file, 0)],
    ['write-protected and different', (file: string) => (truncateSync(file, 5), chmodSync(file, 0o400))],
  ])('in delta mode mends a file that is %s', async (_how, change) => {
    change(join(target, 'folder/large'));
    if (isRoot) await scene.backUp(); // As owner of all, whose rights the modes do not limit.
    expect((await scene.restore({ isDelta: true })).problems).toEqual([]);
    expect(listFolder(target).slice(1)).toEqual(listFolder(data).slice(1));
  });

  test('does not reach through hard links of the target, delta or not', async () => {
    for (const isDelta of [false, true]) {
      const twin = join(folder, `twin-${isDelta}`);
      writeFileSync(join(target, 'small'), 'changed');
      linkSync(join(target, 'small'), twin);
      expect((await scene.restore({ isDelta })).problems).toEqual([]);
      expect(readFileSync(join(target, 'small'), 'utf8')).toBe('as it was');
      expect(readFileSync(twin, 'utf8')).toBe('changed');
    }
  });

  test('makes folders where files are, counts them as replaced, and leaves folders where files should go', async () => {
    rmSync(join(target, 'folder'), { recursive: true });
    writeFileSync(join(target, 'folder'), 'in the way');
    rmSync(join(target, 'small'));
    mkdirSync(join(target, 'small/kept'), { recursive: true });
    rmSync(join(target, 'link'));
    mkdirSync(join(target, 'link'));
    const { problems } = await scene.restore();
    expect(problems.map(({ path }) => path).toSorted()).toEqual([join(target, 'link'), join(target, 'small')]);
    expect(problems[0]?.message).toBe('a folder is in the way');
    expect(lstatSync(join(target, 'folder/large')).size).toBe(6 * mebibyte);
    expect(readdirSync(join(target, 'small'))).toEqual(['kept']);
  });

  test('refuses a target that is a file, or a place below one', async () => {
    const file = join(target, 'small');
    for (const wrong of [file, join(file, 'below')]) {
      await expect(scene.restore({ target: wrong })).rejects.toMatchObject({ code: 'TARGET_UNSAFE' });
    }
    expect(readFileSync(file, 'utf8')).toBe('as it was');
  });

  test('refuses the repository as its target, also by another name', async () => {
    const alias = join(folder, 'alias');
    symlinkSync(join(folder, 'repository'), alias);
    for (const wrong of [join(folder, 'repository/x'), alias, join(alias, 'x/y')]) {
      await expect(scene.restore({ target: wrong })).rejects.toMatchObject({ code: 'TARGET_UNSAFE' });
    }
  });
});
