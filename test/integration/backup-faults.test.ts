// What goes wrong while data is backed up: files that change under the reader, streams that break, stores that refuse,
// locks that vanish. No such backup leaves a snapshot that lies, and none leaves a lock.
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { seededRandom, systemRandom } from '../../src/base/random.ts';
import { syntheticMetadata } from '../../src/operations/node-metadata.ts';
import { backup, type BackupOptions, type BackupResult } from '../../src/operations/backup/backup.ts';
import { readTree } from '../../src/repository/blob-reader.ts';
import { loadIndex } from '../../src/repository/load-index.ts';
import { readLocks } from '../../src/repository/lock.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { loadSnapshots } from '../../src/repository/snapshot.ts';
import type { WorkerPool } from '../../src/repository/worker-pool.ts';
import { filesSource } from '../../src/sources/files/files-source.ts';
import type { Source } from '../../src/sources/source.ts';
import { disturbedSource, madeSource } from '../support/made-source.ts';
import { fillFolder, noise } from '../support/random-tree.ts';
import { listFolder } from '../support/compare-folders.ts';
import { noSignal } from '../support/repository.ts';
import { useScenes, type Scene } from '../support/scene.ts';
import { expectSound, giveToNobody } from '../support/soundness.ts';
import { isRoot, unprivilegedAsync } from '../support/unprivileged.ts';
import { watchRepository } from '../support/watched-store.ts';

const mebibyte = 1024 * 1024;

describe('a backup', () => {
  let scene: Scene;
  let folder: string;
  let repository: Repository;
  let pool: WorkerPool;
  let data: string;
  let target: string;
  useScenes((fresh) => {
    scene = fresh;
    ({ folder, repository, pool, data, target } = fresh);
  });

  const random = seededRandom(11);
  const backUpFrom = (source: Source, options: Partial<BackupOptions> = {}): Promise<BackupResult> =>
    backup(repository, source, { component: 'files', programVersion: 'test', signal: noSignal, pool, ...options });

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
      expect((await scene.restore()).problems).toEqual([]);
      const kept = paths.filter((path) => !gone.has(path.slice(data.length + 7)));
      expect(readdirSync(target).toSorted()).toEqual(
        [...kept.map((path) => path.slice(data.length + 1)), 'steady'].toSorted(),
      );
      for (const path of kept) {
        const name = path.slice(data.length + 1);
        expect([name, readFileSync(join(target, name)).equals(readFileSync(path))]).toEqual([name, true]);
      }
      await scene.backUp();
      rmSync(target, { recursive: true });
      await scene.restore();
      expect(listFolder(target).slice(1)).toEqual(listFolder(data).slice(1));
      await expectSound(repository, 2);
    });
  });

  test.skipIf(!isRoot)('without rights leaves out what it may not read, and reports it', async () => {
    for (const name of ['open', 'closed']) writeFileSync(join(data, name), name);
    for (const name of ['folder', 'dark']) mkdirSync(join(data, name));
    writeFileSync(join(data, 'dark/inside'), 'unseen');
    chmodSync(join(data, 'closed'), 0o600);
    chmodSync(join(data, 'dark'), 0o700);
    giveToNobody(join(folder, 'repository'));
    chmodSync(folder, 0o777);
    const { problems } = await unprivilegedAsync(() => scene.backUp());
    expect(
      problems.map(({ path, message }) => [path.slice(data.length + 1), message.replace(/^EACCES: /, '')]),
    ).toEqual([
      ['dark', 'permission denied'],
      ['closed', expect.stringContaining('permission denied')],
    ]);
    await scene.restore();
    expect((readdirSync(target, { recursive: true }) as string[]).toSorted()).toEqual(['dark', 'folder', 'open']);
  });

  test('takes seventy thousand entries of one folder, with names as long as a system allows', async () => {
    const entries = Array.from({ length: 70_000 }, (_, number) => ({
      kind: 'whole' as const,
      path: `/made/${String(number).padStart(5, '0')}${number % 100 === 0 ? 'n'.repeat(250) : ''}`,
      metadata: { ...syntheticMetadata('file', 0n), type: 'symlink' as const, linkTarget: `target-${number}` },
    }));
    await backUpFrom(madeSource({ entries: () => entries }));
    const indexed = { repository, index: await loadIndex(repository, noSignal) };
    const [snapshot] = await loadSnapshots(repository, noSignal);
    const [made] = snapshot === undefined ? [] : await readTree(indexed, snapshot.tree, noSignal);
    const nodes = made?.subtree === undefined ? [] : await readTree(indexed, made.subtree, noSignal);
    expect(nodes).toHaveLength(70_000);
    expect(nodes.at(-1)).toMatchObject({ name: '69999', linkTarget: 'target-69999' });
    await expectSound(repository, 1);
  });

  test('of a sparse file stores its holes once, and brings them back', async () => {
    const path = join(data, 'sparse');
    writeFileSync(path, 'begin');
    truncateSync(path, 150 * mebibyte);
    const file = openSync(path, 'r+');
    writeSync(file, noise(random, 100_000), 0, 100_000, 77 * mebibyte + 13);
    writeSync(file, Buffer.from('end'), 0, 3, 150 * mebibyte - 3);
    closeSync(file);
    const { totalBytes, addedBytes, storedBytes } = await scene.backUp();
    expect(totalBytes).toBe(150 * mebibyte);
    expect(addedBytes).toBeLessThan(50 * mebibyte);
    expect(storedBytes).toBeLessThan(mebibyte);
    await scene.restore();
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
      await expectSound(repository, 0);
      const { storedBytes, addedBytes } = await backUpFrom(streamSource(async function* () {}));
      expect(storedBytes).toBeLessThan(half.length * 0.8);
      expect(addedBytes).toBeLessThan(half.length * 0.8);
      await expectSound(repository, 1);
      await scene.restore({ base: '/made' });
      expect(readFileSync(join(target, 'dump')).equals(half)).toBe(true);
    });

    test('whose session can’t be closed either tells what broke first', async () => {
      const close = () => Promise.reject(new Error('closing failed too'));
      await expect(backUpFrom(streamSource(breaks, close))).rejects.toThrow('the server is gone');
      await expectSound(repository, 0);
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
      await expectSound(repository, 0);
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
      const outcome = await scene
        .backUp({ signal: stop.signal, packTargetBytes: mebibyte }, watched)
        .catch((error: unknown) => error);
      if (!(outcome instanceof Error)) break; // What was stored is found again, so that less is left each time.
      aborted += 1;
      expect(await readLocks(repository, noSignal)).toEqual([]);
      expect(await loadSnapshots(repository, noSignal)).toEqual([]);
    }
    expect(aborted).toBeGreaterThan(0);
    if ((await loadSnapshots(repository, noSignal)).length === 0) await scene.backUp();
    await expectSound(repository, 1);
    expect((await scene.restore()).problems).toEqual([]);
    expect(listFolder(target).slice(1)).toEqual(listFolder(data).slice(1));
  });
});
