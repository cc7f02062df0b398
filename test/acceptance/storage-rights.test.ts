// What somebody with the credentials of backups can do to a bucket: tried, and shown where the bucket gives way.
import {
  CreateBucketCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectLockConfigurationCommand,
  PutObjectRetentionCommand,
} from '@aws-sdk/client-s3';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { StorageTestData } from '../../src/cli/commands/storage-test.ts';
import { systemClock } from '../../src/base/clock.ts';
import { dayMs, hourMs } from '../../src/base/duration.ts';
import { accessPolicy } from '../../src/storage/s3/access-policy.ts';
import { reportBucket } from '../../src/storage/s3/bucket-report.ts';
import { s3Store } from '../../src/storage/s3/store.ts';
import { tamperWithBucket } from '../../src/storage/s3/tamper-test.ts';
import type { TamperReport } from '../../src/storage/tamper.ts';
import { guardingProxy } from '../support/guarding-proxy.ts';
import { useBucketScene } from '../support/bucket-scene.ts';
import { runHere } from '../support/lifeboat.ts';
import { noSignal } from '../support/repository.ts';
import { describeWithS3 } from '../support/s3-server.ts';
import { holdPolicies, makeS3User, type S3User } from '../support/s3-users.ts';

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

/** Processes of the program, one after another, on a machine that is busy. */
const timeout = 240_000;

