import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { createRepository, noSignal } from '../../../test/support/repository.ts';
import { temporaryFolder } from '../../../test/support/temporary-folder.ts';
import { standbyRepository } from './standby-repository.ts';

test('a snapshot that is damaged, or goes while it is read, keeps no standby from the others', async () => {
  await using folder = await temporaryFolder();
  const repository = await createRepository(folder.path);
  const bytes = Buffer.from('no snapshot');
  await repository.store.put(`snapshots/${createHash('sha256').update(bytes).digest('hex')}`, [bytes]);
  const gone = 'e'.repeat(64);
  const { store } = repository;
  const listing: typeof store = {
    ...store,
    async *list(prefix, options) {
      yield* store.list(prefix, options);
      if (prefix === 'snapshots/') yield { name: `snapshots/${gone}`, sizeBytes: 100 };
    },
  };
  const looked = standbyRepository({
    repository: { ...repository, store: listing },
    component: 'database',
    host: undefined,
    lock: () => Promise.reject(new Error('nothing is to be read')),
  });
  expect(await looked.bases(noSignal)).toEqual([]);
});
