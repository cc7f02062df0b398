import { utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { systemClock } from '../base/clock.ts';
import { openCatalog } from '../catalog/open-catalog.ts';
import { insertRun, type NewRun } from '../catalog/runs.ts';
import { saveSelfBackup } from '../catalog/service-self.ts';
import { parseConfiguration } from '../config/load.ts';
import { filesVersion } from './file-version.ts';
import { beginSelfBackups } from './self-backups.ts';

test('a backup of the state begins when there is none, and when a configuration file has changed, once for each change', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'lifeboat.yaml');
  const text = '{application: shop, repositories: {a: {location: /a}, b: {location: /b}}, components: {}}';
  writeFileSync(path, text);
  const environment = { variables: {}, workingFolder: folder.path, homeFolder: folder.path };
  const tenant = { ...parseConfiguration(text, { path, environment }), configurationPath: path };
  await using catalog = await openCatalog({ path: join(folder.path, 'catalog.sqlite'), url: undefined }, systemClock);
  const begunRuns: NewRun[] = [];
  const parts = {
    catalog,
    tenants: () => [tenant],
    enqueue: (run: NewRun) => Promise.resolve(String(begunRuns.push(run))),
  };
  const begun = new Map<string, string>();
  const look = async (): Promise<unknown[]> => {
    await beginSelfBackups(parts, begun);
    return begunRuns.splice(0).map(({ input, origin }) => [(input as { job: string }).job, origin]);
  };
  const by = (words: string) => ({ kind: 'request', by: words });
  expect(await look()).toEqual([
    ['self-backup/a', by('no backup yet')],
    ['self-backup/b', by('no backup yet')],
  ]);
  expect(await look()).toEqual([]);
  const done = { application: 'shop', version: await filesVersion([path]), snapshot: 'x' };
  await saveSelfBackup(catalog, { ...done, repository: 'a' });
  await saveSelfBackup(catalog, { ...done, repository: 'b' });
  begun.clear(); // As after a restart.
  expect(await look()).toEqual([]);
  utimesSync(path, 1, 1);
  const kind = 'self-backup';
  await insertRun(catalog, { kind, application: 'shop', input: { job: 'self-backup/b' }, origin: {} });
  expect(await look()).toEqual([['self-backup/a', by('changed configuration')]]); // The other one is at it.
});
