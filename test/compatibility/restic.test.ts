import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { loadSnapshots, type SnapshotSummary } from '../../src/repository/snapshot.ts';
import { findNode } from '../../src/repository/walk.ts';
import { listFolder } from '../support/compare-folders.ts';
import { fillFolder } from '../support/random-tree.ts';
import {
  backupFolder,
  createRepository,
  noSignal,
  openIndexed,
  reopen,
  restoreTo,
  testPassword,
} from '../support/repository.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';
import { describeWith } from '../support/tools.ts';
import { freshSeed } from '../support/fresh-seed.ts';

/** All but links whose targets are not UTF-8, which have lone surrogates: restic 0.14 loses their bytes. */
function comparable(lines: readonly string[], originals: readonly string[]): string[] {
  const pathOf = (line: string): string => line.slice(0, line.indexOf(' symlink '));
  const links = originals.filter((line) => line.includes(' symlink '));
  const lost = new Set(links.filter((line) => !line.isWellFormed()).map(pathOf));
  return lines.filter((line) => !line.includes(' symlink ') || !lost.has(pathOf(line)));
}

describeWith(['restic'], 'one repository serves restic and Lifeboat', () => {
  let folder: TemporaryFolder;
  let data: string;

  beforeEach(async () => {
    folder = await temporaryFolder();
    data = join(folder.path, 'data');
    mkdirSync(data);
  });
  afterEach(() => folder[Symbol.asyncDispose]());

  const restic = (...args: string[]): string =>
    execFileSync('restic', ['--repo', join(folder.path, 'repository'), '--no-cache', ...args], {
      encoding: 'utf8',
      env: { ...process.env, RESTIC_PASSWORD: testPassword },
      stdio: ['ignore', 'pipe', 'pipe'],
    });

  /** Fresh each run; printed, so that a failure can be repeated. */
  function fillAtRandom(entries: number): void {
    const seed = freshSeed('random tree');
    fillFolder(data, seededRandom(seed), entries);
  }

  test('restic checks and restores what Lifeboat wrote', async () => {
    fillAtRandom(250);
    const { problems } = await backupFolder(await createRepository(folder.path), data);
    expect(problems).toEqual([]);
    expect(restic('check', '--read-data')).toContain('no errors were found');
    restic('restore', 'latest', '--target', join(folder.path, 'by-restic'));
    const [, ...restored] = listFolder(join(folder.path, 'by-restic', data));
    const [, ...expected] = listFolder(data);
    expect(comparable(restored, expected)).toEqual(comparable(expected, expected));
    expect(comparable(expected, expected).some((line) => line.includes(' symlink '))).toBe(true);
  });

  test('Lifeboat restores what restic wrote, and what it wrote itself', async () => {
    fillAtRandom(250);
    restic('init');
    restic('backup', data);
    const repository = await reopen(folder.path);
    const byRestic = await restoreTo(repository, { target: join(folder.path, 'from-restic') });
    expect(byRestic.problems).toEqual([]);
    await backupFolder(repository, data);
    const own = await restoreTo(repository, { target: join(folder.path, 'own') });
    expect(own.problems).toEqual([]);
    expect(listFolder(join(folder.path, 'own', data))).toEqual(listFolder(data));
    const [restored, expected] = [listFolder(join(folder.path, 'from-restic', data)), listFolder(data)];
    expect(comparable(restored, expected)).toEqual(comparable(expected, expected));
  });

  test('both write the same trees for the same files, and neither stores a byte of the other again', async () => {
    mkdirSync(join(data, 'sub'));
    const seeded = seededRandom(7);
    const plainNames: typeof seeded = seeded;
    fillFolder(join(data, 'sub'), plainNames, 60);
    execFileSync('find', [data, '-type', 'l', '-delete']); // Link targets that are not UTF-8 differ by restic's fault.
    restic('init');
    restic('backup', '--host', hostname(), data);
    const second = await backupFolder(await reopen(folder.path), data);
    expect(second.files.unmodified).toBeGreaterThan(10);
    restic('backup', '--host', hostname(), data);
    // Forced to read everything again, our Rabin chunker cuts where restic's did.
    await backupFolder(await reopen(folder.path), data, { isForced: true });
    const indexed = await openIndexed(folder.path);
    const snapshots = await loadSnapshots(indexed.repository, noSignal);
    expect(snapshots).toHaveLength(4);
    expect(snapshots.map(({ summary }) => (summary as SnapshotSummary | undefined)?.data_blobs)).toEqual([
      undefined,
      0,
      undefined,
      0,
    ]);
    // The folders above it belong to everybody on the machine and may change meanwhile; the folder itself may not.
    const nodes = await Promise.all(
      snapshots.map(({ tree }) => findNode(indexed, tree, { path: data, signal: noSignal })),
    );
    expect(new Set(nodes.map((node) => node?.subtree)).size).toBe(1);
  });
});
