// The bucket as the source documents want it, made by one command in a store that answers as S3 does.
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetBucketEncryptionCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketLocationCommand,
  GetBucketLoggingCommand,
  GetBucketPolicyCommand,
  GetBucketReplicationCommand,
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  GetPublicAccessBlockCommand,
  ListObjectsV2Command,
  PutBucketLifecycleConfigurationCommand,
  PutBucketPolicyCommand,
} from '@aws-sdk/client-s3';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { storageSetupCommand, type StorageSetupData } from '../../src/cli/commands/storage-setup.ts';
import { plainStyle } from '../../src/cli/style.ts';
import { bucketSchema } from '../../src/model/bucket-settings.ts';
import { prepareBucket } from '../../src/storage/s3/prepare-bucket.ts';
import { setUpBucket } from '../../src/storage/s3/bucket-setup.ts';
import { useBucketScene } from '../support/bucket-scene.ts';
import { runHere } from '../support/lifeboat.ts';
import { noSignal } from '../support/repository.ts';
import { describeWithS3 } from '../support/s3-server.ts';
import { eventually, startServerWith } from '../support/server-process.ts';

const foreignStatement = {
  Sid: 'Readers',
  Effect: 'Allow',
  Principal: { AWS: 'arn:aws:iam::123456789012:root' },
  Action: 's3:GetObject',
  Resource: 'arn:aws:s3:::hastecrm-logs/*',
};

const configuration = (endpoint: string): string => `
application: hastecrm
repositories:
  s3:
    location: s3://hastecrm-backups/crm
    password: secret
    s3:
      endpoint: ${endpoint}
      region: eu-central-1
      tagBulkData: true
      bucket:
        keepVersions: 60d
        infrequentAfter: 30d
        instantArchiveAfter: 90d
        accessLog: s3://hastecrm-logs/backups
        lock: 14d
components: { uploads: { type: files, paths: [./data] } }
`;

/** Processes of the program, one after another, on a machine that is busy. */
const timeout = 240_000;

