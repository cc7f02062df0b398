import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { noise } from '../support/random-tree.ts';
import { backupFolder, createRepository, reopen } from '../support/repository.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

test('what an interrupted backup stored is not stored again', async () => {
  await using folder = await temporaryFolder();
  const data = join(folder.path, 'data');
  mkdirSync(data);
  for (let number = 0; number < 80; number += 1) {
    writeFileSync(join(data, `photo-${number}`), noise(seededRandom(number), 3_000_000));
  }
  const repository = await createRepository(folder.path);
  const stop = new AbortController();
  const interrupted = backupFolder(repository, data, {
    signal: stop.signal,
    onProgress: ({ bytes }) => {
      if (bytes > 160_000_000) stop.abort(new Error('interrupted'));
    },
  });
  await expect(interrupted).rejects.toThrow('interrupted');
  const { addedBytes, totalBytes } = await backupFolder(await reopen(folder.path), data);
  expect(totalBytes).toBe(240_000_000);
  // At most about 80 MB were read and not stored yet: slabs, open packs, packs under way.
  expect(addedBytes).toBeLessThan(200_000_000);
});
