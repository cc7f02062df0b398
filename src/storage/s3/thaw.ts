// Asks a bucket for copies that answer of objects that it moved to an archive class, and looks how far it is. Asking twice does no harm: it
// counts the days anew, which is only done where that makes them more.
import {
  HeadObjectCommand,
  ListObjectsV2Command,
  RestoreObjectCommand,
  S3ServiceException,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { Clock } from '../../base/clock.ts';
import { dayMs } from '../../base/duration.ts';
import { forEachLimited } from '../../base/for-each-limited.ts';
import { throwIfAborted } from '../interruption.ts';
import type { S3Location } from '../location.ts';
import type { Thawing, ThawWish } from '../thawing.ts';
import { connectionsDefault, createClient } from './client.ts';
import { notS3, storeErrorOfS3 } from './errors.ts';

const classesThatSleep: ReadonlySet<string> = new Set(['GLACIER', 'DEEP_ARCHIVE']);

interface ThawOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

interface Thaw extends ThawOptions {
  readonly client: S3Client;
  readonly at: S3Location;
  readonly wish: ThawWish;
}

export async function thaw(at: S3Location, wish: ThawWish, { clock, signal }: ThawOptions): Promise<Thawing> {
  const client = createClient(at.client);
  const work = { client, at, wish, clock, signal };
  const counts = { ready: 0, waiting: 0, requested: 0, untouched: 0 };
  let prolonged = 0;
  let firstEndMs = Infinity;
  try {
    const sleeping = await sleepersIn(work);
    await forEachLimited(sleeping, at.client.connectionsMax ?? connectionsDefault, async ({ key }) => {
      const thawed = await thawOne(work, key);
      counts[thawed.state] += 1;
      if (thawed.isProlonged === true) prolonged += 1;
      firstEndMs = Math.min(firstEndMs, thawed.endMs ?? Infinity);
    });
    const archivedBytes = sleeping.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const readableUntil = Number.isFinite(firstEndMs) ? new Date(firstEndMs).toISOString() : undefined;
    return { archived: sleeping.length, archivedBytes, ...counts, prolonged, readableUntil };
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

interface Thawed {
  readonly state: 'ready' | 'waiting' | 'requested' | 'untouched';
  readonly isProlonged?: boolean;
  /** When the copy goes. */
  readonly endMs?: number | undefined;
}

async function thawOne(work: Thaw, key: string): Promise<Thawed> {
  const state = await restoreState(work, key);
  if (state === undefined) {
    if (work.wish.isDryRun) return { state: 'untouched' };
    return { state: (await askFor(work, key)) ? 'requested' : 'waiting' };
  }
  if (!state.includes('ongoing-request="false"')) return { state: 'waiting' };
  const endMs = endOf(state);
  const { days, prolongs, isDryRun } = work.wish;
  // The store sets the end anew, to an earlier one, too.
  if (!prolongs || endMs === undefined || work.clock.now() + days * dayMs <= endMs) return { state: 'ready', endMs };
  if (isDryRun) return { state: 'ready', isProlonged: true, endMs };
  if (!(await askFor(work, key))) return { state: 'ready', endMs };
  return { state: 'ready', isProlonged: true, endMs: endOf((await restoreState(work, key)) ?? '') };
}

async function restoreState({ client, at, signal }: Thaw, Key: string): Promise<string | undefined> {
  const { Restore } = await client.send(new HeadObjectCommand({ Bucket: at.bucket, Key }), { abortSignal: signal });
  return Restore;
}

/** `ongoing-request="false", expiry-date="Fri, 05 Dec 2026 00:00:00 GMT"` */
function endOf(state: string): number | undefined {
  const ms = Date.parse(/expiry-date="([^"]+)"/.exec(state)?.[1] ?? '');
  return Number.isNaN(ms) ? undefined : ms;
}

/** False: somebody asked for it at the same time. */
async function askFor({ client, at, wish, signal }: Thaw, Key: string): Promise<boolean> {
  try {
    const RestoreRequest = { Days: wish.days, GlacierJobParameters: { Tier: wish.tier } };
    const command = new RestoreObjectCommand({ Bucket: at.bucket, Key, RestoreRequest });
    await client.send(command, { abortSignal: signal });
    return true;
  } catch (error) {
    if (error instanceof S3ServiceException && error.name === 'RestoreAlreadyInProgress') return false;
    throw error;
  }
}
