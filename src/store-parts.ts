// The part of the composition root that opens the places where repositories live: from settings to a store, and what is around a bucket.
import { systemClock } from './base/clock.ts';
import { AppError } from './base/errors.ts';
import type { Access, BucketStep, BucketWish, CommandContext } from './cli/context.ts';
import { variable, type Environment } from './config/environment.ts';
import type { GlobalOptions } from './config/options.ts';
import { monthIn, monthOf, monthsBefore, type Month } from './model/archive.ts';
import { bucketDefault } from './model/bucket-settings.ts';
import type { Finding } from './model/finding.ts';
import type { RepositorySettings } from './model/repository-settings.ts';
import { promiseOf } from './model/tamper-verdict.ts';
import { isThere } from './storage/is-there.ts';
import { limitingStore } from './storage/limiting.ts';
import { parseLocation, type S3Location, type StoreLocation } from './storage/location.ts';
import { accessPolicy } from './storage/s3/access-policy.ts';
import { retryingStore } from './storage/retrying.ts';
import type { Store } from './storage/store.ts';
import type { Thawing, ThawWish } from './storage/thawing.ts';
import { tamperWithStore, type TamperReport } from './storage/tamper.ts';

/** What commands do with the bucket of a repository. */
export const bucketPorts = (
  environment: Environment,
  signal: AbortSignal,
): Pick<CommandContext, 'reportBucket' | 'prepareBucket' | 'setUpBucket' | 'bucketPolicy' | 'tamper' | 'thaw'> => ({
  reportBucket: (settings) => reportBucketOf(settings, environment, signal),
  prepareBucket: (settings, wish) => prepareBucketOf(settings, wish, signal),
  setUpBucket: (settings, isDryRun) => setUpBucketOf(settings, isDryRun, signal),
  bucketPolicy: (settings, role) => accessPolicy(bucketOf(settings), role, settings.archive !== undefined),
  thaw: (settings, wish) => thawAt(settings, wish, signal),
  tamper: (settings, name) => tamperAt(settings, name, signal),
});

async function* reportBucketOf(
  settings: RepositorySettings,
  environment: Environment,
  signal: AbortSignal,
): AsyncGenerator<Finding> {
  const location = locationOf(settings);
  if (location.kind !== 's3') return;
  const { reportBucket } = await import('./storage/s3/bucket-report.ts');
  const own = settings.s3?.accessKeyId;
  const isVariable = own === variable(environment, 'AWS_ACCESS_KEY_ID');
  const keyOrigin = own === undefined ? undefined : isVariable ? 'the environment' : 'lifeboat.yaml';
  yield* reportBucket(location, { clock: systemClock, signal, keyOrigin, promise: promiseOf(settings) });
}

function bucketOf(settings: RepositorySettings): S3Location {
  const location = locationOf(settings);
  if (location.kind === 's3') return location;
  throw new AppError('USAGE', `${settings.location} is in no bucket`, { hint: 'Name a repository that is in one.' });
}

async function* setUpBucketOf(
  settings: RepositorySettings,
  isDryRun: boolean,
  signal: AbortSignal,
): AsyncGenerator<BucketStep> {
  const location = bucketOf(settings);
  const { setUpBucket } = await import('./storage/s3/bucket-setup.ts');
  yield* setUpBucket(location, { wish: settings.s3?.bucket ?? bucketDefault, isDryRun, signal });
}

async function thawAt(settings: RepositorySettings, wish: ThawWish, signal: AbortSignal): Promise<Thawing> {
  const ports = { clock: systemClock, signal, openStore: (place: RepositorySettings) => openDriver(locationOf(place)) };
  await requireMonth(settings, ports);
  const location = bucketOf(await placeOf(settings, ports, { access: 'read' }));
  const { thaw } = await import('./storage/s3/thaw.ts');
  return await thaw(location, wish, { clock: systemClock, signal });
}

async function tamperAt(settings: RepositorySettings, name: string, signal: AbortSignal): Promise<TamperReport> {
  const location = locationOf(settings);
  if (location.kind === 's3') {
    const { tamperWithBucket } = await import('./storage/s3/tamper-test.ts');
    return await tamperWithBucket(location, { name, clock: systemClock, signal });
  }
  await using store = await openDriver(location);
  return await tamperWithStore(store, name, signal);
}

async function prepareBucketOf(settings: RepositorySettings, wish: BucketWish, signal: AbortSignal): Promise<string[]> {
  const location = locationOf(settings);
  if (location.kind !== 's3') {
    const hint = 'Leave --create-bucket and --versioning out.';
    throw new AppError('USAGE', `${settings.location} is in no bucket`, { hint });
  }
  const { prepareBucket } = await import('./storage/s3/prepare-bucket.ts');
  return prepareBucket(location, wish, signal);
}

