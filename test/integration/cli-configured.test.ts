// The real program with a lifeboat.yaml: from `init` to a proof, and what happens when a part of it is out of order.
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { jsonLines, runHere, type Ran } from '../support/lifeboat.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

let folder: TemporaryFolder;
const run = (...args: string[]): Promise<Ran> =>
  runHere(args, { folder: folder.path, environment: { LIFEBOAT_PASSWORD: '' } });

async function succeed(...args: string[]): Promise<Ran> {
  const ran = await run(...args);
  if (ran.exitCode !== 0) throw new Error(`lifeboat ${args.join(' ')}: ${ran.exitCode} ${ran.stdout} ${ran.stderr}`);
  return ran;
}

/** These tests are one story: each goes on where the one before ended. */
beforeAll(async () => {
  folder = await temporaryFolder();
  await mkdir(join(folder.path, 'uploads'));
  await writeFile(join(folder.path, 'uploads/a.txt'), 'an upload');
});
afterAll(() => folder[Symbol.asyncDispose]());

test('init writes a file that reads, a password for its owner alone, and a repository', async () => {
  const init = ['init', '--application', 'shop', '--repository', './backups', '--password-file', './password'];
  const ran = await succeed(...init, '--files', './uploads', '--create-password', '--create-repository');
  expect(ran.stdout).toContain('lifeboat backup');
  expect((await stat(join(folder.path, 'password'))).mode & 0o777).toBe(0o600);
  const password = (await readFile(join(folder.path, 'password'), 'utf8')).trim();
  expect(password.length).toBeGreaterThanOrEqual(32);
  const configuration = await readFile(join(folder.path, 'lifeboat.yaml'), 'utf8');
  expect(configuration).toContain('application: shop');
  expect(configuration + ran.stdout + ran.stderr).not.toContain(password);
});

test('init tells what its flags left out, what there is of it, and which flags add it', async () => {
  await using other = await temporaryFolder();
  await mkdir(join(other.path, 'uploads'));
  await writeFile(join(other.path, '.env'), 'REDIS_HOST=cache.example\n');
  const withPassword = ['init', '--no-questions', '--postgres', 'postgres://me:hushed@db.example/shop'];
  const refused = await runHere(withPassword, { folder: other.path });
  expect(refused).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(/SECRET_IN_ARGUMENT/) });
  expect(refused.stdout + refused.stderr).not.toContain('hushed');
  const ran = await runHere(['init', '--postgres', 'db.example'], { folder: other.path });
  expect(ran.stdout.replaceAll(/\s+/g, ' ')).toContain(
    'not included: files such as uploads (--files; found ./uploads), Redis (--redis; found cache.example), configuration files (--config-files; found ./.env)',
  );
  expect(await readFile(join(other.path, 'lifeboat.yaml'), 'utf8')).not.toContain('uploads');
  const all = await runHere(['init', '--force'], { folder: other.path });
  expect(all.stdout).not.toContain('not included');
});

test('init replaces nothing by itself', async () => {
  const before = await readFile(join(folder.path, 'lifeboat.yaml'), 'utf8');
  expect(await run('init', '--application', 'other')).toMatchObject({ exitCode: 2 });
  expect(await readFile(join(folder.path, 'lifeboat.yaml'), 'utf8')).toBe(before);
});

test('init refuses what no command could read, all at once, and takes the name of a folder as it may be', async () => {
  await using other = await temporaryFolder();
  const spaced = join(other.path, 'my app');
  await mkdir(spaced);
  const wrong = ['--application', 'my app', '--environment', 'bad env!', '--cron', 'every day', '-r', 'ftp://x'];
  const refused = await runHere(['init', ...wrong], { folder: spaced });
  expect(refused.exitCode).toBe(2);
  for (const option of ['--application', '--environment', '--cron', '--repository'])
    expect(refused.stderr).toContain(`${option}: found '`);
  const unset = await runHere(['init', '--files', '${NOT_SET}'], { folder: spaced });
  expect(unset).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('NOT_SET') });
  expect(await readdir(spaced)).toEqual([]);
  expect(await runHere(['init'], { folder: spaced })).toMatchObject({ exitCode: 0 });
  expect(await readFile(join(spaced, 'lifeboat.yaml'), 'utf8')).toContain('application: my-app\n');
});

test('init writes to the file that --config names, and nowhere else', async () => {
  await using other = await temporaryFolder();
  const at = { folder: other.path };
  await mkdir(join(other.path, 'etc'));
  await mkdir(join(other.path, 'uploads'));
  await writeFile(join(other.path, 'lifeboat.yaml'), 'not: ours\n');
  const init = ['init', '--force', '--config', './etc/shop.yaml', '-r', './backups', '--create-repository'];
  const ran = await runHere([...init, '-p', './password', '--create-password'], at);
  expect(ran).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('lifeboat check --config ./etc/shop.yaml'),
  });
  expect(await readFile(join(other.path, 'lifeboat.yaml'), 'utf8')).toBe('not: ours\n');
  // Paths in it count from its own folder.
  const environment = { LIFEBOAT_PASSWORD: '', LIFEBOAT_CONFIG: './etc/shop.yaml' };
  expect(await runHere(['backup'], { ...at, environment })).toMatchObject({ exitCode: 0 });
  const again = await runHere(['init'], { ...at, environment });
  expect(again).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('etc/shop.yaml exists already') });
});

