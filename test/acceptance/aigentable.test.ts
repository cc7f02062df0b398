// AIgentable's backups and restores: database, cache, documents, uploads and configuration, each by its own policy.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listFolder } from '../support/compare-folders.ts';
import { contentOf, postgresMajor, startExample, type ExampleApplication } from '../support/example-application.ts';
import { environmentIn, launcher } from '../support/lifeboat.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import { describeWithS3 } from '../support/s3-server.ts';
import { describeWith } from '../support/tools.ts';

interface BackupSummary {
  readonly backups: readonly {
    readonly component: string;
    readonly repository: string;
    readonly result: {
      readonly files: {
        readonly new: number;
        readonly changed: number;
        readonly unmodified: number;
        readonly failed: number;
      };
      readonly addedBytes: number;
    };
  }[];
}

let platform: ExampleApplication;
let app: string;
const local = ['--repository', 'local'] as const;

function git(...args: string[]): string {
  const identity = ['-c', 'user.name=Tester', '-c', 'user.email=tester@example.invalid', '-c', 'commit.gpgsign=false'];
  return execFileSync('git', ['-C', app, ...identity, ...args], { encoding: 'utf8' }).trim();
}

async function facts(component: string): Promise<Record<string, unknown>> {
  const { stdout } = await platform.succeed(
    'dump',
    'latest',
    '/.lifeboat/facts.json',
    '--component',
    component,
    ...local,
  );
  return JSON.parse(stdout) as Record<string, unknown>;
}

async function backUp(...args: string[]): Promise<BackupSummary['backups']> {
  return (await platform.json<BackupSummary>('backup', ...args)).backups;
}

function defineLogs(): void {
  test('S2-036 logs are archived on Sundays, and are there after the application has thrown them away', async () => {
    const { runs } = await platform.json<{ runs: { job: string; time: string }[] }>(
      'schedule',
      '--component',
      'logs',
      '--days',
      '21',
    );
    const times = runs.flatMap(({ job, time }) => (job === 'backup/logs' ? [time] : []));
    expect(times.map((time) => [new Date(time).getUTCDay(), time.slice(11, 16)])).toEqual(
      [1, 2, 3].map(() => [0, '04:00']),
    );
    const lastWeek = readFileSync(join(app, 'logs/app.log'), 'utf8');
    renameSync(join(app, 'logs/app.log'), join(app, 'logs/app.log.1'));
    writeFileSync(join(app, 'logs/app.log'), 'this week\n');
    await backUp('logs', ...local);
    rmSync(join(app, 'logs/app.log.1'));
    await backUp('logs', ...local);
    const { snapshots } = await platform.json<{ snapshots: { id: string; found: { path: string }[] }[] }>(
      'find',
      'app.log.1',
      ...local,
    );
    expect(snapshots).toMatchObject([{ found: [{ path: join(app, 'logs/app.log.1') }] }]);
    const words = [snapshots[0]?.id ?? '', join(app, 'logs/app.log.1')];
    const { stdout } = await platform.succeed('dump', ...words, ...local);
    expect(stdout).toBe(lastWeek);
  });
}

