// What lies on this machine now against a backup of it: what is missing, changed, damaged, or new.
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DiffData } from '../../src/cli/commands/diff.ts';
import { runHere, type Ran } from '../support/lifeboat.ts';
import { damagePacks, dataPacks } from '../support/damaged-packs.ts';
import { createRepository, reopen } from '../support/repository.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

const configuration = `application: shop
repositories: { local: { location: repository } }
components:
  files: { type: files, paths: [data, single], excludes: ['*.tmp'] }
  settings: { type: config, files: [single] }
`;

/** Can be set again to the nanosecond. */
const wholeSecond = 1_700_000_000;

describe('diff --live', () => {
  let folder: TemporaryFolder;
  const at = (...names: string[]): string => join(folder.path, ...names);
  beforeAll(async () => {
    folder = await temporaryFolder();
    writeFileSync(at('lifeboat.yaml'), configuration);
    mkdirSync(at('data', 'deep', 'er'), { recursive: true });
    for (const name of ['same', 'gone', 'damaged', 'grown', 'touched', 'closed', 'kind', 'deep/er/file', 'was.tmp'])
      writeFileSync(at('data', name), `content of ${name}`);
    symlinkSync('same', at('data', 'link'));
    writeFileSync(at('single'), 'single');
    utimesSync(at('data', 'damaged'), wholeSecond, wholeSecond);
    await createRepository(folder.path);
    for (const component of ['files', 'settings']) expect((await lifeboat('backup', component)).exitCode).toBe(0);
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  const lifeboat = (...args: string[]): Promise<Ran> => runHere(args, { folder: folder.path });
  async function differences(...args: string[]): Promise<string[]> {
    const { stdout } = await lifeboat('diff', 'latest', '--component', 'files', '--live', '--json', ...args);
    const { differences: found } = JSON.parse(stdout) as DiffData;
    return found.map(({ kind, path }) => `${kind} ${path.slice(folder.path.length)}`).toSorted();
  }

  test('finds nothing where nothing has changed', async () => {
    expect(await differences('--read-data')).toEqual([]);
    const { exitCode, stdout } = await lifeboat('diff', 'latest', '--component', 'files', '--live');
    expect([exitCode, stdout]).toEqual([
      0,
      expect.stringMatching(/to what is there now\n0 added, 0 removed, 0 changed/),
    ]);
  });

  test('names what is missing, changed and new; what a disk spoils only where all is read', async () => {
    rmSync(at('data', 'gone'));
    rmSync(at('data', 'deep', 'er'), { recursive: true });
    writeFileSync(at('data', 'deep', 'er'), 'a file in place of a folder');
    rmSync(at('data', 'kind'));
    mkdirSync(at('data', 'kind'));
    writeFileSync(at('data', 'grown'), 'content of grown, and more');
    rmSync(at('data', 'link'));
    symlinkSync('grown', at('data', 'link'));
    chmodSync(at('data', 'touched'), 0o600);
    writeFileSync(at('data', 'new'), 'new');
    writeFileSync(at('data', 'new.tmp'), 'is left out');
    // As a disk does it: neither size nor time tell.
    writeFileSync(at('data', 'damaged'), 'content of dAmaged');
    utimesSync(at('data', 'damaged'), wholeSecond, wholeSecond);
    const found = [
      'added /data/new',
      'content /data/grown',
      'content /data/link',
      'removed /data/deep/er/file',
      'removed /data/gone',
      'type /data/deep/er',
      'type /data/kind',
    ];
    expect(await differences()).toEqual(found);
    expect(await differences('--read-data')).toEqual([...found, 'content /data/damaged'].toSorted());
    expect(await differences('--metadata')).toContain('metadata /data/touched');
  });

  test('says of a backup that lacks data that it can not tell, not that the file is damaged', async () => {
    const repository = await reopen(folder.path);
    const packs = await dataPacks(repository);
    const held = packs.map((name) => at('repository', 'data', name.slice(0, 2), name));
    const kept = held.map((path) => readFileSync(path));
    damagePacks(repository, packs, () => undefined);
    expect((await lifeboat('repository', 'rebuild-index')).exitCode).not.toBe(2);
    const { exitCode, stdout } = await lifeboat('diff', 'latest', '--component', 'files', '--live', '--read-data');
    expect([exitCode, stdout]).toEqual([
      3,
      expect.stringMatching(/^\? \S+\/data\/same: can't be compared: blob \w+ is missing$/m),
    ]);
    expect(stdout).not.toMatch(/^M \S+\/data\/same$/m);
    for (const [number, path] of held.entries()) writeFileSync(path, kept[number] ?? '');
    expect((await lifeboat('repository', 'rebuild-index')).exitCode).toBe(0);
  });

  test('names all that was in a folder that is gone, and that of another one', async () => {
    rmSync(at('data'), { recursive: true });
    const gone = await differences();
    expect(gone).toContain('removed /data');
    expect(gone).toHaveLength(12);
    rmSync(at('single'));
    expect(await differences()).toEqual([...gone, 'removed /single'].toSorted());
  });

  test.each([
    [['latest'], 2, /there is one snapshot/],
    [['latest', 'latest', '--live'], 2, /in place of a second snapshot/],
    [['latest', 'latest', '--read-data'], 2, /--read-data says nothing of two snapshots[^]*--read-data is for --live/],
    [['latest', '--component', 'settings', '--live'], 1, /settings is of type config/],
  ] as const)('refuses %j with a hint', async (...[args, code, words]) => {
    const { exitCode, stderr } = await lifeboat('diff', ...args);
    expect([exitCode, stderr]).toEqual([code, expect.stringMatching(words)]);
  });
});
