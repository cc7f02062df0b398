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
import { beforeEach, describe, expect, test } from 'vitest';
import { isAppError } from '../../src/base/errors.ts';
import { seededRandom } from '../../src/base/random.ts';
import { listFolder } from '../support/compare-folders.ts';
import { saveHandmade, type HandmadeSnapshot, type RawNode } from '../support/handmade-tree.ts';
import { restoreTo } from '../support/repository.ts';
import { hostileFile, hostileFolder, hostileLink, hostileSnapshot, pick } from '../support/hostile-trees.ts';
import { openForAll, useScenes } from '../support/scene.ts';
import { isRoot, nobody, unprivilegedAsync } from '../support/unprivileged.ts';
import { freshSeed } from '../support/fresh-seed.ts';

describe('a hostile repository', () => {
  const scene = useScenes();
  let outside: string;

  beforeEach(() => {
    outside = join(scene.folder, 'outside');
    mkdirSync(join(outside, 'dir'), { recursive: true });
    writeFileSync(join(outside, 'canary'), 'alive');
    writeFileSync(join(outside, 'dir', 'a'), 'alive too');
    symlinkSync('canary', join(outside, 'link'));
  });

  const save = (snapshot: HandmadeSnapshot) => saveHandmade(scene.repository, snapshot, scene.pool);

  test.each([
    ['a name that is absolute', [hostileFile('/etc/evil')]],
    ['a name that climbs', [hostileFile('../outside/evil')]],
    ['a name that goes down and climbs', [hostileFolder('a', [hostileFile('b/../../../outside/evil')])]],
    ['the parent as a folder', [hostileFolder('..', [hostileFolder('outside', [hostileFile('evil')])])]],
    ['the folder itself', [hostileFolder('.', [hostileFile('evil')])]],
    ['a name with a NUL', [hostileFile('a\0b')]],
    ['a name with a NUL in restic’s escapes', [hostileFile(String.raw`a\x00b`)]],
    ['a slash in restic’s escapes', [hostileFile(String.raw`..\x2foutside\x2fevil`)]],
    ['one name twice', [hostileFile('a'), hostileFile('a')]],
    ['a link and a folder of one name', [hostileLink('a', '../outside'), hostileFolder('a', [hostileFile('canary')])]],
    [
      'two names of which the disk makes one',
      [hostileLink('\ufffd', '../outside'), hostileFolder('\ud800', [hostileFile('canary')])],
    ],
    [
      'stray bytes that spell a name',
      [hostileLink('é', '../outside'), hostileFolder('\udcc3\udca9', [hostileFile('canary')])],
    ],
  ] satisfies [string, RawNode[]][])('with %s is refused before anything is written', async (_what, nodes) => {
    const snapshot = await save({ nodes: [hostileFile('innocent'), ...nodes] });
    const before = listFolder(outside);
    await expect(
      restoreTo(scene.repository, { pool: scene.pool, snapshot, target: scene.target }),
    ).rejects.toMatchObject({ code: 'HOSTILE_CONTENT' });
    expect(existsSync(scene.target)).toBe(false);
    expect(listFolder(outside)).toEqual(before);
  });

  test.each([
    ['no name', [hostileFile('')]],
    ['an unknown type', [{ name: 'a', type: 'portal' }]],
    ['content that is no list', [hostileFile('a', '', { content: 'x' })]],
    ['a sub-tree that is no id', [hostileFolder('a', [], { subtree: '../../keys' })]],
    ['no objects as attributes', [hostileFile('a', '', { extended_attributes: [7, null] })]],
  ] as [string, RawNode[]][])('with a node that has %s is refused as damaged', async (_what, nodes) => {
    const snapshot = await save({ nodes });
    const restoring = restoreTo(scene.repository, { pool: scene.pool, snapshot, target: scene.target });
    await expect(restoring).rejects.toMatchObject({ code: 'REPOSITORY_DAMAGED' });
  });

  test('cannot write through a link that an earlier snapshot of its planted', async () => {
    const planted = await save({
      nodes: [hostileLink('x', outside), hostileFolder('y', [hostileLink('z', '../../outside/dir')])],
    });
    await restoreTo(scene.repository, { pool: scene.pool, snapshot: planted, target: scene.target });
    const before = listFolder(outside);
    // Its paths pretend that /x and /y lie above what was backed up, where links of the host are followed.
    const nodes = [
      hostileFolder('x', [hostileFile('canary'), hostileFolder('dir', [hostileFile('a')])]),
      hostileFolder('y', [hostileFolder('z', [hostileFile('a')])]),
    ];
    const through = await save({ nodes, paths: ['/x/dir/deep', '/y/z/deep'] });
    const { problems } = await restoreTo(scene.repository, {
      pool: scene.pool,
      snapshot: through,
      target: scene.target,
    });
    expect(problems).toEqual([]);
    expect(listFolder(outside)).toEqual(before);
    expect(lstatSync(join(scene.target, 'x')).isDirectory()).toBe(true);
    expect(readFileSync(join(scene.target, 'y/z/a'), 'utf8')).toBe('hostile');
  });

  test('cannot write through a planted link when only some files are included', async () => {
    await restoreTo(scene.repository, {
      pool: scene.pool,
      snapshot: await save({ nodes: [hostileLink('x', outside)] }),
      target: scene.target,
    });
    const before = listFolder(outside);
    const snapshot = await save({ nodes: [hostileFolder('x', [hostileFile('canary')])] });
    await restoreTo(scene.repository, { pool: scene.pool, snapshot, target: scene.target, include: ['canary'] });
    expect(listFolder(outside)).toEqual(before);
    expect(readFileSync(join(scene.target, 'x/canary'), 'utf8')).toBe('hostile');
  });

  test('cannot write through a file link, whether delta or not', async () => {
    mkdirSync(scene.target);
    symlinkSync('../outside/canary', join(scene.target, 'one'));
    symlinkSync('../outside/new', join(scene.target, 'two'));
    const before = listFolder(outside);
    const snapshot = await save({ nodes: [hostileFile('one'), hostileFile('two', 'x'.repeat(10))] });
    await restoreTo(scene.repository, { pool: scene.pool, snapshot, target: scene.target, isDelta: true });
    expect(listFolder(outside)).toEqual(before);
    expect(readFileSync(join(scene.target, 'one'), 'utf8')).toBe('hostile');
    expect(existsSync(join(outside, 'new'))).toBe(false);
  });

  test('cannot change what a hard link outside shares with a file in the target', async () => {
    mkdirSync(scene.target);
    linkSync(join(outside, 'canary'), join(scene.target, 'same'));
    linkSync(join(outside, 'dir/a'), join(scene.target, 'other'));
    const before = listFolder(outside);
    const snapshot = await save({ nodes: [hostileFile('same', 'alive', { mode: 0o4777 }), hostileFile('other')] });
    for (const isDelta of [false, true])
      await restoreTo(scene.repository, { pool: scene.pool, snapshot, target: scene.target, isDelta });
    expect(listFolder(outside)).toEqual(before);
    expect(lstatSync(join(scene.target, 'same')).mode & 0o777).toBe(0o777);
  });

  test.skipIf(!isRoot)('cannot write through a link that the user may not remove', async () => {
    mkdirSync(scene.target);
    symlinkSync('../outside', join(scene.target, 'x'));
    symlinkSync('../outside', join(scene.target, 'y')); // The folder is root's: nobody can't remove them.
    for (const each of [outside, join(outside, 'dir'), join(outside, 'canary')]) chownSync(each, nobody, nobody);
    openForAll(join(scene.folder, 'repository'));
    chmodSync(scene.folder, 0o777);
    const before = listFolder(outside);
    const nodes = [
      hostileFolder('x', [hostileFile('canary'), hostileFile('new')]),
      hostileFolder('y', [hostileFile('new')]),
    ];
    const snapshot = await save({ nodes });
    openForAll(join(scene.folder, 'repository'));
    chmodSync(scene.folder, 0o777);
    const { problems } = await unprivilegedAsync(() =>
      restoreTo(scene.repository, { pool: scene.pool, snapshot, target: scene.target, include: ['new'] }),
    );
    const all = await unprivilegedAsync(() =>
      restoreTo(scene.repository, { pool: scene.pool, snapshot, target: scene.target }),
    );
    expect(problems.map(({ path }) => path)).toEqual([join(scene.target, 'x'), join(scene.target, 'y')]);
    expect(all.problems.map(({ path }) => path)).toContain(join(scene.target, 'x'));
    expect(listFolder(outside)).toEqual(before);
  });

  test.each(isRoot ? ['root', 'nobody'] : ['the user'])(
    'made at random leaves alone all that lies around the target: as %s',
    async (who) => {
      const seed = freshSeed('hostile trees');
      const random = seededRandom(seed);
      for (let round = 0; round < 12; round += 1) {
        const snapshot = await save(hostileSnapshot(random, outside));
        if (who === 'nobody') {
          openForAll(join(scene.folder, 'repository'));
          chmodSync(scene.folder, 0o777);
        }
        const before = [listFolder(outside), readdirSync(scene.folder).filter((name) => name !== 'target')];
        const request = {
          pool: scene.pool,
          snapshot,
          target: scene.target,
          isDelta: random() < 0.5,
          ...(random() < 0.3 && { include: [pick(random, ['a', 'b', '*', '/a/b'])] }),
          ...(random() < 0.2 && { base: pick(random, ['/a', '/a/b', '/..', '/a/../..']) }),
        };
        const restore = () => restoreTo(scene.repository, request);
        const outcome = await (who === 'nobody' ? unprivilegedAsync(restore) : restore()).catch(
          (error: unknown) => error,
        );
        if (outcome instanceof Error && !isAppError(outcome)) throw outcome;
        const around = readdirSync(scene.folder).filter((name) => name !== 'target');
        expect([listFolder(outside), around]).toEqual(before);
      }
    },
  );
});

