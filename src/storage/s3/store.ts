// The store in a bucket of AWS S3 or of a server that speaks its protocol, laid out as restic lays it out.
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  PutObjectTaggingCommand,
  type GetObjectCommandOutput,
  type PutObjectCommandInput,
} from '@aws-sdk/client-s3';
import assert from 'node:assert/strict';
import { AppError } from '../../base/errors.ts';
import { bulkDataTag } from '../../base/s3-options.ts';
import { objectMissing } from '../file-errors.ts';
import { interruption, throwIfAborted, untilAborted } from '../interruption.ts';
import type { S3Location } from '../location.ts';
import type { GetOptions, ObjectInfo, Store } from '../store.ts';
import { connectionsDefault, createClient, isAws } from './client.ts';
import { contentMd5 } from './content-md5.ts';
import { isBeyondEnd, isMissing, notS3, storeErrorOfS3 } from './errors.ts';
import { putInParts } from './multipart.ts';

export interface S3StoreTuning {
  /** Objects larger than this go up in parts; a pack usually fits into one request. */
  readonly multipartAboveBytes?: number;
  /** At least 5 MiB, by the protocol. */
  readonly partSizeBytes?: number;
}

const partsAtOnceMax = 4;

export function s3Store(at: S3Location, tuning: S3StoreTuning = {}): Store {
  const bucket = openBucket(at, tuning);
  const { client, location } = bucket;
  return {
    properties: { location, connectionsMax: bucket.connectionsMax, isRemote: true },

    async get(name, options = {}) {
      if (options.length === 0) {
        // The protocol has no empty range; a missing object must still be told.
        await stat(bucket, name, options.signal);
        return Buffer.alloc(0);
      }
      return call([bucket, `read ${location}/${name}`], options.signal, (abort) =>
        orMissing(bucket, name, get(bucket, name, { ...options, abort })),
      );
    },

    async put(name, parts, { signal, isBulkData = false } = {}) {
      const body = parts.length === 1 && Buffer.isBuffer(parts[0]) ? parts[0] : Buffer.concat(parts);
      const object = { ...bucket.target(name), ...putParameters(at, isBulkData) };
      await call([bucket, `write ${location}/${name}`], signal, async (abort) => {
        if (body.length > bucket.multipartAboveBytes) {
          await putInParts(client, object, { body, options: { ...bucket, signal } });
          if (object.Tagging !== undefined && bucket.mayLoseTags) await tagAsBulkData(bucket, name, abort);
          return;
        }
        const md5 = bucket.usesMd5 ? { ContentMD5: contentMd5(body) } : {};
        const { ETag } = await client.send(new PutObjectCommand({ ...object, Body: body, ...md5 }), abort);
        if (ETag === undefined) throw notS3(location);
      });
    },

    stat: (name, { signal } = {}) => stat(bucket, name, signal),

    list: (prefix, { signal } = {}) => list(bucket, prefix, signal),

    async remove(name, { signal } = {}) {
      await call([bucket, `remove ${location}/${name}`], signal, async (abort) => {
        try {
          await client.send(new DeleteObjectCommand(bucket.target(name)), abort);
        } catch (error) {
          if (!isMissing(error)) throw error; // AWS says nothing of it; Google answers 404.
        }
      });
    },

    async [Symbol.asyncDispose]() {
      client.destroy();
    },
  };
}

/** One bucket and how to speak to its server. */
type Bucket = ReturnType<typeof openBucket>;

function openBucket(at: S3Location, tuning: S3StoreTuning) {
  const { multipartAboveBytes = 64 * 1024 * 1024, partSizeBytes = 16 * 1024 * 1024 } = tuning;
  const connectionsMax = at.client.connectionsMax ?? connectionsDefault;
  const keyPrefix = at.prefix === '' ? '' : `${at.prefix}/`;
  return {
    client: createClient(at.client),
    location: `s3://${at.bucket}${at.prefix === '' ? '' : '/'}${at.prefix}`,
    endpoint: at.client.endpoint,
    bucketName: at.bucket,
    keyPrefix,
    target: (name: string) => ({ Bucket: at.bucket, Key: keyPrefix + name }),
    connectionsMax,
    multipartAboveBytes,
    partSizeBytes,
    partsAtOnceMax: Math.min(partsAtOnceMax, connectionsMax),
    usesMd5: !isAws(at.client),
    mayLoseTags: !isAws(at.client),
  };
}

/** Runs one call; `send` gets the signal in the SDK's form, and the whole is given up at once when it aborts. */
async function call<T>(
  [{ endpoint }, work]: [Bucket, string],
  signal: AbortSignal | undefined,
  send: (abort: AbortOption) => Promise<T>,
) {
  throwIfAborted(signal);
  try {
    return await untilAborted(send(signal === undefined ? {} : { abortSignal: signal }), signal);
  } catch (error) {
    if (signal?.aborted === true) throw interruption(signal);
    throw storeErrorOfS3(error, work, endpoint);
  }
}

