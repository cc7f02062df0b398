// What earlier tests of a bucket left there: their versions are locked as backups are, and one that was stopped or killed could not clean up.
import { DeleteObjectCommand, HeadObjectCommand, ListObjectVersionsCommand, type S3Client } from '@aws-sdk/client-s3';
import type { Clock } from '../../base/clock.ts';
import { count } from '../../base/count.ts';
import { hourMs } from '../../base/duration.ts';
import { isoTime } from '../../base/iso-time.ts';
import { throwIfAborted } from '../interruption.ts';
import type { S3Location } from '../location.ts';
import type { TamperLeftovers } from '../tamper.ts';

interface Leftovers {
  readonly client: S3Client;
  readonly at: S3Location;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Only what has such a name: it is deleted. */
const testName = /^tamper-test-[0-9a-f]{16}$/;
/** Younger ones may be of a test that runs elsewhere. */
const settledAfterMs = hourMs;
/** A page of the listing: what is behind it is for the run after this one. */
const versionsMax = 1000;

/** Removes what may be removed, with no right but those that are there; undefined where versions can't be listed. */
export async function removeLeftovers(work: Leftovers): Promise<TamperLeftovers | undefined> {
  const found = await earlierVersions(work).catch(() => undefined);
  throwIfAborted(work.signal);
  if (found === undefined) return undefined;
  let removed = 0;
  const kept: Version[] = [];
  for (const version of found) {
    if (await remove(work, version)) removed += 1;
    else kept.push(version);
  }
  if (kept.length === 0) return { removed, left: [] };
  const until = await lastLock(work, kept);
  const words = until === undefined ? '' : `, locked until ${isoTime(until)} at the latest`;
  const { bucket, prefix } = work.at;
  const place = `s3://${bucket}/${prefix === '' ? '' : `${prefix}/`}tamper-test-…`;
  return { removed, left: [`${count(kept.length, 'version')} of ${place} of earlier tests${words}`] };
}

interface Version {
  readonly key: string;
  readonly id: string;
}

async function earlierVersions({ client, at, clock, signal }: Leftovers): Promise<Version[]> {
  const folder = at.prefix === '' ? '' : `${at.prefix}/`;
  const command = new ListObjectVersionsCommand({
    Bucket: at.bucket,
    Prefix: `${folder}tamper-test-`,
    MaxKeys: versionsMax,
  });
  const { Versions = [], DeleteMarkers = [] } = await client.send(command, { abortSignal: signal });
  return [...Versions, ...DeleteMarkers].flatMap(({ Key: key = '', VersionId: id, LastModified: time }): Version[] => {
    const isSettled = time !== undefined && clock.now() - time.getTime() >= settledAfterMs;
    return id !== undefined && isSettled && testName.test(key.slice(folder.length)) ? [{ key, id }] : [];
  });
}

/** That it is refused is what a lock is for. */
async function remove({ client, at, signal }: Leftovers, { key: Key, id: VersionId }: Version): Promise<boolean> {
  try {
    await client.send(new DeleteObjectCommand({ Bucket: at.bucket, Key, VersionId }), { abortSignal: signal });
    return true;
  } catch {
    throwIfAborted(signal);
    return false;
  }
}

/** Undefined where none is seen. */
async function lastLock({ client, at, signal }: Leftovers, versions: readonly Version[]): Promise<number | undefined> {
  let lastMs: number | undefined;
  for (const { key: Key, id: VersionId } of versions) {
    try {
      const head = await client.send(new HeadObjectCommand({ Bucket: at.bucket, Key, VersionId }), {
        abortSignal: signal,
      });
      const untilMs = head.ObjectLockRetainUntilDate?.getTime();
      if (untilMs !== undefined) lastMs = Math.max(untilMs, lastMs ?? 0);
    } catch {
      throwIfAborted(signal); // Who may not look is told of the versions alone.
    }
  }
  return lastMs;
}
