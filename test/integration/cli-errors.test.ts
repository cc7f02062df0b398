// What the real program says when something is wrong: the exit codes that scripts rely on, facts with hints, no stacks.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { chmod, chown, link, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { acquireLock } from '../../src/repository/lock.ts';
import { environmentIn, jsonLines, launcher, runHere, runLifeboat, type Ran } from '../support/lifeboat.ts';
import { createRepository, noSignal, reopen } from '../support/repository.ts';
import { damagePacks, dataPacks } from '../support/damaged-packs.ts';
import { isRoot, nobody } from '../support/unprivileged.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

let folder: TemporaryFolder;
const repository = ['--repository', './repository'];

function run(args: readonly string[], environment: Record<string, string> = {}): Promise<Ran> {
  return runHere(args, { folder: folder.path, environment });
}

beforeAll(async () => {
  folder = await temporaryFolder();
  await mkdir(join(folder.path, 'data'));
  await writeFile(join(folder.path, 'data/file'), 'content');
  await createRepository(folder.path);
});
afterAll(() => folder[Symbol.asyncDispose]());

const failures: readonly {
  readonly title: string;
  readonly args: readonly string[];
  readonly environment?: Record<string, string>;
  readonly code: string;
  readonly exitCode: number;
}[] = [
  { title: 'an unknown option', args: ['snapshots', '--nonsense'], code: 'USAGE', exitCode: 2 },
  { title: 'a missing argument', args: ['restore', ...repository], code: 'USAGE', exitCode: 2 },
  { title: 'too many arguments', args: ['retention', 'a'], code: 'USAGE', exitCode: 2 },
  { title: 'a choice that is none', args: ['backup', '--chunker', 'knife', ...repository], code: 'USAGE', exitCode: 2 },
  { title: 'help for a command that is none', args: ['help', 'nonsense'], code: 'USAGE', exitCode: 2 },
  { title: 'no repository named', args: ['snapshots'], code: 'CONFIG_MISSING', exitCode: 2 },
  {
    title: 'an address with a password',
    args: ['snapshots', '-r', 's3://a:b@c/d'],
    code: 'SECRET_IN_ARGUMENT',
    exitCode: 2,
  },
  { title: 'a time that is none', args: ['ls', 'before:soon', ...repository], code: 'USAGE', exitCode: 2 },
  { title: 'a snapshot that is not there', args: ['ls', 'abcdef01', ...repository], code: 'NOT_FOUND', exitCode: 4 },
  { title: 'a missing repository', args: ['snapshots', '-r', './none'], code: 'REPOSITORY_MISSING', exitCode: 10 },
  {
    title: 'a missing repository, before any password',
    args: ['snapshots', '-r', './none'],
    environment: { LIFEBOAT_PASSWORD: '' },
    code: 'REPOSITORY_MISSING',
    exitCode: 10,
  },
  {
    title: 'a copy to a missing repository, before any password',
    args: ['copy', '--from', './repository', '--to', './none'],
    environment: { LIFEBOAT_PASSWORD: '' },
    code: 'REPOSITORY_MISSING',
    exitCode: 10,
  },
  {
    title: 'a missing repository whose password file is gone too',
    args: ['copy', '--from', './repository', '--to', './none', '--to-password-file', './no-file'],
    code: 'REPOSITORY_MISSING',
    exitCode: 10,
  },
  {
    title: 'a wrong password',
    args: ['snapshots', ...repository],
    environment: { LIFEBOAT_PASSWORD: 'wrong' },
    code: 'PASSWORD_WRONG',
    exitCode: 12,
  },
  {
    title: 'no password, where nobody can be asked',
    args: ['snapshots', ...repository],
    environment: { LIFEBOAT_PASSWORD: '' },
    code: 'PASSWORD_MISSING',
    exitCode: 12,
  },
  {
    title: 'a path that is gone',
    args: ['backup', '--path', './gone', ...repository],
    code: 'SOURCE_UNREACHABLE',
    exitCode: 1,
  },
  {
    title: 'a repository that exists',
    args: ['repository', 'init', ...repository],
    code: 'REPOSITORY_EXISTS',
    exitCode: 1,
  },
];