/** One story: each test goes on where the one before ended. */
function define(): void {
  beforeAll(async () => {
    platform = await startExample({ name: 'aigentable', database: 'aigentable' });
    app = join(platform.folder, 'app');
    const { environment } = platform;
    environment['APP_FOLDER'] = app;
    environment['BACKUP_FOLDER'] = join(platform.root, 'backups');
    cpSync(join(app, '.env.example'), join(app, '.env'));
    chmodSync(join(app, '.env'), 0o600);
    writeFileSync(
      join(app, 'uploads/picture.bin'),
      Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 7919) % 251)),
    );
    git('init', '--quiet', '--initial-branch=main');
    git('add', 'docker-compose.yml');
    git('commit', '--quiet', '--message', 'First release');
    await platform.succeed('repository', 'init', ...local);
    await platform.succeed('repository', 'init', '--repository', 'offsite', '--from', 'local', '--create-bucket');
    await platform.cheapenKeys();
  });
  afterAll(() => platform[Symbol.asyncDispose]());

  test('S2-001 S2-002 S2-003 S2-004 S2-030 one command backs every component up to this machine and to S3', async () => {
    const backups = await backUp();
    const names = ['database', 'cache', 'documents', 'uploads', 'logs', 'configuration'];
    expect(backups.map(({ component, repository }) => `${component} ${repository}`)).toEqual(
      names.flatMap((name) => [`${name} local`, `${name} offsite`]),
    );
    const verified = await platform.succeed('verify');
    expect(verified.stdout).toMatch(
      /repository local: intact[^]*6 snapshots[^]*repository offsite: intact[^]*6 snapshots/,
    );
  });

  test('S2-034 S2-035 S2-037 the next day stores only what changed of documents, uploads and environment', async () => {
    writeFileSync(join(app, 'documents/onboarding.md'), '# Onboarding\n\nRewritten.\n');
    writeFileSync(join(app, 'uploads/2.txt'), 'A second upload.\n');
    writeFileSync(join(app, '.env'), 'NODE_ENV=production\nAPI_KEY=rotated\n');
    const backups = await backUp('documents', 'uploads', 'configuration', ...local);
    expect(backups.map(({ component, result }) => [component, result.files])).toEqual([
      ['documents', { new: 0, changed: 1, unmodified: 1, failed: 0 }],
      ['uploads', { new: 1, changed: 0, unmodified: 2, failed: 0 }],
      ['configuration', { new: 0, changed: 1, unmodified: 1, failed: 0 }],
    ]);
    expect(backups[1]?.result.addedBytes).toBeLessThan(10_000);
    for (const [component, path, before] of [
      ['documents', join(app, 'documents/onboarding.md'), 'What a new customer needs to know.'],
      ['configuration', join(app, '.env'), 'SESSION_SECRET=change-me'],
    ] as const) {
      const { repositories } = await platform.json<{ repositories: { snapshots: { id: string }[] }[] }>(
        'snapshots',
        '--component',
        component,
        ...local,
      );
      const first = await platform.succeed('dump', repositories[0]?.snapshots[0]?.id ?? '', path, ...local);
      expect(first.stdout).toContain(before);
      const second = await platform.succeed('dump', 'latest', path, '--component', component, ...local);
      expect(second.stdout).toBe(readFileSync(path, 'utf8'));
    }
  });

  test('S2-038 the git revision that the compose file was at is captured, with what is not committed', async () => {
    git('tag', 'v1');
    await platform.succeed('backup', 'configuration', ...local);
    const revision = git('rev-parse', 'HEAD');
    const found = await facts('configuration');
    expect(found['git']).toMatchObject([{ revision, branch: 'main' }]);
    const compose = (found['files'] as { kind: string }[]).find(({ kind }) => kind === 'compose');
    expect(compose).toMatchObject({ images: { app: 'aigentable/app:2.4.1', db: 'postgres:15', cache: 'redis:7' } });
    const changedFiles = (found['git'] as { changedFiles: number }[])[0]?.changedFiles;
    writeFileSync(
      join(app, 'docker-compose.yml'),
      readFileSync(join(app, 'docker-compose.yml'), 'utf8').replace('2.4.1', '2.5.0'),
    );
    await platform.succeed('backup', 'configuration', ...local);
    expect((await facts('configuration'))['git']).toMatchObject([{ revision, changedFiles: (changedFiles ?? 0) + 1 }]);
    git('commit', '--all', '--quiet', '--message', 'Second release');
    await platform.succeed('backup', 'configuration', ...local);
    expect((await facts('configuration'))['git']).toMatchObject([{ revision: git('rev-parse', 'HEAD') }]);
  });

  test('S2-039 each backup of the database tells the migration it stands at', async () => {
    const versions = async () =>
      ((await facts('database'))['databases'] as { schemaVersions: unknown[] }[])[0]?.schemaVersions;
    expect(await versions()).toMatchObject([{ tool: 'Knex', version: '20240120_documents.js' }]);
    await platform.postgres.sql('aigentable', "INSERT INTO knex_migrations VALUES (3, '20240201_teams.js')");
    await platform.succeed('backup', 'database', ...local);
    expect(await versions()).toMatchObject([{ tool: 'Knex', version: '20240201_teams.js' }]);
  });

  defineLogs();

  test('S2-070 S2-071 S2-073 missing and damaged documents and uploads are named, those backed up come back, and only what differs is written', async () => {
    const before = { documents: listFolder(join(app, 'documents')), uploads: listFolder(join(app, 'uploads')) };
    rmSync(join(app, 'documents/invoices.csv'));
    const damaged = readFileSync(join(app, 'uploads/picture.bin'));
    damaged[150_000] = (damaged[150_000] ?? 0) ^ 1;
    writeFileSync(join(app, 'uploads/picture.bin'), damaged);
    writeFileSync(join(app, 'uploads/stays.txt'), 'came after the backup');
    const wrong = async (component: string): Promise<string> =>
      (await platform.succeed('diff', 'latest', '--component', component, '--live', '--read-data', ...local)).stdout;
    expect(await wrong('documents')).toMatch(new RegExp(`^- ${app}/documents/invoices\\.csv$`, 'm'));
    const uploaded = await wrong('uploads');
    expect(uploaded).toMatch(new RegExp(`^M ${app}/uploads/picture\\.bin$`, 'm'));
    expect(uploaded).toMatch(/1 added, 0 removed, 1 changed/);
    expect(await platform.run(['restore', 'uploads', ...local])).toMatchObject({ exitCode: 2 });
    await platform.succeed('restore', 'documents', '--yes', ...local);
    const uploads = await platform.succeed('restore', 'uploads', '--yes', '--delta', ...local);
    expect(uploads.stdout).toMatch(/3 files \(29\d(\.\d+)? KiB\)/);
    expect(listFolder(join(app, 'documents'))).toEqual(before.documents);
    expect(readFileSync(join(app, 'uploads/stays.txt'), 'utf8')).toBe('came after the backup');
    rmSync(join(app, 'uploads/stays.txt'));
    expect(listFolder(join(app, 'uploads')).slice(1)).toEqual(before.uploads.slice(1));
    const beside = join(platform.root, 'beside');
    await platform.succeed('restore', 'uploads', '--to', beside, '--base', join(app, 'uploads'), ...local);
    expect(listFolder(beside).slice(1)).toEqual(before.uploads.slice(1));
    const again = await platform.json<{ report: { restored: string[] } }>(
      'restore',
      'uploads',
      '--to',
      beside,
      '--base',
      join(app, 'uploads'),
      '--yes',
      ...local,
    );
    expect(again.report.restored.join()).toContain('0 B of them written');
  });

  test('S2-073 S2-008 proofs compare every restored file, and a copy in S3 is proven like the one here', async () => {
    for (const component of ['documents', 'uploads', 'configuration']) {
      const { proofs } = await platform.json<{ proofs: { outcome: string; compared: number }[] }>(
        'prove',
        component,
        ...local,
      );
      expect(proofs).toMatchObject([{ outcome: 'passed' }]);
      expect(proofs[0]?.compared).toBeGreaterThan(1);
    }
    const offsite = await platform.succeed('prove', '--repository', 'offsite');
    expect(offsite.stdout.match(/^passed {2}/gm)).toHaveLength(6);
  });

  test('S2-090 the daily line of the documentation verifies the repository, and fails where a byte of it changed', async () => {
    const page = readFileSync(new URL('../../docs/getting-started.md', import.meta.url), 'utf8');
    const line = /^30 4 \* \* \* (.*)$/m.exec(page)?.[1] ?? '';
    expect(line).toContain('lifeboat verify');
    const programs = join(platform.root, 'cron-bin');
    mkdirSync(programs);
    symlinkSync(launcher, join(programs, 'lifeboat'));
    writeFileSync(join(platform.folder, '.env'), 'FROM_FILE=yes\n');
    const environment = environmentIn(platform.folder, platform.environment);
    // Not spawnSync: the store that `offsite` lies in answers from this very process.
    const runDaily = async (day: number) => {
      const command = line
        .replaceAll(String.raw`\%`, '%')
        .replace('/srv/shop', platform.folder)
        .replace('$(date +%u)', String(day));
      const child = spawn('sh', ['-c', command], {
        env: { ...environment, PATH: `${programs}:${environment['PATH']}` },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const [stdout, stderr, [status]] = await Promise.all([
        text(child.stdout),
        text(child.stderr),
        once(child, 'close') as Promise<[number]>,
      ]);
      return { status, stdout, stderr };
    };
    const data = join(environment['BACKUP_FOLDER'] ?? '', 'data');
    // The largest holds data; damage to trees would be found every day.
    const packs = (readdirSync(data, { recursive: true }) as string[]).filter((name) => name.length > 60);
    const sizeOf = (name: string): number => statSync(join(data, name)).size;
    const pack = packs.toSorted((left, right) => sizeOf(right) - sizeOf(left))[0] ?? '';
    const whole = readFileSync(join(data, pack));
    const damaged = Buffer.from(whole);
    damaged[100] = (damaged[100] ?? 0) ^ 1;
    chmodSync(join(data, pack), 0o600);
    writeFileSync(join(data, pack), damaged);
    const runs: Awaited<ReturnType<typeof runDaily>>[] = [];
    for (const day of [1, 2, 3, 4, 5, 6, 7]) runs.push(await runDaily(day));
    // On one day of the week; the others are without a word.
    expect(runs.filter(({ status, stderr }) => status === 0 && stderr === '')).toHaveLength(6);
    expect(runs.map(({ stdout, stderr }) => stdout + stderr).join('')).toContain(pack);
    writeFileSync(join(data, pack), whole);
    rmSync(join(platform.folder, '.env'));
  });

  test('S2-048 S2-056 S2-008 a lost database comes back under its name, consistent: rows are compared before it is used', async () => {
    const { postgres } = platform;
    const content = () =>
      Promise.all(['agents', 'documents', 'knex_migrations'].map((table) => contentOf(postgres, 'aigentable', table)));
    const before = await content();
    await postgres.sql('postgres', 'DROP DATABASE aigentable');
    const ran = await platform.succeed('restore', 'database', ...local);
    expect(ran.stdout).toMatch(/database aigentable: \d+ tables, 5,103 rows/i);
    expect(await content()).toEqual(before);
    await expect(
      postgres.sql('aigentable', "INSERT INTO documents (agent_id, path, checksum) VALUES (0, 'x', '')"),
    ).rejects.toThrow(/foreign key/);
    const proof = await platform.succeed('prove', 'database', ...local);
    expect(proof.stdout).toMatch(/^passed {2}database[^]*came back as\s+they\s+were/);
  });

  test('S2-103 S2-104 database and cache are asked whether they answer, and each that does not is named', async () => {
    const probed = async (environment: Record<string, string>): Promise<unknown> => {
      const { exitCode, stdout } = await platform.run(['probe', '--json'], { environment });
      const { probes } = JSON.parse(stdout) as { probes: { name: string; observation: { outcome: string } }[] };
      return [exitCode, ...probes.map(({ name, observation: { outcome } }) => `${name} ${outcome}`)];
    };
    const { environment } = platform;
    expect(await probed(environment)).toEqual([0, 'database up', 'cache up']);
    expect(await probed({ ...environment, POSTGRES_PORT: '1' })).toEqual([1, 'database down', 'cache up']);
    expect(await probed({ ...environment, REDIS_PORT: '1' })).toEqual([1, 'database up', 'cache down']);
  });

  test('S2-002 S2-043 the cache comes back into an emptied server, queue order and all', async () => {
    const { connection } = platform.redis;
    await connection.call('FLUSHALL');
    await platform.succeed('restore', 'cache', ...local);
    expect(((await connection.call('LRANGE', 'jobs', 0, -1)) as Buffer[]).map(String)).toEqual(['7', '8', '9']);
    expect(await connection.text('HGET', 'cache:agent:2', 'calls')).toBe('17');
    expect(await connection.text('DBSIZE')).toBe('4');
  });

  test('S2-003 S2-004 a new machine gets files and configuration back from S3 with the password alone', async () => {
    rmSync(app, { recursive: true });
    await platform.succeed(
      'restore-all',
      'documents',
      'uploads',
      'logs',
      'configuration',
      '--repository',
      'offsite',
      '--yes',
    );
    expect(readFileSync(join(app, 'documents/onboarding.md'), 'utf8')).toContain('What a new customer needs to know.');
    expect(readFileSync(join(app, '.env'), 'utf8')).toContain('SESSION_SECRET=change-me');
    expect(existsSync(join(app, 'logs/app.log'))).toBe(true);
    expect(listFolder(app).find((line) => line.startsWith('"/.env" '))).toMatch(/^"\/\.env" file 600 /);
  });
}

await describeWithS3('AIgentable', () =>
  describeWith(['redis-server', 'pg_dump', 'git'], 'with Redis', () =>
    describeWithPostgres(postgresMajor, 'with PostgreSQL', define),
  ),
);
