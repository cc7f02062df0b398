// What `check` says of the lock of a bucket: whether it is there as promised, and how to say that it is where nobody said so.
import type { S3Client } from '@aws-sdk/client-s3';
import { throwIfAborted } from '../interruption.ts';
import type { S3Location } from '../location.ts';
import type { BucketAspect } from './bucket-aspect.ts';
import { storeErrorOfS3 } from './errors.ts';
import { readLockRule, type LockRule } from './object-lock.ts';

export interface LockPromise {
  /** `bucket.lock` of the repository. */
  readonly lockDays: number | undefined;
  /** `survives` names ransomware. */
  readonly outlivesRansomware: boolean;
}

/** Undefined where nothing is locked and nobody said that it is, or that can't be seen. */
export async function lockAspect(
  client: S3Client,
  at: S3Location,
  { promise, signal }: { readonly promise: LockPromise; readonly signal: AbortSignal },
): Promise<BucketAspect | undefined> {
  try {
    return aspectOf(await readLockRule(client, at.bucket, signal), promise);
  } catch (error) {
    throwIfAborted(signal);
    if (!isPromised(promise)) return undefined;
    const { message } = storeErrorOfS3(error, 'read the lock of the bucket');
    return {
      aspect,
      outcome: 'inconclusive',
      message,
      hint: 'Allow s3:GetBucketObjectLockConfiguration to see it here.',
    };
  }
}

const aspect = 'object lock';
const isPromised = ({ lockDays, outlivesRansomware }: LockPromise): boolean =>
  lockDays !== undefined || outlivesRansomware;

export function aspectOf(found: LockRule | 'no lock' | 'no rule', promise: LockPromise): BucketAspect | undefined {
  const { lockDays = 0 } = promise;
  if (typeof found === 'string') return isPromised(promise) ? missing(found, promise) : undefined;
  const { mode, days } = found;
  const words = `each version for ${days} days (${mode})`;
  if (days < lockDays) {
    const hint = "Run 'lifeboat storage setup' with an administrator's credentials.";
    return { aspect, outcome: 'warning', message: `${words}; lock: ${lockDays}d is promised`, hint };
  }
  if (mode === 'COMPLIANCE') {
    const untold = `; try it with 'lifeboat storage test', then say so: s3: { bucket: { lock: ${days}d } }`;
    return { aspect, outcome: 'passed', message: words + (isPromised(promise) ? '' : untold) };
  }
  const message = `${words}: whoever may bypass governance can destroy them`;
  if (!isPromised(promise)) return { aspect, outcome: 'passed', message };
  const hint = "Try with 'lifeboat storage test' what these credentials may do, or lock in mode COMPLIANCE.";
  return { aspect, outcome: 'warning', message, hint };
}

function missing(found: 'no lock' | 'no rule', { lockDays }: LockPromise): BucketAspect {
  if (lockDays === undefined) {
    const message = "none: it survives ransomware by rights alone; try it with 'lifeboat storage test'";
    return { aspect, outcome: 'passed', message };
  }
  const hint =
    found === 'no rule'
      ? "Run 'lifeboat storage setup' with an administrator's credentials."
      : 'Make another bucket with object lock, and copy the repository there.';
  return { aspect, outcome: 'warning', message: `none, and lock: ${lockDays}d is promised`, hint };
}
