// Folders that are as the parent snapshot has them are not encoded again: their trees must be the ones that a backup
// without a parent makes, whatever changed around them.
import { chmodSync, linkSync, lutimesSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import type { BackupResult } from '../../src/operations/backup/backup.ts';
import { readTree } from '../../src/repository/blob-reader.ts';
import type { BlobId } from '../../src/repository/ids.ts';
import { loadIndex } from '../../src/repository/load-index.ts';
import type { Repository } from '../../src/repository/repository.ts';
import type { TreeNode } from '../../src/repository/tree.ts';
import { freshSeed } from '../support/fresh-seed.ts';
import { cloneRepository, noSignal } from '../support/repository.ts';
import { useScenes } from '../support/scene.ts';

const scene = useScenes();

const folders = ['a', 'a/b', 'a/b/c', 'd', 'd/e', 'f'];

function fill(data: string): void {
  for (const folder of folders) {
    mkdirSync(join(data, folder), { recursive: true });
    for (let number = 0; number < 4; number += 1) writeFileSync(join(data, folder, `file-${number}`), `${number}`);
  }
  symlinkSync('file-0', join(data, 'd/link'));
}

type Change = (data: string, place: string, number: number) => void;

const changes: Readonly<Record<string, Change>> = {
  'a file added': (data, place, number) => writeFileSync(join(data, place, `added-${number}`), 'x'),
  'a file removed': (data, place) => rmSync(join(data, place, 'file-1'), { force: true }),
  'a file replaced by one of another name': (data, place, number) => {
    rmSync(join(data, place, 'file-2'), { force: true });
    writeFileSync(join(data, place, `file-2-${number}`), '2');
  },
  'content changed': (data, place, number) => writeFileSync(join(data, place, 'file-0'), `new ${number}`),
  'a mode changed': (data, place, number) => chmodSync(join(data, place, 'file-0'), 0o600 + (number % 8)),
  'a folder renamed': (data, place, number) => {
    mkdirSync(join(data, place, `folder-${number}`));
    renameSync(join(data, place, `folder-${number}`), join(data, place, `renamed-${number}`));
  },
  'a folder turned read-only': (data, place, number) => chmodSync(join(data, place), number % 2 === 0 ? 0o750 : 0o755),
  'a second name': (data, place, number) => {
    writeFileSync(join(data, place, `origin-${number}`), 'linked');
    linkSync(join(data, place, `origin-${number}`), join(data, place, `name-${number}`));
  },
  'the time of a link': (data, _, number) => lutimesSync(join(data, 'd/link'), number, number),
  nothing: () => undefined,
};

/** The tree of the folder that was backed up; those above it are in use by others. */
async function dataTree(repository: Repository, { snapshot }: BackupResult): Promise<BlobId | undefined> {
  const indexed = { repository, index: await loadIndex(repository, noSignal) };
  let tree: BlobId | undefined = snapshot.tree;
  for (const name of scene.data.split('/').slice(1)) {
    const nodes: readonly TreeNode[] = tree === undefined ? [] : await readTree(indexed, tree, noSignal);
    tree = nodes.find((node) => node.name === name)?.subtree;
  }
  return tree;
}

test('trees of backups with a parent are those of a backup without one', async () => {
  const seed = freshSeed('changing folders');
  const random = seededRandom(seed);
  const { data, repository, folder } = scene;
  const empty = cloneRepository(repository, join(folder, 'copies'));
  fill(data);
  await scene.backUp();
  const names = Object.keys(changes);
  let reused = 0;
  for (let turn = 0; turn < 40; turn += 1) {
    const name = names[Math.floor(random() * names.length)] ?? '';
    changes[name]?.(data, folders[Math.floor(random() * folders.length)] ?? '', turn);
    const next = await scene.backUp();
    const other = cloneRepository(empty, join(folder, `fresh-${turn}`));
    const fresh = await scene.backUp({}, other);
    const tree = await dataTree(repository, next);
    expect(tree, `seed ${seed}, turn ${turn}: ${name}`).toBe(await dataTree(other, fresh));
    expect(tree).toBeDefined();
    if (next.addedBytes < fresh.addedBytes) reused += 1;
  }
  expect(reused).toBe(40);
});
