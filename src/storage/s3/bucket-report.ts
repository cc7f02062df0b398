// Looks at a bucket the way one does when uploads fail: who am I, may I see the bucket, is the clock right, are overwritten
// objects kept. Reports; changes nothing.
import { GetBucketVersioningCommand, ListObjectsV2Command, S3ServiceException } from '@aws-sdk/client-s3';
import type { Clock } from '../../base/clock.ts';
import { formatAge } from '../../base/duration.ts';
import { messageOf } from '../../base/errors.ts';
import { throwIfAborted } from '../interruption.ts';
import type { S3Location } from '../location.ts';
import type { BucketAspect } from './bucket-aspect.ts';
import { createClient } from './client.ts';
import { storeErrorOfS3 } from './errors.ts';
import { lockAspect, type LockPromise } from './lock-aspect.ts';

/** Beyond this S3 refuses signatures; half of it is worth a word. */
const clockSkewMaxMs = 15 * 60_000;
const answerWaitMaxMs = 10_000;

export interface ReportOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Where the credentials in `at` come from, for people: `lifeboat.yaml`. The SDK says it of those it finds itself. */
  readonly keyOrigin?: string | undefined;
  /** What lifeboat.yaml says of its lock. */
  readonly promise: LockPromise;
}

type Client = ReturnType<typeof createClient>;

export async function* reportBucket(
  at: S3Location,
  { clock, signal, keyOrigin, promise }: ReportOptions,
): AsyncGenerator<BucketAspect> {
  const client = createClient(at.client);
  try {
    const listed = listOne(client, at, signal);
    for (const look of [identity, clockSkew, listing, versioning]) {
      throwIfAborted(signal);
      yield await look({ client, at, clock, signal, listed, keyOrigin });
      // What a bucket keeps and locks, nobody can tell of one that is not there.
      if (look === listing && isNoBucket((await listed).error)) return;
    }
    const lock = await lockAspect(client, at, { promise, signal });
    if (lock !== undefined) yield lock;
  } finally {
    client.destroy();
  }
}

interface Looking {
  readonly client: Client;
  readonly at: S3Location;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly listed: Promise<Listed>;
  readonly keyOrigin: string | undefined;
}

/** Which key is used, where it comes from, and whether the server knows it: what mix-ups are about. */
async function identity({ client, at, listed, keyOrigin }: Looking): Promise<BucketAspect> {
  const aspect = 'credentials';
  let who: string;
  try {
    who = await keyWords(client, keyOrigin);
  } catch (error) {
    const hint = 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or a role of the machine.';
    return { aspect, outcome: 'failed', message: messageOf(error), hint };
  }
  const { error } = await listed;
  const verdict = verdictOf(error);
  if (verdict === 'accepted') return { aspect, outcome: 'passed', message: `${who}: a signed request is accepted` };
  const { message, hint } = storeErrorOfS3(error, `sign a request to s3://${at.bucket}`);
  const outcome = verdict === 'refused' ? 'failed' : 'inconclusive';
  return { aspect, outcome, message: `${who}: ${message}`, hint };
}

/** An answer that the key may not do this, or that there is no such bucket, comes after the signature was found good. */
function verdictOf(error: unknown): 'accepted' | 'refused' | 'unknown' {
  if (error === undefined) return 'accepted';
  if (!(error instanceof S3ServiceException)) return 'unknown';
  if (refusals.includes(error.name)) return 'refused';
  return ['AccessDenied', 'AllAccessDisabled', 'NoSuchBucket'].includes(error.name) ? 'accepted' : 'unknown';
}

const refusals = [
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'ExpiredToken',
  'InvalidToken',
  'InvalidClientTokenId',
  'TokenRefreshRequired',
];

/** The end of a key tells it from others; the whole of it need not stand in a log. */
async function keyWords(client: Client, keyOrigin: string | undefined): Promise<string> {
  const credentials = await client.config.credentials();
  const { accessKeyId, accountId, $source: source = {} } = credentials as typeof credentials & { $source?: object };
  const found = providers.find(([mark]) => Object.keys(source).some((name) => name.startsWith(`CREDENTIALS_${mark}`)));
  const account = accountId === undefined ? '' : ` of account ${accountId}`;
  const origin = keyOrigin ?? found?.[1] ?? 'what the machine offers';
  return `access key …${accessKeyId.slice(-4)}${account} from ${origin}, region ${await client.config.region()}`;
}

