// Asks a bucket for copies that answer of objects that it moved to an archive class, and looks how far it is. Asking twice does no harm.
import {
  HeadObjectCommand,
  ListObjectsV2Command,
  RestoreObjectCommand,
  S3ServiceException,
  type S3Client,
} from '@aws-sdk/client-s3';
import { forEachLimited } from '../../base/for-each-limited.ts';
import { throwIfAborted } from '../interruption.ts';
import type { S3Location } from '../location.ts';
import type { Thawing, ThawWish } from '../thawing.ts';
import { connectionsDefault, createClient } from './client.ts';
import { notS3, storeErrorOfS3 } from './errors.ts';

const classesThatSleep: ReadonlySet<string> = new Set(['GLACIER', 'DEEP_ARCHIVE']);

interface Thaw {
  readonly client: S3Client;
  readonly at: S3Location;
  readonly wish: ThawWish;
  readonly signal: AbortSignal;
}

export async function thaw(at: S3Location, wish: ThawWish, signal: AbortSignal): Promise<Thawing> {
  const client = createClient(at.client);
  const work = { client, at, wish, signal };
  const counts = { ready: 0, waiting: 0, requested: 0, untouched: 0 };
  try {
    const sleeping = await sleepersIn(work);
    await forEachLimited(sleeping, at.client.connectionsMax ?? connectionsDefault, async ({ key }) => {
      counts[await thawOne(work, key)] += 1;
    });
    const archivedBytes = sleeping.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    return { archived: sleeping.length, archivedBytes, ...counts };
  } catch (error) {
    throwIfAborted(signal);
    throw storeErrorOfS3(error, `thaw s3://${at.bucket}/${at.prefix}`, at.client.endpoint);
  } finally {
    client.destroy();
  }
}

interface Sleeper {
  readonly key: string;
  readonly sizeBytes: number;
}

async function sleepersIn({ client, at, signal }: Thaw): Promise<Sleeper[]> {
  const request = { Bucket: at.bucket, Prefix: at.prefix === '' ? '' : `${at.prefix}/` };
  const found: Sleeper[] = [];
  let from: { ContinuationToken?: string } = {};
  for (;;) {
    const command = new ListObjectsV2Command({ ...request, ...from });
    const page = await client.send(command, { abortSignal: signal });
    const { Contents: objects = [], IsTruncated: isTruncated, NextContinuationToken: token } = page;
    for (const { Key: key = '', Size: sizeBytes = 0, StorageClass: storageClass = '' } of objects) {
      if (classesThatSleep.has(storageClass)) found.push({ key, sizeBytes });
    }
    if (isTruncated === undefined) throw notS3(`s3://${at.bucket}/${at.prefix}`);
    if (!isTruncated || token === undefined) return found;
    from = { ContinuationToken: token };
  }
}

async function thawOne({ client, at, wish, signal }: Thaw, Key: string) {
  const target = { Bucket: at.bucket, Key };
  const { Restore: state } = await client.send(new HeadObjectCommand(target), { abortSignal: signal });
  if (state?.includes('ongoing-request="false"') === true) return 'ready';
  if (state !== undefined) return 'waiting';
  if (wish.isDryRun) return 'untouched';
  try {
    const RestoreRequest = { Days: wish.days, GlacierJobParameters: { Tier: wish.tier } };
    await client.send(new RestoreObjectCommand({ ...target, RestoreRequest }), { abortSignal: signal });
    return 'requested';
  } catch (error) {
    if (error instanceof S3ServiceException && error.name === 'RestoreAlreadyInProgress') return 'waiting';
    throw error;
  }
}
