// Every command through the real program, without a configuration file: --repository and LIFEBOAT_PASSWORD are all it has.
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { environmentIn, jsonLines, launcher, runHere, runLifeboat, type Ran } from '../support/lifeboat.ts';
import { createRepository } from '../support/repository.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

let folder: TemporaryFolder;
let first: string;
let second: string;

const repository = ['--repository', './repository'];
const run = (...args: string[]): Promise<Ran> => runHere(args, { folder: folder.path });

async function succeed(...args: string[]): Promise<Ran> {
  const ran = await run(...args, ...repository);
  if (ran.exitCode !== 0) throw new Error(`lifeboat ${args.join(' ')}: ${ran.exitCode} ${ran.stdout} ${ran.stderr}`);
  return ran;
}

async function documentOf<Data>(...args: string[]): Promise<Data> {
  return JSON.parse((await succeed(...args, '--json')).stdout) as Data;
}

const initWishes = ['--create-password', '--create-repository', '--dry-run'];

async function backup(): Promise<string> {
  const lines = jsonLines(await succeed('backup', '--path', './data', '--json'));
  const { backups } = lines.at(-1) as unknown as { backups: { result: { snapshot: { id: string } } }[] };
  return backups[0]?.result.snapshot.id ?? '';
}

beforeAll(async () => {
  folder = await temporaryFolder();
  await mkdir(join(folder.path, 'data/deep'), { recursive: true });
  await writeFile(join(folder.path, 'data/one.txt'), 'first content\n');
  await writeFile(join(folder.path, 'data/deep/two.txt'), 'second file\n');
  await createRepository(folder.path);
  first = await backup();
  await writeFile(join(folder.path, 'data/one.txt'), 'changed content\n');
  await writeFile(join(folder.path, 'data/three.txt'), 'third file\n');
  second = await backup();
});
afterAll(() => folder[Symbol.asyncDispose]());

describe('looking', () => {
  test('snapshots lists them, newest last, in a table and in JSON', async () => {
    const { repositories } = await documentOf<{ repositories: { snapshots: { id: string }[] }[] }>('snapshots');
    expect(repositories[0]?.snapshots.map(({ id }) => id)).toEqual([first, second]);
    const { stdout } = await succeed('snapshots');
    expect(stdout).toContain(second.slice(0, 8));
    expect(stdout).toContain('2 snapshots');
  });

  test('ls lists a folder of a snapshot, and all of it', async () => {
    const { stdout } = await succeed('ls', 'latest', join(folder.path, 'data'));
    expect(stdout.trim().split('\n').slice(1)).toEqual([
      join(folder.path, 'data/deep'),
      join(folder.path, 'data/one.txt'),
      join(folder.path, 'data/three.txt'),
    ]);
    const { entries } = await documentOf<{ entries: { path: string; sizeBytes: number }[] }>('ls', first);
    expect(entries).toContainEqual(
      expect.objectContaining({ path: join(folder.path, 'data/deep/two.txt'), sizeBytes: 12 }),
    );
    expect((await succeed('ls', 'latest', '--long')).stdout).toMatch(/-0644 .* 16 .*one\.txt/);
  });

  test('a dump of what is not there writes nothing, sealed or not', async () => {
    const recipient = await identityToRecipient(await generateIdentity());
    for (const flags of [[], ['--recipient', recipient]]) {
      const ran = await run('dump', 'latest', '/no/such/file', ...flags, ...repository);
      expect(ran).toMatchObject({ exitCode: 4, stdout: '' });
    }
  });

  test('dump writes a file byte for byte, of the snapshot that is named', async () => {
    expect((await succeed('dump', first, join(folder.path, 'data/one.txt'))).stdout).toBe('first content\n');
    expect((await succeed('dump', 'latest', join(folder.path, 'data/one.txt'))).stdout).toBe('changed content\n');
  });

  test('ls and dump take a component for its newest snapshot', async () => {
    expect((await succeed('ls', 'files')).stdout).toBe((await succeed('ls', second)).stdout);
    expect((await succeed('dump', 'files', join(folder.path, 'data/one.txt'))).stdout).toBe('changed content\n');
    expect((await run('ls', 'file', ...repository)).exitCode).toBe(4);
  });

  test('find tells which snapshots hold a file', async () => {
    const { snapshots } = await documentOf<{ snapshots: { id: string }[] }>('find', 'three.*');
    expect(snapshots.map(({ id }) => id)).toEqual([second]);
    expect((await run('find', 'nothing.*', ...repository)).exitCode).toBe(4);
  });

  test('diff tells what changed', async () => {
    const { counts, differences } = await documentOf<{ counts: object; differences: object[] }>('diff', first, second);
    expect(counts).toMatchObject({ added: 1, content: 1, removed: 0 });
    expect(differences).toHaveLength(2);
    expect((await succeed('diff', first, second)).stdout).toContain(`+ ${join(folder.path, 'data/three.txt')}`);
  });

  test('status shows components of snapshots where no configuration names any', async () => {
    const { components } = await documentOf<{ components: object[] }>('status');
    expect(components).toEqual([expect.objectContaining({ name: 'files', snapshots: 2, rpo: 'none' })]);
  });

  test('check and doctor find all in place', async () => {
    expect((await succeed('check')).stdout).toMatch(/ok +write access/);
    const ran = await run('doctor', ...repository);
    expect(ran.stdout).toMatch(/ok +unused space/);
    expect([0, 3]).toContain(ran.exitCode);
  });
});

