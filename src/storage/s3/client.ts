// The SDK's client, set up for a store: bounded waiting, the connections asked for, and what servers other than AWS need.
import { S3Client } from '@aws-sdk/client-s3';
import type { S3ClientOptions } from '../../base/s3-options.ts';

export const connectionsDefault = 8;
const idleTimeoutDefaultMs = 60_000;
const connectTimeoutMs = 10_000;
/** Tries per request within the SDK, which also corrects a wrong clock between two; the retrying wrapper comes on top. */
const attemptsMax = 3;

/** True for AWS itself, which wants the SDK's own checksums; others may not know them and get MD5 instead. */
export function isAws({ endpoint }: S3ClientOptions): boolean {
  return endpoint === undefined || /(?:^|\.)amazonaws\.com(?:\.cn)?$/.test(URL.parse(endpoint)?.hostname ?? '');
}

export function createClient(options: S3ClientOptions): S3Client {
  const { endpoint, credentials, connectionsMax = connectionsDefault } = options;
  const region = options.region ?? (endpoint === undefined ? undefined : 'us-east-1');
  const checksums = isAws(options) ? 'WHEN_SUPPORTED' : 'WHEN_REQUIRED';
  const agent = { keepAlive: true, maxSockets: connectionsMax };
  return new S3Client({
    ...(endpoint !== undefined && { endpoint }),
    ...(region !== undefined && { region }),
    ...(credentials !== undefined && { credentials: identity(credentials) }),
    forcePathStyle: options.usesPathStyle ?? endpoint !== undefined,
    requestChecksumCalculation: checksums,
    responseChecksumValidation: checksums,
    maxAttempts: attemptsMax,
    // Waiting for "100 Continue" makes the SDK open a connection for each upload and throw it away.
    expectContinueHeader: false,
    requestHandler: {
      connectionTimeout: connectTimeoutMs,
      socketTimeout: options.idleTimeoutMs ?? idleTimeoutDefaultMs,
      httpAgent: agent,
      httpsAgent: agent,
      // Calls that wait for a connection are no news: the bound is deliberate.
      logger: silent,
    },
  });
}

function identity({ accessKeyId, secretAccessKey, sessionToken }: NonNullable<S3ClientOptions['credentials']>) {
  return { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) };
}

const silence = (): void => undefined;
const silent = { debug: silence, info: silence, warn: silence, error: silence };
