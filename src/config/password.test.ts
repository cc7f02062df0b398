import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { globalOptions, resolveOptions, type GivenFlags } from './options.ts';
import { passwordFrom, passwordSource, readPassword, type PasswordSource } from './password.ts';

interface Given {
  readonly flags?: GivenFlags;
  readonly variables?: Record<string, string>;
  readonly own?: Parameters<typeof passwordSource>[0];
  readonly isOnlyOne?: boolean;
}

function sourceOf({ flags = {}, variables = {}, own = {}, isOnlyOne = false }: Given): PasswordSource | undefined {
  const environment = { variables, workingFolder: '/app', homeFolder: '/' };
  const given = resolveOptions(globalOptions, { flags, environment });
  return passwordSource(own, { ...given, isOnlyOne, workingFolder: '/app' });
}

describe('the password of a repository', () => {
  const flags = { passwordFile: 'flag' };
  const variables = { LIFEBOAT_PASSWORD: ' variable ', LIFEBOAT_PASSWORD_FILE: 'variable' };
  const fromFlag = { kind: 'file', path: '/app/flag' };

  test.each([{ own: { password: 'own' } }, { own: { passwordFile: '/own' } }])(
    'that lifeboat.yaml gives wins over variables: $own',
    ({ own }) => {
      const expected =
        own.password === undefined ? { kind: 'file', path: '/own' } : { kind: 'text', password: own.password };
      for (const isOnlyOne of [true, false]) expect(sourceOf({ own, variables, isOnlyOne })).toEqual(expected);
      expect(sourceOf({ own, variables, flags })).toEqual(expected);
    },
  );

  test('comes from the flag where this repository alone is meant, whatever else gives one', () => {
    expect(sourceOf({ flags, variables, own: { password: 'own' }, isOnlyOne: true })).toEqual(fromFlag);
  });

  test('comes from the flag, else the file, else the text of the variables where lifeboat.yaml gives none', () => {
    expect(sourceOf({ flags, variables })).toEqual(fromFlag);
    expect(sourceOf({ variables })).toEqual({ kind: 'file', path: '/app/variable' });
    expect(sourceOf({ variables: { LIFEBOAT_PASSWORD: ' variable ' } })).toEqual({
      kind: 'text',
      password: ' variable ',
    });
    expect(sourceOf({})).toBeUndefined();
  });
});

test('a file is read without white space around it and without a byte order mark', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'secret');
  await writeFile(path, '\ufeff from file \n');
  expect(await passwordFrom({ kind: 'file', path })).toBe('from file');
});

function missing(message: string): object {
  return { code: 'PASSWORD_MISSING', message: expect.stringContaining(message) as string };
}

test('an empty file and no file at all are said apart', async () => {
  await using folder = await temporaryFolder();
  await writeFile(join(folder.path, 'empty'), '\n');
  await expect(readPassword(join(folder.path, 'empty'))).rejects.toMatchObject(missing('is empty'));
  await expect(readPassword(join(folder.path, 'none'))).rejects.toMatchObject(missing('ENOENT'));
});