describe('restoring', () => {
  test('brings a snapshot back to another folder', async () => {
    const { stdout } = await succeed('restore', first, '--to', './out', '--base', join(folder.path, 'data'));
    expect(stdout).toContain('restored snapshot');
    expect(await readFile(join(folder.path, 'out/one.txt'), 'utf8')).toBe('first content\n');
    expect(await readFile(join(folder.path, 'out/deep/two.txt'), 'utf8')).toBe('second file\n');
  });

  test('a dry run says what it would do and does nothing', async () => {
    const { stdout } = await succeed('restore', 'latest', '--to', './never', '--dry-run');
    expect(stdout).toContain('nothing was done');
    await expect(readFile(join(folder.path, 'never'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('in place asks for consent, and with --yes puts back what was changed', async () => {
    await writeFile(join(folder.path, 'data/three.txt'), 'overwritten\n');
    const refused = await run('restore', 'latest', ...repository);
    expect(refused).toMatchObject({ exitCode: 2 });
    expect(refused.stderr).toContain('CONFIRMATION_NEEDED');
    expect(await readFile(join(folder.path, 'data/three.txt'), 'utf8')).toBe('overwritten\n');
    await succeed('restore', 'latest', '--yes');
    expect(await readFile(join(folder.path, 'data/three.txt'), 'utf8')).toBe('third file\n');
  });

  test('a proof is kept, and latest-proven then finds its snapshot', async () => {
    expect((await run('restore', 'latest-proven', '--to', './p', '--dry-run', ...repository)).exitCode).toBe(4);
    const summary = jsonLines(await succeed('prove', '--from', first, '--json')).at(-1);
    expect(summary).toMatchObject({ message_type: 'summary', proofs: [{ outcome: 'passed', snapshot: first }] });
    const lines = jsonLines(await succeed('restore', 'latest-proven', '--to', './p', '--dry-run', '--json'));
    expect(lines.at(-1)).toMatchObject({ snapshot: { id: first } });
    const { before } = await documentOf<{ before: { id: string } }>('diff', 'latest-proven', 'latest');
    expect(before.id).toBe(first);
  });
});

test('a dry run of whatever writes tells what it would do, and changes no file', async () => {
  const filesOf = async (): Promise<string[]> =>
    (await readdir(folder.path, { recursive: true })).filter((name) => !name.startsWith('.cache')).toSorted();
  await writeFile(join(folder.path, 'data/four.txt'), 'fourth\n');
  await writeFile(join(folder.path, 'next-password'), 'third password\n');
  expect((await run('repository', 'init', '--repository', './empty', '--from', './repository')).exitCode).toBe(0);
  const before = await filesOf();
  const dry = async (...args: string[]): Promise<string> => (await succeed(...args, '--dry-run')).stdout;

  expect(await dry('backup', '--path', './data')).toMatch(
    /^would back up files to \.\/repository, after snapshot [0-9a-f]{8}\n +read +\d files?, .*1 new/,
  );
  expect(await dry('backup', '--path', './data', '--force')).toContain('read    4 files');
  expect(await dry('tag', 'latest', '--add', 'gold')).toContain(
    `${second.slice(0, 8)} would have component=files, gold`,
  );
  const copied = await dry('copy', '--to', './empty');
  expect(copied).toContain('would copy 2 snapshots');
  expect(copied).toContain(`  ${first.slice(0, 8)}\n  ${second.slice(0, 8)}\nnothing was done`);
  expect(await dry('repository', 'rebuild-index')).toMatch(/^would index \d+ blobs in \d+ packs: write 1 index file/);
  expect(await dry('repository', 'keys', 'add', '--new-password-file', './next-password')).toContain('would add a key');
  expect(await dry('repository', 'unlock', '--all')).toContain('no stale locks');
  const init = await run('init', '--files', './data', '-r', './new', '-p', './new-key', ...initWishes);
  expect(init.stdout).toMatch(/^ +path.*data[^]*would write a random password[^]*would create a repository/m);
  expect(await filesOf()).toEqual(before);
  await rm(join(folder.path, 'data/four.txt'));
});

describe('looking after a repository', () => {
  test('verify reads all data, or a part of it', async () => {
    const lines = jsonLines(await succeed('verify', '--read-data', '--json'));
    expect(lines.at(-1)).toMatchObject({ message_type: 'summary', repositories: [{ errors: 0, level: 'data' }] });
    expect((await succeed('repository', 'verify', '--sample', '1/3')).stdout).toContain('intact');
  });

  test('stats counts what is stored', async () => {
    const { raw } = await documentOf<{ raw: { blobs: number } }>('repository', 'stats');
    expect(raw.blobs).toBeGreaterThan(5);
  });

  test('tag changes tags and keeps the component', async () => {
    const { changed } = await documentOf<{ changed: { tags: string[]; to: string }[] }>('tag', second, '--add', 'gold');
    expect(changed[0]?.tags).toEqual(['component=files', 'gold']);
    second = changed[0]?.to ?? '';
    expect((await succeed('snapshots', '--tag', 'gold')).stdout).toContain('1 snapshot');
  });

  test('copy brings snapshots to a repository with the same parameters, once', async () => {
    expect((await run('repository', 'init', '--from', './repository', '--repository', './other')).exitCode).toBe(0);
    expect((await succeed('copy', '--to', './other')).stdout).toContain('copied 2 snapshots');
    expect((await succeed('copy', '--to', './other')).stdout).toContain('copied 0 snapshots');
  });

  test('copy with both ends named needs neither a configuration nor --repository', async () => {
    expect((await run('repository', 'init', '--from', './repository', '--repository', './third')).exitCode).toBe(0);
    expect(await run('copy', '--from', './repository', '--to', './third')).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('copied 2 snapshots from ./repository to ./third'),
    });
    expect(await run('copy', '--from', './third', '--to', './other')).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('copied 0 snapshots'),
    });
    const refused = await run('copy', '--from', './repository');
    expect(refused).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('Name it with --to.') });
  });

  test('keys are added, changed and removed, but never the one in use', async () => {
    await writeFile(join(folder.path, 'new-password'), ' second password \n');
    await succeed('repository', 'keys', 'add', '--new-password-file', './new-password');
    const { keys } = await documentOf<{ keys: { id: string; isCurrent: boolean }[] }>('repository', 'keys');
    expect(keys).toHaveLength(2);
    const other = keys.find(({ isCurrent }) => !isCurrent)?.id ?? '';
    const withNew = await runHere(['repository', 'keys', ...repository], {
      folder: folder.path,
      environment: { LIFEBOAT_PASSWORD: 'second password' },
    });
    expect(withNew).toMatchObject({ exitCode: 0 });
    const own = keys.find(({ isCurrent }) => isCurrent)?.id ?? '';
    const unconfirmed = await run('repository', 'keys', 'remove', other, ...repository);
    expect(unconfirmed.stderr).toMatch(/^hint: Look at it with --dry-run, then give --yes/m);
    expect((await run('repository', 'keys', 'remove', own, '--yes', ...repository)).exitCode).toBe(2);
    expect((await succeed('repository', 'keys', 'remove', other.slice(0, 8), '--yes')).stdout).toContain('removed key');
  });

  test.each(['hourly', 'daily', 'weekly', 'monthly', 'yearly'])(
    'forget keeps the last of a period within a span: --keep-within-%s',
    async (period) => {
      const flag = `--keep-within-${period}`;
      const { stdout } = await succeed('repository', 'forget', flag, '2y', '--dry-run', '--json');
      const { snapshots } = jsonLines({ stdout, stderr: '', exitCode: 0 }).at(-1) as unknown as {
        snapshots: { keep: boolean; reasons: string[] }[];
      };
      expect(snapshots[0]).toMatchObject({ keep: true, reasons: [`${period} within 2y`] });
      const wrong = await run('repository', 'forget', '--keep-within', '1y', flag, 'soon', '--dry-run', ...repository);
      expect(wrong.exitCode).toBe(2);
      expect(wrong.stderr).toContain(`${flag}: found 'soon', expected a span`);
    },
  );

  test('forget shows, asks, removes, and prune frees the space', async () => {
    expect((await succeed('repository', 'forget', '--keep-last', '1', '--dry-run')).stdout).toContain('would remove');
    expect((await run('repository', 'forget', first, ...repository)).exitCode).toBe(2);
    // The first is proven: neither the rules nor its id alone remove it.
    expect((await succeed('repository', 'forget', '--keep-last', '1', '--yes')).stdout).toContain(
      'removed 0 snapshots',
    );
    const refused = await run('repository', 'forget', first, '--yes', ...repository);
    expect(refused.exitCode).toBe(2);
    expect(refused.stderr.replaceAll(/\s+/g, ' ')).toContain('is the newest that is proven to come back');
    expect((await succeed('repository', 'forget', second, '--dry-run')).stdout).toContain('remove 1 snapshot, 1 stay');
    expect((await succeed('repository', 'forget', first, '--forget-proven', '--yes')).stdout).toContain(
      'removed 1 snapshot, 1 stay',
    );
    const lines = jsonLines(await succeed('repository', 'prune', '--max-unused', '0B', '--yes', '--json'));
    const { bytes } = lines.at(-1) as unknown as { bytes: { freed: number } };
    expect(bytes.freed).toBeGreaterThan(0);
    await succeed('verify', '--read-data');
  });

  test('rebuild-index and unlock leave an intact repository', async () => {
    await succeed('repository', 'rebuild-index');
    expect((await succeed('repository', 'unlock')).stdout).toContain('no stale locks');
    await succeed('verify');
  });
});

