// What goes wrong while data is backed up: files that change under the reader, streams that break, stores that refuse,
// locks that vanish. No such backup leaves a snapshot that lies, and none leaves a lock.
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { seededRandom, systemRandom } from '../../src/base/random.ts';
import { syntheticMetadata } from '../../src/operations/node-metadata.ts';
import { backup, type BackupOptions, type BackupResult } from '../../src/operations/backup/backup.ts';
import { readTree } from '../../src/repository/blob-reader.ts';
import { loadIndex } from '../../src/repository/load-index.ts';
import { acquireLock, readLocks } from '../../src/repository/lock.ts';
import { openRepository } from '../../src/repository/open-repository.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { seal } from '../../src/repository/seal.ts';
import { loadSnapshots } from '../../src/repository/snapshot.ts';
import { WorkerPool } from '../../src/repository/worker-pool.ts';
import { filesSource } from '../../src/sources/files/files-source.ts';
import type { Source } from '../../src/sources/source.ts';
import { localStore } from '../../src/storage/local/store.ts';
import { listFolder } from '../support/compare-folders.ts';
import { saveHandmade, type RawNode } from '../support/handmade-tree.ts';
import { disturbedSource, madeSource } from '../support/made-source.ts';
import { fillFolder, noise } from '../support/random-tree.ts';
import {
  backupFolder,
  cloneRepository,
  createRepository,
  noSignal,
  restoreTo,
  testPassword,
} from '../support/repository.ts';
import { canMount, mountSmallDisk } from '../support/small-disk.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';
import { findTool } from '../support/tools.ts';
import { isRoot, nobody, unprivilegedAsync } from '../support/unprivileged.ts';
import { watchRepository } from '../support/watched-store.ts';

const mebibyte = 1024 * 1024;

