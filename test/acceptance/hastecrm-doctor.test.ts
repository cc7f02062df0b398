// hasteCRM's troubleshooting page: each of its cases staged, and what `doctor` then says.
import { chmodSync, cpSync, readFileSync, statfsSync, symlinkSync, writeFileSync } from 'node:fs';
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { formatByteSize } from '../../src/base/byte-size.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { Finding } from '../../src/model/finding.ts';
import { backup } from '../../src/operations/backup/backup.ts';
import { openRepository } from '../../src/repository/open-repository.ts';
import { redisSource } from '../../src/sources/redis/redis-source.ts';
import { localStore } from '../../src/storage/local/store.ts';
import { postgresMajor, secrets, startExample, type ExampleApplication } from '../support/example-application.ts';
import type { RunOptions } from '../support/lifeboat.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import { describeWithS3, startS3Server } from '../support/s3-server.ts';
import { describeWith } from '../support/tools.ts';
import { isRoot, nobody } from '../support/unprivileged.ts';

const { signal } = new AbortController();
const dayMs = 86_400_000;
let crm: ExampleApplication;

async function diagnose(changes: Readonly<Record<string, string>> = {}, options: Partial<RunOptions> = {}) {
  const environment = { ...crm.environment, ...changes };
  const ran = await crm.run(['doctor', '--json'], { environment, ...options });
  const { subjects } = JSON.parse(ran.stdout) as { subjects: { subject: string; findings: Finding[] }[] };
  return {
    exitCode: ran.exitCode,
    output: ran.stdout + ran.stderr,
    finding: (subject: string, aspect: string) =>
      subjects.find((one) => one.subject === subject)?.findings.find((one) => one.aspect === aspect),
  };
}

