// What a bucket does to objects as they grow old. The store of the tests keeps lifecycle rules and carries none out, so tests do, as S3
// would: by the rules that they find in the bucket.
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  GetBucketLifecycleConfigurationCommand,
  GetObjectTaggingCommand,
  ListObjectsV2Command,
  type LifecycleRule,
  type S3Client,
} from '@aws-sdk/client-s3';

export interface AgingBucket {
  objects(prefix: string): Promise<{ readonly key: string; readonly storageClass: string }[]>;
  /** What S3 would have done to these objects after so many days. */
  age(prefix: string, days: number): Promise<void>;
}

export function agingBucket(client: S3Client, Bucket: string): AgingBucket {
  async function objects(Prefix: string) {
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket, Prefix }));
    return Contents.map(({ Key: key = '', StorageClass: storageClass = '' }) => ({ key, storageClass }));
  }
  return {
    objects,
    async age(prefix, days) {
      const { Rules = [] } = await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket }));
      for (const { key } of await objects(prefix)) {
        const { TagSet = [] } = await client.send(new GetObjectTaggingCommand({ Bucket, Key: key }));
        const tags = TagSet.map(({ Key = '', Value = '' }) => `${Key}=${Value}`);
        const own = Rules.filter((rule) => isMeant(rule, key, tags));
        if (own.some(({ Expiration }) => (Expiration?.Days ?? Infinity) <= days)) {
          await client.send(new DeleteObjectCommand({ Bucket, Key: key }));
          continue;
        }
        const move = own.flatMap(({ Transitions = [] }) => Transitions).findLast(({ Days = Infinity }) => Days <= days);
        if (move?.StorageClass === undefined) continue;
        const StorageClass = move.StorageClass as 'GLACIER';
        await client.send(new CopyObjectCommand({ Bucket, Key: key, CopySource: `${Bucket}/${key}`, StorageClass }));
      }
    },
  };
}

/** By prefix and tag, as our rules say it. */
function isMeant({ Status, Filter }: LifecycleRule, key: string, tags: readonly string[]): boolean {
  const wanted = (Filter?.And?.Tags ?? []).map(({ Key = '', Value = '' }) => `${Key}=${Value}`);
  const prefix = Filter?.And?.Prefix ?? Filter?.Prefix ?? '';
  return Status === 'Enabled' && key.startsWith(prefix) && wanted.every((tag) => tags.includes(tag));
}
