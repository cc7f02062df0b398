import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../../../test/support/temporary-folder.ts';
import { dumpProgram, findProgram, restoreProgram } from './programs.ts';

const never = new AbortController().signal;
/** Majors that no package of this machine has, so that only the test's own programs are in play. */
const majors = [901, 903, 905];

async function fakePrograms(parent: string): Promise<string[]> {
  const folders = majors.map((major) => join(parent, String(major)));
  for (const [index, folder] of folders.entries()) {
    await mkdir(folder);
    for (const program of ['pg_dump', 'pg_restore']) {
      await writeFile(
        join(folder, program),
        `#!/bin/sh\necho "${program} (PostgreSQL) ${majors[index] ?? 0}.2 (Test)"\n`,
      );
      await chmod(join(folder, program), 0o755);
    }
  }
  return folders;
}

test('the dump program is of the server’s major, else the next newer one, never an older one', async () => {
  await using folder = await temporaryFolder();
  const folders = await fakePrograms(folder.path);
  expect((await dumpProgram(903, folders, never)).version).toBe('903.2');
  expect((await dumpProgram(902, folders, never)).major).toBe(903);
  await expect(dumpProgram(906, folders, never)).rejects.toMatchObject({
    code: 'TOOL_MISSING',
    message: expect.stringContaining('905.2 in'),
    hint: expect.stringContaining('postgresql-client-906'),
  });
});

test('the restore program reads the archive first of all, and then fits the server', async () => {
  await using folder = await temporaryFolder();
  const folders = await fakePrograms(folder.path);
  expect((await restoreProgram({ archive: 901, server: 903 }, folders, never)).major).toBe(903);
  expect((await restoreProgram({ archive: 903, server: 901 }, folders, never)).major).toBe(903);
  expect((await restoreProgram({ archive: 903, server: 999 }, folders, never)).major).toBe(905);
  await expect(restoreProgram({ archive: 906, server: 901 }, folders, never)).rejects.toMatchObject({
    code: 'TOOL_MISSING',
  });
});

test('what is no PostgreSQL program, or does not run, is passed over', async () => {
  await using folder = await temporaryFolder();
  const folders = await fakePrograms(folder.path);
  for (const [name, script] of [
    ['broken', '#!/nonexistent\n'],
    ['other', '#!/bin/sh\necho 7\n'],
    ['failing', '#!/bin/sh\nexit 1\n'],
  ] as const) {
    await mkdir(join(folder.path, name));
    await writeFile(join(folder.path, name, 'pg_dump'), script, { mode: 0o755 });
    folders.unshift(join(folder.path, name));
  }
  const found = await findProgram('pg_dump', folders, never);
  expect(found.filter(({ major }) => major > 900).map(({ major }) => major)).toEqual([905, 903, 901]);
});
