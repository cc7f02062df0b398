// What `bucket` of a repository takes.
import { expect, test } from 'vitest';
import { bucketSchema } from './bucket-settings.ts';

const role = 'arn:aws:iam::123456789012:role/replicate';
const replicated = (replication: object) => bucketSchema.safeParse({ replication });

test('the bucket of the replicas is known by its name or its ARN', () => {
  const expected = { to: 'far', role, region: undefined, storageClass: undefined };
  for (const to of ['far', 'arn:aws:s3:::far']) {
    expect(replicated({ to, role }).data?.replication).toEqual(expected);
  }
});

test.each([
  [{ to: 'far' }],
  [{ to: 's3://far', role }],
  [{ to: 'far', role: 'replicate' }],
  [{ to: 'far', role, storageClass: 'GLACIER' }],
])('%j is refused', (replication) => {
  expect(replicated(replication).success).toBe(false);
});
