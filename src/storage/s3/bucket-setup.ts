// Makes a bucket what one for backups should be, or says what is missing: each aspect is looked at, and changed only where it is another
// one. What others set up there stays.
import assert from 'node:assert/strict';
import {
  GetBucketEncryptionCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketLoggingCommand,
  GetBucketPolicyCommand,
  GetBucketVersioningCommand,
  GetPublicAccessBlockCommand,
  HeadBucketCommand,
  PutBucketEncryptionCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketLoggingCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectLockConfigurationCommand,
  PutPublicAccessBlockCommand,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { AppError } from '../../base/errors.ts';
import { throwIfAborted } from '../interruption.ts';
import { parseLocation, type S3Location } from '../location.ts';
import { noBucket, orMissing, withHint, type Look, type SetupWish, type Work } from './bucket-look.ts';
import { createClient } from './client.ts';
import { storeErrorOfS3 } from './errors.ts';
import { decideLifecycle } from './lifecycle-rules.ts';
import { logGrant, withLogGrant } from './log-policy.ts';
import { readLockRule } from './object-lock.ts';
import { creationOf } from './prepare-bucket.ts';
import { documentsOf, lookAtReplica, lookAtReplication } from './replication-setup.ts';
import { withTlsOnly } from './tls-policy.ts';

export interface SetupStep {
  readonly aspect: string;
  /** `differs`: it would be changed, and was not; `failed` could not be looked at or changed. */
  readonly outcome: 'as wished' | 'changed' | 'differs' | 'failed' | 'danger' | 'left out';
  readonly message: string;
  readonly hint?: string | undefined;
  /** What has to be made elsewhere for it. */
  readonly documents?: Readonly<Record<string, object>> | undefined;
}

interface Aspect {
  readonly aspect: string;
  /** What has to be made elsewhere for it, as JSON. */
  readonly documents?: (work: Work) => Readonly<Record<string, object>>;
  readonly isWished?: (wish: SetupWish) => boolean;
  readonly look: (work: Work) => Promise<Look>;
}

/** `isDryRun`: changes nothing, and tells of a bucket that is not there all that would be done once it is. */
export async function* setUpBucket(
  at: S3Location,
  { wish, isDryRun, signal }: { readonly wish: SetupWish; readonly isDryRun: boolean; readonly signal: AbortSignal },
): AsyncGenerator<SetupStep> {
  const client = createClient(at.client);
  const work = { client, at, wish, signal };
  try {
    for (const { aspect, isWished, look, documents } of aspects) {
      throwIfAborted(signal);
      if (isWished?.(wish) === false) continue;
      const step = await stepOf(aspect, () => look(work), isDryRun);
      const made = documents?.(work);
      yield* step.map((each, index) => (index === 0 && made !== undefined ? { ...each, documents: made } : each));
      // What comes after would fail, or do harm.
      const isBarred = step.some(({ outcome }) => outcome === 'failed' || outcome === 'left out');
      if (isBarred && (aspect === 'bucket' || aspect === 'replica')) return;
    }
  } finally {
    client.destroy();
  }
}

async function stepOf(aspect: string, look: () => Promise<Look>, isDryRun: boolean): Promise<SetupStep[]> {
  try {
    const { message, change, danger, leftOut } = await look();
    const steps: SetupStep[] = [];
    if (leftOut !== undefined) steps.push({ aspect, outcome: 'left out', message, hint: leftOut });
    else if (change === undefined) steps.push({ aspect, outcome: 'as wished', message });
    else if (isDryRun) steps.push({ aspect, outcome: 'differs', message });
    else {
      await change();
      steps.push({ aspect, outcome: 'changed', message });
    }
    if (danger !== undefined) steps.push({ aspect, outcome: 'danger', ...danger });
    return steps;
  } catch (error) {
    const { message, hint } = storeErrorOfS3(error, `look at the ${aspect} or change it`);
    return [{ aspect, outcome: 'failed', message, hint }];
  }
}

const publicAccess = {
  BlockPublicAcls: true,
  IgnorePublicAcls: true,
  BlockPublicPolicy: true,
  RestrictPublicBuckets: true,
};

const aspects: readonly Aspect[] = [
  { aspect: 'bucket', look: lookAtBucket },
  { aspect: 'versioning', look: lookAtVersioning },
  { aspect: 'object lock', isWished: ({ lockDays }) => lockDays !== undefined, look: lookAtLock },
  { aspect: 'public access', look: lookAtPublicAccess },
  { aspect: 'encryption', look: lookAtEncryption },
  { aspect: 'TLS only', look: lookAtPolicy },
  { aspect: 'lifecycle', look: lookAtLifecycle },
  { aspect: 'access log target', isWished: ({ accessLog }) => accessLog !== undefined, look: lookAtLogTarget },
  { aspect: 'access log', isWished: ({ accessLog }) => accessLog !== undefined, look: lookAtLogging },
  { aspect: 'replica', isWished: ({ replication }) => replication !== undefined, look: lookAtReplica },
  {
    aspect: 'replication',
    isWished: ({ replication }) => replication !== undefined,
    documents: documentsOf,
    look: lookAtReplication,
  },
];

async function lookAtBucket({ client, at: { bucket }, wish, signal }: Work): Promise<Look> {
  const asked = client.send(new HeadBucketCommand({ Bucket: bucket }), { abortSignal: signal });
  if ((await orMissing(asked, 'NotFound')) !== undefined) return { message: `${bucket} is there` };
  const command = await creationOf(client, bucket, wish.lockDays !== undefined);
  return { message: `make ${bucket}`, change: () => client.send(command, { abortSignal: signal }) };
}

async function lookAtVersioning({ client, at: { bucket: Bucket }, signal }: Work): Promise<Look> {
  const asked = client.send(new GetBucketVersioningCommand({ Bucket }), { abortSignal: signal });
  const found = await orMissing(asked);
  if (found?.Status === 'Enabled') return { message: 'what is overwritten or deleted is kept' };
  const command = new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } });
  return {
    message: 'keep what is overwritten or deleted',
    change: () => client.send(command, { abortSignal: signal }),
  };
}

