// Kessan's backups to S3: in its region by the two variables it has, copied to another region, and nothing in clear on the way.
import { GetBucketLocationCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import { lstatSync, readdirSync, readFileSync, renameSync, watch } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { s3Store } from '../../src/storage/s3/store.ts';
import { cheapen } from '../support/example-application.ts';
import { describeWithPostgres, startPostgres } from '../support/postgres-server.ts';
import { testPassword } from '../support/repository.ts';
import { describeWithS3, startS3Server } from '../support/s3-server.ts';
import { simulatedService, type SimulatedService } from '../support/simulated-service.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const bucket = 'kessan-backups-prod';
const stack = new AsyncDisposableStack();
let kessan: SimulatedService;
let temporary: string;
let client: S3Client;

function define(): void {
  const { TMPDIR } = process.env;

  beforeAll(async () => {
    temporary = stack.use(await temporaryFolder()).path;
    const postgres = stack.use(await startPostgres(15));
    await postgres.sql('postgres', 'CREATE DATABASE kessan');
    const data = fileURLToPath(new URL('../../examples/kessan/fixtures/database.sql', import.meta.url));
    await postgres.sql('kessan', readFileSync(data, 'utf8'));
    const s3 = stack.use(await startS3Server());
    client = s3.inspector();
    stack.defer(() => client.destroy());
    const { host, port, user, password = '' } = postgres.address;
    kessan = stack.use(
      await simulatedService({
        example: 'kessan',
        start: new Date().toISOString(),
        variables: {
          CONFIG_FOLDER: './fixtures',
          DATABASE_URL: `postgresql://${user}:${password}@${encodeURIComponent(host)}:${port}/kessan`,
          BACKUP_S3_BUCKET: bucket,
          AWS_ENDPOINT_URL: s3.client.endpoint,
          AWS_ACCESS_KEY_ID: 'test',
          AWS_SECRET_ACCESS_KEY: 'test',
        },
      }),
    );
    renameSync(join(kessan.folder, 'fixtures/app.env'), join(kessan.folder, 'fixtures/.env'));
    for (const { name } of kessan.tenant.application.repositories) kessan.leaveMemory(name);
    await kessan.succeed('repository', 'init', '--repository', 'primary', '--create-bucket');
    for (const name of ['config-backups', 'other-region'])
      await kessan.succeed('repository', 'init', '--repository', name, '--from', 'primary', '--create-bucket');
    for (const [name, prefix] of [
      [bucket, 'database-exports'],
      [bucket, 'config-backups'],
      [`${bucket}-us-west-2`, 'lifeboat'],
    ] as const)
      await cheapen(s3Store({ kind: 's3', bucket: name, prefix, client: s3.client }), testPassword);
    process.env['TMPDIR'] = temporary;
  });
  afterAll(async () => {
    // Set to undefined it would be the text of that, for all files that this process runs after this one.
    if (TMPDIR === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = TMPDIR;
    await stack.disposeAsync();
  });

  const keys = async (Bucket: string): Promise<string[]> => {
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket }));
    return Contents.map(({ Key = '' }) => Key);
  };

  test('S3-39 DATABASE_URL and BACKUP_S3_BUCKET say what is backed up and where to', async () => {
    await kessan.succeed('backup', 'database');
    expect((await keys(bucket)).filter((key) => key.startsWith('database-exports/data/')).length).toBeGreaterThan(0);
    const listed = await kessan.succeed('ls', 'latest', '--component', 'database', '--repository', 'primary');
    expect(listed.stdout).toContain('PG_VERSION');
    const url = 'postgresql://nobody@127.0.0.1:1/kessan';
    const unreachable = await kessan.lifeboatWith({ DATABASE_URL: url }, 'backup', 'database');
    expect(unreachable).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('127.0.0.1') as string });
    const elsewhere = await kessan.lifeboatWith({ BACKUP_S3_BUCKET: 'no-such-bucket' }, 'backup', 'database');
    expect(elsewhere).toMatchObject({ exitCode: 10, stderr: expect.stringContaining('no-such-bucket') as string });
  });

  test('S3-30 S3-23 the configuration goes to config-backups/, and the folder it is worked on in is private and wiped', async () => {
    const before = await keys(bucket);
    const isNew = (key: string): boolean => !before.includes(key);
    const modes = new Map<string, number>();
    const watcher = watch(temporary, (_, name) => {
      try {
        if (name !== null) modes.set(name, lstatSync(join(temporary, name)).mode & 0o777);
      } catch {
        // It is gone already.
      }
    });
    await kessan.succeed('backup', 'configuration');
    const added = (await keys(bucket)).filter(isNew);
    expect(added.length).toBeGreaterThan(2);
    expect(added.filter((key) => !key.startsWith('config-backups/'))).toEqual([]);
    // A backup works in memory. What a proof restores has to lie somewhere.
    expect([...modes.keys()]).toEqual([]);
    await kessan.succeed('prove', 'configuration', '--repository', 'config-backups');
    watcher.close();
    expect([...modes.values()]).toEqual([0o700]);
    expect(readdirSync(temporary)).toEqual([]);
  });

  test('S3-17 the bucket lies in ap-northeast-1, and what is copied in us-west-2', async () => {
    const regionOf = async (Bucket: string): Promise<unknown> =>
      (await client.send(new GetBucketLocationCommand({ Bucket }))).LocationConstraint;
    expect(await regionOf(bucket)).toBe('ap-northeast-1');
    expect(await regionOf(`${bucket}-us-west-2`)).toBe('us-west-2');
    await kessan.succeed('copy', '--from', 'config-backups', '--to', 'other-region');
    const snapshots = (all: readonly string[], prefix: string): string[] =>
      all.filter((key) => key.startsWith(`${prefix}/snapshots/`));
    expect(snapshots(await keys(bucket), 'config-backups')).toHaveLength(1);
    expect(snapshots(await keys(`${bucket}-us-west-2`), 'lifeboat')).toHaveLength(1);
  });
}

await describeWithS3('Kessan', () => describeWithPostgres(15, 'with PostgreSQL', define));