async function orMissing<T>(bucket: Bucket, name: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (isMissing(error)) throw objectMissing(name, bucket.location);
    throw error;
  }
}

async function stat(bucket: Bucket, name: string, signal: AbortSignal | undefined): Promise<ObjectInfo> {
  const { client, location } = bucket;
  const { ContentLength } = await call([bucket, `look at ${location}/${name}`], signal, (abort) =>
    orMissing(bucket, name, client.send(new HeadObjectCommand(bucket.target(name)), abort)),
  );
  if (ContentLength === undefined) throw notS3(location);
  return { name, sizeBytes: ContentLength };
}

async function get(
  bucket: Bucket,
  name: string,
  { offset = 0, length, abort }: GetOptions & { readonly abort: AbortOption },
): Promise<Buffer> {
  const range = offset === 0 && length === undefined ? {} : { Range: rangeHeader(offset, length) };
  try {
    const answer = await bucket.client.send(new GetObjectCommand({ ...bucket.target(name), ...range }), abort);
    const bytes = await bodyOf(answer, `${bucket.location}/${name}`);
    // A server that does not know ranges answers with all.
    const isWhole = 'Range' in range && answer.ContentRange === undefined;
    return isWhole ? bytes.subarray(offset, length === undefined ? undefined : offset + length) : bytes;
  } catch (error) {
    if (isBeyondEnd(error)) return Buffer.alloc(0);
    throw error;
  }
}

async function* list(bucket: Bucket, prefix: string, signal: AbortSignal | undefined): AsyncGenerator<ObjectInfo> {
  assert.ok(prefix === '' || prefix.endsWith('/'), `prefix '${prefix}' ends in the middle of a name`);
  const { client, location, keyPrefix } = bucket;
  const request = { Bucket: bucket.bucketName, Prefix: keyPrefix + prefix };
  let token: string | undefined;
  do {
    const from = token === undefined ? {} : { ContinuationToken: token };
    const page = await call([bucket, `list ${location}/${prefix}`], signal, (abort) =>
      client.send(new ListObjectsV2Command({ ...request, ...from }), abort),
    );
    const { Contents = [], IsTruncated, NextContinuationToken } = page;
    // A listing that is not one must never pass for an empty store, nor half of one for the whole.
    if (IsTruncated === undefined) throw notS3(location);
    if (IsTruncated && NextContinuationToken === undefined) throw notS3(location);
    for (const { Key = '', Size = 0 } of Contents) {
      throwIfAborted(signal);
      // Consoles make "folders" of empty objects whose names end in a slash.
      if (!Key.endsWith('/')) yield { name: Key.slice(keyPrefix.length), sizeBytes: Size };
    }
    token = IsTruncated ? NextContinuationToken : undefined;
  } while (token !== undefined);
}

interface AbortOption {
  readonly abortSignal?: AbortSignal;
}

/** What a single request and the first one of an upload in parts say alike. */
export function putParameters(
  at: S3Location,
  isBulkData: boolean,
): Omit<PutObjectCommandInput, 'Bucket' | 'Key' | 'Body'> {
  const { serverEncryption, bulkStorageClass, tagsBulkData = false } = at;
  const keyId = serverEncryption?.algorithm === 'aws:kms' ? serverEncryption.keyId : undefined;
  return {
    ContentType: 'application/octet-stream',
    ...(serverEncryption !== undefined && { ServerSideEncryption: serverEncryption.algorithm }),
    ...(keyId !== undefined && { SSEKMSKeyId: keyId }),
    ...(isBulkData && bulkStorageClass !== undefined && { StorageClass: bulkStorageClass as 'STANDARD' }),
    ...(isBulkData && tagsBulkData && { Tagging: `${bulkDataTag.key}=${bulkDataTag.value}` }),
  };
}

/** radosgw 16 takes the tag of an upload in parts without an error and forgets it. */
async function tagAsBulkData(bucket: Bucket, name: string, abort: AbortOption): Promise<void> {
  const { key: Key, value: Value } = bulkDataTag;
  const Tagging = { TagSet: [{ Key, Value }] };
  await bucket.client.send(new PutObjectTaggingCommand({ ...bucket.target(name), Tagging }), abort);
}

function rangeHeader(offset: number, length: number | undefined): string {
  return `bytes=${offset}-${length === undefined ? '' : offset + length - 1}`;
}

/** Reads the body, and holds it against the length that was announced: a connection may break without an error. */
async function bodyOf({ Body, ContentLength }: GetObjectCommandOutput, what: string): Promise<Buffer> {
  if (Body === undefined) return Buffer.alloc(0);
  const { buffer, byteOffset, byteLength } = await Body.transformToByteArray();
  const bytes = Buffer.from(buffer, byteOffset, byteLength);
  if (ContentLength !== undefined && bytes.length !== ContentLength) {
    throw new AppError('STORE_UNREACHABLE', `only ${bytes.length} of ${ContentLength} bytes of ${what} arrived`, {
      hint: 'Check the network and the endpoint, then try again.',
    });
  }
  return bytes;
}