async function lookAtLock({ client, at: { bucket: Bucket }, wish: { lockDays: Days }, signal }: Work): Promise<Look> {
  // A bucket that is made for it has it from the start.
  const found = await orMissing(readLockRule(client, Bucket, signal));
  if (found === 'no lock') {
    return {
      message: 'the bucket was made without',
      danger: {
        message: 'versions can be destroyed by whoever has the rights',
        hint: 'Make another bucket with object lock, copy the repository there, and leave this one.',
      },
    };
  }
  // Somebody may want it longer.
  if (typeof found === 'object' && found.mode === 'COMPLIANCE' && found.days >= (Days ?? 0))
    return { message: `no version can be destroyed for ${found.days} days` };
  const rule = { DefaultRetention: { Mode: 'COMPLIANCE' as const, Days } };
  const setting = { ObjectLockEnabled: 'Enabled' as const, Rule: rule };
  const command = new PutObjectLockConfigurationCommand({ Bucket, ObjectLockConfiguration: setting });
  return {
    message: `let nobody destroy a version for ${Days} days`,
    change: () => client.send(command, { abortSignal: signal }),
  };
}

async function lookAtPublicAccess({ client, at: { bucket: Bucket }, signal }: Work): Promise<Look> {
  const asked = client.send(new GetPublicAccessBlockCommand({ Bucket }), { abortSignal: signal });
  const now = (await orMissing(asked, 'NoSuchPublicAccessBlockConfiguration'))?.PublicAccessBlockConfiguration;
  const isBlocked = Object.keys(publicAccess).every((key) => now?.[key as keyof typeof publicAccess] === true);
  if (isBlocked) return { message: 'blocked' };
  const command = new PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration: publicAccess });
  return { message: 'block it', change: () => client.send(command, { abortSignal: signal }) };
}

