// Looks at a bucket the way one does when uploads fail: who am I, may I see the bucket, is the clock right, are overwritten
// objects kept. Reports; changes nothing.
import { GetBucketVersioningCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import type { Clock } from '../../base/clock.ts';
import { formatAge } from '../../base/duration.ts';
import { messageOf } from '../../base/errors.ts';
import { throwIfAborted } from '../interruption.ts';
import type { S3Location } from '../location.ts';
import { createClient } from './client.ts';
import { storeErrorOfS3 } from './errors.ts';

export interface BucketAspect {
  readonly aspect: string;
  readonly outcome: 'passed' | 'warning' | 'failed' | 'inconclusive';
  readonly message: string;
  readonly hint?: string | undefined;
}

/** Beyond this S3 refuses signatures; half of it is worth a word. */
const clockSkewMaxMs = 15 * 60_000;
const answerWaitMaxMs = 10_000;

type Client = ReturnType<typeof createClient>;

export async function* reportBucket(
  at: S3Location,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): AsyncGenerator<BucketAspect> {
  const client = createClient(at.client);
  try {
    for (const look of [identity, clockSkew, listing, versioning]) {
      throwIfAborted(signal);
      yield await look({ client, at, clock, signal });
    }
  } finally {
    client.destroy();
  }
}

interface Looking {
  readonly client: Client;
  readonly at: S3Location;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Which key is used is what mix-ups are about; its secret is never shown. */
async function identity({ client }: Looking): Promise<BucketAspect> {
  const aspect = 'credentials';
  try {
    const { accessKeyId, accountId } = await client.config.credentials();
    const account = accountId === undefined ? '' : ` of account ${accountId}`;
    const region = await client.config.region();
    return { aspect, outcome: 'passed', message: `access key ${accessKeyId}${account}, region ${region}` };
  } catch (error) {
    const hint = 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or a role of the machine.';
    return { aspect, outcome: 'failed', message: messageOf(error), hint };
  }
}

async function clockSkew({ client, at, clock, signal }: Looking): Promise<BucketAspect> {
  const aspect = 'clock';
  const url = at.client.endpoint ?? `https://s3.${await client.config.region()}.amazonaws.com`;
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

async function listing({ client, at, signal }: Looking): Promise<BucketAspect> {
  const aspect = 'list bucket';
  const prefix = at.prefix === '' ? '' : `${at.prefix}/`;
  try {
    const answer = await client.send(new ListObjectsV2Command({ Bucket: at.bucket, Prefix: prefix, MaxKeys: 1 }), {
      abortSignal: signal,
    });
    const what = (answer.KeyCount ?? 0) > 0 ? 'holds objects' : 'is empty';
    return { aspect, outcome: 'passed', message: `s3://${at.bucket}/${prefix} ${what}` };
  } catch (error) {
    throwIfAborted(signal);
    const { message, hint } = storeErrorOfS3(error, `list s3://${at.bucket}/${prefix}`);
    return { aspect, outcome: 'failed', message, hint };
  }
}

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