describe.each(failures)('$title', ({ args, environment, code, exitCode }) => {
  test(`ends with ${exitCode}, a fact and a hint on standard error, and no stack`, async () => {
    const ran = await run(args, environment);
    expect(ran).toMatchObject({ exitCode, stdout: '' });
    expect(ran.stderr).toMatch(/^error: .+\nhint: .+/);
    expect(ran.stderr).toContain(`code: ${code}\n`);
    expect(ran.stderr).not.toMatch(/^ +at /m);
  });

  test('is an object for programs with --json', async () => {
    const ran = await run([...args, '--json'], environment);
    expect(ran).toMatchObject({ exitCode, stderr: '' });
    expect(jsonLines(ran)).toEqual([expect.objectContaining({ message_type: 'error', code, exitCode })]);
  });
});

test('an age identity in place of its recipient is refused and not shown', async () => {
  const ran = await run(['dump', 'latest', '/x', '--recipient', 'AGE-SECRET-KEY-1PLANTED', ...repository]);
  expect(ran).toMatchObject({ exitCode: 2, stdout: '' });
  expect(ran.stderr).toContain('SECRET_IN_ARGUMENT');
  expect(ran.stderr).not.toContain('PLANTED');
});

test('a near miss is named', async () => {
  expect((await run(['snapshot'])).stderr).toContain('Did you mean snapshots?');
});

test('a repository locked by others is left alone, and worked on when they are done in time', async () => {
  const held = await acquireLock(await reopen(folder.path), { isExclusive: true, signal: noSignal });
  try {
    const refused = await run(['backup', '--path', './data', ...repository]);
    expect(refused).toMatchObject({ exitCode: 11 });
    expect(refused.stderr).toContain('REPOSITORY_LOCKED');
    // Reading takes no lock.
    expect((await run(['snapshots', ...repository])).exitCode).toBe(0);
  } finally {
    await held[Symbol.asyncDispose]();
  }
  expect((await run(['backup', '--path', './data', '--retry-lock', '10s', ...repository])).exitCode).toBe(0);
});

test('a file that cannot be read is left out, named, and ends with 3', async () => {
  await using own = await temporaryFolder();
  await mkdir(join(own.path, 'data'));
  await writeFile(join(own.path, 'data/open'), 'x');
  await writeFile(join(own.path, 'data/secret'), 'x');
  await chmod(join(own.path, 'data/secret'), 0o000);
  // Root may read everything, so another user does the backup.
  const options = { folder: own.path, ...(isRoot && { userId: nobody }) };
  if (isRoot)
    for (const path of ['', 'data', 'data/open', 'data/secret']) await chown(join(own.path, path), nobody, nobody);
  expect(await runLifeboat(['repository', 'init', ...repository], options)).toMatchObject({ exitCode: 0 });
  const ran = await runLifeboat(['backup', '--path', './data', ...repository], options);
  expect(ran).toMatchObject({ exitCode: 3 });
  expect(ran.stdout).toContain('1 item left out');
  expect(ran.stdout).toContain('data/secret: ');
});

test('a damaged pack makes verify end with 20 and name the file', async () => {
  await run(['backup', '--path', './data', ...repository]);
  const data = join(folder.path, 'repository/data');
  const names = (await readdir(data, { recursive: true })).filter((name) => /[0-9a-f]{64}$/.test(name));
  const [name = ''] = names;
  await rm(join(data, name));
  const ran = await run(['verify', ...repository]);
  expect(ran).toMatchObject({ exitCode: 20 });
  expect(ran.stdout).toContain(name.slice(-64));
  expect(ran.stdout).toContain('DAMAGED');
});

test('a restore that loses a file says so in title, counts and exit code, and the proof names the pack', async () => {
  await using own = await temporaryFolder();
  const runThere = (...args: string[]): Promise<Ran> => runHere([...args, ...repository], { folder: own.path });
  const data = join(own.path, 'data');
  await mkdir(data);
  const opened = await createRepository(own.path);
  await writeFile(join(data, 'kept'), 'kept');
  await runThere('backup', '--path', './data');
  const before = new Set(await dataPacks(opened));
  await writeFile(join(data, 'lost'), 'x'.repeat(100));
  await link(join(data, 'lost'), join(data, 'twin'));
  await runThere('backup', '--path', './data');
  const [pack = '', ...others] = (await dataPacks(opened)).filter((name) => !before.has(name));
  expect(others).toEqual([]);
  damagePacks(opened, [pack], (bytes) => ((bytes[20] = (bytes[20] ?? 0) ^ 1), bytes));
  const restored = await runThere('restore', 'latest', '--to', './out', '--base', data);
  expect(restored).toMatchObject({ exitCode: 20 });
  const told = restored.stdout.replaceAll(/\s+/g, ' ');
  expect(told).toContain('restored in part snapshot');
  expect(told).toContain('1 file (4 B) below');
  expect(told).toContain('2 items did not come back:');
  expect(told).toContain("hint: The repository is damaged. See how far with 'lifeboat verify --read-data'");
  const proven = await runThere('prove', '--json');
  expect(proven).toMatchObject({ exitCode: 20 });
  const [{ message }] = (jsonLines(proven).at(-1) as unknown as { proofs: [{ message: string }] }).proofs;
  expect(message).toContain('lost: missing: data blob');
  expect(message).toContain(pack);

  await mkdir(join(own.path, 'barred/kept'), { recursive: true });
  const dry = await runThere('restore', 'latest', '--to', './barred', '--base', data, '--dry-run');
  expect(dry.stdout.replaceAll(/\s+/g, ' ')).toContain('barred/kept will not come back: a folder is in the way');
  expect(dry.stdout).toContain('write 2 files in');
});

