import { symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { fileVersion, filesVersion } from './file-version.ts';

test('changes with the file, and is told of several though one of them can not be looked at', async () => {
  await using folder = await temporaryFolder();
  const at = (name: string): string => join(folder.path, name);
  writeFileSync(at('file'), 'content');
  symlinkSync('loop', at('loop'));
  const before = await fileVersion(at('file'));
  expect(await fileVersion(at('file'))).toBe(before);
  utimesSync(at('file'), 1, 1);
  expect(await fileVersion(at('file'))).not.toBe(before);
  expect([await fileVersion(at('none')), await fileVersion(at('file/below'))]).toEqual([undefined, undefined]);
  expect(await fileVersion(at('loop'))).toBe('ELOOP');
  expect(await filesVersion([at('a'.repeat(300)), at('nul\0'), at('file')])).toMatch(/ENAMETOOLONG.*ERR_.* 7 /);
});
