import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { unattendedStart } from './unattended.ts';

test('only what systemd takes from the file is there, and what is empty is not', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'lifeboat.yaml');
  const environmentFile = join(folder.path, 'shop.env');
  const component = "{ type: postgres, host: db, user: '${DB_USER}', password: '${DB_PASSWORD}' }";
  await writeFile(path, `application: shop\nrepositories: { a: { location: /a } }\ncomponents: { db: ${component} }\n`);
  const shell = { DB_USER: 'app', DB_PASSWORD: 'planted', AWS_PROFILE: 'backups', AWS_REGION: '', PGOPTIONS: '-c x=y' };
  const environment = { variables: shell, workingFolder: folder.path, homeFolder: folder.path };
  const start = async (text: string) => {
    await writeFile(environmentFile, text);
    return unattendedStart(path, { environmentFile, environment });
  };
  const bad = await start('DB_USER=app\nexport DB_PASSWORD=planted\n export PGOPTIONS=x\nAWS_PROFILE=\n');
  expect([...(bad.variables ?? [])]).toEqual(['DB_USER']);
  expect(bad.lacking).toEqual([
    expect.stringMatching(/components\.db\.password: found \$\{DB_PASSWORD\}, which is not set/),
    'AWS_PROFILE is set here, and will not be set there',
    'PGOPTIONS is set here, and will not be set there',
  ]);
  expect(bad.lacking.join()).not.toContain('planted');
  expect((await start('DB_USER=app\nDB_PASSWORD=x\nPGOPTIONS=x\nAWS_PROFILE=x\n')).lacking).toEqual([]);
});