await describeWithS3('rights at a store', () => {
  const scene = useBucketScene('us-east-1', () => undefined);

  async function lifeboat(...args: string[]) {
    const { exitCode, stdout } = await runHere([...args, '--json'], {
      folder: scene.home.path,
      environment: scene.environment,
    });
    return { exitCode, ...(JSON.parse(stdout) as StorageTestData) };
  }
  const outcomes = ({ trials }: Pick<TamperReport, 'trials'>): string[] =>
    trials.map(({ trial, outcome }) => `${trial}: ${outcome}`);
  const tamper = (bucket: string): Promise<TamperReport> => {
    const at = { kind: 's3', bucket, prefix: 'shop', client: scene.aws.client } as const;
    return tamperWithBucket(at, { name: 'tamper-test-1', clock: systemClock, signal: noSignal });
  };
  async function versionsIn(Bucket: string): Promise<number> {
    const { Versions = [], DeleteMarkers = [] } = await scene.client.send(new ListObjectVersionsCommand({ Bucket }));
    return Versions.length + DeleteMarkers.length;
  }

  test(
    'a locked bucket is tried to be harmed: one that lets its lock be shortened is found out, one that refuses passes',
    { timeout },
    async () => {
      // moto lets anybody shorten a lock of mode COMPLIANCE; S3 lets nobody.
      writeFileSync(
        join(scene.home.path, 'lifeboat.yaml'),
        configuration(scene.aws.client.endpoint, '[host, site, ransomware]'),
      );
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
        scene.aws.client.endpoint,
        ({ method, url = '' }) => method === 'PUT' && /[?&](?:retention|object-lock)\b/.test(url),
      );
      writeFileSync(join(scene.home.path, 'lifeboat.yaml'), configuration(guard.endpoint, '[host, site]'));
      const strong = await lifeboat('storage', 'test');
      expect([strong.exitCode, strong.verdict, strong.lock]).toEqual([
        0,
        'holds',
        { state: 'locked', mode: 'COMPLIANCE', until: expect.stringMatching(/^20/) as string },
      ]);
      expect(strong.left).toEqual([
        expect.stringMatching(/^2 versions of s3:\/\/locked\/shop\/tamper-test-[0-9a-f]{16}, locked until about 20/),
      ]);
      const check = await runHere(['check', '-r', 's3'], {
        folder: scene.home.path,
        environment: scene.environment,
      });
      expect(check.stdout.replaceAll(/\s+/g, ' ')).toMatch(
        /ok object lock each version for 14 days \(COMPLIANCE\) ok repository/,
      );
      expect(JSON.stringify([weak, strong])).not.toContain(scene.environment['AWS_SECRET_ACCESS_KEY']);
    },
  );

  test(
    'S1-70 the policies that are printed are enough for those who back up and restore, and hold them to that',
    { timeout },
    async () => {
      const { endpoint } = scene.aws.client;
      const at = { kind: 's3', bucket: 'shared', prefix: 'shop', client: scene.aws.client } as const;
      const settings = `{ location: s3://shared/shop, password: secret, s3: { endpoint: '${endpoint}' } }`;
      writeFileSync(
        join(scene.home.path, 'lifeboat.yaml'),
        `application: shop\nrepositories: { s3: ${settings} }\ncomponents: { uploads: { type: files, paths: [./data] } }\n`,
      );
      mkdirSync(join(scene.home.path, 'data'));
      writeFileSync(join(scene.home.path, 'data', 'a.txt'), 'kept');
      expect((await lifeboat('repository', 'init', '--create-bucket')).exitCode).toBe(0);
      await scene.client.send(new PutObjectCommand({ Bucket: 'shared', Key: 'other/secret', Body: 'theirs' }));
      const printed = await runHere(['storage', 'policy', '--role', 'append'], {
        folder: scene.home.path,
        environment: scene.environment,
      });
      const appender = await makeS3User(endpoint, 'appender', JSON.parse(printed.stdout) as object);
      const reader = await makeS3User(endpoint, 'reader', accessPolicy(at, 'read'));
      const keeper = await makeS3User(endpoint, 'keeper', accessPolicy(at, 'full'));
      await using _ = await holdPolicies(endpoint);
      const as = (user: S3User, ...args: string[]) =>
        runHere(args, { folder: scene.home.path, environment: { ...user } });
      const storeOf = (user: S3User, prefix = 'shop') => s3Store({ ...at, prefix, client: clientOf(user) });
      const clientOf = ({ AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey }: S3User) => ({
        ...scene.aws.client,
        credentials: { accessKeyId, secretAccessKey },
      });

      expect(await as(appender, 'backup', 'uploads')).toMatchObject({ exitCode: 0 });
      await using full = storeOf(keeper);
      const [snapshot = { name: '' }] = await Array.fromAsync(full.list('snapshots/'));
      const refused = await as(appender, 'repository', 'forget', snapshot.name.split('/').at(-1) ?? '', '--yes');
      expect(refused.stderr).toMatch(/could not remove .*snapshots\/.*AccessDenied/s);
      // Its own lock went.
      expect(await Array.fromAsync(full.list('locks/'))).toEqual([]);
      const restored = await as(reader, 'restore', 'uploads', '--to', './back');
      const back = readdirSync(join(scene.home.path, 'back'), { recursive: true, encoding: 'utf8' });
      expect([restored.exitCode, back.filter((path) => path.endsWith('/a.txt'))]).toEqual([0, [expect.any(String)]]);

      const denied = { code: 'STORE_DENIED' };
      await using read = storeOf(reader);
      await expect(read.put('index/x', [Buffer.from('x')])).rejects.toMatchObject(denied);
      await using theirs = storeOf(keeper, 'other');
      await expect(theirs.get('secret')).rejects.toMatchObject(denied);
      await full.remove(snapshot.name);
      const promise = { lockDays: 14, outlivesRansomware: false };
      const looking = { clock: systemClock, signal: noSignal, promise };
      const seen = await Array.fromAsync(reportBucket({ ...at, client: clientOf(appender) }, looking));
      expect(seen.filter(({ outcome }) => outcome === 'inconclusive' || outcome === 'failed')).toEqual([]);
    },
  );

  test('without a lock all that the credentials may do is allowed, and nothing of the test is left', async () => {
    await scene.client.send(new CreateBucketCommand({ Bucket: 'plain' }));
    const plain = await tamper('plain');
    expect(outcomes(plain).slice(0, 3)).toEqual([
      'overwrite: allowed',
      'delete: allowed',
      'destroy a version: not applicable',
    ]);
    await scene.client.send(new CreateBucketCommand({ Bucket: 'versioned' }));
    const VersioningConfiguration = { Status: 'Enabled' as const };
    await scene.client.send(new PutBucketVersioningCommand({ Bucket: 'versioned', VersioningConfiguration }));
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

  test(
    'a test that was interrupted leaves as little as it can, and the next one says what is locked and removes the rest',
    { timeout },
    async () => {
      const Bucket = 'stopped';
      await scene.client.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: true }));
      const Rule = { DefaultRetention: { Mode: 'COMPLIANCE' as const, Days: 14 } };
      const ObjectLockConfiguration = { ObjectLockEnabled: 'Enabled' as const, Rule };
      await scene.client.send(new PutObjectLockConfigurationCommand({ Bucket, ObjectLockConfiguration }));
      // Nobody's business but its owner's, whatever it is called.
      await scene.client.send(new PutObjectCommand({ Bucket, Key: 'shop/tamper-test-notes', Body: 'mine' }));
      const stopping = new AbortController();
      await using proxy = await guardingProxy(scene.aws.client.endpoint, ({ method, url = '' }) => {
        if (method !== 'PUT' || !/[?&]retention\b/.test(url)) return false;
        stopping.abort(new Error('stopped'));
        return true;
      });
      const at = { kind: 's3', bucket: Bucket, prefix: 'shop', client: scene.aws.client } as const;
      const name = (digit: string): string => `tamper-test-${digit.repeat(16)}`;
      const slow = { ...at, client: { ...at.client, endpoint: proxy.endpoint } };
      const stopped = { name: name('a'), clock: systemClock, signal: stopping.signal };
      await expect(tamperWithBucket(slow, stopped)).rejects.toThrow('interrupted');
      const { Versions = [] } = await scene.client.send(
        new ListObjectVersionsCommand({ Bucket, Prefix: 'shop/tamper-test-a' }),
      );
      const locks = await Promise.all(
        Versions.map(async ({ Key, VersionId }) => {
          const head = await scene.client.send(new HeadObjectCommand({ Bucket, Key, VersionId }));
          return (head.ObjectLockRetainUntilDate?.getTime() ?? 0) - systemClock.now();
        }),
      );
      // As backups are, and as briefly as may be.
      const [brief = 0, long = 0] = locks.toSorted((left, right) => left - right);
      expect([locks.length, brief <= 60_000, long > 13 * dayMs]).toEqual([2, true, true]);

      // It may still run.
      const tooSoon = await tamperWithBucket(at, { name: name('b'), clock: systemClock, signal: noSignal });
      expect(tooSoon.earlier).toEqual({ removed: 0, left: [] });
      const hoursLater = { now: () => systemClock.now() + 2 * hourMs };
      const later = await tamperWithBucket(at, { name: name('c'), clock: hoursLater, signal: noSignal });
      expect(later.earlier?.left).toEqual([
        expect.stringMatching(
          /^\d versions of s3:\/\/stopped\/shop\/tamper-test-… of earlier tests, locked until 20.* at the latest$/,
        ),
      ]);
      for (const { Key, VersionId } of Versions) {
        // As time would.
        const Retention = { Mode: 'GOVERNANCE' as const, RetainUntilDate: new Date(systemClock.now() + 1000) };
        await scene.client.send(
          new PutObjectRetentionCommand({ Bucket, Key, VersionId, Retention, BypassGovernanceRetention: true }),
        );
      }
      await expect
        .poll(
          async () =>
            (await tamperWithBucket(at, { name: name('d'), clock: hoursLater, signal: noSignal })).earlier?.removed,
          { timeout: 20_000, interval: 1000 },
        )
        .toBeGreaterThanOrEqual(2);
      const rest = await scene.client.send(new ListObjectVersionsCommand({ Bucket, Prefix: 'shop/tamper-test-' }));
      const keys = (rest.Versions ?? []).map(({ Key = '' }) => Key);
      expect([keys.includes(`shop/${name('a')}`), keys.includes('shop/tamper-test-notes')]).toEqual([false, true]);
    },
  );

  test('a lock of mode GOVERNANCE gives way to who may bypass it', async () => {
    await scene.client.send(new CreateBucketCommand({ Bucket: 'governed', ObjectLockEnabledForBucket: true }));
    const Rule = { DefaultRetention: { Mode: 'GOVERNANCE' as const, Days: 2 } };
    const ObjectLockConfiguration = { ObjectLockEnabled: 'Enabled' as const, Rule };
    await scene.client.send(new PutObjectLockConfigurationCommand({ Bucket: 'governed', ObjectLockConfiguration }));
    const governed = await tamper('governed');
    expect(governed.lock).toMatchObject({ state: 'locked', mode: 'GOVERNANCE' });
    expect(outcomes(governed).slice(2, 4)).toEqual([
      'destroy a version: refused',
      'destroy a version, bypassing governance: allowed',
    ]);
  });
});
