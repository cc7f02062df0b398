import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { temporaryFolder, type TemporaryFolder } from '../../../test/support/temporary-folder.ts';
import { isRoot, nobody, unprivileged } from '../../../test/support/unprivileged.ts';
import {
  findUnfinished,
  foldersToMake,
  isRepeatedBy,
  markBegun,
  type RestoreScope,
  type UnfinishedRestore,
} from './unfinished-restores.ts';

let home: TemporaryFolder;
let target: string;
beforeEach(async () => {
  home = await temporaryFolder();
  target = join(home.path, 'target');
  mkdirSync(target);
});
afterEach(() => home[Symbol.asyncDispose]());

const all = { base: '/', include: [], exclude: [] };
const restore: UnfinishedRestore = {
  ...all,
  snapshot: 'ab'.repeat(32),
  tree: 'cd'.repeat(32),
  beganAt: '2026-11-20T20:00:00.000Z',
  madeFolders: [],
};
const later = '2026-11-20T21:00:00.000Z';
const into = (): RestoreScope => ({ ...all, target, paths: ['/srv/www'] });

test('a restore that was marked is found at its target, and at no other', () => {
  const mark = markBegun(into(), restore);
  expect(findUnfinished(into())).toEqual([{ mark, restore }]);
  expect(findUnfinished({ ...into(), target: home.path })).toEqual([]);
  expect(findUnfinished({ ...into(), target: join(target, 'nothing') })).toEqual([]);
});

test('restores of different things have marks of their own, the same one again has the same', () => {
  markBegun(into(), restore);
  markBegun(into(), { ...restore, include: ['a'] });
  markBegun(into(), { ...restore, beganAt: later });
  expect(findUnfinished(into()).map((found) => [found.restore.include, found.restore.beganAt])).toEqual(
    expect.arrayContaining([
      [[], later],
      [['a'], restore.beganAt],
    ]),
  );
  expect(readdirSync(target)).toHaveLength(2);
});

const isRepeated = (earlier: Partial<UnfinishedRestore>, now: Partial<UnfinishedRestore>): boolean =>
  isRepeatedBy({ ...restore, ...earlier }, { ...restore, ...now });

test.each([
  ['the same', {}, {}],
  ['all of which it was a part', { include: ['a'] }, {}],
  ['all but what it left out as well', { exclude: ['a'] }, { exclude: ['a'] }],
])('a restore is repeated by one of %s', (_what, earlier, now) => {
  expect(isRepeated(earlier, now)).toBe(true);
});

test.each([
  ['a part of it', {}, { include: ['a'] }],
  ['another part', { include: ['a'] }, { include: ['b'] }],
  ['less of it', {}, { exclude: ['a'] }],
  ['another tree', {}, { tree: 'ef'.repeat(32) }],
  ['another folder of it', {}, { base: '/srv' }],
])('a restore is not repeated by one of %s', (_what, earlier, now) => {
  expect(isRepeated(earlier, now)).toBe(false);
});

test('the folders that it makes are those above what was backed up that are not there', () => {
  const scope = { ...into(), paths: ['/a/b/c', '/a/x'] };
  expect(foldersToMake(scope)).toEqual([join(target, 'a'), join(target, 'a/b')]);
  mkdirSync(join(target, 'a'));
  expect(foldersToMake(scope)).toEqual([join(target, 'a/b')]);
  expect(foldersToMake({ ...scope, base: '/a' })).toEqual([join(target, 'b')]);
  expect(foldersToMake({ ...scope, base: '/a/b/c' })).toEqual([]);
});

test('what has the name of a mark and is none is not believed, not followed and not waited for', () => {
  const mark = markBegun(into(), restore) ?? '';
  const outside = join(home.path, 'outside');
  writeFileSync(outside, 'as it was');
  rmSync(mark);
  symlinkSync(outside, mark);
  expect(findUnfinished(into())).toEqual([]);
  expect(markBegun(into(), restore)).toBeUndefined();
  rmSync(mark);
  for (const content of ['', '{', '{"snapshot":7}', 'null']) {
    writeFileSync(mark, content);
    expect(findUnfinished(into())).toEqual([]);
  }
});

test.skipIf(!isRoot)('in place the mark lies in the first folder on the way that the user may write to', () => {
  const own = join(home.path, 'own');
  mkdirSync(join(own, 'data'), { recursive: true });
  chmodSync(home.path, 0o755);
  chownSync(own, nobody, nobody);
  const scope = { ...all, target: '/', paths: [join(own, 'data')] };
  const mark = unprivileged(() => markBegun(scope, restore)) ?? '';
  expect(dirname(mark)).toBe(own);
  expect(findUnfinished(scope).map((found) => found.mark)).toEqual([mark]);
  expect(existsSync(join('/', basename(mark)))).toBe(false);
});
