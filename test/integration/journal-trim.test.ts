// Journals shrink with the backups that need them, by the real program, with stock restic changing snapshots in between.
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Repository } from '../../src/repository/repository.ts';
import { loadSnapshots, type StoredSnapshot } from '../../src/repository/snapshot.ts';
import { backUpBase, sealedJournal } from '../support/journal-bases.ts';
import { list, testBranch } from '../support/journal.ts';
import { jsonLines, runHere, type Ran } from '../support/lifeboat.ts';
import { createRepository, noSignal, testPassword } from '../support/repository.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';
import { describeWith } from '../support/tools.ts';

const execute = promisify(execFile);
const branch = { ...testBranch, about: { ancestors: [] } };
const { lineage } = branch;

describeWith(['restic'], 'journals shrink with the backups that need them', () => {
  let folder: TemporaryFolder;
  let repository: Repository;

  const run = (...args: string[]): Promise<Ran> => runHere(args, { folder: folder.path });
  async function succeed(...args: string[]): Promise<Ran> {
    const ran = await run(...args);
    if (ran.exitCode !== 0) throw new Error(`lifeboat ${args.join(' ')}: ${ran.exitCode} ${ran.stdout} ${ran.stderr}`);
    return ran;
  }
  async function restic(...args: string[]): Promise<void> {
    const env = {
      PATH: process.env['PATH'],
      RESTIC_PASSWORD: testPassword,
      RESTIC_REPOSITORY: join(folder.path, 'repository'),
    };
    await execute('restic', ['--no-cache', ...args], { env });
  }
  const snapshots = (): Promise<StoredSnapshot[]> => loadSnapshots(repository, noSignal);
  const kept = async (): Promise<number[]> => (await list(repository, branch)).stretches.map(({ segment }) => segment);

  /** These tests are one story: each goes on where the one before ended. */
  beforeAll(async () => {
    folder = await temporaryFolder();
    await mkdir(join(folder.path, 'uploads'));
    repository = await createRepository(folder.path);
    await writeFile(
      join(folder.path, 'lifeboat.yaml'),
      `application: shop
repositories: { local: { location: ./repository } }
components:
  uploads: { type: files, paths: [./uploads], policy: { retention: { keepLast: 1 } } }
`,
    );
    await sealedJournal(repository, branch, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    for (const segment of [2, 5, 8]) await backUpBase(repository, { component: 'uploads', lineage, segment });
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  test('restic drops where in the journal a snapshot begins, and prune still finds it', async () => {
    await restic('tag', '--add', 'checked');
    expect((await snapshots()).map(({ lifeboat }) => lifeboat)).toEqual([undefined, undefined, undefined]);
    const { stdout } = await succeed('repository', 'prune', '--yes');
    const [oldest] = await snapshots();
    expect(stdout).toContain(`journal ${lineage}\n  removed segment 1 (`);
    expect(stdout).toContain(`stay, from snapshot ${oldest?.id.slice(0, 8)} on\nfreed `);
    expect(await kept()).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  test('a dry run of retention tells what of journals would go with the snapshots, and for which one the rest stays', async () => {
    const newest = (await snapshots()).at(-1);
    const { stdout } = await succeed('retention', '--dry-run', '--json');
    expect(jsonLines({ stdout, stderr: '', exitCode: 0 }).at(-1)).toMatchObject({
      repositories: [
        {
          journals: {
            isDryRun: true,
            branches: [
              { lineage, removed: { first: 2, last: 7 }, kept: { first: 8, last: 10 }, keptBy: { id: newest?.id } },
            ],
          },
        },
      ],
    });
    expect((await succeed('retention', '--dry-run')).stdout).toContain('would remove segments 2 to 7 (');
    expect((await succeed('retention', '--dry-run', '--no-prune')).stdout).not.toContain('journal');
    expect(await kept()).toHaveLength(9);
  });

  test('forget shows it too, and removes it where it is to free the space', async () => {
    const [oldest] = await snapshots();
    const id = oldest?.id ?? '';
    expect((await succeed('repository', 'forget', id, '--dry-run')).stdout).not.toContain('journal');
    expect((await succeed('repository', 'forget', id, '--prune', '--dry-run')).stdout).toContain('segments 2 to 4 (');
    await succeed('repository', 'forget', id, '--prune', '--yes');
    expect(await kept()).toEqual([5, 6, 7, 8, 9, 10]);
  });

  test('retention finishes what a run that died after removing snapshots left, and asks before', async () => {
    const [oldest] = await snapshots();
    await restic('forget', oldest?.id ?? '');
    const asked = await run('retention');
    expect(asked).toMatchObject({ exitCode: 2 });
    expect(asked.stderr).toMatch(/this would remove [\d.]+ KiB of journals from local/);
    expect(await kept()).toHaveLength(6);
    expect((await succeed('retention', '--yes')).stdout).toContain('removed segments 5 to 7 (');
    expect(await kept()).toEqual([8, 9, 10]);
  });

  test('stats counts what is kept of each journal', async () => {
    expect((await succeed('repository', 'stats')).stdout).toMatch(/journal {5}test\/1\n {12}3 segments, [\d.]+ KiB$/m);
    const { stdout } = await succeed('repository', 'stats', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ journals: [{ lineage, segments: 3, unneededBytes: 0, isLedTo: true }] });
  });

  test('without any backup the journal stays, until it is named', async () => {
    expect((await run('repository', 'prune', '--drop-journal', lineage, '--yes')).stderr).toContain(
      'needs the journal',
    );
    await restic('forget', (await snapshots())[0]?.id ?? '');
    const { stdout } = await succeed('repository', 'prune', '--yes');
    expect(stdout).toContain('stay, though no snapshot leads to it');
    expect(await kept()).toEqual([8, 9, 10]);
    expect((await succeed('repository', 'stats')).stdout).toContain('no snapshot leads to it');
    const wish = ['repository', 'prune', '--drop-journal', lineage];
    expect((await run(...wish)).stderr).toContain(`the journal ${lineage}`);
    expect((await succeed(...wish, '--dry-run')).stdout).toContain('would remove segments 8 to 9 (');
    await succeed(...wish, '--yes');
    expect(await kept()).toEqual([10]);
  });
});