test('init leaves the folder as it was where the password or the repository can not be made', async () => {
  await using other = await temporaryFolder();
  const at = { folder: other.path };
  const make = ['init', '--no-questions', '-p', './pw', '--create-password'];
  const noRegion = await runHere([...make, '-r', 's3://nobucket/x', '--create-repository'], at);
  expect(noRegion).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('region') });
  expect(await readdir(other.path)).toEqual([]);
  await writeFile(join(other.path, 'lifeboat.yaml'), 'not: ours\n');
  await writeFile(join(other.path, 'pw'), 'in use');
  const refused = await runHere([...make, '--force', '--application', 'zzz'], at);
  expect(refused).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('pw exists already') });
  expect(await readFile(join(other.path, 'lifeboat.yaml'), 'utf8')).toBe('not: ours\n');
  // Here the way is free until the password itself is in the way of the repository.
  await rm(join(other.path, 'pw'));
  const cut = await runHere([...make, '--force', '-r', './pw', '--create-repository'], at);
  expect(cut).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('STORE_FAILED') });
  expect(await readdir(other.path)).toEqual(['lifeboat.yaml']);
  expect(await readFile(join(other.path, 'lifeboat.yaml'), 'utf8')).toBe('not: ours\n');
});

test('the bucket of the variables is where backups go while nothing else is said', async () => {
  await using other = await temporaryFolder();
  const environment = { S3_BACKUP_BUCKET: 'bkt', S3_PREFIX: 'pre' };
  const ran = await runHere(['init'], { folder: other.path, environment });
  expect(ran).toMatchObject({ exitCode: 0 });
  expect(await readFile(join(other.path, 'lifeboat.yaml'), 'utf8')).toContain('location: s3://bkt/pre\n');
  // Without a region nothing is sent anywhere; that it is asked for shows which place is meant.
  const checked = await runHere(['check'], { folder: other.path, environment });
  expect(checked).toMatchObject({ exitCode: 1, stdout: expect.stringMatching(/unknown +clock +.*region/i) });
  const asked = await runHere(['snapshots', '-c', './lifeboat.yaml'], { folder: other.path, environment });
  await rm(join(other.path, 'lifeboat.yaml'));
  const alone = await runHere(['snapshots'], { folder: other.path, environment });
  expect(alone.stderr).toContain('region');
  expect(alone).toEqual(asked);
});

test('status tells a breached RPO by its exit code while there is no backup', async () => {
  const ran = await run('status');
  expect(ran).toMatchObject({ exitCode: 30 });
  expect(ran.stdout).toMatch(/files +none +breached/);
  expect((await succeed('start')).stdout).toContain('no backup yet: files');
});

test('backup takes all components, prove restores them, and status then has nothing to say against it', async () => {
  const lines = jsonLines(await succeed('backup', '--json'));
  expect(lines.at(-1)).toMatchObject({
    message_type: 'summary',
    backups: [{ component: 'files', repository: 'local', result: { files: { new: 1 } } }],
  });
  const proofs = await succeed('prove');
  expect(proofs.stdout).toMatch(/^passed {2}files/);
  const { stdout } = await succeed('status', '--json');
  expect(JSON.parse(stdout)).toMatchObject({
    application: 'shop',
    components: [{ name: 'files', rpo: 'met', proof: { outcome: 'passed' } }],
  });
  expect((await succeed('start')).stdout).toContain('all is backed up and proven');
});

test('check tells what is lost at worst, and with --strict ends with 32 where more is promised', async () => {
  const ran = await run('check', '--strict', '--json');
  expect(ran).toMatchObject({ exitCode: 32 });
  const { exposures, contradictions } = JSON.parse(ran.stdout);
  // The backup before was timed, so that nothing is unknown; its repository is a folder of this machine.
  expect(exposures).toMatchObject([
    { scenario: 'deletion', isAtLeast: false, verdict: 'kept' },
    { scenario: 'corruption', isAtLeast: false, verdict: 'kept' },
    { scenario: 'host', lossMs: 'all', verdict: 'broken' },
    { scenario: 'site', lossMs: 'all', verdict: 'broken' },
    { scenario: 'ransomware', lossMs: 'all', verdict: 'unpromised' },
  ]);
  expect(contradictions).toBe(1);
  const shown = await run('check', 'files');
  expect(shown).toMatchObject({ exitCode: 3 });
  expect(shown.stdout).toMatch(
    /^Lost at worst +Deletion +Corruption +Host loss +Site loss +Ransomware\nfiles +1d .*all +all +all$/m,
  );
  expect(shown.stdout.replaceAll(/\s+/g, ' ')).toContain('no repository of files outlives it');
});