describe('a backup', () => {
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

  const random = seededRandom(11);
  const backUp = (options: Partial<BackupOptions> = {}, into = repository) =>
    backupFolder(into, data, { pool, ...options });
  const backUpFrom = (source: Source, options: Partial<BackupOptions> = {}): Promise<BackupResult> =>
    backup(repository, source, {
      ...{ component: 'files', programVersion: 'test', signal: noSignal, pool },
      ...options,
    });
  const restore = (base = data) => restoreTo(repository, { pool, target, base });
  const snapshots = () => loadSnapshots(repository, noSignal);

  /** No lock, no snapshot but those expected, and whatever is there is sound, also to restic. */
  async function expectSound(snapshotsExpected: number): Promise<void> {
    expect(await readLocks(repository, noSignal)).toEqual([]);
    expect(await snapshots()).toHaveLength(snapshotsExpected);
    if (findTool('restic') === undefined) return;
    const args = ['--repo', join(place.path, 'repository'), '--no-cache', '--no-lock', 'check', '--read-data'];
    const environment = { ...process.env, RESTIC_PASSWORD: testPassword };
    expect(execFileSync('restic', args, { encoding: 'utf8', env: environment })).toContain('no errors were found');
  }

  describe('of files that change between being found and being read', () => {
    const changes: Record<string, (path: string) => void> = {
      vanished: (path) => rmSync(path),
      truncated: (path) => truncateSync(path, 100),
      emptied: (path) => truncateSync(path, 0),
      grown: (path) => appendFileSync(path, noise(random, 3 * mebibyte)),
      rewritten: (path) => writeFileSync(path, noise(random, lstatSync(path).size)),
      'a folder': (path) => (rmSync(path), mkdirSync(path)),
      'a fifo': (path) => (rmSync(path), execFileSync('mkfifo', [path])),
      'a link': (path) => (rmSync(path), symlinkSync('/etc/hostname', path)),
    };
    const gone = new Set(['vanished', 'a folder', 'a fifo', 'a link']);

    test('stores what it read, leaves out what is no file any more, and reports each', async () => {
      const paths = Object.keys(changes).flatMap((name) => [join(data, `small ${name}`), join(data, `large ${name}`)]);
      for (const path of paths) writeFileSync(path, noise(random, path.includes('small') ? 5000 : 2 * mebibyte));
      writeFileSync(join(data, 'steady'), 'as ever');
      const changed: string[] = [];
      const source = disturbedSource(filesSource({ paths: [data] }), ({ path }) => {
        const change = changes[path.slice(data.length + 7)];
        if (change !== undefined) changed.push(path);
        change?.(path);
      });
      const { problems } = await backUpFrom(source);
      expect(changed.toSorted()).toEqual(paths.toSorted());
      expect(problems.map(({ path }) => path).toSorted()).toEqual(paths.toSorted());
      expect((await restore()).problems).toEqual([]);
      const kept = paths.filter((path) => !gone.has(path.slice(data.length + 7)));
      expect(readdirSync(target).toSorted()).toEqual(
        [...kept.map((path) => path.slice(data.length + 1)), 'steady'].toSorted(),
      );
      for (const path of kept) {
        const name = path.slice(data.length + 1);
        expect([name, readFileSync(join(target, name)).equals(readFileSync(path))]).toEqual([name, true]);
      }
      await backUp();
      rmSync(target, { recursive: true });
      await restore();
      expect(listFolder(target).slice(1)).toEqual(listFolder(data).slice(1));
      await expectSound(2);
    });
  });

  test.skipIf(!isRoot)('without rights leaves out what it may not read, and reports it', async () => {
    for (const name of ['open', 'closed']) writeFileSync(join(data, name), name);
    for (const name of ['folder', 'dark']) mkdirSync(join(data, name));
    writeFileSync(join(data, 'dark/inside'), 'unseen');
    chmodSync(join(data, 'closed'), 0o600);
    chmodSync(join(data, 'dark'), 0o700);
    giveToNobody(join(place.path, 'repository'));
    chmodSync(place.path, 0o777);
    const { problems } = await unprivilegedAsync(() => backUp());
    expect(
      problems.map(({ path, message }) => [path.slice(data.length + 1), message.replace(/^EACCES: /, '')]),
    ).toEqual([
      ['dark', 'permission denied'],
      ['closed', expect.stringContaining('permission denied')],
    ]);
    await restore();
    expect(readdirSync(target, { recursive: true }).toSorted()).toEqual(['dark', 'folder', 'open']);
  });

  test('takes seventy thousand entries of one folder, with names as long as a system allows', async () => {
    const entries = Array.from({ length: 70_000 }, (_, number) => ({
      kind: 'whole' as const,
      path: `/made/${String(number).padStart(5, '0')}${number % 100 === 0 ? 'n'.repeat(250) : ''}`,
      metadata: { ...syntheticMetadata('file', 0n), type: 'symlink' as const, linkTarget: `target-${number}` },
    }));
    await backUpFrom(madeSource({ entries: () => entries }));
    const indexed = { repository, index: await loadIndex(repository, noSignal) };
    const [snapshot] = await snapshots();
    const [folder] = snapshot === undefined ? [] : await readTree(indexed, snapshot.tree, noSignal);
    const nodes = folder?.subtree === undefined ? [] : await readTree(indexed, folder.subtree, noSignal);
    expect(nodes).toHaveLength(70_000);
    expect(nodes.at(-1)).toMatchObject({ name: '69999', linkTarget: 'target-69999' });
    await expectSound(1);
  });

  test('of a sparse file stores its holes once, and brings them back', async () => {
    const path = join(data, 'sparse');
    writeFileSync(path, 'begin');
    truncateSync(path, 150 * mebibyte);
    const file = openSync(path, 'r+');
    writeSync(file, noise(random, 100_000), 0, 100_000, 77 * mebibyte + 13);
    writeSync(file, Buffer.from('end'), 0, 3, 150 * mebibyte - 3);
    closeSync(file);
    const { totalBytes, addedBytes, storedBytes } = await backUp();
    expect(totalBytes).toBe(150 * mebibyte);
    expect(addedBytes).toBeLessThan(50 * mebibyte);
    expect(storedBytes).toBeLessThan(mebibyte);
    await restore();
    expect(listFolder(target).slice(1)).toEqual(listFolder(data).slice(1));
    expect(lstatSync(join(target, 'sparse')).blocks * 512).toBeLessThan(50 * mebibyte);
  });

  describe('of a stream', () => {
    const half = noise(random, 24 * mebibyte);

    function streamSource(
      after: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
      close?: () => Promise<void>,
    ): Source {
      const open = async function* (signal: AbortSignal) {
        for (let at = 0; at < half.length; at += 65_536) yield half.subarray(at, at + 65_536);
        yield* after(signal);
      };
      const metadata = syntheticMetadata('file', 0n);
      const entry = { kind: 'whole', path: '/made/dump', metadata, content: { from: 'stream', open } } as const;
      return madeSource({ entries: () => [entry], ...(close !== undefined && { close }) });
    }

    const breaks = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from('and then');
      throw new Error('the server is gone');
    };

    test('that breaks off leaves no snapshot and no lock, and is not stored twice when it comes again', async () => {
      await expect(backUpFrom(streamSource(breaks), { packTargetBytes: mebibyte })).rejects.toThrow(
        'the server is gone',
      );
      await expectSound(0);
      const { storedBytes, addedBytes } = await backUpFrom(streamSource(async function* () {}));
      expect(storedBytes).toBeLessThan(half.length * 0.8);
      expect(addedBytes).toBeLessThan(half.length * 0.8);
      await expectSound(1);
      await restore('/made');
      expect(readFileSync(join(target, 'dump')).equals(half)).toBe(true);
    });

    test('whose session can’t be closed either tells what broke first', async () => {
      const close = () => Promise.reject(new Error('closing failed too'));
      await expect(backUpFrom(streamSource(breaks, close))).rejects.toThrow('the server is gone');
      await expectSound(0);
    });

    test('that hangs ends when it is told to', async () => {
      const stop = new AbortController();
      const hangs = async function* (signal: AbortSignal): AsyncGenerator<Uint8Array> {
        setImmediate(() => stop.abort());
        const { promise, reject } = Promise.withResolvers<never>();
        signal.addEventListener('abort', () => reject(signal.reason as Error));
        yield await promise;
      };
      await expect(backUpFrom(streamSource(hangs), { signal: stop.signal })).rejects.toThrow('aborted');
      await expectSound(0);
    });
  });

  test('aborted at any moment leaves a sound repository, which a later run completes', async () => {
    const seed = Math.floor(systemRandom() * 2 ** 32);
    process.stdout.write(`aborts with seed ${seed}\n`);
    const seeded = seededRandom(seed);
    fillFolder(data, seeded, 120);
    for (let number = 0; number < 12; number += 1) writeFileSync(join(data, `x-${number}`), noise(seeded, 900_000));
    let aborted = 0;
    for (let round = 0; round < 8; round += 1) {
      const stop = new AbortController();
      let left = Math.floor(seeded() * 14);
      const tick = () => void (left-- === 0 && stop.abort());
      const isBefore = seeded() < 0.5;
      const watched = watchRepository(repository, isBefore ? { beforePut: tick } : { afterPut: tick });
      const outcome = await backUp({ signal: stop.signal, packTargetBytes: mebibyte }, watched).catch(
        (error: unknown) => error,
      );
      if (!(outcome instanceof Error)) break; // What was stored is found again, so that less is left each time.
      aborted += 1;
      expect(await readLocks(repository, noSignal)).toEqual([]);
      expect(await snapshots()).toEqual([]);
    }
    expect(aborted).toBeGreaterThan(0);
    if ((await snapshots()).length === 0) await backUp();
    await expectSound(1);
    expect((await restore()).problems).toEqual([]);
    expect(listFolder(target).slice(1)).toEqual(listFolder(data).slice(1));
  });

  describe('beside others', () => {
    beforeEach(() => fillFolder(data, seededRandom(21), 40));

    test('succeeds while another one runs, and both are whole', async () => {
      const [left, right] = await Promise.all([backUp({ component: 'left' }), backUp({ component: 'right' })]);
      expect(left.snapshot.tree).toBe(right.snapshot.tree);
      await expectSound(2);
      expect((await restore()).problems).toEqual([]);
    });

    test('is refused under an exclusive lock', async () => {
      {
        await using _ = await acquireLock(repository, { isExclusive: true, signal: noSignal });
        await expect(backUp()).rejects.toMatchObject({ code: 'REPOSITORY_LOCKED', exitCode: 11 });
        expect(await readLocks(repository, noSignal)).toHaveLength(1);
      }
      await backUp();
      await expectSound(1);
    });

    test('whose lock is taken away writes no snapshot', async () => {
      const source = disturbedSource(filesSource({ paths: [data] }), () => {
        for (const name of readdirSync(join(place.path, 'repository/locks')))
          rmSync(join(place.path, 'repository/locks', name));
      });
      await expect(backUpFrom(source)).rejects.toMatchObject({ code: 'LOCK_LOST', exitCode: 11 });
      await expectSound(0);
    });
  });

  describe.skipIf(!canMount)('into a store that is full', () => {
    test('says so, leaves nothing half visible, and goes on from there when there is space again', async () => {
      for (let number = 0; number < 20; number += 1) writeFileSync(join(data, `x-${number}`), noise(random, 900_000));
      const path = join(place.path, 'repository');
      renameSync(path, `${path}-full`);
      using disk = mountSmallDisk(path, 'size=8m');
      execFileSync('cp', ['-a', `${path}-full/.`, disk.path]);
      await expect(backUp({ packTargetBytes: mebibyte })).rejects.toMatchObject({ code: 'STORE_FULL' });
      expect(await readLocks(repository, noSignal)).toEqual([]);
      expect(await snapshots()).toEqual([]);
      execFileSync('mount', ['-o', 'remount,size=60m', disk.path]);
      await backUp({ packTargetBytes: mebibyte });
      await expectSound(1);
      expect((await restore()).problems).toEqual([]);
      expect(listFolder(target).slice(1)).toEqual(listFolder(data).slice(1));
    });
  });

  test.skipIf(!isRoot)('into a store that refuses says so', async () => {
    writeFileSync(join(data, 'file'), 'x');
    giveToNobody(join(place.path, 'repository'));
    chmodSync(place.path, 0o777);
    mkdirSync(join(place.path, 'repository/data'), { mode: 0o755 });
    await expect(unprivilegedAsync(() => backUp())).rejects.toMatchObject({ code: 'STORE_DENIED' });
    expect(await snapshots()).toEqual([]);
    expect(await readLocks(repository, noSignal)).toEqual([]);
  });

  describe('into a repository that is not as it should be', () => {
    beforeEach(async () => {
      writeFileSync(join(data, 'file'), 'x');
      await backUp();
    });
    const root = () => join(place.path, 'repository');
    const open = () => openRepository(localStore(root()), { password: testPassword, signal: noSignal });
    const openAndBackUp = async () => backUp({}, { ...(await open()), lockSettings: { settleMs: 0 } });

    function overwrite(path: string, change: (bytes: Buffer) => Buffer): void {
      const bytes = change(readFileSync(path));
      rmSync(path);
      writeFileSync(path, bytes);
    }

    test.each([1, 3])('of version %i says that it does not know it', async (version) => {
      const json = JSON.stringify({ version, id: 'a'.repeat(64), chunker_polynomial: '25b468838dcb75' });
      overwrite(join(root(), 'config'), () => seal(repository.keys, Buffer.from(json)));
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
      ['snapshots', 'flipped', flip],
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

    test('whose parent snapshot has trees that are lost reads all again and stores them again', async () => {
      const indexed = await loadIndex(repository, noSignal);
      for (let record = 0; record < indexed.size; record += 1) {
        const { type, pack } = indexed.at(record);
        const path = join(root(), 'data', pack.slice(0, 2), pack);
        if (type === 'tree' && existsSync(path)) overwrite(path, (bytes) => bytes.fill(0));
      }
      const { problems, files } = await backUp();
      expect(problems).toEqual([]);
      expect(files).toEqual({ new: 1, changed: 0, unmodified: 0 });
      expect((await restore()).problems).toEqual([]);
      expect(listFolder(target).slice(1)).toEqual(listFolder(data).slice(1));
    });

    test('whose parent snapshot has times that are none takes its files for changed', async () => {
      const names = data.split('/').slice(1);
      const file = { name: 'file', type: 'file', data: [Buffer.from('old')], mtime: 'long ago', ctime: '', size: 1 };
      const { ino } = lstatSync(join(data, 'file'));
      const nodes = names.reduceRight<RawNode[]>(
        (below, name) => [{ name, type: 'dir', nodes: below }],
        [{ ...file, inode: ino }],
      );
      await saveHandmade(repository, { nodes, paths: [data], time: '2030-01-01T00:00:00Z' }, pool);
      const { files } = await backUp({ host: 'hostile' });
      expect(files).toEqual({ new: 0, changed: 1, unmodified: 0 });
    });
  });

  /** Nobody owns all of it, as if nobody had made it. */
  function giveToNobody(at: string): void {
    chownSync(at, nobody, nobody);
    if (!lstatSync(at).isDirectory()) return;
    for (const name of readdirSync(at)) giveToNobody(join(at, name));
  }
});
