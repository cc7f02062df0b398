// Which part of a snapshot comes back, and where: selections, base folders, in place.
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { listFolder } from '../support/compare-folders.ts';
import { backupFolder, type RestoreToRequest } from '../support/repository.ts';
import { useScenes } from '../support/scene.ts';

describe('a restore of a part', () => {
  const scene = useScenes();
  let data: string;

  beforeEach(async () => {
    data = join(scene.folder, 'srv/www');
    for (const folder of ['images/small', 'logs/old', 'empty']) mkdirSync(join(data, folder), { recursive: true });
    for (const file of ['index.html', 'images/a.png', 'images/small/b.png', 'images/readme.txt', 'logs/old/x.log'])
      writeFileSync(join(data, file), file);
    chmodSync(join(data, 'images'), 0o711);
    utimesSync(join(data, 'images'), 7, 7);
    await backupFolder(scene.repository, data, { pool: scene.pool });
  });

  async function restored(request: Partial<RestoreToRequest>): Promise<string[]> {
    const { problems } = await scene.restore({ base: '/', ...request });
    expect(problems).toEqual([]);
    return (readdirSync(scene.target, { recursive: true }) as string[]).toSorted();
  }

  test('by patterns brings the files and the folders that lead to them, with their modes', async () => {
    const names = await restored({ base: data, include: ['*.png'] });
    expect(names).toEqual(['images', 'images/a.png', 'images/small', 'images/small/b.png']);
    expect(lstatSync(join(scene.target, 'images'))).toMatchObject({ mode: 0o40_711, mtimeMs: 7000 });
  });

  test.each([
    [
      'a folder',
      { include: ['/SRV/images'] },
      ['images', 'images/a.png', 'images/readme.txt', 'images/small', 'images/small/b.png'],
    ],
    ['a folder without a part', { include: ['images'], exclude: ['small', '*.txt'] }, ['images', 'images/a.png']],
    ['all but some', { exclude: ['images', '*.log'] }, ['empty', 'index.html', 'logs', 'logs/old']],
    ['an empty folder', { include: ['empty'] }, ['empty']],
  ] as [string, { include?: string[]; exclude?: string[] }, string[]][])(
    'that is %s brings just that',
    async (_what, selection, expected) => {
      const include = (selection.include ?? []).map((pattern) => pattern.replace('/SRV', data));
      expect(await restored({ base: data, ...selection, include })).toEqual(expected);
    },
  );

  test('below a base folder puts its content into the target itself', async () => {
    expect(await restored({ base: join(data, 'images') })).toEqual(['a.png', 'readme.txt', 'small', 'small/b.png']);
  });

  test('without a base puts whole paths below the target', async () => {
    await restored({});
    expect(listFolder(join(scene.target, data)).slice(1)).toEqual(listFolder(data).slice(1));
  });

  test.each([{ include: ['nothing-like-it'] }, { base: '/elsewhere' }])(
    'that fits nothing (%j) is refused',
    async (request) => {
      await expect(restored(request)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      expect(existsSync(scene.target)).toBe(false);
    },
  );

  test('in place mends what was lost and changed, and leaves alone what is not of the backup', async () => {
    const before = listFolder(data);
    rmSync(join(data, 'images'), { recursive: true });
    writeFileSync(join(data, 'index.html'), 'defaced');
    writeFileSync(join(scene.folder, 'srv/neighbour'), 'not of the backup');
    writeFileSync(join(data, 'newer'), 'not of the backup');
    const { problems } = await scene.restore({ base: '/', target: '/' });
    expect(problems).toEqual([]);
    expect(readFileSync(join(data, 'newer'), 'utf8')).toBe('not of the backup');
    expect(readFileSync(join(scene.folder, 'srv/neighbour'), 'utf8')).toBe('not of the backup');
    rmSync(join(data, 'newer'));
    utimesSync(data, new Date(), lstatSync(data).mtime);
    expect(listFolder(data).slice(1)).toEqual(before.slice(1));
  });

  test('in place follows links above what was backed up, where a host keeps its folders elsewhere', async () => {
    const before = listFolder(data);
    rmSync(join(scene.folder, 'srv'), { recursive: true });
    mkdirSync(join(scene.folder, 'moved'));
    symlinkSync('moved', join(scene.folder, 'srv'));
    const { problems } = await scene.restore({ base: '/', target: '/' });
    expect(problems).toEqual([]);
    expect(lstatSync(join(scene.folder, 'srv')).isSymbolicLink()).toBe(true);
    expect(listFolder(join(scene.folder, 'moved/www'))).toEqual(before);
    rmSync(join(scene.folder, 'moved'), { recursive: true });
  });
});