test('what a policy would have said is named where there is none: rules, components, a place for the result', async () => {
  const hint = (await run('retention', '--dry-run', ...repository)).stderr.replaceAll(/\s+/g, ' ');
  expect(hint).toContain("'lifeboat repository forget', such as --keep-daily 7");
  await succeed('backup', '--path', './data/deep', '--name', 'deep', '--description', 'a \u001B[31mred\u001B[0m note');
  const { proofs } = jsonLines(await succeed('prove', '--json')).at(-1) as unknown as {
    proofs: { component: string }[];
  };
  expect(proofs.map(({ component }) => component)).toEqual(['deep', 'files']);
  expect((await succeed('snapshots')).stdout).not.toContain('\u001B');
  const started = await succeed('start');
  expect(started.stdout).toContain('deep');
  expect(started.stdout).not.toContain('demo');
});

test.each([
  ['lifeboat repository pr', 'prune'],
  ['lifeboat backup --chunker g', 'gear'],
  ['lifeboat sna', 'snapshots'],
])('plain bash, without the bash-completion package, completes %j', async (words, offered) => {
  const { stdout: script } = await runLifeboat(['completion', 'bash'], { folder: folder.path });
  // compopt only works while a key is pressed.
  const asking = `${script}
    lifeboat() { "$NODE" "$LAUNCHER" "$@"; }
    compopt() { :; }
    COMP_WORDS=(${words}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
    __lifeboat_complete; echo "offered: \${COMPREPLY[*]}"
    COMP_WORDS=(lifeboat restore --from = before : 2026 x); COMP_CWORD=6
    _get_comp_words_by_ref -n "=:" cur prev words cword; echo "$cword $prev $cur"`;
  const ran = await promisify(execFile)('bash', ['--norc', '--noprofile', '-c', asking], {
    cwd: folder.path,
    env: environmentIn(folder.path, { NODE: process.execPath, LAUNCHER: launcher }),
  });
  expect(ran).toEqual({ stdout: `offered: ${offered}\n2 restore --from=before:2026\n`, stderr: '' });
});

test('completion prints a script that asks the program, and the program answers', async () => {
  const apart = (...args: string[]): Promise<Ran> => runLifeboat(args, { folder: folder.path });
  expect((await apart('completion', 'bash')).stdout).toContain('complete -F');
  expect((await apart('complete', '--', 'repository', 'pr')).stdout).toMatch(/^prune\t/);
});
