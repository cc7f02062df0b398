import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { noSignal } from '../../../test/support/repository.ts';
import { namesIn, sampleRepository } from '../../../test/support/sample-repository.ts';
import { temporaryFolder } from '../../../test/support/temporary-folder.ts';
import { WorkerPool } from '../../repository/worker-pool.ts';
import { filesSource } from '../../sources/files/files-source.ts';
import { backup } from './backup.ts';
import { previewBackup } from './preview.ts';

test('a preview counts what the backup then does, and writes nothing', async () => {
  await using folder = await temporaryFolder();
  const { repository, store } = await sampleRepository();
  await using pool = new WorkerPool(repository);
  const source = filesSource({ paths: [folder.path], excludes: ['*.tmp'] });
  const options = { component: 'uploads', pool, signal: noSignal, programVersion: 'test' };
  const expectSame = async (parent: string | undefined, readBytes: number): Promise<string> => {
    const before = await namesIn(store);
    const { files, ...preview } = await previewBackup(repository, source, options);
    expect(await namesIn(store)).toEqual(before);
    expect(preview).toEqual({ parent, form: undefined, findings: [], problems: [] });
    const result = await backup(repository, source, options);
    const { failed, ...counts } = result.files;
    expect([files, failed]).toEqual([{ ...counts, totalBytes: result.totalBytes, readBytes }, 0]);
    return result.snapshot.id;
  };
  const write = (name: string, text: string) => writeFile(join(folder.path, name), text);

  await mkdir(join(folder.path, 'a/b'), { recursive: true });
  await mkdir(join(folder.path, 'c'));
  for (const name of ['a/b/one', 'a/two', 'c/three', 'four', 'left.tmp']) await write(name, name);
  const first = await expectSame(undefined, 23);
  await write('a/b/one', 'longer than before');
  await write('c/five', 'new');
  await rm(join(folder.path, 'four'));
  const second = await expectSame(first, 21);
  await expectSame(second, 0);
  const forced = await previewBackup(repository, source, { ...options, isForced: true });
  expect(forced.files).toEqual({ new: 0, changed: 4, unmodified: 0, totalBytes: 33, readBytes: 33 });
});
