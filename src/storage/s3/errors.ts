// What an answer of an S3 server, or the lack of one, means for a store, and what to do about it.
import { S3ServiceException } from '@aws-sdk/client-s3';
import { AppError, errnoOf, isAppError, messageOf, type ErrorCode } from '../../base/errors.ts';

interface Meaning {
  readonly code: ErrorCode;
  readonly hint: string;
}

const wrongKey = 'Check the access key and the secret key, and that they belong to this server.';
const wrongRegion = "Name the bucket's region: add '?region=…' to the address.";
const noRights =
  'Grant s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject and s3:DeleteObject on its objects, to these credentials.';
const unreachable = 'Check the network and the endpoint, then try again.';
const noS3 = 'Check that the endpoint is an S3 server and no proxy answers in its place, then try again.';
const full = 'Raise the quota of the bucket, or remove old snapshots and prune.';

/** By the code that S3 servers give their errors. */
const byName: Record<string, Meaning> = {
  NoSuchBucket: {
    code: 'REPOSITORY_MISSING',
    hint: "Correct the bucket's name in the address, or create it with 'lifeboat repository init --create-bucket'.",
  },
  AccessDenied: { code: 'STORE_DENIED', hint: noRights },
  AllAccessDisabled: { code: 'STORE_DENIED', hint: noRights },
  InvalidAccessKeyId: { code: 'STORE_DENIED', hint: wrongKey },
  SignatureDoesNotMatch: { code: 'STORE_DENIED', hint: wrongKey },
  ExpiredToken: { code: 'STORE_DENIED', hint: 'Renew the credentials: the session token has expired.' },
  RequestTimeTooSkewed: { code: 'STORE_DENIED', hint: 'Set the clock of this machine.' },
  PermanentRedirect: { code: 'STORE_DENIED', hint: wrongRegion },
  AuthorizationHeaderMalformed: { code: 'STORE_DENIED', hint: wrongRegion },
  IllegalLocationConstraintException: { code: 'STORE_DENIED', hint: wrongRegion },
  InvalidObjectState: {
    code: 'STORE_DENIED',
    hint: "Bring the objects back with 'lifeboat storage thaw' (of an archive name the month: -r <archive>/<month>), and wait until it says that all can be read.",
  },
  NotImplemented: {
    code: 'STORE_DENIED',
    hint: "Switch off what the server does not know: 'tag-data', 'encryption' or 'storage-class' in the address.",
  },
  InvalidTargetBucketForLogging: {
    code: 'STORE_DENIED',
    hint: 'Make the bucket for the log in the region of this one, and let logging.s3.amazonaws.com put objects there by its policy.',
  },
  QuotaExceeded: { code: 'STORE_FULL', hint: full },
  XMinioStorageFull: { code: 'STORE_FULL', hint: full },
  SlowDown: { code: 'STORE_UNREACHABLE', hint: 'Try again later, or allow fewer connections.' },
  RequestTimeout: { code: 'STORE_UNREACHABLE', hint: unreachable },
  TimeoutError: { code: 'STORE_UNREACHABLE', hint: unreachable },
  // What arrived differs from what was sent: worth another try.
  BadDigest: {
    code: 'STORE_FAILED',
    hint: 'Try again; if it happens often, look for faulty memory or network hardware.',
  },
  IncompleteBody: { code: 'STORE_FAILED', hint: unreachable },
  CredentialsProviderError: {
    code: 'STORE_DENIED',
    hint: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile of the AWS settings.',
  },
};

const refusedInClear = 'Or the policy of the bucket refuses requests in clear: then use an https:// endpoint.';

/**
 * Turns whatever the SDK throws into ours; `work` says what was tried: `read s3://bucket/config`. Whoever names the endpoint hears of a policy
 * that it may break.
 */