export async function openStore(
  settings: RepositorySettings,
  { limitUpload: uploadBytesPerSecond, limitDownload: downloadBytesPerSecond }: GlobalOptions,
): Promise<Store> {
  const store = await openDriver(locationOf(settings));
  const isLimited = uploadBytesPerSecond !== undefined || downloadBytesPerSecond !== undefined;
  const limited = isLimited ? limitingStore(store, { uploadBytesPerSecond, downloadBytesPerSecond }) : store;
  return limited.properties.isRemote ? retryingStore(limited) : limited;
}

async function openDriver(location: StoreLocation): Promise<Store> {
  if (location.kind === 'local') return (await import('./storage/local/store.ts')).localStore(location.path);
  return (await import('./storage/s3/store.ts')).s3Store(location);
}

/** What the address says comes before what the settings beside it say. */
function locationOf({ location: address, s3 }: RepositorySettings): StoreLocation {
  const location = parseLocation(address);
  if (location.kind === 'local' || s3 === undefined) return location;
  const { accessKeyId, secretAccessKey, sessionToken } = s3;
  const credentials =
    accessKeyId === undefined || secretAccessKey === undefined
      ? undefined
      : { accessKeyId, secretAccessKey, sessionToken };
  const { client } = location;
  return {
    ...location,
    client: {
      ...client,
      endpoint: client.endpoint ?? s3.endpoint,
      region: client.region ?? s3.region,
      usesPathStyle: client.usesPathStyle ?? (client.endpoint === undefined ? s3.pathStyle : undefined),
      credentials,
    },
    serverEncryption: location.serverEncryption ?? (s3.sse === undefined ? undefined : { algorithm: s3.sse }),
    bulkStorageClass: location.bulkStorageClass ?? s3.storageClass,
    tagsBulkData: location.tagsBulkData ?? s3.tagBulkData,
  } satisfies S3Location;
}

/** Months of an archive that are looked for, back from this one. */
const monthsMax = 36;

/** What commands ask of the months of an archive. */
export const monthPorts = (context: () => MonthPorts): Pick<CommandContext, 'monthsHolding' | 'requireMonth'> => ({
  monthsHolding: (settings) => monthsHolding(settings, context()),
  requireMonth: (settings) => requireMonth(settings, context()),
});

type MonthPorts = Pick<CommandContext, 'clock' | 'signal' | 'openStore'>;

/**
 * Where a repository that is to be opened lies: of an archive a month of it. The newest is the newest that holds a backup: one whose first
 * copy is under way, or failed, must not hide the month before.
 */
export async function placeOf(
  settings: RepositorySettings,
  ports: MonthPorts,
  { access, month }: { readonly access: Access; readonly month?: Month | 'newest' | undefined },
): Promise<RepositorySettings> {
  if (settings.archive === undefined) return settings;
  if (month !== undefined && month !== 'newest') return monthOf(settings, month);
  if (month === undefined && access === 'write') return settings;
  let made: Month | undefined;
  for await (const { month: each, holdsBackups } of monthsMade(settings, ports)) {
    if (holdsBackups) return monthOf(settings, each);
    made ??= each;
  }
  return made === undefined ? settings : monthOf(settings, made);
}

/** Months of an archive that hold a backup, newest first; none of what is no archive. */
export async function* monthsHolding(settings: RepositorySettings, ports: MonthPorts): AsyncGenerator<Month, void> {
  if (settings.archive === undefined) return;
  for await (const { month, holdsBackups } of monthsMade(settings, ports)) if (holdsBackups) yield month;
}

/** Rejects with `REPOSITORY_MISSING` where a month of an archive was never made, or has expired; says nothing of other repositories. */
export async function requireMonth(settings: RepositorySettings, ports: MonthPorts): Promise<void> {
  const { partOf: archive, location } = settings;
  if (archive === undefined) return;
  await using store = await ports.openStore(settings);
  if (await isThere(store, 'config', ports.signal)) return;
  const others = await Array.fromAsync(monthsHolding(archive, ports));
  const known = others.length === 0 ? 'no month has a backup yet' : `there are ${others.join(', ')}`;
  const month = monthIn(settings, archive);
  throw new AppError('REPOSITORY_MISSING', `${archive.name} has no month ${month} at ${location}: ${known}`, {
    hint:
      others.length === 0
        ? `Copy a backup there: the first 'lifeboat copy --to ${archive.name}' of a month makes its repository.`
        : `Name one of these, such as ${archive.name}/${others[0]}: a month that nothing was copied into has none, and one that expired is gone.`,
  });
}

async function* monthsMade(settings: RepositorySettings, { clock, signal, openStore: open }: MonthPorts) {
  await using store = await open(settings);
  for (const month of monthsBefore(clock.now(), monthsMax)) {
    if (!(await isThere(store, `${month}/config`, signal))) continue;
    yield { month, holdsBackups: await holdsAny(store, `${month}/snapshots/`, signal) };
  }
}

async function holdsAny(store: Store, prefix: string, signal: AbortSignal): Promise<boolean> {
  for await (const _ of store.list(prefix, { signal })) return true;
  return false;
}
