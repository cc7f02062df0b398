// Tokens, users and the audit log on the command line, through the real program.
import { readFile, writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runHere, type Ran, type RunOptions } from '../support/lifeboat.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder[Symbol.asyncDispose]());

const run = (args: readonly string[], more: Partial<RunOptions> = {}): Promise<Ran> =>
  runHere(args, { folder: folder.path, ...more });
const state = (name: string): string => join(folder.path, '.local/state/lifeboat', name);

async function documentOf<Data>(...args: string[]): Promise<Data> {
  const ran = await run([...args, '--json']);
  if (ran.exitCode !== 0) throw new Error(`lifeboat ${args.join(' ')}: ${ran.exitCode} ${ran.stdout} ${ran.stderr}`);
  return JSON.parse(ran.stdout) as Data;
}

test('a token is shown once, listed without its secret, and revoked by its name', async () => {
  const args = ['token', 'create', 'deploy', '--role', 'operator', '--application', 'shop', '--scope', 'run.start'];
  const created = await run(args);
  expect(created).toMatchObject({ exitCode: 0, stderr: '' });
  const [token = ''] = created.stdout.split('\n');
  expect(token).toMatch(/^lb_[\w-]{43}$/);
  expect(created.stdout).toContain('operator of shop');
  const { tokens } = await documentOf<{
    tokens: { state: string; name: string; expiresAt: string; createdAt: string }[];
  }>('token', 'list');
  expect(tokens).toMatchObject([{ name: 'deploy', state: 'valid', scopes: ['run.start'] }]);
  const lifeMs = Date.parse(tokens[0]?.expiresAt ?? '') - Date.parse(tokens[0]?.createdAt ?? '');
  expect(Math.round(lifeMs / 86_400_000)).toBe(90);
  expect((await run(['token', 'revoke', 'deploy'])).stdout).toContain('revoked token deploy');
  expect((await run(['token', 'list'])).stdout).toBe('no tokens\n');
  expect((await run(['token', 'list', '--all'])).stdout).toContain('revoked');
  await run(['token', 'create', 'other']);
  const ending = /^\w{8}(?=  other)/m.exec((await run(['token', 'list'])).stdout)?.[0] ?? '';
  expect((await run(['token', 'revoke', ending.slice(1)])).exitCode).toBe(4);
  expect((await run(['token', 'revoke', ending])).stdout).toContain('revoked token other');
  expect((await run(['token', 'create', 'x', '--scope', 'everything'])).exitCode).toBe(2);
  const lacking = await run(['token', 'create', 'x', '--scope', 'read', '--scope', 'run.start']);
  expect(lacking).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('viewer may not run.start') as string });
  expect(lacking.stderr).toContain('--role operator');
  const files = await Promise.all(
    ['catalog.sqlite', 'catalog.sqlite-wal'].map((name) => readFile(state(name)).catch(() => '')),
  );
  expect(files.some((bytes) => bytes.includes(token.slice(3)))).toBe(false);
});

test('a label that no component could ask for is refused before anything starts', async () => {
  const refused = await run(['server', '--label', 'a b']);
  expect(refused).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('a label such as host=db-1') as string,
  });
});

test('a user gets a password by file or standard input, other roles, and is shut out', async () => {
  const password = 'planted horse battery';
  await writeFile(join(folder.path, 'password'), `${password}\n`);
  const create = ['user', 'create', 'Alice', '--role', 'admin', '--new-password-file'];
  expect((await run([...create, './password'])).stdout).toBe('created user alice: admin of all\n');
  expect((await run(['user', 'create', 'bob'])).exitCode).toBe(12); // Nobody there to be asked.
  const bob = ['user', 'create', 'bob', '--application', 'shop', '--new-password-file', '-'];
  expect((await run(bob, { input: `${password} too\n` })).stdout).toBe('created user bob: viewer of shop\n');
  expect((await run(['user', 'set-role', 'bob', 'operator', '--application', 'forum'])).stdout).toBe(
    'user bob: viewer of shop, operator of forum\n',
  );
  expect((await run(['user', 'set-role', 'bob', 'none', '--application', 'shop'])).stdout).toBe(
    'user bob: operator of forum\n',
  );
  expect((await run(['user', 'set-role', 'bob', 'none'])).stdout).toBe('user bob: may do nothing\n');
  expect((await run(['user', 'set-password', 'bob', '--new-password-file', './password'])).exitCode).toBe(0);
  expect((await run(['user', 'disable', 'bob'])).stdout).toBe('user bob is disabled\n');
  expect((await run(['user', 'list'])).stdout).toContain('disabled');
  expect((await run(['user', 'remove', 'bob', '--dry-run'])).stdout).toContain('would remove user bob');
  expect((await run(['user', 'remove', 'bob', '--yes'])).exitCode).toBe(0);
  const { users } = await documentOf<{ users: object[] }>('user', 'list');
  expect(users).toMatchObject([{ name: 'alice', hasPassword: true, grants: [{ application: '*', role: 'admin' }] }]);
  const carol = ['user', 'create', 'carol', '--issuer', 'https://login.example.com'];
  expect((await run([...carol, '--subject', '8f14'])).exitCode).toBe(0);
  const everything = await Promise.all([readFile(state('catalog.sqlite'), 'latin1'), run(['audit', 'list', '--json'])]);
  expect(JSON.stringify(everything)).not.toContain(password);
});

test('the audit log says who did what, and verify finds what was changed in it', async () => {
  const listed = await documentOf<{ entries: { action: string; target: string; actor: { kind: string } }[] }>(
    'audit',
    'list',
    '--target',
    'bob',
  );
  expect(listed.entries.map(({ action }) => action)).toEqual([
    'user.created',
    'user.roles-changed',
    'user.roles-changed',
    'user.roles-changed',
    'user.password-changed',
    'user.disabled',
    'user.removed',
  ]);
  expect(listed.entries[0]?.actor.kind).toBe('machine');
  expect((await run(['audit', 'list', '--action', 'token.revoked', '--since', '1h'])).stdout).toContain(
    'token.revoked',
  );
  const good = await run(['audit', 'verify']);
  expect(good).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('nothing was changed') as string });
  const end = /^end: (\S+)$/m.exec(good.stdout)?.[1] ?? '';
  {
    using database = new DatabaseSync(state('catalog.sqlite'));
    database.exec(
      `update audit_entry set target = 'nobody' where number = 3; delete from audit_entry where number = 5`,
    );
  }
  const bad = await run(['audit', 'verify', '--known-end', end]);
  expect(bad.exitCode).toBe(20);
  expect(bad.stdout).toContain('entry 3 was changed');
  expect(bad.stdout).toContain('entry 5 is missing');
});
