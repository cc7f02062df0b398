// What it takes to look at one aspect of a bucket and to say what makes it as it should be.
import { S3ServiceException, type S3Client } from '@aws-sdk/client-s3';
import { AppError } from '../../base/errors.ts';
import type { S3Location } from '../location.ts';
import type { LifecycleWish } from './lifecycle-rules.ts';
import type { ReplicationWish } from './replication-rules.ts';

export interface SetupWish extends LifecycleWish {
  readonly accessLog?: string | undefined;
  readonly lockDays: number | undefined;
  readonly replication?: ReplicationWish | undefined;
}

export interface Work {
  readonly client: S3Client;
  readonly at: S3Location;
  readonly wish: SetupWish;
  readonly signal: AbortSignal;
}

/** What an aspect is now, and what makes it as it should be; without `change` it is so. */
export interface Look {
  readonly message: string;
  /** It can't be as it should: what to do instead. */
  readonly leftOut?: string | undefined;
  readonly change?: (() => Promise<unknown>) | undefined;
  readonly danger?: { readonly message: string; readonly hint: string } | undefined;
}

export const noBucket = 'NoSuchBucket';

/** Undefined where the store says that there is no such setting, as in a bucket that a dry run has not made. */
export async function orMissing<Answer>(
  asked: Promise<Answer>,
  ...names: readonly string[]
): Promise<Answer | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof S3ServiceException && [noBucket, ...names].includes(error.name)) return undefined;
    throw error;
  }
}

export function withHint({ code, message, cause }: AppError, hint: string): AppError {
  return new AppError(code, message, { hint, cause });
}
