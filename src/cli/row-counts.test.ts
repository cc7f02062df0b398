// Rows of earlier backups, where what holds them answers and where it does not.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { inlineWorkers } from '../../test/support/inline-workers.ts';
import { createRepository, noSignal } from '../../test/support/repository.ts';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { AppError } from '../base/errors.ts';
import { backup } from '../operations/backup/backup.ts';
import { filesSource } from '../sources/files/files-source.ts';
import type { Source } from '../sources/source.ts';
import type { BlobIndex } from '../repository/blob-index.ts';
import type { Store } from '../storage/store.ts';
import { RowCountsReader } from './row-counts.ts';

test('rows are told by table; of a backup in an archive class nothing is, and a store that fails is told', async () => {
  await using folder = await temporaryFolder();
  const repository = await createRepository(folder.path);
  writeFileSync(join(folder.path, 'dump'), 'content');
  const items = [
    { name: 'shop.public.orders', rows: 150, sum: '1' },
    { name: 'db0 string', rows: 7, sum: '1', expiresAtMs: 1 },
  ];
  const files = filesSource({ paths: [join(folder.path, 'dump')] });
  const source: Source = {
    ...files,
    kind: 'postgres',
    async open(signal, request) {
      const session = await files.open(signal, request);
      return { ...session, fingerprint: async () => ({ version: 1, method: 'test', items }) };
    },
  };
  let index: BlobIndex | undefined;
  const { snapshot } = await backup(repository, source, {
    onIndex: (own) => (index = own),
    component: 'database',
    programVersion: 'test',
    signal: noSignal,
    pool: inlineWorkers(repository),
  });
  const rowsFrom = async (store: Store, known?: BlobIndex) => {
    await using counts = new RowCountsReader({ ...repository, store }, known);
    return await counts.of(snapshot, noSignal);
  };
  const { store } = repository;
  const refusing = (code: 'STORE_DENIED' | 'STORE_UNREACHABLE', what = 'data/'): Store => ({
    ...store,
    async get(name, options) {
      if (name.startsWith(what)) throw new AppError(code, 'could not read it', { hint: 'Wait.' });
      return store.get(name, options);
    },
  });
  expect(await rowsFrom(store)).toEqual(new Map([['shop.public.orders', 150]]));
  // Of a backup that has just been made the index is not read again.
  const away = refusing('STORE_UNREACHABLE', 'index/');
  expect(await rowsFrom(away, index)).toEqual(new Map([['shop.public.orders', 150]]));
  await expect(rowsFrom(away)).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' });
  expect(await rowsFrom(refusing('STORE_DENIED'))).toBeUndefined();
  await expect(rowsFrom(refusing('STORE_UNREACHABLE'))).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' });
});