/** Marks that the SDK leaves on credentials; several where one led to the other, the first here says most. */
const providers: readonly (readonly [string, string])[] = [
  ['ENV_VARS', 'the environment'],
  ['PROFILE', 'a profile of the AWS settings'],
  ['SSO', 'single sign-on'],
  ['LOGIN', 'a sign-in'],
  ['PROCESS', 'a program named in the AWS settings'],
  ['STS', 'an assumed role'],
  ['HTTP', 'the container'],
  ['IMDS', 'the instance'],
];

async function clockSkew({ client, at, clock, signal }: Looking): Promise<BucketAspect> {
  const aspect = 'clock';
  let url: string;
  try {
    url = at.client.endpoint ?? `https://s3.${await client.config.region()}.amazonaws.com`;
  } catch (error) {
    // Nobody said which region.
    const { message, hint } = storeErrorOfS3(error, 'ask for the time');
    return { aspect, outcome: 'inconclusive', message, hint };
  }
  let serverMs: number;
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(answerWaitMaxMs)]);
    const answer = await fetch(url, { method: 'HEAD', redirect: 'manual', signal: limit });
    serverMs = Date.parse(answer.headers.get('date') ?? '');
  } catch (error) {
    throwIfAborted(signal);
    const hint = 'Check the endpoint, name resolution and firewalls.';
    return { aspect, outcome: 'inconclusive', message: `no answer from ${url}: ${messageOf(error)}`, hint };
  }
  if (Number.isNaN(serverMs)) {
    const hint = 'Compare the clocks by hand.';
    return { aspect, outcome: 'inconclusive', message: 'the server does not tell its time', hint };
  }
  const skewMs = Math.abs(clock.now() - serverMs);
  const message = `differs from the server's by ${formatAge(skewMs)}`;
  const hint = 'Set the clock of this machine, for example by NTP.';
  if (skewMs > clockSkewMaxMs) return { aspect, outcome: 'failed', message, hint };
  return { aspect, outcome: skewMs > clockSkewMaxMs / 2 ? 'warning' : 'passed', message, hint };
}

async function listing({ at, listed, signal }: Looking): Promise<BucketAspect> {
  const aspect = 'list bucket';
  const { keys, error } = await listed;
  const place = `s3://${at.bucket}/${prefixOf(at)}`;
  if (error === undefined) {
    return { aspect, outcome: 'passed', message: `${place} ${keys === 0 ? 'is empty' : 'holds objects'}` };
  }
  throwIfAborted(signal);
  const { message, hint } = storeErrorOfS3(error, `list ${place}`, at.client.endpoint);
  return { aspect, outcome: 'failed', message, hint };
}

const prefixOf = ({ prefix }: S3Location): string => (prefix === '' ? '' : `${prefix}/`);

interface Listed {
  readonly keys: number;
  /** Whatever was thrown: two aspects judge by it. */
  readonly error?: unknown;
}

async function listOne(client: Client, at: S3Location, signal: AbortSignal): Promise<Listed> {
  try {
    const command = new ListObjectsV2Command({ Bucket: at.bucket, Prefix: prefixOf(at), MaxKeys: 1 });
    const answer = await client.send(command, { abortSignal: signal });
    return { keys: answer.KeyCount ?? 0 };
  } catch (error) {
    return { keys: 0, error };
  }
}

const isNoBucket = (error: unknown): boolean => error instanceof Error && error.name === 'NoSuchBucket';

async function versioning({ client, at, signal }: Looking): Promise<BucketAspect> {
  const aspect = 'bucket versioning';
  try {
    const { Status: status } = await client.send(new GetBucketVersioningCommand({ Bucket: at.bucket }), {
      abortSignal: signal,
    });
    if (status === 'Enabled')
      return { aspect, outcome: 'passed', message: 'on: what is overwritten or deleted is kept' };
    const hint =
      'Switch versioning on, with a rule that expires old versions, so that a stolen key cannot destroy all.';
    return { aspect, outcome: 'warning', message: 'off: who has the key can destroy backups for good', hint };
  } catch (error) {
    throwIfAborted(signal);
    const { message } = storeErrorOfS3(error, 'read the versioning of the bucket');
    return { aspect, outcome: 'inconclusive', message, hint: 'Allow s3:GetBucketVersioning to see it here.' };
  }
}