async function lookAtEncryption({ client, at: { bucket: Bucket }, signal }: Work): Promise<Look> {
  const asked = client.send(new GetBucketEncryptionCommand({ Bucket }), { abortSignal: signal });
  const found = await orMissing(asked, 'ServerSideEncryptionConfigurationNotFoundError');
  const [rule] = found?.ServerSideEncryptionConfiguration?.Rules ?? [];
  const algorithm = rule?.ApplyServerSideEncryptionByDefault?.SSEAlgorithm;
  if (algorithm !== undefined) return { message: `at rest by ${algorithm}, besides our own` };
  const Rules = [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' as const } }];
  const command = new PutBucketEncryptionCommand({ Bucket, ServerSideEncryptionConfiguration: { Rules } });
  return {
    message: 'encrypt at rest by AES256, besides our own',
    change: () => client.send(command, { abortSignal: signal }),
  };
}

async function lookAtPolicy({ client, at: { bucket: Bucket }, signal }: Work): Promise<Look> {
  const asked = client.send(new GetBucketPolicyCommand({ Bucket }), { abortSignal: signal });
  const policy = withTlsOnly((await orMissing(asked, 'NoSuchBucketPolicy'))?.Policy, Bucket);
  if (policy === undefined) return { message: 'requests in clear are refused' };
  // We would lock ourselves out.
  if ((await client.config.endpoint?.())?.protocol === 'http:') {
    return {
      message: 'requests in clear are not refused: the endpoint speaks no TLS, so all of ours are in clear',
      leftOut: 'Give the server a certificate, use its https:// address, then run it again.',
    };
  }
  const command = new PutBucketPolicyCommand({ Bucket, Policy: policy });
  return { message: 'refuse requests in clear', change: () => client.send(command, { abortSignal: signal }) };
}

async function lookAtLifecycle({ client, at, wish, signal }: Work): Promise<Look> {
  const Bucket = at.bucket;
  const asked = client.send(new GetBucketLifecycleConfigurationCommand({ Bucket }), { abortSignal: signal });
  const now = (await orMissing(asked, 'NoSuchLifecycleConfiguration'))?.Rules ?? [];
  const { rules, words, dangers } = decideLifecycle(now, at.prefix, wish);
  const [danger] = dangers;
  if (rules === undefined) return { message: words, danger };
  const command = new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules: [...rules] } });
  return { message: `have it: ${words}`, change: () => client.send(command, { abortSignal: signal }), danger };
}

interface LogTarget {
  readonly bucket: string;
  /** Of the keys of its entries. */
  readonly prefix: string;
}

function logTargetOf({ accessLog = '' }: SetupWish): LogTarget {
  const target = parseLocation(accessLog);
  assert.ok(target.kind === 's3'); // Its schema takes nothing else.
  return { bucket: target.bucket, prefix: target.prefix === '' ? '' : `${target.prefix}/` };
}

/** The store logs to a bucket only where that one's policy lets it. */
async function lookAtLogTarget({ client, at, wish, signal }: Work): Promise<Look> {
  const { bucket: Bucket, prefix } = logTargetOf(wish);
  const grant = logGrant({ bucket: Bucket, prefix, source: at.bucket });
  const words = `let logging.s3.amazonaws.com write the log of ${at.bucket} to ${Bucket}`;
  const hint = `Add this statement to the policy of ${Bucket}, which is to lie in the region of ${at.bucket}: ${JSON.stringify(grant)}`;
  const asked = client.send(new GetBucketPolicyCommand({ Bucket }), { abortSignal: signal });
  const now = await asked.catch((error: unknown) => {
    if (error instanceof S3ServiceException && error.name === 'NoSuchBucketPolicy') return undefined;
    if (error instanceof S3ServiceException && error.name === noBucket) {
      throw new AppError('REPOSITORY_MISSING', `there is no bucket ${Bucket} for the access log`, {
        hint: `Make it in the region of ${at.bucket}, then run it again.`,
      });
    }
    throw withHint(storeErrorOfS3(error, `read the policy of ${Bucket}`), hint);
  });
  const policy = withLogGrant(now?.Policy, grant);
  if (policy === undefined) return { message: `${Bucket} takes the log of ${at.bucket}` };
  const command = new PutBucketPolicyCommand({ Bucket, Policy: policy });
  const change = (): Promise<unknown> =>
    client.send(command, { abortSignal: signal }).catch((error: unknown) => {
      throw withHint(storeErrorOfS3(error, `change the policy of ${Bucket}`), hint);
    });
  return { message: words, change };
}

async function lookAtLogging({ client, at: { bucket: Bucket }, wish, signal }: Work): Promise<Look> {
  const { accessLog = '' } = wish;
  const target = logTargetOf(wish);
  const wished = { TargetBucket: target.bucket, TargetPrefix: target.prefix };
  const asked = client.send(new GetBucketLoggingCommand({ Bucket }), { abortSignal: signal });
  const now = (await orMissing(asked))?.LoggingEnabled;
  if (now?.TargetBucket === wished.TargetBucket && (now.TargetPrefix ?? '') === wished.TargetPrefix) {
    return { message: `goes to ${accessLog}` };
  }
  const command = new PutBucketLoggingCommand({ Bucket, BucketLoggingStatus: { LoggingEnabled: wished } });
  return { message: `log to ${accessLog}`, change: () => client.send(command, { abortSignal: signal }) };
}