test('a restore into the data itself is refused, by any name, unless it is in place', async () => {
  await using own = await temporaryFolder();
  const runThere = (...args: string[]): Promise<Ran> => runHere([...args, ...repository], { folder: own.path });
  const data = join(own.path, 'data');
  await mkdir(join(data, 'sub'), { recursive: true });
  await writeFile(join(data, 'sub/file'), 'content');
  await symlink(data, join(own.path, 'alias'));
  await createRepository(own.path);
  await runThere('backup', '--path', './data');
  for (const to of ['./data/new/folder', './alias']) {
    const refused = await runThere('restore', 'latest', '--to', to, '--yes', '--json');
    expect(refused).toMatchObject({ exitCode: 1 });
    expect(`${refused.stdout}${refused.stderr}`).toContain('"TARGET_UNSAFE"');
    expect(`${refused.stdout}${refused.stderr}`).toContain('Leave --to out');
  }
  expect(await readdir(data, { recursive: true })).toEqual(['sub', 'sub/file']);
  await writeFile(join(data, 'sub/file'), 'changed');
  expect(await runThere('restore', 'latest', '--to', './alias', '--base', data, '--yes')).toMatchObject({
    exitCode: 0,
  });
  expect(await readFile(join(data, 'sub/file'), 'utf8')).toBe('content');
});

test.skipIf(!isRoot)('owners that only root may set come with 3, and one line for all', async () => {
  await using own = await temporaryFolder();
  await mkdir(join(own.path, 'data'));
  for (const name of ['a', 'b']) await writeFile(join(own.path, 'data', name), name);
  await createRepository(own.path);
  await runHere(['backup', '--path', './data', ...repository], { folder: own.path });
  for (const path of await readdir(own.path, { recursive: true })) await chown(join(own.path, path), nobody, nobody);
  await chown(own.path, nobody, nobody);
  const restore = ['restore', 'latest', '--to', './out', '--base', join(own.path, 'data'), ...repository];
  const ran = await runLifeboat(restore, { folder: own.path, userId: nobody });
  expect(ran).toMatchObject({ exitCode: 3 });
  expect(ran.stdout.match(/was not restored: only root may give files away/g)).toHaveLength(1);
});

test.skipIf(!isRoot)('a proof that may not be recorded is told all the same, with 3', async () => {
  await using own = await temporaryFolder();
  await mkdir(join(own.path, 'data'));
  await writeFile(join(own.path, 'data/file'), 'content');
  await createRepository(own.path);
  await runHere(['backup', '--path', './data', ...repository], { folder: own.path });
  await chmod(own.path, 0o755);
  execFileSync('chmod', ['-R', 'a+rX', join(own.path, 'repository')]);
  const ran = await runLifeboat(['prove', ...repository], { folder: own.path, userId: nobody });
  expect(ran.stdout).toContain('passed  files, snapshot');
  expect(ran.stdout).toContain('not recorded in the repository: could not write');
  expect(ran.exitCode).toBe(3);
});