await describeWithS3('storage setup', () => {
  const scene = useBucketScene('eu-central-1', async ({ home, aws, client }) => {
    writeFileSync(join(home.path, 'lifeboat.yaml'), configuration(aws.client.endpoint));
    const place = { CreateBucketConfiguration: { LocationConstraint: 'eu-central-1' as const } };
    await client.send(new CreateBucketCommand({ Bucket: 'hastecrm-logs', ...place }));
    const Policy = JSON.stringify({ Version: '2012-10-17', Statement: foreignStatement });
    await client.send(new PutBucketPolicyCommand({ Bucket: 'hastecrm-logs', Policy }));
  });

  async function setup(...args: string[]): Promise<StorageSetupData & { exitCode: number }> {
    const { exitCode, stdout } = await runHere(['storage', 'setup', ...args, '--json'], {
      folder: scene.home.path,
      environment: scene.environment,
    });
    return { exitCode, ...(JSON.parse(stdout) as StorageSetupData) };
  }
  const outcomes = ({ steps }: StorageSetupData): string[] =>
    steps.map(({ aspect, outcome }) => `${aspect}: ${outcome}`);

  test('S1-16 S1-17 S1-18 S1-68 S1-69 S1-71 one command makes the bucket, versions, classes, encryption, TLS, log and lock', async () => {
    const dry = await setup('--dry-run');
    const aspects = ['bucket', 'versioning', 'object lock', 'public access', 'encryption', 'TLS only', 'lifecycle'];
    const planned = [...aspects, 'access log target', 'access log'];
    const clear = 'TLS only: left out';
    expect([dry.exitCode, outcomes(dry)]).toEqual([
      3,
      planned.map((aspect) => (aspect === 'TLS only' ? clear : `${aspect}: differs`)),
    ]);
    const first = await setup('--yes');
    // A bucket that can lock has versions from the start.
    const asWished = outcomes(first).filter((one) => !one.endsWith(': changed'));
    expect([first.exitCode, asWished]).toEqual([3, ['versioning: as wished', clear]]);
    const at = { Bucket: 'hastecrm-backups' };
    expect(await scene.client.send(new GetBucketVersioningCommand(at))).toMatchObject({ Status: 'Enabled' });
    expect((await scene.client.send(new GetBucketLifecycleConfigurationCommand(at))).Rules).toEqual([
      expect.objectContaining({
        Filter: { Prefix: 'crm/' },
        NoncurrentVersionExpiration: expect.objectContaining({ NoncurrentDays: 60 }) as object,
      }),
      expect.objectContaining({
        Filter: { And: { Prefix: 'crm/', Tags: [{ Key: 'lifeboat', Value: 'bulk-data' }] } },
        Transitions: [
          expect.objectContaining({ Days: 30, StorageClass: 'STANDARD_IA' }) as object,
          expect.objectContaining({ Days: 90, StorageClass: 'GLACIER_IR' }) as object,
        ],
      }),
    ]);
    expect(
      (await scene.client.send(new GetBucketEncryptionCommand(at))).ServerSideEncryptionConfiguration?.Rules,
    ).toHaveLength(1);
    // This server speaks no TLS: with that policy the repository would have locked itself out.
    await expect(scene.client.send(new GetBucketPolicyCommand(at))).rejects.toThrow(/policy does not exist/);
    const { Policy = '' } = await scene.client.send(new GetBucketPolicyCommand({ Bucket: 'hastecrm-logs' }));
    expect((JSON.parse(Policy) as { Statement: unknown }).Statement).toEqual([
      foreignStatement,
      {
        Effect: 'Allow',
        Principal: { Service: 'logging.s3.amazonaws.com' },
        Action: 's3:PutObject',
        Resource: 'arn:aws:s3:::hastecrm-logs/backups/*',
        Condition: { ArnLike: { 'aws:SourceArn': 'arn:aws:s3:::hastecrm-backups' } },
      },
    ]);
    expect((await scene.client.send(new GetBucketLoggingCommand(at))).LoggingEnabled).toMatchObject({
      TargetBucket: 'hastecrm-logs',
      TargetPrefix: 'backups/',
    });
    expect((await scene.client.send(new GetPublicAccessBlockCommand(at))).PublicAccessBlockConfiguration).toEqual({
      BlockPublicAcls: true,
      IgnorePublicAcls: true,
      BlockPublicPolicy: true,
      RestrictPublicBuckets: true,
    });
    expect(await scene.client.send(new GetObjectLockConfigurationCommand(at))).toMatchObject({
      ObjectLockConfiguration: { Rule: { DefaultRetention: { Mode: 'COMPLIANCE', Days: 14 } } },
    });
  });

  test('S1-17 S1-18 done twice it changes nothing, and a rule of others by which backups would vanish is told', async () => {
    const again = await setup();
    expect([again.exitCode, outcomes(again).filter((one) => !one.endsWith(': as wished'))]).toEqual([
      3,
      ['TLS only: left out'],
    ]);
    const at = { Bucket: 'hastecrm-backups' };
    const { Rules = [] } = await scene.client.send(new GetBucketLifecycleConfigurationCommand(at));
    const foreign = { ID: 'tidy', Status: 'Enabled' as const, Filter: { Prefix: '' }, Expiration: { Days: 365 } };
    const setting = { LifecycleConfiguration: { Rules: [...Rules.slice(0, 1), foreign] } };
    await scene.client.send(new PutBucketLifecycleConfigurationCommand({ ...at, ...setting }));
    const third = await setup('--yes');
    expect(third.exitCode).toBe(3);
    expect(third.steps.find(({ outcome }) => outcome === 'danger')?.message).toContain("rule 'tidy' expires objects");
    const rules = (await scene.client.send(new GetBucketLifecycleConfigurationCommand(at))).Rules;
    expect(rules?.map(({ ID }) => ID)).toEqual(['tidy', 'lifeboat versions crm', 'lifeboat tiers crm']);
    expect(JSON.stringify(third)).not.toContain(scene.environment['AWS_SECRET_ACCESS_KEY']);
  });

  test('replication into a bucket of another region is set up so that deletions stay behind, with what its role needs', async () => {
    const role = 'arn:aws:iam::123456789012:role/replicate';
    const replication = { to: 'arn:aws:s3:::replica', region: 'eu-west-1', role, storageClass: 'STANDARD_IA' };
    const wish = bucketSchema.parse({ replication });
    const at = {
      kind: 's3',
      bucket: 'replicated',
      prefix: '',
      client: { ...scene.aws.client, region: 'eu-central-1' },
    } as const;
    async function setUp(isDryRun = false): Promise<StorageSetupData> {
      const steps = await Array.fromAsync(setUpBucket(at, { wish, isDryRun, signal: noSignal }));
      return { repository: 's3', isDryRun, steps: steps.filter(({ aspect }) => aspect.startsWith('replica')) };
    }
    expect((await setUp()).steps).toEqual([
      expect.objectContaining({ outcome: 'failed', message: 'there is no bucket replica for the replicas' }),
    ]);
    const there = { ...at, bucket: 'replica', client: { ...scene.aws.client, region: 'eu-west-1' } };
    await prepareBucket(there, { creates: true, enablesVersioning: false }, noSignal);
    expect(outcomes(await setUp(true))).toEqual(['replica: differs', 'replication: differs']);
    const done = await setUp();
    expect(outcomes(done)).toEqual(['replica: changed', 'replication: changed']);
    expect(await scene.client.send(new GetBucketVersioningCommand({ Bucket: 'replica' }))).toMatchObject({
      Status: 'Enabled',
    });
    const found = await scene.client.send(new GetBucketReplicationCommand({ Bucket: 'replicated' }));
    expect(found.ReplicationConfiguration).toMatchObject({
      Role: role,
      Rules: [{ Status: 'Enabled', Destination: { Bucket: 'arn:aws:s3:::replica', StorageClass: 'STANDARD_IA' } }],
    });
    const shown = storageSetupCommand.render(done, plainStyle());
    expect(shown).toContain('"s3:ReplicateObject"');
    expect(shown).toContain('sts:AssumeRole');
    expect(outcomes(await setUp())).toEqual(['replica: as wished', 'replication: as wished']);
    const Rules = [{ ID: 'tidy', Status: 'Enabled' as const, Filter: { Prefix: '' }, Expiration: { Days: 90 } }];
    await scene.client.send(
      new PutBucketLifecycleConfigurationCommand({ Bucket: 'replica', LifecycleConfiguration: { Rules } }),
    );
    const [, danger] = (await setUp()).steps;
    expect(danger).toMatchObject({
      outcome: 'danger',
      message: expect.stringContaining("in replica: rule 'tidy' expires") as string,
    });
  });

  test(
    'S2-011 a server copies to another region on a schedule, and what is there comes back when the first region is gone',
    { timeout },
    async () => {
      const folder = join(scene.home.path, 'regions');
      mkdirSync(join(folder, 'data'), { recursive: true });
      writeFileSync(join(folder, 'data', 'a.txt'), 'kept');
      const s3 = (region: string): string => `s3: { endpoint: '${scene.aws.client.endpoint}', region: ${region} }`;
      const text = `
application: shop
service: { selfBackup: false }
repositories:
  near: { location: s3://near/shop, ${s3('eu-central-1')} }
  far: { location: s3://far-away/shop, ${s3('eu-west-1')} }
components:
  uploads:
    type: files
    paths: [./data]
    policy: { repositories: [near], copy: { to: far, schedule: { every: 5s } } }
`;
      writeFileSync(join(folder, 'lifeboat.yaml'), text);
      const lifeboat = async (...args: string[]): Promise<void> => {
        const { exitCode, stderr } = await runHere(args, { folder, environment: scene.environment });
        expect([args[0], exitCode, stderr]).toEqual([args[0], 0, '']);
      };
      await lifeboat('repository', 'init', '-r', 'near', '--create-bucket');
      await lifeboat('repository', 'init', '-r', 'far', '--from', 'near', '--create-bucket');
      await lifeboat('backup', 'uploads');
      const names = async (Bucket: string, Prefix = ''): Promise<string[]> => {
        const { Contents = [] } = await scene.client.send(new ListObjectsV2Command({ Bucket, Prefix }));
        return Contents.map(({ Key = '' }) => Key);
      };
      expect(await names('far-away', 'shop/snapshots/')).toEqual([]);
      {
        await using _ = await startServerWith({ folder, environment: scene.environment });
        await eventually(async () => (await names('far-away', 'shop/snapshots/')).length > 0);
      }
      const place = await scene.client.send(new GetBucketLocationCommand({ Bucket: 'far-away' }));
      expect(place.LocationConstraint).toBe('eu-west-1');
      for (const Key of await names('near')) await scene.client.send(new DeleteObjectCommand({ Bucket: 'near', Key }));
      await lifeboat('prove', 'uploads', '-r', 'far');
    },
  );
});
