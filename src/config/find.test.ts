import { chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { temporaryFolder, type TemporaryFolder } from '../../test/support/temporary-folder.ts';
import { isRoot, nobody } from '../../test/support/unprivileged.ts';
import { findConfiguration } from './find.ts';

let folder: TemporaryFolder;
let above: string;
let inner: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  above = join(folder.path, 'lifeboat.yaml');
  inner = join(folder.path, 'a', 'b');
  await mkdir(inner, { recursive: true });
  await writeFile(above, 'application: x');
});
afterEach(() => folder[Symbol.asyncDispose]());

test('takes the file of this folder', async () => {
  expect(await findConfiguration({ named: undefined, workingFolder: folder.path })).toBe(above);
});

test('looks in folders above inside a git repository only', async () => {
  expect(await findConfiguration({ named: undefined, workingFolder: inner })).toBeUndefined();
  await mkdir(join(folder.path, '.git'));
  expect(await findConfiguration({ named: undefined, workingFolder: inner })).toBe(above);
});

test.skipIf(!isRoot)('refuses a file above that belongs to another user, unless the folder does too', async () => {
  await mkdir(join(folder.path, '.git'));
  await chown(above, nobody, nobody);
  const options = { named: undefined, workingFolder: inner };
  await expect(findConfiguration(options)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  expect(await findConfiguration({ ...options, named: above })).toBe(above);
  await chown(inner, nobody, nobody);
  expect(await findConfiguration(options)).toBe(above);
});

test('does not look beyond the root of the git repository', async () => {
  await mkdir(join(folder.path, 'a', '.git'));
  expect(await findConfiguration({ named: undefined, workingFolder: inner })).toBeUndefined();
});

test('takes the named file, relative to this folder, and refuses one that is not there', async () => {
  expect(await findConfiguration({ named: '../../lifeboat.yaml', workingFolder: inner })).toBe(above);
  await expect(findConfiguration({ named: 'none.yaml', workingFolder: inner })).rejects.toMatchObject({
    code: 'CONFIG_MISSING',
  });
});
