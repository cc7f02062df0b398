import { afterAll, beforeAll } from 'vitest';
import { s3Store } from '../../src/storage/s3/store.ts';
import { describeStore } from '../../src/storage/store-contract.ts';
import { describeWithS3, startS3Server, type S3Server } from '../support/s3-server.ts';

await describeWithS3('the S3 store against a real server', () => {
  let server: S3Server;
  beforeAll(async () => {
    server = await startS3Server();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  describeStore('the S3 store', async () =>
    s3Store({ kind: 's3', bucket: await server.makeBucket(), prefix: 'shop/pröd uction', client: server.client }),
  );
  describeStore('the S3 store with objects in parts', async () =>
    s3Store(
      { kind: 's3', bucket: await server.makeBucket(), prefix: '', client: server.client },
      { multipartAboveBytes: 6 * 1024 * 1024, partSizeBytes: 5 * 1024 * 1024 },
    ),
  );
});
