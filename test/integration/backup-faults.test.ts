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
import { seededRandom } from '../../src/base/random.ts';
import { syntheticMetadata } from '../../src/base/synthetic-metadata.ts';
import { readTree } from '../../src/repository/blob-reader.ts';
import { loadIndex } from '../../src/repository/load-index.ts';
import { readLocks } from '../../src/repository/lock.ts';
import { loadSnapshots } from '../../src/repository/snapshot.ts';
import { filesSource } from '../../src/sources/files/files-source.ts';
import type { Source } from '../../src/sources/source.ts';
import { disturbedSource, madeSource } from '../support/made-source.ts';
import { fillFolder, noise } from '../support/random-tree.ts';
import { noSignal } from '../support/repository.ts';
import { useScenes } from '../support/scene.ts';
import { expectSound, giveToNobody } from '../support/soundness.ts';
import { isRoot, unprivilegedAsync } from '../support/unprivileged.ts';
import { watchRepository } from '../support/watched-store.ts';
import { freshSeed } from '../support/fresh-seed.ts';

const mebibyte = 1024 * 1024;

describe('a backup', () => {
  const scene = useScenes();

  const random = seededRandom(11);

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
      const paths = Object.keys(changes).flatMap((name) => [
        join(scene.data, `small ${name}`),
        join(scene.data, `large ${name}`),
      ]);
      for (const path of paths) writeFileSync(path, noise(random, path.includes('small') ? 5000 : 2 * mebibyte));
      writeFileSync(join(scene.data, 'steady'), 'as ever');
      const changed: string[] = [];
      const source = disturbedSource(filesSource({ paths: [scene.data] }), ({ path }) => {
        const change = changes[path.slice(scene.data.length + 7)];
        if (change !== undefined) changed.push(path);
        change?.(path);
      });
      const { problems } = await scene.backUpFrom(source);
      expect(changed.toSorted()).toEqual(paths.toSorted());
      expect(problems.map(({ path }) => path).toSorted()).toEqual(paths.toSorted());
      expect((await scene.restore()).problems).toEqual([]);
      const kept = paths.filter((path) => !gone.has(path.slice(scene.data.length + 7)));
      expect(readdirSync(scene.target).toSorted()).toEqual(
        [...kept.map((path) => path.slice(scene.data.length + 1)), 'steady'].toSorted(),
      );
      for (const path of kept) {
        const name = path.slice(scene.data.length + 1);
        expect([name, readFileSync(join(scene.target, name)).equals(readFileSync(path))]).toEqual([name, true]);
      }
      await scene.backUp();
      rmSync(scene.target, { recursive: true });
      await scene.restore();
      scene.expectAllBack();
      await expectSound(scene.repository, 2);
    });
  });

  test.skipIf(!isRoot)('without rights leaves out what it may not read, and reports it', async () => {
    for (const name of ['open', 'closed']) writeFileSync(join(scene.data, name), name);
    for (const name of ['folder', 'dark']) mkdirSync(join(scene.data, name));
    writeFileSync(join(scene.data, 'dark/inside'), 'unseen');
    chmodSync(join(scene.data, 'closed'), 0o600);
    chmodSync(join(scene.data, 'dark'), 0o700);
    giveToNobody(join(scene.folder, 'repository'));
    chmodSync(scene.folder, 0o777);
    const { problems, files, snapshot } = await unprivilegedAsync(() => scene.backUp());
    expect(files).toEqual({ new: 1, changed: 0, unmodified: 0, failed: 1 });
    expect(snapshot['summary']).toMatchObject({ files_new: 1, total_files_processed: 1 });
    expect(
      problems.map(({ path, message }) => [path.slice(scene.data.length + 1), message.replace(/^EACCES: /, '')]),
    ).toEqual([
      ['dark', 'permission denied'],
      ['closed', expect.stringContaining('permission denied')],
    ]);
    await scene.restore();
    expect((readdirSync(scene.target, { recursive: true }) as string[]).toSorted()).toEqual(['dark', 'folder', 'open']);
  });

  test('takes seventy thousand entries of one folder, with names as long as a system allows', async () => {
    const entries = Array.from({ length: 70_000 }, (_, number) => ({
      kind: 'whole' as const,
      path: `/made/${String(number).padStart(5, '0')}${number % 100 === 0 ? 'n'.repeat(250) : ''}`,
      metadata: { ...syntheticMetadata('file', 0n), type: 'symlink' as const, linkTarget: `target-${number}` },
    }));
    await scene.backUpFrom(madeSource({ entries: () => entries }));
    const indexed = { repository: scene.repository, index: await loadIndex(scene.repository, noSignal) };
    const [snapshot] = await loadSnapshots(scene.repository, noSignal);
    const [made] = snapshot === undefined ? [] : await readTree(indexed, snapshot.tree, noSignal);
    const nodes = made?.subtree === undefined ? [] : await readTree(indexed, made.subtree, noSignal);
    expect(nodes).toHaveLength(70_000);
    expect(nodes.at(-1)).toMatchObject({ name: '69999', linkTarget: 'target-69999' });
    await expectSound(scene.repository, 1);
  });

  test('of a sparse file stores its holes once, and brings them back', async () => {
    const path = join(scene.data, 'sparse');
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
    scene.expectAllBack();
    expect(lstatSync(join(scene.target, 'sparse')).blocks * 512).toBeLessThan(50 * mebibyte);
  });

  test('of a file with a little data every two mebibytes keeps the holes between', async () => {
    const path = join(scene.data, 'dotted');
    writeFileSync(path, '');
    truncateSync(path, 64 * mebibyte);
    const file = openSync(path, 'r+');
    for (let at = 0; at < 32; at += 1) writeSync(file, noise(random, 4096), 0, 4096, at * 2 * mebibyte + 700_001);
    closeSync(file);
    await scene.backUp();
    await scene.restore();
    scene.expectAllBack();
    // Each piece of data costs two stretches of 64 KiB at most, and what the file system adds.
    expect(lstatSync(join(scene.target, 'dotted')).blocks * 512).toBeLessThan(32 * 3 * 65_536);
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
      await expect(scene.backUpFrom(streamSource(breaks), { packTargetBytes: mebibyte })).rejects.toThrow(
        'the server is gone',
      );
      await expectSound(scene.repository, 0);
      const { storedBytes, addedBytes } = await scene.backUpFrom(streamSource(async function* () {}));
      expect(storedBytes).toBeLessThan(half.length * 0.8);
      expect(addedBytes).toBeLessThan(half.length * 0.8);
      await expectSound(scene.repository, 1);
      await scene.restore({ base: '/made' });
      expect(readFileSync(join(scene.target, 'dump')).equals(half)).toBe(true);
    });

    test('whose session can’t be closed either tells what broke first', async () => {
      const close = () => Promise.reject(new Error('closing failed too'));
      await expect(scene.backUpFrom(streamSource(breaks, close))).rejects.toThrow('the server is gone');
      await expectSound(scene.repository, 0);
    });

    test('that hangs ends when it is told to', async () => {
      const stop = new AbortController();
      const hangs = async function* (signal: AbortSignal): AsyncGenerator<Uint8Array> {
        setImmediate(() => stop.abort());
        const { promise, reject } = Promise.withResolvers<never>();
        signal.addEventListener('abort', () => reject(signal.reason as Error));
        yield await promise;
      };
      await expect(scene.backUpFrom(streamSource(hangs), { signal: stop.signal })).rejects.toThrow('aborted');
      await expectSound(scene.repository, 0);
    });
  });

  test('aborted at any moment leaves a sound repository, which a later run completes', async () => {
    const seed = freshSeed('aborts');
    const seeded = seededRandom(seed);
    fillFolder(scene.data, seeded, 120);
    for (let number = 0; number < 12; number += 1)
      writeFileSync(join(scene.data, `x-${number}`), noise(seeded, 900_000));
    for (let round = 0; round < 8; round += 1) {
      const stop = new AbortController();
      // The first run writes a lock, at least six packs, an index and a snapshot: it can't be over before its abort. Later
      // ones find what was stored, so that less is left each time, and may be.
      let left = Math.floor(seeded() * (round === 0 ? 7 : 14));
      const tick = () => void (left-- === 0 && stop.abort());
      const isBefore = seeded() < 0.5;
      const watched = watchRepository(scene.repository, isBefore ? { beforePut: tick } : { afterPut: tick });
      const outcome = await scene
        .backUp({ signal: stop.signal, packTargetBytes: mebibyte }, watched)
        .catch((error: unknown) => error);
      const isComplete = !(outcome instanceof Error);
      expect(await readLocks(scene.repository, noSignal)).toEqual([]);
      expect(await loadSnapshots(scene.repository, noSignal)).toHaveLength(isComplete ? 1 : 0);
      expect([round, isComplete]).not.toEqual([0, true]);
      if (isComplete) break;
      // Nothing else went wrong: the error is the abort's reason, or was caused by it.
      expect([outcome, outcome.cause]).toContain(stop.signal.reason);
    }
    if ((await loadSnapshots(scene.repository, noSignal)).length === 0) await scene.backUp();
    await expectSound(scene.repository, 1);
    expect((await scene.restore()).problems).toEqual([]);
    scene.expectAllBack();
  });
});
