import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { globalOptions, resolveOptions, type GivenFlags } from './options.ts';
import { repositoryPassword } from './password.ts';

function password(workingFolder: string, flags: GivenFlags, variables: Record<string, string>): Promise<string> {
  const environment = { variables, workingFolder, homeFolder: '/' };
  const { values, origins } = resolveOptions(globalOptions, { flags, environment });
  return repositoryPassword(values, origins, workingFolder);
}

test('a file named by a flag wins over the variable, whose own bytes are taken as they are', async () => {
  await using folder = await temporaryFolder();
  await writeFile(join(folder.path, 'secret'), '\ufeff from file \n');
  const variables = { LIFEBOAT_PASSWORD: ' from variable ' };
  expect(await password(folder.path, { passwordFile: 'secret' }, variables)).toBe('from file');
  expect(await password(folder.path, {}, variables)).toBe(' from variable ');
});

function missing(message: string): object {
  return { code: 'PASSWORD_MISSING', message: expect.stringContaining(message) as string };
}

test('no password, an empty file and no file at all are said apart', async () => {
  await using folder = await temporaryFolder();
  await writeFile(join(folder.path, 'empty'), '\n');
  await expect(password(folder.path, {}, {})).rejects.toMatchObject(missing('no password was given'));
  await expect(password(folder.path, { passwordFile: 'empty' }, {})).rejects.toMatchObject(missing('is empty'));
  await expect(password(folder.path, { passwordFile: 'none' }, {})).rejects.toMatchObject(missing('ENOENT'));
});
