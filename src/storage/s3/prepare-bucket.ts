// Makes the bucket of a repository where there is none, and has the store keep what is overwritten or deleted.
import { CreateBucketCommand, HeadBucketCommand, PutBucketVersioningCommand, type S3Client } from '@aws-sdk/client-s3';
import type { S3Location } from '../location.ts';
import { createClient } from './client.ts';
import { isMissing, storeErrorOfS3 } from './errors.ts';

export interface BucketWish {
  readonly creates: boolean;
  readonly enablesVersioning: boolean;
}

/** What was done, for people. Doing it twice does no harm. */
export async function prepareBucket(at: S3Location, wish: BucketWish, signal: AbortSignal): Promise<string[]> {
  const client = createClient(at.client);
  const done: string[] = [];
  const name = `s3://${at.bucket}`;
  try {
    if (wish.creates) {
      const isNew = await attempt(`create ${name}`, () => createIfMissing(client, at.bucket, signal));
      done.push(isNew ? `created bucket ${name}` : `bucket ${name} was there`);
    }
    if (wish.enablesVersioning) {
      const setting = { Bucket: at.bucket, VersioningConfiguration: { Status: 'Enabled' as const } };
      const command = new PutBucketVersioningCommand(setting);
      await attempt(`switch on the versioning of ${name}`, () => client.send(command, { abortSignal: signal }));
      done.push(`versioning of ${name} is on`);
    }
    return done;
  } finally {
    client.destroy();
  }
}

async function attempt<Answer>(work: string, act: () => Promise<Answer>): Promise<Answer> {
  try {
    return await act();
  } catch (error) {
    throw storeErrorOfS3(error, work);
  }
}

async function createIfMissing(client: S3Client, bucket: string, signal: AbortSignal): Promise<boolean> {
  try {
    await client.send(new HeadBucketCommand({ Bucket: bucket }), { abortSignal: signal });
    return false;
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  await client.send(await creationOf(client, bucket), { abortSignal: signal });
  return true;
}

/** In the client's region. `hasLock`: its versions can be locked, which no bucket learns later. */
export async function creationOf(client: S3Client, bucket: string, hasLock = false): Promise<CreateBucketCommand> {
  const region = await client.config.region();
  // The oldest region is the one that must not be named.
  const place =
    region === 'us-east-1' ? {} : { CreateBucketConfiguration: { LocationConstraint: region as 'eu-west-1' } };
  return new CreateBucketCommand({ Bucket: bucket, ...place, ...(hasLock && { ObjectLockEnabledForBucket: true }) });
}
