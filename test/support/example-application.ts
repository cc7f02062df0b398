// An application of `examples/`, set up as its README says: a copy of its folder, real servers with its fixtures, the
// classic environment variables, and `lifeboat` on the PATH.
import { spawn } from 'node:child_process';
import { chmod, cp, mkdir, readFile, symlink } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { changePassword, openRepository } from '../../src/repository/open-repository.ts';
import { localStore } from '../../src/storage/local/store.ts';
import { s3Store } from '../../src/storage/s3/store.ts';
import type { Store } from '../../src/storage/store.ts';
import { launcher, environmentIn, jsonLines, runLifeboat, type Ran, type RunOptions } from './lifeboat.ts';
import { startPostgres, type TestServer } from './postgres-server.ts';
import { testRedis, type TestRedis } from './redis-server.ts';
import { cheapScrypt, noSignal } from './repository.ts';
import { startS3Server, type S3Server } from './s3-server.ts';
import { temporaryFolder } from './temporary-folder.ts';

export const postgresMajor = 15;
/** Planted where the example's users would put their own; none of them may turn up anywhere. */
export const secrets = {
  repository: 'planted-repository-password',
  redis: 'planted-redis-password',
  aws: 'planted-aws-secret-key',
};

export interface ExampleApplication extends AsyncDisposable {
  /** The copy of the example's folder, where commands are run. */
  readonly folder: string;
  /** For more folders of this example, removed with it. */
  readonly root: string;
  readonly database: string;
  /** Changes count from the next run on. */
  readonly environment: Record<string, string>;
  readonly postgres: TestServer;
  readonly redis: TestRedis;
  readonly s3: S3Server;
  run(args: readonly string[], options?: Partial<RunOptions>): Promise<Ran>;
  /** Rejects unless the program ends with 0. */
  succeed(...args: readonly string[]): Promise<Ran>;
  /** The document, or the last line, that the program prints with `--json`; it ends with 0. */
  json<Data>(...args: readonly string[]): Promise<Data>;
  /**
   * Makes the keys of both repositories cheap to open. How dear they are is proven elsewhere, and each run would pay for it:
   * it takes longer than all else that a command does.
   */
  cheapenKeys(): Promise<void>;
  /** One of the example's own scripts. */
  script(path: string, ...args: readonly string[]): Promise<Ran>;
}

export interface ExampleOptions {
  readonly name: 'hastecrm' | 'aigentable';
  readonly database: string;
  /** Lines of the configuration of Redis. */
  readonly redisSettings?: readonly string[];
  /** `name=value`. */
  readonly postgresSettings?: readonly string[];
}

export async function startExample({
  name,
  database,
  redisSettings = [],
  postgresSettings = [],
}: ExampleOptions): Promise<ExampleApplication> {
  await using stack = new AsyncDisposableStack();
  const root = stack.use(await temporaryFolder()).path;
  // Throw-away servers may run under another account, which must get through to their folders.
  await chmod(root, 0o755);
  const folder = join(root, name);
  await cp(fileURLToPath(new URL(`../../examples/${name}/`, import.meta.url)), folder, { recursive: true });
  for (const one of ['bin', 'tmp', 'home']) await mkdir(join(root, one), { mode: 0o755 });
  await symlink(launcher, join(root, 'bin/lifeboat'));
  const postgres = stack.use(await startPostgres(postgresMajor, postgresSettings));
  await postgres.sql('postgres', `CREATE DATABASE ${database}`);
  await postgres.sql(database, await readFile(join(folder, 'fixtures/database.sql'), 'utf8'));
  const redis = stack.use(
    await testRedis({ settings: [`requirepass ${secrets.redis}`, ...redisSettings], password: secrets.redis }),
  );
  await fillFrom(redis, join(folder, 'fixtures/cache.txt'));
  const s3 = stack.use(await startS3Server());
  const environment: Record<string, string> = {
    PATH: [join(root, 'bin'), dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter),
    HOME: join(root, 'home'),
    TMPDIR: join(root, 'tmp'),
    LIFEBOAT_PASSWORD: secrets.repository,
    POSTGRES_HOST: postgres.address.host,
    POSTGRES_PORT: String(postgres.address.port),
    POSTGRES_DB: database,
    POSTGRES_USER: postgres.address.user,
    POSTGRES_PASSWORD: postgres.address.password ?? '',
    REDIS_HOST: redis.address.host,
    REDIS_PORT: String(redis.address.port),
    REDIS_PASSWORD: secrets.redis,
    AWS_ENDPOINT_URL: s3.client.endpoint,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: secrets.aws,
    AWS_DEFAULT_REGION: 'us-east-1',
    S3_BACKUP_BUCKET: `${name}-backups`,
    S3_PREFIX: name === 'hastecrm' ? 'hastecrm-backups' : '',
  };
  const run: ExampleApplication['run'] = (args, options = {}) => runLifeboat(args, { folder, environment, ...options });
  const succeed: ExampleApplication['succeed'] = async (...args) => {
    const ran = await run(args);
    expect(ran, `lifeboat ${args.join(' ')}`).toMatchObject({ exitCode: 0 });
    return ran;
  };
  const owned = stack.move();
  return {
    root,
    folder,
    database,
    environment,
    postgres,
    redis,
    s3,
    run,
    succeed,
    async json<Data>(...args: readonly string[]) {
      const ran = await succeed(...args, '--json');
      return (ran.stdout.startsWith('{\n') ? JSON.parse(ran.stdout) : jsonLines(ran).at(-1)) as Data;
    },
    async cheapenKeys() {
      const { S3_BACKUP_BUCKET: bucket = '', S3_PREFIX: prefix = '', BACKUP_FOLDER: backups } = environment;
      await cheapen(localStore(backups ?? join(folder, 'backups')));
      await cheapen(s3Store({ kind: 's3', bucket, prefix, client: s3.client }));
    },
    script: (path, ...args) => runScript(join(folder, path), args, environmentIn(folder, environment)),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export async function cheapen(store: Store, password = secrets.repository): Promise<void> {
  await using closing = store;
  const repository = await openRepository(closing, { password, signal: noSignal });
  await changePassword(repository, { password, signal: noSignal, scryptCost: cheapScrypt });
}

/** One command a line, its words between blanks. */
export async function fillFrom(redis: TestRedis, path: string): Promise<void> {
  for (const line of (await readFile(path, 'utf8')).trim().split('\n')) {
    const [command = '', ...parts] = line.split(' ');
    await redis.connection.call(command, ...parts);
  }
}

export async function runScript(
  path: string,
  args: readonly string[],
  environment: Record<string, string>,
): Promise<Ran> {
  const child = spawn(path, args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  const { promise: ended, resolve, reject } = Promise.withResolvers<number>();
  child.on('error', reject);
  child.on('close', (code) => resolve(code ?? -1));
  const [stdout, stderr, exitCode] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { exitCode, stdout, stderr };
}

/** What a table holds, in one line: changes with any row. */
export async function contentOf(server: Pick<TestServer, 'sql'>, database: string, table: string): Promise<unknown> {
  const [row] = await server.sql(
    database,
    `SELECT count(*)::int AS rows, coalesce(sum(hashtextextended(t::text, 0)), 0)::text AS sum FROM ${table} t`,
  );
  return row;
}
