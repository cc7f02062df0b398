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
import { noise } from '../support/random-tree.ts';
import { useScenes } from '../support/scene.ts';
import { damagePacks, dataPacks } from '../support/damaged-packs.ts';
import { isRoot } from '../support/unprivileged.ts';
import { watchRepository } from '../support/watched-store.ts';

const mebibyte = 1024 * 1024;

describe('a restore into a place with something in it', () => {
  const scene = useScenes();

  const random = seededRandom(3);

  beforeEach(async () => {
    mkdirSync(join(scene.data, 'folder'));
    writeFileSync(join(scene.data, 'folder/large'), noise(random, 6 * mebibyte));
    writeFileSync(join(scene.data, 'small'), 'as it was');
    writeFileSync(join(scene.data, 'empty'), '');
    symlinkSync('small', join(scene.data, 'link'));
    await scene.backUp();
    await cp(scene.data, scene.target, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
  });

  test('leaves files and links that are as they should be untouched', async () => {
    const inode = (name: string) => lstatSync(join(scene.target, name), { bigint: true }).ino;
    const names = ['folder/large', 'small', 'empty', 'link'];
    const before = names.map(inode);
    for (const isDelta of [false, true]) {
      const watched = watchRepository(scene.repository);
      const { problems, writtenBytes } = await scene.restore({ isDelta }, watched);
      expect({ problems, writtenBytes }).toEqual({ problems: [], writtenBytes: 0 });
    }
    expect(names.map(inode)).toEqual(before);
    scene.expectAllBack();
  });

  test('shows the old content of a file until the new one is complete', async () => {
    const old = noise(random, 6 * mebibyte);
    writeFileSync(join(scene.target, 'folder/large'), old);
    const seen: boolean[] = [];
    const watched = watchRepository(scene.repository, {
      beforeGet: () => void seen.push(readFileSync(join(scene.target, 'folder/large')).equals(old)),
    });
    await scene.restore({}, watched);
    expect(seen.length).toBeGreaterThan(1);
    expect(seen).not.toContain(false);
    scene.expectAllBack();
  });

  test('keeps old files and links where the new ones can’t be read', async () => {
    writeFileSync(join(scene.target, 'small'), 'newer');
    rmSync(join(scene.target, 'empty'));
    symlinkSync('small', join(scene.target, 'empty'));
    rmSync(join(scene.target, 'folder/large'));
    symlinkSync('../small', join(scene.target, 'folder/large'));
    damagePacks(scene.repository, await dataPacks(scene.repository), (bytes) => bytes.fill(0));
    const { problems } = await scene.restore();
    expect(problems.map(({ path }) => path).toSorted()).toEqual([
      join(scene.target, 'folder/large'),
      join(scene.target, 'small'),
    ]);
    expect(readFileSync(join(scene.target, 'small'), 'utf8')).toBe('newer');
    expect(lstatSync(join(scene.target, 'folder/large')).isSymbolicLink()).toBe(true);
    expect(lstatSync(join(scene.target, 'empty'))).toMatchObject({ size: 0 });
    expect(readdirSync(scene.target, { recursive: true })).toHaveLength(5);
  });

  test('writes only blocks that differ in delta mode, into the same file', async () => {
    const file = join(scene.target, 'folder/large');
    const changed = readFileSync(file);
    changed.fill(7, 4 * mebibyte, 4 * mebibyte + 100);
    writeFileSync(file, changed);
    const { ino } = lstatSync(file);
    const watched = watchRepository(scene.repository);
    const { writtenBytes, bytes } = await scene.restore({ isDelta: true }, watched);
    expect(lstatSync(file).ino).toBe(ino);
    expect(writtenBytes).toBeGreaterThan(0);
    expect(writtenBytes).toBeLessThan(6 * mebibyte * 0.9);
    expect(watched.store.packBytesRead).toBeLessThan(6 * mebibyte * 0.95);
    expect(bytes).toBe(6 * mebibyte + 'as it was'.length);
    scene.expectAllBack();
  });

  test.each([
    ['shorter', (file: string) => truncateSync(file, 3 * mebibyte)],
    ['longer', (file: string) => truncateSync(file, 8 * mebibyte)],
    ['empty', (file: string) => truncateSync(file, 0)],
    ['write-protected and different', (file: string) => (truncateSync(file, 5), chmodSync(file, 0o400))],
  ])('in delta mode mends a file that is %s', async (_how, change) => {
    change(join(scene.target, 'folder/large'));
    if (isRoot) await scene.backUp(); // As owner of all, whose rights the modes do not limit.
    expect((await scene.restore({ isDelta: true })).problems).toEqual([]);
    scene.expectAllBack();
  });

  test('does not reach through hard links of the target, delta or not', async () => {
    for (const isDelta of [false, true]) {
      const twin = join(scene.folder, `twin-${isDelta}`);
      writeFileSync(join(scene.target, 'small'), 'changed');
      linkSync(join(scene.target, 'small'), twin);
      expect((await scene.restore({ isDelta })).problems).toEqual([]);
      expect(readFileSync(join(scene.target, 'small'), 'utf8')).toBe('as it was');
      expect(readFileSync(twin, 'utf8')).toBe('changed');
    }
  });

  test('makes folders where files are, counts them as replaced, and leaves folders where files should go', async () => {
    rmSync(join(scene.target, 'folder'), { recursive: true });
    writeFileSync(join(scene.target, 'folder'), 'in the way');
    rmSync(join(scene.target, 'small'));
    mkdirSync(join(scene.target, 'small/kept'), { recursive: true });
    rmSync(join(scene.target, 'link'));
    mkdirSync(join(scene.target, 'link'));
    const { problems } = await scene.restore();
    expect(problems.map(({ path }) => path).toSorted()).toEqual([
      join(scene.target, 'link'),
      join(scene.target, 'small'),
    ]);
    expect(problems[0]?.message).toBe('a folder is in the way');
    expect(lstatSync(join(scene.target, 'folder/large')).size).toBe(6 * mebibyte);
    expect(readdirSync(join(scene.target, 'small'))).toEqual(['kept']);
  });

  test('refuses a target that is a file, or a place below one', async () => {
    const file = join(scene.target, 'small');
    for (const wrong of [file, join(file, 'below')]) {
      await expect(scene.restore({ target: wrong })).rejects.toMatchObject({ code: 'TARGET_UNSAFE' });
    }
    expect(readFileSync(file, 'utf8')).toBe('as it was');
  });

  test('refuses the repository as its target, also by another name', async () => {
    const alias = join(scene.folder, 'alias');
    symlinkSync(join(scene.folder, 'repository'), alias);
    for (const wrong of [join(scene.folder, 'repository/x'), alias, join(alias, 'x/y')]) {
      await expect(scene.restore({ target: wrong })).rejects.toMatchObject({ code: 'TARGET_UNSAFE' });
    }
  });
});
