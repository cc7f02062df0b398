// Sets up that the store replicates a repository's objects into another bucket: that one keeps versions, and loses nothing by rules of its own.
import assert from 'node:assert/strict';
import {
  GetBucketLifecycleConfigurationCommand,
  GetBucketReplicationCommand,
  GetBucketVersioningCommand,
  PutBucketReplicationCommand,
  PutBucketVersioningCommand,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { AppError } from '../../base/errors.ts';
import { noBucket, orMissing, withHint, type Look, type Work } from './bucket-look.ts';
import { createClient } from './client.ts';
import { storeErrorOfS3 } from './errors.ts';
import { foreignDangers } from './lifecycle-rules.ts';
import { readLockRule } from './object-lock.ts';
import {
  decideReplication,
  ownRuleId,
  replicationDangers,
  roleDocuments,
  type ReplicationWish,
} from './replication-rules.ts';

function wishOf({ wish: { replication } }: Work): ReplicationWish {
  assert.ok(replication !== undefined);
  return replication;
}

export function documentsOf(work: Work): Readonly<Record<string, object>> {
  const { trust, policy, otherAccount } = roleDocuments(work.at, wishOf(work), work.wish.lockDays !== undefined);
  return { trust, policy, otherAccount };
}

/** The other bucket: there, keeping versions, locking where this one locks, and without rules by which replicas vanish. */
export async function lookAtReplica(work: Work): Promise<Look> {
  const { at, signal } = work;
  const { to: Bucket, region } = wishOf(work);
  if (Bucket === at.bucket) {
    const hint = 'Name another bucket, in another region.';
    throw new AppError('CONFIG_INVALID', 'a bucket can not be replicated into itself', { hint });
  }
  const client = createClient({ ...at.client, ...(region !== undefined && { region }) });
  try {
    const command = new GetBucketVersioningCommand({ Bucket });
    const { Status: status } = await client.send(command, { abortSignal: signal }).catch((error: unknown) => {
      throw replicaError(error, Bucket);
    });
    if (work.wish.lockDays !== undefined && (await readLockRule(client, Bucket, signal)) === 'no lock') {
      return {
        message: `${Bucket} was made without object lock: objects that are locked are not replicated there`,
        leftOut: 'Make another bucket with object lock for the replicas.',
      };
    }
    const rules = new GetBucketLifecycleConfigurationCommand({ Bucket });
    const found = await orMissing(client.send(rules, { abortSignal: signal }), 'NoSuchLifecycleConfiguration');
    const [danger] = foreignDangers(found?.Rules ?? [], at.prefix).map(({ message, hint }) => ({
      message: `in ${Bucket}: ${message}`,
      hint,
    }));
    if (status === 'Enabled') return { message: `${Bucket} keeps what is overwritten or deleted`, danger };
    return { message: `keep in ${Bucket} what is overwritten or deleted`, danger, change: () => enable(work, Bucket) };
  } finally {
    client.destroy();
  }
}

function replicaError(error: unknown, bucket: string): AppError {
  if (error instanceof S3ServiceException && error.name === noBucket) {
    return new AppError('REPOSITORY_MISSING', `there is no bucket ${bucket} for the replicas`, {
      hint: 'Make it in another region, then run it again.',
    });
  }
  const found = storeErrorOfS3(error, `look at ${bucket}`);
  return withHint(found, `Name its region (bucket.replication.region) if it is another one. ${found.hint}`);
}

async function enable(work: Work, Bucket: string): Promise<void> {
  const { region } = wishOf(work);
  const client = createClient({ ...work.at.client, ...(region !== undefined && { region }) });
  try {
    const setting = { Bucket, VersioningConfiguration: { Status: 'Enabled' as const } };
    await client.send(new PutBucketVersioningCommand(setting), { abortSignal: work.signal });
  } finally {
    client.destroy();
  }
}

export async function lookAtReplication(work: Work): Promise<Look> {
  const { client, at, signal } = work;
  const Bucket = at.bucket;
  const wish = wishOf(work);
  const asked = client.send(new GetBucketReplicationCommand({ Bucket }), { abortSignal: signal });
  const found = (await orMissing(asked, 'ReplicationConfigurationNotFoundError'))?.ReplicationConfiguration;
  const foreign = (found?.Rules ?? []).filter(({ ID }) => ID !== ownRuleId(at.prefix));
  const [danger] = replicationDangers(foreign, at.prefix);
  const decision = decideReplication(found, at.prefix, wish);
  const words = `new objects are replicated to ${wish.to}, deletions are not`;
  if (decision.kind === 'same') return { message: words, danger };
  if (decision.kind === 'left out') return { message: decision.message, leftOut: decision.hint, danger };
  const setting = { Bucket, ReplicationConfiguration: decision.configuration };
  const change = (): Promise<unknown> =>
    client.send(new PutBucketReplicationCommand(setting), { abortSignal: signal }).catch((error: unknown) => {
      const hint = `Make the role ${wish.role} with the trust and the policy that are shown, then run it again.`;
      throw withHint(storeErrorOfS3(error, `set up the replication of ${Bucket}`), hint);
    });
  return { message: `have it: ${words}`, change, danger };
}
