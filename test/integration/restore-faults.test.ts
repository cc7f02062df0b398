// What goes wrong while data comes back: no space, things in the way, kills, damaged packs. And what must not be touched.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
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
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AppError } from '../../src/base/errors.ts';
import { seededRandom, systemRandom } from '../../src/base/random.ts';
import type { BackupOptions } from '../../src/operations/backup/backup.ts';
import { BlobIndex } from '../../src/repository/blob-index.ts';
import { loadIndex } from '../../src/repository/load-index.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { WorkerPool } from '../../src/repository/worker-pool.ts';
import { listFolder } from '../support/compare-folders.ts';
import { saveHandmade } from '../support/handmade-tree.ts';
import { fillFolder, noise } from '../support/random-tree.ts';
import { backupFolder, cloneRepository, createRepository, noSignal, restoreTo } from '../support/repository.ts';
import { canMount, mountSmallDisk } from '../support/small-disk.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';
import { isRoot, unprivilegedAsync } from '../support/unprivileged.ts';
import { watchRepository } from '../support/watched-store.ts';

const mebibyte = 1024 * 1024;

describe('a restore', () => {
  let home: TemporaryFolder;
  let empty: Repository;
  let pool: WorkerPool;
  let place: TemporaryFolder;
  let repository: Repository;
  let data: string;
  let target: string;

  beforeAll(async () => {
    home = await temporaryFolder();
    empty = await createRepository(home.path);
    pool = new WorkerPool(empty);
  });
  afterAll(async () => {
    await pool[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  beforeEach(async () => {
    place = await temporaryFolder();
    repository = cloneRepository(empty, place.path);
    data = join(place.path, 'data');
    target = join(place.path, 'target');
    mkdirSync(data);
  });
  afterEach(() => place[Symbol.asyncDispose]());

  const random = seededRandom(3);
  const restore = (options: Partial<Parameters<typeof restoreTo>[1]> = {}, from = repository) =>
    restoreTo(from, { pool, target, base: data, ...options });
  const backUp = (options: Partial<BackupOptions> = {}) => backupFolder(repository, data, { pool, ...options });

  describe('into a place with something in it', () => {
    beforeEach(async () => {
      mkdirSync(join(data, 'folder'));
      writeFileSync(join(data, 'folder/large'), noise(random, 6 * mebibyte));
      writeFileSync(join(data, 'small'), 'as it was');
      writeFileSync(join(data, 'empty'), '');
      symlinkSync('small', join(data, 'link'));
      await backUp();
      await cp(data, target, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    });

    test('leaves files and links that are as they should be untouched', async () => {
      const inode = (name: string) => lstatSync(join(target, name), { bigint: true }).ino;
      const names = ['folder/large', 'small', 'empty', 'link'];
      const before = names.map(inode);
      for (const isDelta of [false, true]) {
        const watched = watchRepository(repository);
        const { problems, writtenBytes } = await restore({ isDelta }, watched);
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
      await restore({}, watched);
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
      damagePacks(await dataPacks(), (bytes) => bytes.fill(0));
      const { problems } = await restore();
      expect(problems.map(({ path }) => path).toSorted()).toEqual([
        join(target, 'folder/large'),
        join(target, 'small'),
      ]);
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
      const { writtenBytes, bytes } = await restore({ isDelta: true }, watched);
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
      if (isRoot) await backUp(); // As owner of all, whose rights the modes do not limit.
      expect((await restore({ isDelta: true })).problems).toEqual([]);
      expect(listFolder(target).slice(1)).toEqual(listFolder(data).slice(1));
    });

    test('does not reach through hard links of the target, delta or not', async () => {
      for (const isDelta of [false, true]) {
        const twin = join(place.path, `twin-${isDelta}`);
        writeFileSync(join(target, 'small'), 'changed');
        linkSync(join(target, 'small'), twin);
        expect((await restore({ isDelta })).problems).toEqual([]);
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
      const { problems } = await restore();
      expect(problems.map(({ path }) => path).toSorted()).toEqual([join(target, 'link'), join(target, 'small')]);
      expect(problems[0]?.message).toBe('a folder is in the way');
      expect(lstatSync(join(target, 'folder/large')).size).toBe(6 * mebibyte);
      expect(readdirSync(join(target, 'small'))).toEqual(['kept']);
    });

    test('refuses a target that is a file, or a place below one', async () => {
      const file = join(target, 'small');
      for (const wrong of [file, join(file, 'below')]) {
        await expect(restore({ target: wrong })).rejects.toMatchObject({ code: 'TARGET_UNSAFE' });
      }
      expect(readFileSync(file, 'utf8')).toBe('as it was');
    });

    test('refuses the repository as its target, also by another name', async () => {
      const alias = join(place.path, 'alias');
      symlinkSync(join(place.path, 'repository'), alias);
      for (const wrong of [join(place.path, 'repository/x'), alias, join(alias, 'x/y')]) {
        await expect(restore({ target: wrong })).rejects.toMatchObject({ code: 'TARGET_UNSAFE' });
      }
    });
  });

  test('brings back what is sparse as sparse', async () => {
    for (const [name, size] of [
      ['small', 3],
      ['middle', 40],
      ['large', 200],
    ] as const) {
      writeFileSync(join(data, name), 'at the beginning');
      if (name === 'small') truncateSync(join(data, name), 0);
      truncateSync(join(data, name), size * mebibyte);
    }
    await backUp();
    expect((await restore()).problems).toEqual([]);
    expect(listFolder(target).slice(1)).toEqual(listFolder(data).slice(1));
    const blocks = (name: string) => (lstatSync(join(target, name)).blocks * 512) / mebibyte;
    expect(blocks('small')).toBeLessThan(1);
    expect(blocks('middle')).toBeLessThan(9);
    expect(blocks('large')).toBeLessThan(9);
  });

  test.skipIf(!isRoot)('without rights brings all back but the owners, and counts those', async () => {
    writeFileSync(join(data, 'mine'), 'x', { mode: 0o4755 });
    mkdirSync(join(data, 'closed'), { mode: 0o500 });
    writeFileSync(join(data, 'closed/inside'), 'y', { mode: 0o400 });
    await backUp();
    chmodSync(place.path, 0o777);
    openForAll(join(place.path, 'repository'));
    const { problems, ownersRefused } = await unprivilegedAsync(() => restore());
    expect(problems).toEqual([]);
    expect(ownersRefused).toBe(3);
    expect(readFileSync(join(target, 'closed/inside'), 'utf8')).toBe('y');
    expect(lstatSync(join(target, 'mine')).mode & 0o7777).toBe(0o755);
    expect(lstatSync(join(target, 'closed')).mode & 0o777).toBe(0o500);
  });

  describe('from damaged packs', () => {
    beforeEach(async () => {
      for (const name of ['a', 'b', 'c']) writeFileSync(join(data, name), noise(random, 300_000));
      await backUp({ packTargetBytes: 200_000 });
    });

    test.each([
      ['flipped', (bytes: Buffer) => ((bytes[1000] = (bytes[1000] ?? 0) ^ 1), bytes)],
      ['cut', (bytes: Buffer) => bytes.subarray(0, 1000)],
      ['gone', () => undefined],
    ] as [string, (bytes: Buffer) => Buffer | undefined][])(
      'that are %s: reports the file with the pack, restores all others',
      async (_how, damage) => {
        const [name = ''] = await dataPacks();
        damagePacks([name], damage);
        const { problems } = await restore();
        expect(problems).toHaveLength(1);
        expect(problems[0]?.message).toContain(name);
        const lost = problems[0]?.path.slice(target.length + 1) ?? '';
        expect(readdirSync(target).toSorted()).toEqual(['a', 'b', 'c'].filter((each) => each !== lost));
        rmSync(join(data, lost));
        expect(listFolder(target).slice(1)).toEqual(listFolder(data).slice(1));
      },
    );

    test('whose sectors can’t be read does the same', async () => {
      const [broken = ''] = await dataPacks();
      const watched = watchRepository(repository, {
        beforeGet(name) {
          if (name.endsWith(broken)) throw new AppError('STORE_FAILED', `could not read ${name}: EIO`, { hint: 'x' });
        },
      });
      const { problems } = await restore({}, watched);
      expect(problems).toHaveLength(1);
      expect(problems[0]?.message).toContain(broken);
    });

    test('of which others have a copy takes that one', async () => {
      const before = new Set(await dataPacks());
      const bytes = noise(random, 5000);
      const nodes = [{ name: 'x', type: 'file', data: [bytes] }];
      const snapshot = await saveHandmade(repository, { nodes }, pool);
      const first = (await dataPacks()).filter((name) => !before.has(name));
      await saveHandmade(repository, { nodes, index: new BlobIndex() }, pool);
      for (const damage of [(old: Buffer) => old.fill(1), () => undefined]) {
        damagePacks(first, damage);
        rmSync(target, { recursive: true, force: true });
        const { problems } = await restoreTo(repository, { pool, snapshot, target, isDelta: true });
        expect(problems).toEqual([]);
        expect(readFileSync(join(target, 'x')).equals(bytes)).toBe(true);
      }
    });

    test('does not give a second name to what is lost', async () => {
      writeFileSync(join(data, 'd'), noise(random, 300_000));
      linkSync(join(data, 'd'), join(data, 'e'));
      const before = new Set(await dataPacks());
      await backUp({ packTargetBytes: 200_000 });
      mkdirSync(target);
      writeFileSync(join(target, 'd'), 'something else');
      const added = (await dataPacks()).filter((name) => !before.has(name));
      damagePacks(added, (bytes) => bytes.fill(1));
      const { problems } = await restore();
      expect(problems.map(({ path }) => path)).toEqual([join(target, 'd'), join(target, 'e')]);
      expect(readdirSync(target).toSorted()).toEqual(['a', 'b', 'c', 'd']);
    });
  });

  test('that is killed at any moment leaves what its repetition makes good', async () => {
    const seed = Math.floor(systemRandom() * 2 ** 32);
    process.stdout.write(`kills with seed ${seed}\n`);
    const seeded = seededRandom(seed);
    mkdirSync(join(data, 'random'));
    fillFolder(join(data, 'random'), seeded, 40);
    for (let number = 0; number < 40; number += 1) writeFileSync(join(data, `file-${number}`), noise(seeded, 400_000));
    await backUp({ packTargetBytes: 500_000 });
    mkdirSync(join(target, data), { recursive: true });
    for (let number = 0; number < 20; number += 1) writeFileSync(join(target, data, `file-${number}`), 'old');
    for (let round = 0; round < 2; round += 1) {
      const child = fork(join(import.meta.dirname, '../support/restore-child.ts'), [place.path, target]);
      let left = 1 + Math.floor(seeded() * 12);
      child.on('message', () => {
        left -= 1;
        if (left === 0) child.kill('SIGKILL');
      });
      await once(child, 'exit');
    }
    expect((await restoreTo(repository, { pool, target })).problems).toEqual([]);
    expect(listFolder(join(target, data)).slice(1)).toEqual(listFolder(data).slice(1));
  });

  test('that is aborted leaves complete files only', async () => {
    for (let number = 0; number < 30; number += 1) writeFileSync(join(data, `file-${number}`), noise(random, 900_000));
    await backUp({ packTargetBytes: 500_000 });
    const stop = new AbortController();
    let gets = 0;
    const watched = watchRepository(repository, {
      beforeGet(name) {
        if (name.startsWith('data/')) gets += 1;
        if (gets === 15) stop.abort();
      },
    });
    await expect(restore({ signal: stop.signal }, watched)).rejects.toThrow();
    expectComplete();
  });

  describe.skipIf(!canMount)('onto a small disk', () => {
    beforeEach(() => {
      for (let number = 0; number < 30; number += 1)
        writeFileSync(join(data, `file-${number}`), noise(random, 900_000));
    });

    test('is refused beforehand where the space does not suffice', async () => {
      await backUp();
      using disk = mountSmallDisk(target, 'size=20m');
      await expect(restore()).rejects.toMatchObject({ code: 'TARGET_SPACE' });
      expect(readdirSync(disk.path)).toEqual([]);
    });

    test('ends clearly where the space vanishes meanwhile, and leaves complete files only', async () => {
      await backUp({ packTargetBytes: 500_000 });
      using disk = mountSmallDisk(target, 'size=60m');
      let gets = 0;
      const watched = watchRepository(repository, {
        beforeGet(name) {
          if (!name.startsWith('data/')) return;
          gets += 1;
          if (gets === 10) writeFileSync(join(disk.path, 'eater'), noise(random, 45 * mebibyte));
        },
      });
      await expect(restore({}, watched)).rejects.toMatchObject({ code: 'TARGET_SPACE' });
      rmSync(join(disk.path, 'eater'));
      expectComplete();
      expect((await restore()).problems).toEqual([]);
      expect(listFolder(target).slice(1)).toEqual(listFolder(data).slice(1));
    });

    test('that is write-protected is refused', async () => {
      await backUp();
      using _ = mountSmallDisk(target, 'size=60m,ro');
      for (const each of [target, join(target, 'below')]) {
        await expect(restore({ target: each })).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
      }
    });
  });

  /** Whatever is in the target is as it was in the data; something is missing, and there is no debris. */
  function expectComplete(): void {
    const names = readdirSync(target);
    expect(names.length).toBeGreaterThan(0);
    expect(names.length).toBeLessThan(readdirSync(data).length);
    const good = new Set(listFolder(data));
    expect(
      listFolder(target)
        .slice(1)
        .filter((line) => !good.has(line)),
    ).toEqual([]);
  }

  async function dataPacks(): Promise<string[]> {
    const index = await loadIndex(repository, noSignal);
    const records = Array.from({ length: index.size }, (_, record) => index.at(record));
    return [...new Set(records.filter(({ type }) => type === 'data').map(({ pack }) => pack))];
  }

  function damagePacks(names: readonly string[], damage: (bytes: Buffer) => Buffer | undefined): void {
    for (const name of names) {
      const path = join(place.path, 'repository/data', name.slice(0, 2), name);
      if (!existsSync(path)) continue;
      const bad = damage(readFileSync(path));
      rmSync(path);
      if (bad !== undefined) writeFileSync(path, bad);
    }
  }

  function openForAll(at: string): void {
    const isFolder = lstatSync(at).isDirectory();
    chmodSync(at, isFolder ? 0o755 : 0o444);
    if (isFolder) for (const name of readdirSync(at)) openForAll(join(at, name));
  }
});
