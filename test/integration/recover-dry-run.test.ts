// A dry run of a recovery says what this machine lacks, by the files as they would lie here, and writes nothing.
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ServiceRecoverData } from '../../src/cli/commands/service-recover.ts';
import { runHere, type Ran } from '../support/lifeboat.ts';
import { testPassword } from '../support/repository.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

test('what the recovered files refer to and this machine lacks is told by the dry run, which writes nothing', async () => {
  await using home = await temporaryFolder();
  const at = (...names: string[]): string => join(home.path, ...names);
  const lifeboat = (machine: string, args: readonly string[], variables: Record<string, string> = {}): Promise<Ran> =>
    runHere(args, { folder: at(machine), environment: variables });
  for (const machine of ['old', 'new']) mkdirSync(at(machine, 'data'), { recursive: true });
  const template = `repositories: { main: { location: ${at('repository')}, passwordFile: ./password } }
components:
  files: { type: files, paths: [./data] }
  database: { type: redis, host: localhost, password: '\${CACHE_PASSWORD}' }
`;
  writeFileSync(at('old', 'template.yaml'), template);
  writeFileSync(at('old', 'lifeboat.yaml'), 'extends: template.yaml\napplication: shop\n');
  writeFileSync(at('old', 'password'), testPassword, { mode: 0o600 });
  const variables = { CACHE_PASSWORD: 'x' };
  for (const args of [
    ['repository', 'init'],
    ['token', 'create', 'a'],
    ['service', 'backup'],
  ])
    expect(await lifeboat('old', args, variables)).toMatchObject({ exitCode: 0 });

  const args = ['service', 'recover', '--repository', at('repository'), '--dry-run'];
  const before = readdirSync(at('new'), { recursive: true });
  const lacking = await lifeboat('new', args);
  expect(lacking.exitCode).toBe(3);
  const words = lacking.stdout.replaceAll(/\s+/g, ' ');
  expect(words).toMatch(/missing: .*CACHE_PASSWORD\}, which is not set/);
  expect(words).toContain(`missing: ${at('new', 'password')} is not there`);
  expect(words).toContain('nothing was done: --dry-run');
  expect(readdirSync(at('new'), { recursive: true })).toEqual(before);
  expect(existsSync(at('new', 'lifeboat.yaml'))).toBe(false);

  writeFileSync(at('new', 'password'), testPassword, { mode: 0o600 });
  writeFileSync(at('new', 'lifeboat.yaml'), `application: another\n${template}`);
  const ready = await lifeboat('new', [...args, '--json'], variables);
  expect(ready.exitCode).toBe(0);
  const { missing, decision } = JSON.parse(ready.stdout) as ServiceRecoverData;
  expect(missing).toEqual([]);
  expect(decision.files.map(({ there }) => there)).toEqual(expect.arrayContaining(['another', 'nothing']));
});
