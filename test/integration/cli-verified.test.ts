// What a verification leaves behind: a record that retention honours and that status and snapshots show, by the real program.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { jsonLines, runHere, type Ran } from '../support/lifeboat.ts';
import type { VerifyData } from '../../src/cli/commands/verify.ts';
import { WorkerPool } from '../../src/repository/worker-pool.ts';
import { saveHandmade } from '../support/handmade-tree.ts';
import { createRepository } from '../support/repository.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

let folder: TemporaryFolder;
const run = (...args: string[]): Promise<Ran> => runHere(args, { folder: folder.path });

async function succeed(...args: string[]): Promise<Ran> {
  const ran = await run(...args);
  if (ran.exitCode !== 0) throw new Error(`lifeboat ${args.join(' ')}: ${ran.exitCode} ${ran.stdout} ${ran.stderr}`);
  return ran;
}

async function backUp(content: string): Promise<void> {
  await writeFile(join(folder.path, 'uploads/a.txt'), content);
  await succeed('backup');
}

interface Listed {
  readonly verifications: readonly { readonly level: string; readonly sample?: object }[];
}

async function listed(): Promise<readonly Listed[]> {
  const { stdout } = await succeed('snapshots', '--json');
  return (JSON.parse(stdout) as { repositories: { snapshots: Listed[] }[] }).repositories[0]?.snapshots ?? [];
}

async function records(): Promise<number> {
  const names = await readdir(join(folder.path, 'repository/notes/verification'), { recursive: true });
  return names.filter((name) => name.includes('/')).length;
}

/** These tests are one story: each goes on where the one before ended. */
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
  await backUp('first');
});
afterAll(() => folder[Symbol.asyncDispose]());

test('a snapshot is verified from the first verification on, and only then', async () => {
  expect((await succeed('status')).stdout).toContain('never verified');
  expect((await listed())[0]?.verifications).toEqual([]);
  await succeed('verify');
  expect((await succeed('status')).stdout).toContain('verified: structure just now');
  expect((await listed())[0]?.verifications).toMatchObject([{ level: 'structure' }]);
});

test('where none is proven, retention keeps the newest verified one whatever the policy says', async () => {
  await backUp('second');
  await backUp('third');
  const { stdout } = await succeed('retention', '--dry-run', '--json');
  expect(jsonLines({ stdout, stderr: '', exitCode: 0 }).at(-1)).toMatchObject({
    repositories: [
      {
        snapshots: [
          { keep: true, reasons: ['last snapshot'] },
          { keep: false },
          { keep: true, reasons: ['newest verified recovery point, none is proven'] },
        ],
      },
    ],
  });
  const { stdout: status } = await succeed('status', '--json');
  const ids = (
    JSON.parse((await succeed('snapshots', '--json')).stdout) as { repositories: { snapshots: { id: string }[] }[] }
  ).repositories[0]?.snapshots.map(({ id }) => id);
  expect(JSON.parse(status)).toMatchObject({ components: [{ verified: { id: ids?.[0] } }] });
});

test('samples complete each other, and a run over all data takes the place of all before it', async () => {
  await succeed('verify', '--sample', '1/2');
  await succeed('verify', '--sample', '2/2');
  expect((await listed())[2]?.verifications).toMatchObject([
    { level: 'sample', sample: { part: 2, of: 2 } },
    { level: 'sample', sample: { part: 1, of: 2 } },
  ]);
  expect(await records()).toBe(2);
  await succeed('verify', '--read-data');
  expect((await listed())[2]?.verifications).toMatchObject([{ level: 'data' }]);
  expect(await records()).toBe(1);
  await succeed('verify');
  expect((await listed())[2]?.verifications).toMatchObject([{ level: 'structure' }, { level: 'data' }]);
});

test('a verification that finds damage records nothing', async () => {
  const before = await listed();
  const packs = (await readdir(join(folder.path, 'repository/data'), { recursive: true })).filter((name) =>
    name.includes('/'),
  );
  for (const pack of packs) {
    const path = join(folder.path, 'repository/data', pack);
    const bytes = await readFile(path);
    await rm(path);
    await writeFile(path, bytes.subarray(1));
  }
  expect(await run('verify')).toMatchObject({ exitCode: 20 });
  expect(await records()).toBe(2);
  expect((await listed()).map(({ verifications }) => verifications)).toEqual(
    before.map(({ verifications }) => verifications),
  );
});

test('a backup whose facts are no facts is told by verify with 3, an old one only where all is read', async () => {
  await using other = await temporaryFolder();
  const repository = await createRepository(other.path);
  await using pool = new WorkerPool(repository);
  const save = (text: string, time: string) => {
    const facts = { name: 'facts.json', type: 'file', data: [Buffer.from(text)] };
    const nodes = [{ name: '.lifeboat', type: 'dir', mode: 0o755, nodes: [facts] }];
    return saveHandmade(repository, { nodes, time }, pool);
  };
  const verify = (...args: string[]) => runHere(['verify', '-r', './repository', ...args], { folder: other.path });
  const bad = await save('{"version": ', '2026-11-20T10:00:00Z');
  const told = await verify();
  expect(told.exitCode).toBe(3);
  expect(told.stdout).toContain('intact');
  const words = `warning: /.lifeboat/facts.json of snapshot ${bad.id.slice(0, 8)} is malformed`;
  expect(told.stdout.replaceAll(/\s+/g, ' ')).toContain(words);
  const list = await save('[1, 2]', '2026-11-21T10:00:00Z');
  const newest = await verify('--json');
  const { repositories } = jsonLines(newest).at(-1) as unknown as VerifyData;
  expect([newest.exitCode, repositories[0]?.errors, repositories[0]?.malformed]).toEqual([
    3,
    0,
    [expect.stringContaining(list.id.slice(0, 8))],
  ]);
  await save('{"version": 1}', '2026-11-22T10:00:00Z');
  expect((await verify()).exitCode).toBe(0);
  const all = await verify('--read-data');
  expect(all.exitCode).toBe(3);
  expect(all.stdout.match(/is malformed/g)).toHaveLength(2);
});
