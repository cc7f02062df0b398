import { expect, test } from 'vitest';
import { repositorySchema } from './repository-settings.ts';

test('turns sizes and rates into bytes', () => {
  const settings = repositorySchema.parse({ location: '/srv/r', packSize: '16 MiB', limits: { upload: '10 MB/s' } });
  expect(settings).toMatchObject({
    packSizeBytes: 2 ** 24,
    limits: { uploadBytesPerSecond: 1e7, downloadBytesPerSecond: undefined },
    compression: 'auto',
  });
});

test.each(['/srv/backups', './backups', 'file:///srv/backups', '~/backups', 's3://bucket', 's3://my.bucket-1/a/b'])(
  'accepts %s',
  (location) => {
    expect(repositorySchema.safeParse({ location }).success).toBe(true);
  },
);

test.each([
  ['a scheme without driver', { location: 'ftp://host/x' }],
  ['s3 without a bucket', { location: 's3://' }],
  ["restic's notation of s3", { location: 's3:https://host/bucket' }],
  ['two passwords', { password: 'a', passwordFile: '/b' }],
  ['half a key pair', { s3: { accessKeyId: 'a' } }],
  ['packs that restic would not read well', { packSize: '1 GiB' }],
  ['an endpoint that is no URL', { s3: { endpoint: 'minio:9000' } }],
])('refuses %s', (_, settings) => {
  expect(repositorySchema.safeParse({ location: '/srv/r', ...settings }).success).toBe(false);
});