describe('a hostile repository that lies', () => {
  const scene = useScenes();

  const save = (snapshot: HandmadeSnapshot) => saveHandmade(scene.repository, snapshot, scene.pool);

  test('keeps files apart whose hard link keys say they are one', async () => {
    const key = { inode: 7, device_id: 8, links: 2 };
    const nodes = [
      hostileFile('a', 'first', key),
      hostileFile('b', 'second', key),
      { ...hostileLink('c', 'a'), ...key },
      hostileFile('d', 'first', key),
    ];
    const { problems } = await restoreTo(scene.repository, {
      pool: scene.pool,
      snapshot: await save({ nodes }),
      target: scene.target,
    });
    expect(problems).toEqual([]);
    expect(['a', 'b', 'd'].map((name) => readFileSync(join(scene.target, name), 'utf8'))).toEqual([
      'first',
      'second',
      'first',
    ]);
    expect(readlinkSync(join(scene.target, 'c'))).toBe('a');
    expect(lstatSync(join(scene.target, 'd')).ino).toBe(lstatSync(join(scene.target, 'a')).ino);
    expect(lstatSync(join(scene.target, 'b')).ino).not.toBe(lstatSync(join(scene.target, 'a')).ino);
  });

  test('that lies about sizes gives the content there is, and says so', async () => {
    const two = [Buffer.alloc(300, 1), Buffer.alloc(200, 2)];
    const nodes = [
      hostileFile('small', 'four', { size: 1 }),
      hostileFile('large', 'four', { size: 1_000_000 }),
      hostileFile('short', '', { data: two, size: 3 }),
      hostileFile('long', '', { data: two, size: 4096 }),
      hostileFile('negative', 'four', { size: -5 }),
      hostileFile('fraction', 'four', { size: 1.5 }),
    ];
    const { problems } = await restoreTo(scene.repository, {
      pool: scene.pool,
      snapshot: await save({ nodes }),
      target: scene.target,
    });
    const sizes = nodes.map(({ name }) => lstatSync(join(scene.target, name)).size);
    expect(sizes).toEqual([4, 4, 500, 500, 4, 4]);
    expect(problems).toHaveLength(nodes.length);
    expect(problems[0]?.message).toContain('its content has 4');
  });

  test('that declares a size no disk has is refused for want of space', async () => {
    for (const size of [2 ** 60, 1e300]) {
      const snapshot = await save({ nodes: [hostileFile('huge', 'four', { size })] });
      await expect(
        restoreTo(scene.repository, { pool: scene.pool, snapshot, target: scene.target }),
      ).rejects.toMatchObject({ code: 'TARGET_SPACE' });
    }
    expect(existsSync(scene.target)).toBe(false);
  });

  test('whose file points at a tree, or at nothing, costs that file only', async () => {
    const inner = await save({ nodes: [hostileFile('a')] });
    const nodes = [
      hostileFile('tree', '', { content: [inner.tree] }),
      hostileFile('void', '', { content: ['0'.repeat(64)] }),
      hostileFile('good'),
    ];
    const { problems } = await restoreTo(scene.repository, {
      pool: scene.pool,
      snapshot: await save({ nodes }),
      target: scene.target,
    });
    expect(problems.map(({ path }) => path)).toEqual([join(scene.target, 'tree'), join(scene.target, 'void')]);
    expect(listFolder(scene.target)).toHaveLength(2);
    expect(readFileSync(join(scene.target, 'good'), 'utf8')).toBe('hostile');
  });

  test('whose folder points at data, or at nothing, costs that folder only', async () => {
    const data = await save({ nodes: [hostileFile('a')] });
    const nodes = [
      hostileFolder('lost', [], { subtree: 'f'.repeat(64) }),
      hostileFolder('wrong', [], { subtree: data.id }),
      hostileFolder('none', [], { nodes: undefined }),
      hostileFile('good'),
    ];
    const { problems } = await restoreTo(scene.repository, {
      pool: scene.pool,
      snapshot: await save({ nodes }),
      target: scene.target,
    });
    expect(problems.map(({ path }) => path)).toEqual([join(scene.target, 'lost'), join(scene.target, 'wrong')]);
    expect(problems[0]?.message).toContain(`tree blob ${'f'.repeat(64)}`);
    expect(readFileSync(join(scene.target, 'good'), 'utf8')).toBe('hostile');
  });

  test('with folders deeper than a path may be long reports them and restores the rest', async () => {
    let nodes: RawNode[] = [hostileFile('bottom')];
    for (let depth = 0; depth < 600; depth += 1) nodes = [hostileFolder('deep-down', nodes)];
    const { problems } = await restoreTo(scene.repository, {
      pool: scene.pool,
      snapshot: await save({ nodes: [...nodes, hostileFile('top')] }),
      target: scene.target,
    });
    expect(problems).toHaveLength(1);
    expect(problems[0]?.message).toContain('ENAMETOOLONG');
    expect(readFileSync(join(scene.target, 'top'), 'utf8')).toBe('hostile');
  });

  test('with attributes and numbers that no system takes reports them and restores the content', async () => {
    const attributes = [
      { name: '', value: '' },
      { name: 'user.a\0b', value: 'AA==' },
      { name: 'no-namespace', value: 'AA==' },
      { name: 'user.bomb', value: Buffer.alloc(200_000).toString('base64') },
      ...Array.from({ length: 300 }, (_, number) => ({ name: `user.${'n'.repeat(200)}${number}`, value: 'AA==' })),
    ];
    const nodes = [
      hostileFile('attributes', 'hostile', { extended_attributes: attributes }),
      hostileFile('numbers', 'hostile', {
        uid: -7,
        gid: 1e300,
        mode: 1e300,
        mtime: '9999-99-99T99:99:99Z',
        atime: 'never',
      }),
      { name: 'device', type: 'dev', device: '99999999999999999999' },
      { name: 'empty-link', type: 'symlink' },
    ];
    const { problems } = await restoreTo(scene.repository, {
      pool: scene.pool,
      snapshot: await save({ nodes }),
      target: scene.target,
    });
    expect(new Set(problems.map(({ path }) => path))).toContain(join(scene.target, 'attributes'));
    expect(readFileSync(join(scene.target, 'attributes'), 'utf8')).toBe('hostile');
    expect(readFileSync(join(scene.target, 'numbers'), 'utf8')).toBe('hostile');
  });
});
