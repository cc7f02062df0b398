// What a recovered configuration lacks on a machine that is not the one it was written for.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { problemsOfConfiguration } from './usable.ts';

test('a folder that was a repository is missed where it is not there; who has made none yet is told of the rest alone', async () => {
  await using folder = await temporaryFolder();
  const at = (name: string): string => join(folder.path, name);
  await writeFile(
    at('lifeboat.yaml'),
    `application: shop
repositories:
  here: { location: ./here }
  beside: { location: ./beside, passwordFile: ./password }
  far: { location: 's3://backups/shop' }
components: {}
`,
  );
  await mkdir(at('here'));
  const environment = { variables: {}, workingFolder: folder.path, homeFolder: folder.path };
  const problems = (hasRepositories: boolean) =>
    problemsOfConfiguration(at('lifeboat.yaml'), environment, { hasRepositories });
  const password = `${at('password')} is not there; ${at('lifeboat.yaml')} names it`;
  expect(await problems(false)).toEqual([password]);
  expect(await problems(true)).toEqual([
    password,
    `${at('beside')} is not there; ${at('lifeboat.yaml')} names it as the repository beside`,
  ]);
});