test('restore takes the name of a component, and latest-proven with it', async () => {
  await succeed('restore', 'files', '--from', 'latest-proven', '--to', './out', '--base', join(folder.path, 'uploads'));
  expect(await readFile(join(folder.path, 'out/a.txt'), 'utf8')).toBe('an upload');
  const ran = await run('restore', 'nothing', '--to', './out');
  expect(ran).toMatchObject({ exitCode: 4 });
});

test('a neighbour in the repository restores its own backups, and those of others only by their id', async () => {
  const text = await readFile(join(folder.path, 'lifeboat.yaml'), 'utf8');
  await writeFile(join(folder.path, 'neighbour.yaml'), text.replace('application: shop', 'application: blog'));
  const restored = (what: string) => run('restore', what, '-c', 'neighbour.yaml', '--to', './theirs', '--dry-run');
  for (const what of ['latest', 'latest-proven', 'before:2100-01-01', 'files']) {
    const { exitCode, stderr } = await restored(what);
    expect([exitCode, stderr.replaceAll(/\s+/g, ' ')]).toEqual([4, expect.stringContaining('; shop has ') as string]);
  }
  const id = /^([0-9a-f]{8}) /m.exec((await succeed('snapshots')).stdout)?.[1] ?? '';
  expect((await restored(id)).stdout).toContain(`snapshot ${id} of files`);
});

test('retention keeps what the policy keeps, and the newest proven one beside it', async () => {
  await writeFile(join(folder.path, 'uploads/b.txt'), 'another upload');
  await succeed('backup');
  await writeFile(join(folder.path, 'uploads/c.txt'), 'one more upload');
  await succeed('backup');
  const path = join(folder.path, 'lifeboat.yaml');
  const text = await readFile(path, 'utf8');
  await writeFile(path, text.replace(/retention: \{.*\}/, 'retention: { keepLast: 1 }'));
  const dry = await succeed('retention', '--dry-run');
  expect(dry.stdout).toMatch(/nothing was done: --dry-run\n$/);
  expect(dry.stdout).toContain('newest proven recovery point');
  expect(dry.stdout).toContain('would remove 1 snapshot, 2 stay');
  expect(await run('retention')).toMatchObject({ exitCode: 2 });
  const done = await succeed('retention', '--yes');
  expect(done.stdout).toContain('removed 1 snapshot, 2 stay');
  expect(done.stdout).toMatch(/^freed /m);
  expect((await succeed('snapshots')).stdout).toContain('2 snapshots');
});

test('a component that fails does not keep the others from being backed up, and decides the exit code', async () => {
  const path = join(folder.path, 'lifeboat.yaml');
  const text = await readFile(path, 'utf8');
  await writeFile(path, `${text}  broken: { type: files, paths: [./not-there] }\n`);
  const ran = await run('backup');
  expect(ran).toMatchObject({ exitCode: 1 });
  expect(ran.stdout).toMatch(/backed up files/);
  expect(ran.stdout).toMatch(/failed {2}broken/);
  const checked = await run('check');
  expect(checked).toMatchObject({ exitCode: 1 });
  expect(checked.stdout).toMatch(/FAILED +paths/);
  expect(checked.stdout.replaceAll(/\s+/g, '')).toContain('not-theredoesnotexist');
  expect(checked.stdout.split('\n').filter((line) => line.length > 80 && !line.includes(folder.path))).toEqual([]);
  await writeFile(path, text);
});

test('a repository that is not there does not keep the others from being verified, and decides the exit code', async () => {
  const path = join(folder.path, 'lifeboat.yaml');
  const text = await readFile(path, 'utf8');
  const other = "repositories:\n  gone:\n    location: ./gone\n    passwordFile: './password'\n";
  await writeFile(path, text.replace('repositories:\n', other));
  const ran = await run('verify');
  expect(ran).toMatchObject({ exitCode: 10 });
  expect(ran.stdout).toMatch(/repository local: intact/);
  expect(ran.stdout).toMatch(/repository gone: unknown/);
  await writeFile(path, text);
});

test('a mistake in lifeboat.yaml is named by line and column, and ends with 2', async () => {
  const path = join(folder.path, 'lifeboat.yaml');
  const text = await readFile(path, 'utf8');
  await writeFile(path, text.replace('  files:\n    type: files', '  files:\n    typ: files'));
  const ran = await run('status');
  expect(ran).toMatchObject({ exitCode: 2 });
  expect(ran.stderr).toMatch(/lifeboat\.yaml:\d+:\d+: .*did you mean 'type'/);
  await writeFile(path, text);
});
