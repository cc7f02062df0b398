// The rule by which a bucket locks the versions that are written to it.
import {
  GetObjectLockConfigurationCommand,
  S3ServiceException,
  type DefaultRetention,
  type S3Client,
} from '@aws-sdk/client-s3';

export interface LockRule {
  /** `COMPLIANCE`: nobody shortens it. `GOVERNANCE`: who has the right to. */
  readonly mode: string;
  readonly days: number;
  /** As the store says it: in days or in years. */
  readonly retention: DefaultRetention;
}

const daysOfYear = 365;

/** `no lock`: the bucket was made without; `no rule`: it was made with, and nothing is locked by itself. Rejects as the SDK does. */
export async function readLockRule(
  client: S3Client,
  bucket: string,
  signal: AbortSignal,
): Promise<LockRule | 'no lock' | 'no rule'> {
  try {
    const command = new GetObjectLockConfigurationCommand({ Bucket: bucket });
    const { ObjectLockConfiguration: found } = await client.send(command, { abortSignal: signal });
    const { Mode: mode, Days: days = 0, Years: years = 0 } = found?.Rule?.DefaultRetention ?? {};
    if (mode === undefined || days + years === 0) return 'no rule';
    // A store may say both, and takes one.
    const retention = days > 0 ? { Mode: mode, Days: days } : { Mode: mode, Years: years };
    return { mode, days: days > 0 ? days : years * daysOfYear, retention };
  } catch (error) {
    if (error instanceof S3ServiceException && error.name === 'ObjectLockConfigurationNotFoundError') return 'no lock';
    throw error;
  }
}
