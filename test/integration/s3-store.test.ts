import {
  HeadObjectCommand,
  GetObjectTaggingCommand,
  ListMultipartUploadsCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { S3Location } from '../../src/storage/location.ts';
import { s3Store } from '../../src/storage/s3/store.ts';
import { describeStore } from '../../src/storage/store-contract.ts';
import { describeWithS3, startS3Server, type S3Server } from '../support/s3-server.ts';

const inParts = { multipartAboveBytes: 6 * 1024 * 1024, partSizeBytes: 5 * 1024 * 1024 };

await describeWithS3('the S3 store against a real server', () => {
  let server: S3Server;
  beforeAll(async () => {
    server = await startS3Server();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  async function freshBucket(options: Partial<S3Location> = {}): Promise<S3Location> {
    return { kind: 's3', bucket: await server.makeBucket(), prefix: '', client: server.client, ...options };
  }

  describeStore('the S3 store', async () => s3Store(await freshBucket({ prefix: 'shop/pröd uction' })));
  describeStore('the S3 store with objects in parts', async () => s3Store(await freshBucket(), inParts));

  describe('what the bucket holds afterwards', () => {
    let inspector: S3Client;
    beforeAll(() => {
      inspector = server.inspector();
    });
    afterAll(() => inspector.destroy());

    test.each([
      { how: 'in one request', sizeBytes: 1_000 },
      { how: 'in parts', sizeBytes: 7 * 1024 * 1024 },
    ])('bulk data put $how carries class, tag and encryption; metadata only encryption', async ({ sizeBytes }) => {
      const at = await freshBucket({
        prefix: 'shop',
        tagsBulkData: true,
        bulkStorageClass: 'STANDARD_IA',
        serverEncryption: { algorithm: 'aws:kms', keyId: 'alias/backup' },
      });
      await using store = s3Store(at, inParts);
      await store.put('data/ab/abcd', [Buffer.alloc(sizeBytes, 1)], { isBulkData: true });
      await store.put('index/abcd', [Buffer.alloc(sizeBytes, 2)]);

      const bulk = { Bucket: at.bucket, Key: 'shop/data/ab/abcd' };
      const metadata = { Bucket: at.bucket, Key: 'shop/index/abcd' };
      expect(await inspector.send(new HeadObjectCommand(bulk))).toMatchObject({
        StorageClass: 'STANDARD_IA',
        ServerSideEncryption: 'aws:kms',
        ContentType: 'application/octet-stream',
        ContentLength: sizeBytes,
      });
      const { StorageClass, ServerSideEncryption } = await inspector.send(new HeadObjectCommand(metadata));
      expect(StorageClass ?? 'STANDARD').toBe('STANDARD');
      expect(ServerSideEncryption).toBe('aws:kms');
      expect((await inspector.send(new GetObjectTaggingCommand(bulk))).TagSet).toEqual([
        { Key: 'lifeboat', Value: 'bulk-data' },
      ]);
      expect((await inspector.send(new GetObjectTaggingCommand(metadata))).TagSet).toEqual([]);
    });

    test('an upload in parts that is interrupted leaves no parts behind', async () => {
      const at = await freshBucket();
      await using store = s3Store(at, inParts);
      const stop = new AbortController();
      const call = store.put('data/ab/abcd', [Buffer.alloc(60 * 1024 * 1024)], { signal: stop.signal });
      const settled = Promise.allSettled([call]);
      const uploads = async () =>
        (await inspector.send(new ListMultipartUploadsCommand({ Bucket: at.bucket }))).Uploads?.length ?? 0;
      await expect.poll(uploads, { timeout: 30_000, interval: 5 }).toBe(1);
      stop.abort();
      expect(await settled).toMatchObject([{ reason: { code: 'INTERRUPTED' } }]);
      // The caller is let go at once; the parts follow.
      await expect.poll(uploads, { timeout: 30_000 }).toBe(0);
      expect(await Array.fromAsync(store.list(''))).toEqual([]);
    });

    test('what consoles make of folders is not taken for objects', async () => {
      const at = await freshBucket({ prefix: 'shop' });
      await using root = s3Store({ ...at, prefix: '' });
      await using store = s3Store(at);
      await root.put('shop/', []);
      await root.put('shop/data/', []);
      await root.put('shopping/list', []);
      await store.put('data/ab/abcd', [Buffer.of(1)]);
      expect(await Array.fromAsync(store.list(''))).toEqual([{ name: 'data/ab/abcd', sizeBytes: 1 }]);
    });
  });

  test('a bucket that does not exist is named, with what to do', async () => {
    await using store = s3Store({ kind: 's3', bucket: 'nowhere', prefix: '', client: server.client });
    const missing = {
      code: 'REPOSITORY_MISSING',
      message: expect.stringContaining('nowhere'),
      hint: expect.stringContaining('--create-bucket'),
    };
    await expect(store.put('config', [Buffer.of(1)])).rejects.toMatchObject(missing);
    await expect(store.get('config')).rejects.toMatchObject(missing);
    await expect(Array.fromAsync(store.list(''))).rejects.toMatchObject(missing);
  });

  test('credentials that the server does not know are refused, in every call', async () => {
    await using strict = await startS3Server({ refusesCredentials: true });
    await using store = s3Store({ kind: 's3', bucket: 'backups', prefix: '', client: strict.client });
    const denied = { code: 'STORE_DENIED', hint: expect.stringContaining('key') };
    await expect(store.put('config', [Buffer.of(1)])).rejects.toMatchObject(denied);
    await expect(store.get('config')).rejects.toMatchObject(denied);
    await expect(store.stat('config')).rejects.toMatchObject(denied);
    await expect(store.remove('config')).rejects.toMatchObject(denied);
    await expect(Array.fromAsync(store.list(''))).rejects.toMatchObject(denied);
  });
});
