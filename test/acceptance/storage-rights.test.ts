// What somebody with the credentials of backups can do to a bucket: tried, and shown where the bucket gives way.
import {
  CreateBucketCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectLockConfigurationCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StorageTestData } from '../../src/cli/commands/storage-test.ts';
import { systemClock } from '../../src/base/clock.ts';
import { tamperWithBucket } from '../../src/storage/s3/tamper-test.ts';
import type { TamperReport } from '../../src/storage/tamper.ts';
import { guardingProxy } from '../support/guarding-proxy.ts';
import { runLifeboat } from '../support/lifeboat.ts';
import { noSignal } from '../support/repository.ts';
import { describeWithS3, startS3Server, type S3Server } from '../support/s3-server.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

const configuration = (endpoint: string, survives: string): string => `
application: shop
repositories:
  s3:
    location: s3://locked/shop
    password: secret
    survives: ${survives}
    s3: { endpoint: '${endpoint}', bucket: { lock: 14d } }
components: { uploads: { type: files, paths: [./data] } }
`;

await describeWithS3('rights at a store', () => {
  let home: TemporaryFolder;
  let aws: S3Server;
  let client: S3Client;
  let environment: Record<string, string>;
  const stack = new AsyncDisposableStack();

  beforeAll(async () => {
    home = stack.use(await temporaryFolder());
    aws = stack.use(await startS3Server());
    client = aws.inspector();
    stack.defer(() => client.destroy());
    const { accessKeyId = '', secretAccessKey = '' } = aws.client.credentials ?? {};
    environment = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  });
  afterAll(() => stack[Symbol.asyncDispose]());

  async function lifeboat(...args: string[]) {
    const { exitCode, stdout } = await runLifeboat([...args, '--json'], { folder: home.path, environment });
    return { exitCode, ...(JSON.parse(stdout) as StorageTestData) };
  }
  const outcomes = ({ trials }: Pick<TamperReport, 'trials'>): string[] =>
    trials.map(({ trial, outcome }) => `${trial}: ${outcome}`);
  const tamper = (bucket: string): Promise<TamperReport> => {
    const at = { kind: 's3', bucket, prefix: 'shop', client: aws.client } as const;
    return tamperWithBucket(at, { name: 'tamper-test-1', clock: systemClock, signal: noSignal });
  };
  async function versionsIn(Bucket: string): Promise<number> {
    const { Versions = [], DeleteMarkers = [] } = await client.send(new ListObjectVersionsCommand({ Bucket }));
    return Versions.length + DeleteMarkers.length;
  }

  test('a locked bucket is tried to be harmed: one that lets its lock be shortened is found out, one that refuses passes', async () => {
    // moto lets anybody shorten a lock of mode COMPLIANCE; S3 lets nobody.
    writeFileSync(join(home.path, 'lifeboat.yaml'), configuration(aws.client.endpoint, '[host, site, ransomware]'));
    expect((await lifeboat('storage', 'setup', '--yes')).exitCode).toBe(3); // No TLS here.
    expect((await lifeboat('repository', 'init')).exitCode).toBe(0);
    const weak = await lifeboat('storage', 'test');
    expect([weak.exitCode, weak.verdict, weak.reasons]).toEqual([
      20,
      'broken',
      ['shorten the lock: allowed', 'remove the lock: allowed'],
    ]);
    expect(outcomes(weak).slice(0, 4)).toEqual([
      'overwrite: kept',
      'delete: kept',
      'destroy a version: refused',
      'destroy a version, bypassing governance: refused',
    ]);
    await using guard = await guardingProxy(
      aws.client.endpoint,
      ({ method, url = '' }) => method === 'PUT' && /[?&](?:retention|object-lock)\b/.test(url),
    );
    writeFileSync(join(home.path, 'lifeboat.yaml'), configuration(guard.endpoint, '[host, site]'));
    const strong = await lifeboat('storage', 'test');
    expect([strong.exitCode, strong.verdict, strong.lock]).toEqual([
      0,
      'holds',
      { state: 'locked', mode: 'COMPLIANCE', until: expect.stringMatching(/^20/) as string },
    ]);
    expect(strong.left).toEqual([
      expect.stringMatching(/^2 versions of s3:\/\/locked\/shop\/tamper-test-[0-9a-f]{16}, locked until about 20/),
    ]);
    const check = await runLifeboat(['check', '-r', 's3'], { folder: home.path, environment });
    expect(check.stdout.replaceAll(/\s+/g, ' ')).toMatch(
      /ok object lock each version for 14 days \(COMPLIANCE\); try it with 'lifeboat storage test', then say so: survives: \[host, site, ransomware\]/,
    );
    expect(JSON.stringify([weak, strong])).not.toContain(environment['AWS_SECRET_ACCESS_KEY']);
  });

  test('without a lock all that the credentials may do is allowed, and nothing of the test is left', async () => {
    await client.send(new CreateBucketCommand({ Bucket: 'plain' }));
    const plain = await tamper('plain');
    expect(outcomes(plain).slice(0, 3)).toEqual([
      'overwrite: allowed',
      'delete: allowed',
      'destroy a version: not applicable',
    ]);
    await client.send(new CreateBucketCommand({ Bucket: 'versioned' }));
    const VersioningConfiguration = { Status: 'Enabled' as const };
    await client.send(new PutBucketVersioningCommand({ Bucket: 'versioned', VersioningConfiguration }));
    const versioned = await tamper('versioned');
    expect(outcomes(versioned)).toEqual([
      'overwrite: kept',
      'delete: kept',
      'destroy a version: allowed',
      'destroy a version, bypassing governance: allowed',
      'shorten the lock: not applicable',
      'remove the lock: not applicable',
      'switch versions off: allowed',
      'weaken the lock of what comes later: not applicable',
    ]);
    expect([plain.left, versioned.left, await versionsIn('plain'), await versionsIn('versioned')]).toEqual([
      [],
      [],
      0,
      0,
    ]);
  });

  test('a lock of mode GOVERNANCE gives way to who may bypass it', async () => {
    await client.send(new CreateBucketCommand({ Bucket: 'governed', ObjectLockEnabledForBucket: true }));
    const Rule = { DefaultRetention: { Mode: 'GOVERNANCE' as const, Days: 2 } };
    const ObjectLockConfiguration = { ObjectLockEnabled: 'Enabled' as const, Rule };
    await client.send(new PutObjectLockConfigurationCommand({ Bucket: 'governed', ObjectLockConfiguration }));
    const governed = await tamper('governed');
    expect(governed.lock).toMatchObject({ state: 'locked', mode: 'GOVERNANCE' });
    expect(outcomes(governed).slice(2, 4)).toEqual([
      'destroy a version: refused',
      'destroy a version, bypassing governance: allowed',
    ]);
  });
});
