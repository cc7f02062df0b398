// Which rights stand in a policy; that they are enough, and no more: test/acceptance/storage-rights.test.ts.
import { expect, test } from 'vitest';
import { parseLocation, type S3Location } from '../location.ts';
import { accessPolicy, type AccessRole } from './access-policy.ts';

function rights(address: string, role: AccessRole): string[] {
  const { Statement } = accessPolicy(parseLocation(address) as S3Location, role);
  return Statement.flatMap(({ Action, Resource }) => Action.map((action) => `${action} ${String(Resource)}`));
}
const common = [
  's3:ListBucket arn:aws:s3:::bkt',
  's3:GetBucketVersioning arn:aws:s3:::bkt',
  's3:GetBucketObjectLockConfiguration arn:aws:s3:::bkt',
];

test('a reader gets, a writer adds, only full rights remove what is no lock', () => {
  const below = 'arn:aws:s3:::bkt/shop/*';
  const writes = [`s3:GetObject ${below}`, `s3:PutObject ${below}`, `s3:AbortMultipartUpload ${below}`];
  expect(rights('s3://bkt/shop', 'read')).toEqual([...common, `s3:GetObject ${below}`]);
  expect(rights('s3://bkt/shop', 'append')).toEqual([
    ...common,
    ...writes,
    's3:DeleteObject arn:aws:s3:::bkt/shop/locks/*',
  ]);
  expect(rights('s3://bkt/shop', 'full')).toEqual([...common, ...writes, `s3:DeleteObject ${below}`]);
});

test('tags and a key of yours bring their rights, to whoever needs them', () => {
  const key = 'arn:aws:kms:eu-central-1:1:key/k';
  const address = `s3://bkt?tag-data=true&encryption=aws:kms&kms-key=${key}`;
  expect(rights(address, 'append')).toEqual(
    expect.arrayContaining([
      's3:PutObjectTagging arn:aws:s3:::bkt/*',
      `kms:GenerateDataKey ${key}`,
      `kms:Decrypt ${key}`,
    ]),
  );
  expect(rights(address, 'read')).toEqual([...common, 's3:GetObject arn:aws:s3:::bkt/*', `kms:Decrypt ${key}`]);
  expect(rights('s3://bkt?encryption=aws:kms', 'full').join()).not.toContain('kms:');
});

test('of an archive locks lie in its months, and who restores may thaw', () => {
  const archive = (role: AccessRole): string =>
    JSON.stringify(accessPolicy(parseLocation('s3://bkt/shop') as S3Location, role, true));
  expect(archive('append')).toContain('arn:aws:s3:::bkt/shop/*/locks/*');
  expect(archive('append')).not.toContain('RestoreObject');
  expect(archive('read')).toContain('"s3:RestoreObject"');
});