test('a damaged snapshot keeps nobody from the others, and is named', async () => {
  await using own = await temporaryFolder();
  const runThere = (...args: string[]): Promise<Ran> => runHere([...args, ...repository], { folder: own.path });
  await mkdir(join(own.path, 'data'));
  await writeFile(join(own.path, 'data/file'), 'content');
  await createRepository(own.path);
  for (let turn = 0; turn < 2; turn += 1) await runThere('backup', '--path', './data');
  const snapshots = join(own.path, 'repository/snapshots');
  const [damaged = '', intact = ''] = await readdir(snapshots);
  await rm(join(snapshots, damaged));
  await writeFile(join(snapshots, damaged), 'rubbish');
  for (const args of [['snapshots'], ['ls', 'latest'], ['ls', intact], ['find', 'file']]) {
    const ran = await runThere(...args);
    expect(ran).toMatchObject({ exitCode: 0 });
    expect(ran.stderr).toMatch(
      new RegExp(`snapshot ${damaged.slice(0, 8)} (of repository ./repository )?was left out`),
    );
  }
  const dumped = await runThere('dump', intact, join(own.path, 'data/file'));
  expect(dumped).toMatchObject({ exitCode: 0, stdout: 'content' });
  const restored = await runThere('restore', 'latest', '--to', './restored');
  expect(restored.exitCode).toBe(3);
  expect(restored.stdout).toContain(`restored snapshot ${intact.slice(0, 8)}`);
  expect(restored.stdout).toContain(`snapshot ${damaged.slice(0, 8)} of repository ./repository was left out`);
  expect((await runThere('prove')).exitCode).toBe(3);
  expect((await runThere('status')).exitCode).toBe(21);
  expect((await runThere('repository', 'forget', '--keep-last', '1', '--yes')).exitCode).toBe(20);
});

test.each([['--help'], ['snapshots', ...repository], ['dump', 'latest', '/', ...repository]])(
  'output that does not fit on its disk fails %s, without a stack',
  async (...args) => {
    await run(['backup', '--path', './data', ...repository]);
    const full = openSync('/dev/full', 'w');
    const child = spawn(process.execPath, [launcher, ...args], {
      cwd: folder.path,
      env: environmentIn(folder.path),
      stdio: ['ignore', full, 'pipe'],
    });
    closeSync(full);
    const [stderr, [exitCode]] = await Promise.all([text(child.stderr!), once(child, 'exit')]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("error: the output can't be written: ENOSPC");
    expect(stderr).not.toContain('    at ');
  },
);

test('the version and the help say so with 0, a bare call with 2', async () => {
  expect(await run(['--version'])).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  const help = await run(['backup', '--help']);
  expect(help).toMatchObject({ exitCode: 0, stderr: '' });
  expect(help.stdout).toContain('Examples:');
  expect(await run(['help', 'backup'])).toEqual(help);
  expect(await run(['help'])).toEqual(await run(['--help']));
  expect(await run([])).toMatchObject({ exitCode: 2, stdout: '' });
});

test.each([
  [['help', 'repository', 'prun'], 'prune'],
  [['snapshot', '--help'], 'snapshots'],
])('%j names the nearest command and shows no other help', async (args, nearest) => {
  const { stdout, stderr, exitCode } = await run(args);
  expect([exitCode, stdout]).toEqual([2, '']);
  expect(stderr).toContain(`hint: Did you mean ${nearest}?`);
});

test('called by its name, the program is given the settings that save memory', async () => {
  const programs = join(folder.path, 'programs');
  await mkdir(programs);
  await writeFile(join(programs, 'node'), '#!/bin/sh\necho "$MALLOC_MMAP_THRESHOLD_ $1"\n', { mode: 0o755 });
  const shown = execFileSync(launcher, { env: { PATH: `${programs}:/usr/bin:/bin` }, encoding: 'utf8' });
  expect(shown).toBe('131072 --max-semi-space-size=4\n');
});

test('a server begins anew with room for what many ask at once, other commands go on as they are', () => {
  const shownBy = (command: string): string[] => {
    const tell = `data:text/javascript,console.log(JSON.stringify(process.execArgv))`;
    const args = ['--max-semi-space-size=4', launcher, command, '--help'];
    const env = { ...environmentIn(folder.path), NODE_OPTIONS: `--import=${tell}` };
    const shown = execFileSync(process.execPath, args, { env, encoding: 'utf8' });
    return shown.split('\n').filter((line) => line.startsWith('['));
  };
  expect(shownBy('server')).toEqual(['["--max-semi-space-size=4"]', '[]']);
  expect(shownBy('worker')).toEqual(['["--max-semi-space-size=4"]']);
});

test('no help has a line of more than 80 columns', async () => {
  const commands = [['backup'], ['restore'], ['repository', 'forget'], ['repository'], ['init'], []];
  for (const command of commands) {
    const { stdout } = await run([...command, '--help']);
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
  }
});
