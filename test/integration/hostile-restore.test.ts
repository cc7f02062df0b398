// A repository whose owner is an enemy: whatever its trees say, a restore stays below its target.
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { isAppError } from '../../src/base/errors.ts';
import { seededRandom, systemRandom, type Random } from '../../src/base/random.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { WorkerPool } from '../../src/repository/worker-pool.ts';
import { listFolder } from '../support/compare-folders.ts';
import { saveHandmade, type HandmadeSnapshot, type RawNode } from '../support/handmade-tree.ts';
import { createRepository, restoreTo } from '../support/repository.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';
import { isRoot, nobody, unprivilegedAsync } from '../support/unprivileged.ts';

const words = (text: string): readonly Buffer[] => [Buffer.from(text)];
const file = (name: string, text = 'hostile', fields: object = {}): RawNode => ({
  ...{ name, type: 'file', data: words(text) },
  ...fields,
});
const folder = (name: string, nodes: readonly RawNode[] = [], fields: object = {}): RawNode => ({
  ...{ name, type: 'dir', mode: 0o20_000_000_755, nodes },
  ...fields,
});
const link = (name: string, target: string): RawNode => ({ name, type: 'symlink', linktarget: target });

describe('a hostile repository', () => {
  let home: TemporaryFolder;
  let place: TemporaryFolder;
  let repository: Repository;
  let pool: WorkerPool;
  let outside: string;
  let target: string;

  beforeAll(async () => {
    home = await temporaryFolder();
    repository = await createRepository(home.path);
    pool = new WorkerPool(repository);
  });
  afterAll(async () => {
    await pool[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  beforeEach(async () => {
    place = await temporaryFolder();
    outside = join(place.path, 'outside');
    target = join(place.path, 'target');
    mkdirSync(join(outside, 'dir'), { recursive: true });
    writeFileSync(join(outside, 'canary'), 'alive');
    writeFileSync(join(outside, 'dir', 'a'), 'alive too');
    symlinkSync('canary', join(outside, 'link'));
  });
  afterEach(() => place[Symbol.asyncDispose]());

  const save = (snapshot: HandmadeSnapshot) => saveHandmade(repository, snapshot, pool);

  test.each([
    ['a name that is absolute', [file('/etc/evil')]],
    ['a name that climbs', [file('../outside/evil')]],
    ['a name that goes down and climbs', [folder('a', [file('b/../../../outside/evil')])]],
    ['the parent as a folder', [folder('..', [folder('outside', [file('evil')])])]],
    ['the folder itself', [folder('.', [file('evil')])]],
    ['a name with a NUL', [file('a\0b')]],
    ['a name with a NUL in restic’s escapes', [file(String.raw`a\x00b`)]],
    ['a slash in restic’s escapes', [file(String.raw`..\x2foutside\x2fevil`)]],
    ['one name twice', [file('a'), file('a')]],
    ['a link and a folder of one name', [link('a', '../outside'), folder('a', [file('canary')])]],
    ['two names of which the disk makes one', [link('\ufffd', '../outside'), folder('\ud800', [file('canary')])]],
    ['stray bytes that spell a name', [link('é', '../outside'), folder('\udcc3\udca9', [file('canary')])]],
  ] satisfies [string, RawNode[]][])('with %s is refused before anything is written', async (_what, nodes) => {
    const snapshot = await save({ nodes: [file('innocent'), ...nodes] });
    const before = listFolder(outside);
    await expect(restoreTo(repository, { pool, snapshot, target })).rejects.toMatchObject({ code: 'HOSTILE_CONTENT' });
    expect(existsSync(target)).toBe(false);
    expect(listFolder(outside)).toEqual(before);
  });

  test.each([
    ['no name', [file('')]],
    ['an unknown type', [{ name: 'a', type: 'portal' }]],
    ['content that is no list', [file('a', '', { content: 'x' })]],
    ['a sub-tree that is no id', [folder('a', [], { subtree: '../../keys' })]],
    ['no objects as attributes', [file('a', '', { extended_attributes: [7, null] })]],
  ] as [string, RawNode[]][])(
    'with a node that has %s is refused as damaged or read without it',
    async (_what, nodes) => {
      const snapshot = await save({ nodes });
      const outcome = await restoreTo(repository, { pool, snapshot, target }).catch((error: unknown) => error);
      if (outcome instanceof Error) expect(outcome).toMatchObject({ code: 'REPOSITORY_DAMAGED' });
    },
  );

  test('cannot write through a link that an earlier snapshot of its planted', async () => {
    const planted = await save({ nodes: [link('x', outside), folder('y', [link('z', '../../outside/dir')])] });
    await restoreTo(repository, { pool, snapshot: planted, target });
    const before = listFolder(outside);
    // Its paths pretend that /x and /y lie above what was backed up, where links of the host are followed.
    const nodes = [folder('x', [file('canary'), folder('dir', [file('a')])]), folder('y', [folder('z', [file('a')])])];
    const through = await save({ nodes, paths: ['/x/dir/deep', '/y/z/deep'] });
    const { problems } = await restoreTo(repository, { pool, snapshot: through, target });
    expect(problems).toEqual([]);
    expect(listFolder(outside)).toEqual(before);
    expect(lstatSync(join(target, 'x')).isDirectory()).toBe(true);
    expect(readFileSync(join(target, 'y/z/a'), 'utf8')).toBe('hostile');
  });

  test('cannot write through a planted link when only some files are included', async () => {
    await restoreTo(repository, { pool, snapshot: await save({ nodes: [link('x', outside)] }), target });
    const before = listFolder(outside);
    const snapshot = await save({ nodes: [folder('x', [file('canary')])] });
    await restoreTo(repository, { pool, snapshot, target, include: ['canary'] });
    expect(listFolder(outside)).toEqual(before);
    expect(readFileSync(join(target, 'x/canary'), 'utf8')).toBe('hostile');
  });

  test('cannot write through a file link, whether delta or not', async () => {
    mkdirSync(target);
    symlinkSync('../outside/canary', join(target, 'one'));
    symlinkSync('../outside/new', join(target, 'two'));
    const before = listFolder(outside);
    const snapshot = await save({ nodes: [file('one'), file('two', 'x'.repeat(10))] });
    await restoreTo(repository, { pool, snapshot, target, isDelta: true });
    expect(listFolder(outside)).toEqual(before);
    expect(readFileSync(join(target, 'one'), 'utf8')).toBe('hostile');
    expect(existsSync(join(outside, 'new'))).toBe(false);
  });

  test('cannot change what a hard link outside shares with a file in the target', async () => {
    mkdirSync(target);
    linkSync(join(outside, 'canary'), join(target, 'same'));
    linkSync(join(outside, 'dir/a'), join(target, 'other'));
    const before = listFolder(outside);
    const snapshot = await save({ nodes: [file('same', 'alive', { mode: 0o4777 }), file('other')] });
    for (const isDelta of [false, true]) await restoreTo(repository, { pool, snapshot, target, isDelta });
    expect(listFolder(outside)).toEqual(before);
    expect(lstatSync(join(target, 'same')).mode & 0o777).toBe(0o777);
  });

  test('keeps files apart whose hard link keys say they are one', async () => {
    const key = { inode: 7, device_id: 8, links: 2 };
    const nodes = [
      file('a', 'first', key),
      file('b', 'second', key),
      { ...link('c', 'a'), ...key },
      file('d', 'first', key),
    ];
    const { problems } = await restoreTo(repository, { pool, snapshot: await save({ nodes }), target });
    expect(problems).toEqual([]);
    expect(['a', 'b', 'd'].map((name) => readFileSync(join(target, name), 'utf8'))).toEqual([
      'first',
      'second',
      'first',
    ]);
    expect(readlinkSync(join(target, 'c'))).toBe('a');
    expect(lstatSync(join(target, 'd')).ino).toBe(lstatSync(join(target, 'a')).ino);
    expect(lstatSync(join(target, 'b')).ino).not.toBe(lstatSync(join(target, 'a')).ino);
  });

  test('that lies about sizes gives the content there is, and says so', async () => {
    const two = [Buffer.alloc(300, 1), Buffer.alloc(200, 2)];
    const nodes = [
      ...[file('small', 'four', { size: 1 }), file('large', 'four', { size: 1_000_000 })],
      ...[file('short', '', { data: two, size: 3 }), file('long', '', { data: two, size: 4096 })],
      ...[file('negative', 'four', { size: -5 }), file('fraction', 'four', { size: 1.5 })],
    ];
    const { problems } = await restoreTo(repository, { pool, snapshot: await save({ nodes }), target });
    const sizes = nodes.map(({ name }) => lstatSync(join(target, name)).size);
    expect(sizes).toEqual([4, 4, 500, 500, 4, 4]);
    expect(problems).toHaveLength(nodes.length);
    expect(problems[0]?.message).toContain('its content has 4');
  });

  test('that declares a size no disk has is refused for want of space', async () => {
    for (const size of [2 ** 60, 1e300]) {
      const snapshot = await save({ nodes: [file('huge', 'four', { size })] });
      await expect(restoreTo(repository, { pool, snapshot, target })).rejects.toMatchObject({ code: 'TARGET_SPACE' });
    }
    expect(existsSync(target)).toBe(false);
  });

  test('whose file points at a tree, or at nothing, costs that file only', async () => {
    const inner = await save({ nodes: [file('a')] });
    const nodes = [
      ...[file('tree', '', { content: [inner.tree] }), file('void', '', { content: ['0'.repeat(64)] })],
      file('good'),
    ];
    const { problems } = await restoreTo(repository, { pool, snapshot: await save({ nodes }), target });
    expect(problems.map(({ path }) => path)).toEqual([join(target, 'tree'), join(target, 'void')]);
    expect(listFolder(target)).toHaveLength(2);
    expect(readFileSync(join(target, 'good'), 'utf8')).toBe('hostile');
  });

  test('whose folder points at data, or at nothing, costs that folder only', async () => {
    const data = await save({ nodes: [file('a')] });
    const nodes = [
      folder('lost', [], { subtree: 'f'.repeat(64) }),
      folder('wrong', [], { subtree: data.id }),
      folder('none', [], { nodes: undefined }),
      file('good'),
    ];
    const { problems } = await restoreTo(repository, { pool, snapshot: await save({ nodes }), target });
    expect(problems.map(({ path }) => path)).toEqual([join(target, 'lost'), join(target, 'wrong')]);
    expect(problems[0]?.message).toContain(`tree blob ${'f'.repeat(64)}`);
    expect(readFileSync(join(target, 'good'), 'utf8')).toBe('hostile');
  });

  test('with folders deeper than a path may be long reports them and restores the rest', async () => {
    let nodes: RawNode[] = [file('bottom')];
    for (let depth = 0; depth < 600; depth += 1) nodes = [folder('deep-down', nodes)];
    const { problems } = await restoreTo(repository, {
      pool,
      snapshot: await save({ nodes: [...nodes, file('top')] }),
      target,
    });
    expect(problems).toHaveLength(1);
    expect(problems[0]?.message).toContain('ENAMETOOLONG');
    expect(readFileSync(join(target, 'top'), 'utf8')).toBe('hostile');
  });

  test('with attributes and numbers that no system takes reports them and restores the content', async () => {
    const attributes = [
      ...[
        { name: '', value: '' },
        { name: 'user.a\0b', value: 'AA==' },
        { name: 'no-namespace', value: 'AA==' },
      ],
      { name: 'user.bomb', value: Buffer.alloc(200_000).toString('base64') },
      ...Array.from({ length: 300 }, (_, number) => ({ name: `user.${'n'.repeat(200)}${number}`, value: 'AA==' })),
    ];
    const nodes = [
      file('attributes', 'hostile', { extended_attributes: attributes }),
      file('numbers', 'hostile', { uid: -7, gid: 1e300, mode: 1e300, mtime: '9999-99-99T99:99:99Z', atime: 'never' }),
      ...[
        { name: 'device', type: 'dev', device: '99999999999999999999' },
        { name: 'empty-link', type: 'symlink' },
      ],
    ];
    const { problems } = await restoreTo(repository, { pool, snapshot: await save({ nodes }), target });
    expect(new Set(problems.map(({ path }) => path))).toContain(join(target, 'attributes'));
    expect(readFileSync(join(target, 'attributes'), 'utf8')).toBe('hostile');
    expect(readFileSync(join(target, 'numbers'), 'utf8')).toBe('hostile');
  });

  test.skipIf(!isRoot)('cannot write through a link that the user may not remove', async () => {
    mkdirSync(target);
    symlinkSync('../outside', join(target, 'x'));
    symlinkSync('../outside', join(target, 'y')); // The folder is root's: nobody can't remove them.
    for (const each of [outside, join(outside, 'dir'), join(outside, 'canary')]) chownSync(each, nobody, nobody);
    letEverybodyIn(home.path, place.path);
    const before = listFolder(outside);
    const nodes = [folder('x', [file('canary'), file('new')]), folder('y', [file('new')])];
    const snapshot = await save({ nodes });
    letEverybodyIn(home.path, place.path);
    const { problems } = await unprivilegedAsync(() =>
      restoreTo(repository, { pool, snapshot, target, include: ['new'] }),
    );
    const all = await unprivilegedAsync(() => restoreTo(repository, { pool, snapshot, target }));
    expect(problems.map(({ path }) => path)).toEqual([join(target, 'x'), join(target, 'y')]);
    expect(all.problems.map(({ path }) => path)).toContain(join(target, 'x'));
    expect(listFolder(outside)).toEqual(before);
  });

  test.each(isRoot ? ['root', 'nobody'] : ['the user'])(
    'made at random leaves alone all that lies around the target: as %s',
    async (who) => {
      const seed = Math.floor(systemRandom() * 2 ** 32);
      process.stdout.write(`hostile trees with seed ${seed}\n`);
      const random = seededRandom(seed);
      for (let round = 0; round < 12; round += 1) {
        const snapshot = await save(randomSnapshot(random, outside));
        if (who === 'nobody') letEverybodyIn(home.path, place.path);
        const before = [listFolder(outside), readdirSync(place.path).filter((name) => name !== 'target')];
        const request = {
          ...{ pool, snapshot, target, isDelta: random() < 0.5 },
          ...(random() < 0.3 && { include: [pick(random, ['a', 'b', '*', '/a/b'])] }),
          ...(random() < 0.2 && { base: pick(random, ['/a', '/a/b', '/..', '/a/../..']) }),
        };
        const restore = () => restoreTo(repository, request);
        const outcome = await (who === 'nobody' ? unprivilegedAsync(restore) : restore()).catch(
          (error: unknown) => error,
        );
        if (outcome instanceof Error && !isAppError(outcome)) throw outcome;
        const around = readdirSync(place.path).filter((name) => name !== 'target');
        expect([listFolder(outside), around]).toEqual(before);
      }
    },
  );
});

/** The repository stays its owner's, but others may read it, and write beside it. */
function letEverybodyIn(home: string, place: string): void {
  const open = (at: string): void => {
    const isFolder = lstatSync(at).isDirectory();
    chmodSync(at, isFolder ? 0o755 : 0o444);
    if (isFolder) for (const name of readdirSync(at)) open(join(at, name));
  };
  open(home);
  chmodSync(place, 0o777);
}

const pick = <Value>(random: Random, values: readonly Value[]): Value =>
  values[Math.floor(random() * values.length)] as Value;

/** Few names, so that snapshots get in each other's way; hostile ones seldom, so that most are restored. */
function randomSnapshot(random: Random, outside: string): HandmadeSnapshot {
  const targets = [outside, '../outside', '../../outside', '..', '.', '/', 'a', `${outside}/canary`, 'b/../..'];
  const hostile = ['..', '.', '../outside/evil', `${outside}/evil`, 'a\0b', '\ud800', '\ufffd', '\udcc3\udca9', 'é'];
  const nodes = (depth: number): RawNode[] => {
    const names = ['a', 'b', 'c', 'canary', 'dir'].filter(() => random() < 0.6);
    if (random() < 0.03) names.push(pick(random, hostile));
    return names.map((name) => node(name, depth));
  };
  const node = (name: string, depth: number): RawNode => {
    const shared = random() < 0.2 ? { inode: 1 + Math.floor(random() * 3), device_id: 1, links: 2 } : {};
    const kind = random();
    if (kind < 0.4 && depth < 4) return folder(name, nodes(depth + 1), { mode: 0x8000_01c0 });
    if (kind < 0.6) return { ...link(name, pick(random, targets)), ...shared };
    if (kind < 0.65) return { name, type: pick(random, ['fifo', 'chardev', 'dev', 'socket']), device: 259, ...shared };
    const data = Array.from({ length: Math.floor(random() * 3) }, () => Buffer.alloc(1 + Math.floor(random() * 3), 97));
    return file(name, '', { data, ...(random() < 0.1 && { size: random() * 1e6 - 5e5 }), ...shared });
  };
  return { nodes: nodes(0), ...(random() < 0.5 && { paths: [pick(random, ['/a/b/c', '/b', '/a/dir/x/y', '/'])] }) };
}