export function storeErrorOfS3(error: unknown, work: string, endpoint = ''): AppError {
  if (isAppError(error)) return error;
  const { code, hint: usual } = meaningOf(error);
  const isOfRights = statusOf(error) === 403 && usual.startsWith(noRights);
  const hint = isOfRights && endpoint.startsWith('http:') ? `${usual} ${refusedInClear}` : usual;
  return new AppError(code, `could not ${work}: ${factOf(error)}`, { hint, cause: harmlessCause(error) });
}

/** For an answer that is a success by its status, but not one that an S3 server gives: a proxy's page, say. */
export function notS3(location: string): AppError {
  return new AppError('STORE_FAILED', `the answer for ${location} did not come from an S3 server`, { hint: noS3 });
}

/** Whether the answer is "no such object"; that to a HEAD request has no body, so the SDK names it by its status. */
export function isMissing(error: unknown): boolean {
  if (!(error instanceof S3ServiceException)) return false;
  return error.name === 'NoSuchKey' || error.name === 'NotFound';
}

export function isBeyondEnd(error: unknown): boolean {
  return error instanceof S3ServiceException && (error.name === 'InvalidRange' || statusOf(error) === 416);
}

function meaningOf(error: unknown): Meaning {
  const name = error instanceof Error ? error.name : '';
  const known = byName[name];
  if (known !== undefined) return known;
  if (error instanceof Error && error.message === 'Region is missing') {
    return { code: 'CONFIG_INVALID', hint: `${wrongRegion.slice(0, -1)}, or set AWS_REGION.` };
  }
  return meaningOfStatus(statusOf(error), error);
}

function meaningOfStatus(status: number | undefined, error: unknown): Meaning {
  if (status === undefined) {
    // No answer at all. TLS that does not fit will not fit the next time either.
    const isUntrusted = /CERT|SELF_SIGNED|ERR_TLS|ERR_SSL/.test(errnoOf(error) ?? '');
    if (!isUntrusted) return { code: 'STORE_UNREACHABLE', hint: unreachable };
    return { code: 'STORE_DENIED', hint: "Let this machine trust the server's certificate (NODE_EXTRA_CA_CERTS)." };
  }
  if (status === 301 || status === 307) return { code: 'STORE_DENIED', hint: wrongRegion };
  if (status === 401 || status === 403) return { code: 'STORE_DENIED', hint: `${noRights} ${wrongKey}` };
  if (status === 429 || status === 503) return { code: 'STORE_UNREACHABLE', hint: unreachable };
  if (status === 507) return { code: 'STORE_FULL', hint: full };
  if (status >= 500)
    return { code: 'STORE_FAILED', hint: 'Try again later; if it stays so, look at the state of the server.' };
  // A success that could not be read was cut off or came from something that does not speak S3.
  if (status < 400) return { code: 'STORE_FAILED', hint: noS3 };
  return { code: 'STORE_DENIED', hint: 'Check the address, and what the server supports.' };
}

function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('$metadata' in error)) return undefined;
  const { httpStatusCode } = error.$metadata as { readonly httpStatusCode?: number };
  return httpStatusCode;
}

/** One fact for people: the server's code and words, or why there was no answer. */
function factOf(error: unknown): string {
  const status = statusOf(error);
  if (status === undefined) return errnoOf(error) ?? messageOf(error);
  const { name, message } = error as Error;
  // An answer without a body has neither a code nor words; the SDK then makes some up.
  const parts = [name, forPeople(message)].filter(
    (part) => part !== '' && !/^(?:\d+|(?:Unknown)?Error|Unknown)$/.test(part),
  );
  return [`status ${status}`, ...new Set(parts)].join(', ');
}

/** What the SDK says of an answer that it can't read is for its developers. */
const forPeople = (message: string): string =>
  /Deserialization error|XML parse error/.test(message) ? 'the answer is not one of an S3 server' : message;

/** The SDK's errors carry the request, and with it a session token; only what helps to find the fault is kept. */
function harmlessCause(error: unknown): Error | undefined {
  if (!(error instanceof Error)) return undefined;
  const cause = new Error(error.message);
  cause.name = error.name;
  const { stack } = error;
  if (stack !== undefined) cause.stack = stack;
  return cause;
}
