import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { type TemporaryFolder, temporaryFolder } from '../../../test/support/temporary-folder.ts';
import { describeSource } from '../source-contract.ts';
import { filesSource } from './files-source.ts';

let folder: TemporaryFolder;

beforeAll(async () => {
  folder = await temporaryFolder();
  mkdirSync(join(folder.path, 'a/b'), { recursive: true });
  writeFileSync(join(folder.path, 'a/b/file'), 'content');
  writeFileSync(join(folder.path, 'a.txt'), '');
  symlinkSync('a.txt', join(folder.path, 'link'));
});

afterAll(() => folder[Symbol.asyncDispose]());

describeSource('files', () => filesSource({ paths: [folder.path] }), {
  unreachable: () => filesSource({ paths: [join(folder.path, 'missing')] }),
});