function define(): void {
  beforeAll(async () => {
    crm = await startExample({ name: 'hastecrm', database: 'crm_dev' });
    await crm.succeed('repository', 'init', '--repository', 'local');
    await crm.succeed(
      'repository',
      'init',
      '--repository',
      'offsite',
      '--from',
      'local',
      '--create-bucket',
      '--versioning',
    );
    await crm.cheapenKeys();
    await crm.succeed('backup', 'cache');
  });
  afterAll(() => crm[Symbol.asyncDispose]());

  test('S1-78 where all is well, connections, rights, space and both repositories pass', async () => {
    const { exitCode, finding } = await diagnose();
    expect([0, 3]).toContain(exitCode); // The disk of this very machine may be nearly full.
    expect(finding('component database', 'connection')).toMatchObject({ outcome: 'passed' });
    expect(finding('component cache', 'connection')).toMatchObject({ outcome: 'passed' });
    expect(finding('repository offsite', 'bucket versioning')).toMatchObject({ outcome: 'passed' });
    expect(finding('repository local', 'write access')).toMatchObject({ outcome: 'passed' });
  });

  test("S1-78 servers that a restore can't reach are named, each with what to do", async () => {
    const { exitCode, finding } = await diagnose({ POSTGRES_PORT: '1', REDIS_PORT: '1' });
    expect(exitCode).toBe(1);
    for (const component of ['database', 'cache']) {
      const found = finding(`component ${component}`, 'connection');
      expect(found).toMatchObject({ outcome: 'failed', message: expect.stringContaining('127.0.0.1') });
      expect(found?.hint).toMatch(/\.$/);
    }
  });

  test('S1-76 an upload that fails is traced to the key in use, the bucket or the network, and no secret is shown', async () => {
    await using refusing = await startS3Server({ refusesCredentials: true });
    const refused = await diagnose({ AWS_ENDPOINT_URL: refusing.client.endpoint, AWS_ACCESS_KEY_ID: 'AKIAOLDKEY' });
    expect(refused.exitCode).toBe(1);
    expect(refused.finding('repository offsite', 'credentials')).toMatchObject({
      outcome: 'failed',
      message: expect.stringContaining('access key …DKEY from the environment'),
      hint: expect.stringContaining('access key'),
    });
    expect(refused.output).not.toContain('AKIAOLDKEY');
    expect(refused.finding('repository offsite', 'list bucket')).toMatchObject({
      outcome: 'failed',
      hint: expect.stringContaining('access key'),
    });
    expect(refused.output).not.toContain(secrets.aws);
    const missing = await diagnose({ S3_BACKUP_BUCKET: 'no-such-bucket' });
    expect(missing.finding('repository offsite', 'list bucket')).toMatchObject({
      outcome: 'failed',
      hint: expect.stringContaining('--create-bucket'),
    });
    const dead = await diagnose({ AWS_ENDPOINT_URL: 'http://127.0.0.1:1' });
    expect(dead.finding('repository offsite', 'list bucket')).toMatchObject({
      outcome: 'failed',
      hint: expect.stringContaining('network'),
    });
    const upload = await crm.run(['copy', '--to', 'offsite'], {
      environment: { ...crm.environment, S3_BACKUP_BUCKET: 'no-such-bucket' },
    });
    expect(upload).toMatchObject({ exitCode: 10 });
  });

  test('S1-75 a program that may not be executed, and a password that all may read, are told with the command that helps', async () => {
    const program = copyOfProgram();
    chmodSync(program, 0o644);
    writeFileSync(join(crm.root, 'password'), secrets.repository, { mode: 0o644 });
    const text = readFileSync(join(crm.folder, 'lifeboat.yaml'), 'utf8');
    writeFileSync(
      join(crm.folder, 'strict.yaml'),
      text.replace('location: ./backups', 'location: ./backups\n    passwordFile: ../password'),
    );
    const { finding } = await diagnose({ LIFEBOAT_CONFIG: 'strict.yaml' }, { program });
    expect(finding('machine', 'launcher')).toMatchObject({ outcome: 'warning', hint: `Run 'chmod +x ${program}'.` });
    expect(finding('repository local', 'password file')).toMatchObject({
      outcome: 'warning',
      hint: expect.stringContaining('chmod 600'),
    });
    chmodSync(program, 0o755);
    chmodSync(join(crm.root, 'password'), 0o600);
    const mended = await diagnose({ LIFEBOAT_CONFIG: 'strict.yaml' }, { program });
    expect(mended.finding('machine', 'launcher')).toMatchObject({ outcome: 'passed' });
    expect(mended.finding('repository local', 'password file')).toMatchObject({ outcome: 'passed' });
  });

  test('S1-75 a backup folder that this user may not write to is told as such', async (context) => {
    const as: Partial<RunOptions> = isRoot ? { userId: nobody } : {};
    const mayRun = await crm.run(['--version'], as).catch(() => undefined);
    if (mayRun?.exitCode !== 0) {
      context.skip('another account may not run the program where it lies');
      return;
    }
    const folder = join(crm.root, 'others');
    await mkdir(folder);
    await chmod(folder, 0o555);
    const at = ['--repository', join(folder, 'backups')];
    const ran = await crm.run(['repository', 'init', ...at], as);
    await chmod(folder, 0o755);
    expect(ran).toMatchObject({ exitCode: 1 });
    expect(ran.stderr).toMatch(/EACCES|permission denied/i);
    expect(ran.stderr).toMatch(/hint: \S/);
  });

  test('S1-77 doctor tells the space left and what may go; retention removes what is older than 7 days, never the newest proven', async () => {
    const before = await crm.json<{ repositories: { snapshots: unknown[] }[] }>('snapshots', '--repository', 'local');
    expect(before.repositories[0]?.snapshots).toHaveLength(1);
    const ids: string[] = [];
    for (const ageDays of [30, 20, 9, 2]) ids.push(await oldBackup(ageDays));
    await crm.succeed('prove', 'cache', '--from', ids[1] ?? '', '--repository', 'local');
    const { finding } = await diagnose();
    const space = finding('repository local', 'disk space');
    const { blocks, bsize } = statfsSync(crm.folder);
    expect(space?.message).toMatch(/^[\d.]+ \w+ free of /);
    expect(space?.message).toContain(`free of ${formatByteSize(blocks * bsize)} at ${crm.folder}`);
    expect(finding('repository local', 'retention')?.message).toContain('would remove 2 snapshots');
    const dry = await crm.succeed('retention', '--dry-run', '--repository', 'local');
    expect(dry.stdout).toContain('would remove 2 snapshots, 3 stay');
    await crm.succeed('retention', '--yes', '--repository', 'local');
    const after = await crm.json<{ repositories: { snapshots: { id: string }[] }[] }>(
      'snapshots',
      '--repository',
      'local',
    );
    const left = after.repositories[0]?.snapshots.map(({ id }) => id) ?? [];
    expect(left).toHaveLength(3);
    expect([ids[0], ids[1], ids[2], ids[3]].map((id) => left.includes(id ?? ''))).toEqual([false, true, false, true]);
    await crm.succeed('verify', '--repository', 'local', '--read-data');
  });
}

/** The program as an installation of its own. */
function copyOfProgram(): string {
  const folder = fileURLToPath(new URL('../../', import.meta.url));
  const target = join(crm.root, 'installed');
  for (const part of ['bin', 'src', 'package.json', 'lifeboat.schema.json'])
    cpSync(join(folder, part), join(target, part), { recursive: true });
  symlinkSync(join(folder, 'node_modules'), join(target, 'node_modules'));
  return join(target, 'bin/lifeboat.js');
}

/** As if it had been taken so many days ago. */
async function oldBackup(ageDays: number): Promise<string> {
  await using store = localStore(join(crm.folder, 'backups'));
  const clock = { ...systemClock, now: () => systemClock.now() - ageDays * dayMs };
  const repository = await openRepository(store, { password: secrets.repository, signal, clock });
  const options = { host: 'hastecrm', component: 'cache', programVersion: 'test', signal };
  await crm.redis.connection.call('SET', `from ${ageDays}`, 'days ago');
  return (await backup(repository, redisSource(crm.redis.address), options)).snapshot.id;
}

await describeWithS3('hasteCRM in trouble', () =>
  describeWith(['redis-server', 'pg_dump'], 'with Redis', () =>
    describeWithPostgres(postgresMajor, 'with PostgreSQL', define),
  ),
);
