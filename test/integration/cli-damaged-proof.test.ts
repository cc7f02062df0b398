// A proof that can't be read may be that of the last point known to come back: whoever deletes stops there, and whoever
// looks says so.
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { jsonLines, runHere, type Ran } from '../support/lifeboat.ts';
import { createRepository } from '../support/repository.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

let folder: TemporaryFolder;
/** The damaged file, as the store calls it. */
let damaged: string;
const run = (...args: string[]): Promise<Ran> => runHere(args, { folder: folder.path });

async function succeed(...args: string[]): Promise<Ran> {
  const ran = await run(...args);
  if (ran.exitCode !== 0) throw new Error(`lifeboat ${args.join(' ')}: ${ran.exitCode} ${ran.stdout} ${ran.stderr}`);
  return ran;
}

const snapshots = (): Promise<string[]> => readdir(join(folder.path, 'repository/snapshots'));

async function onlyFile(at: string): Promise<string> {
  const entries = await readdir(join(folder.path, at), { recursive: true, withFileTypes: true });
  const [file, ...others] = entries.filter((entry) => entry.isFile());
  if (file === undefined || others.length > 0) throw new Error(`${entries.length} entries at ${at}`);
  return join(file.parentPath, file.name);
}

/** Three snapshots, the first of them proven, by a proof that nobody can read any more. One story, test by test. */
beforeAll(async () => {
  folder = await temporaryFolder();
  await mkdir(join(folder.path, 'uploads'));
  await createRepository(folder.path);
  await writeFile(
    join(folder.path, 'lifeboat.yaml'),
    `application: shop
repositories: { local: { location: ./repository } }
components:
  uploads: { type: files, paths: [./uploads], policy: { retention: { keepLast: 1 } } }
`,
  );
  for (const content of ['first', 'second', 'third']) {
    await writeFile(join(folder.path, 'uploads/a.txt'), content);
    await succeed('backup');
    if (content === 'first') await succeed('prove');
  }
  const file = await onlyFile('repository/notes/proof');
  damaged = file.slice(join(folder.path, 'repository/').length);
  await rm(file);
  await writeFile(file, 'rubbish');
});
afterAll(() => folder[Symbol.asyncDispose]());

const deletions = [
  ['retention', '--yes'],
  ['retention', '--dry-run'],
  ['repository', 'forget', '--keep-last', '1', '--yes'],
  ['repository', 'forget', '--keep-last', '1', '--prune', '--yes'],
];

test.each(deletions.map((args) => ({ args })))(
  '$args refuses, names the file, and deletes nothing',
  async ({ args }) => {
    const before = await snapshots();
    expect(before).toHaveLength(3);
    const ran = await run(...args, '--json');
    expect(ran.exitCode).toBe(20);
    expect(`${ran.stdout}${ran.stderr}`).toContain('"REPOSITORY_DAMAGED"');
    expect(`${ran.stdout}${ran.stderr}`).toContain(damaged);
    const { stderr } = await run(...args);
    expect(stderr.replace(/\s+/g, ' ')).toContain('or say --forget-proven');
    expect(await snapshots()).toEqual(before);
  },
);

test('status shows the proof that can not be read, and where it lies', async () => {
  const { stdout } = await succeed('status');
  // Names as long as these are broken at the end of a line.
  const text = stdout.replace(/\s+/g, '');
  expect(text).toContain(`1proofcan'tberead,thefirstin${damaged}`);
  expect(JSON.parse((await succeed('status', '--json')).stdout)).toMatchObject({
    repositories: [{ unreadableProofs: [damaged] }],
  });
});

test('verify reports the file as damage', async () => {
  const ran = await run('verify', '--json');
  expect(ran.exitCode).toBe(20);
  expect(jsonLines(ran).at(-1)).toMatchObject({
    repositories: [{ errors: 1, findings: [{ severity: 'error', where: damaged }] }],
  });
});

test('with --forget-proven the rules go on', async () => {
  await succeed('repository', 'forget', '--keep-last', '2', '--forget-proven', '--yes');
  expect(await snapshots()).toHaveLength(2);
  await succeed('retention', '--forget-proven', '--yes');
  expect(await snapshots()).toHaveLength(1);
});

test('without the file the rules go on as well', async () => {
  await succeed('backup', '--force');
  expect((await run('retention', '--yes')).exitCode).toBe(20);
  await rm(join(folder.path, 'repository', damaged));
  await succeed('retention', '--yes');
  expect(await snapshots()).toHaveLength(1);
  await succeed('verify');
});
