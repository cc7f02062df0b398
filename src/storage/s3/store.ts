// The store in a bucket of AWS S3 or of a server that speaks its protocol, laid out as restic lays it out.
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
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
  const { multipartAboveBytes = 64 * 1024 * 1024, partSizeBytes = 16 * 1024 * 1024 } = tuning;
  const client = createClient(at.client);
  const usesMd5 = !isAws(at.client);
  const connectionsMax = at.client.connectionsMax ?? connectionsDefault;
  const keyPrefix = at.prefix === '' ? '' : `${at.prefix}/`;
  const location = `s3://${at.bucket}${at.prefix === '' ? '' : '/'}${at.prefix}`;
  const target = (name: string) => ({ Bucket: at.bucket, Key: keyPrefix + name });

  /** Runs one call; `send` gets the signal in the SDK's form, and the whole is given up at once when it aborts. */
  async function call<T>(work: string, signal: AbortSignal | undefined, send: (abort: AbortOption) => Promise<T>) {
    throwIfAborted(signal);
    try {
      return await untilAborted(send(signal === undefined ? {} : { abortSignal: signal }), signal);
    } catch (error) {
      if (signal?.aborted === true) throw interruption(signal);
      throw storeErrorOfS3(error, work);
    }
  }

  async function orMissing<T>(name: string, answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      if (isMissing(error)) throw objectMissing(name, location);
      throw error;
    }
  }

  async function stat(name: string, signal: AbortSignal | undefined): Promise<ObjectInfo> {
    const { ContentLength } = await call(`look at ${location}/${name}`, signal, (abort) =>
      orMissing(name, client.send(new HeadObjectCommand(target(name)), abort)),
    );
    if (ContentLength === undefined) throw notS3(location);
    return { name, sizeBytes: ContentLength };
  }

  async function get(name: string, options: GetOptions, abort: AbortOption): Promise<Buffer> {
    const { offset = 0, length } = options;
    const range = offset === 0 && length === undefined ? {} : { Range: rangeHeader(offset, length) };
    try {
      const answer = await client.send(new GetObjectCommand({ ...target(name), ...range }), abort);
      const bytes = await bodyOf(answer, `${location}/${name}`);
      // A server that does not know ranges answers with all.
      const isWhole = 'Range' in range && answer.ContentRange === undefined;
      return isWhole ? bytes.subarray(offset, length === undefined ? undefined : offset + length) : bytes;
    } catch (error) {
      if (isBeyondEnd(error)) return Buffer.alloc(0);
      throw error;
    }
  }

  return {
    properties: { location, connectionsMax, isRemote: true },

    async get(name, options = {}) {
      if (options.length === 0) {
        await stat(name, options.signal);
        return Buffer.alloc(0);
      }
      return call(`read ${location}/${name}`, options.signal, (abort) => orMissing(name, get(name, options, abort)));
    },

    async put(name, parts, { signal, isBulkData = false } = {}) {
      const body = parts.length === 1 && Buffer.isBuffer(parts[0]) ? parts[0] : Buffer.concat(parts);
      const object = { ...target(name), ...putParameters(at, isBulkData) };
      await call(`write ${location}/${name}`, signal, async (abort) => {
        if (body.length > multipartAboveBytes) {
          const atOnce = Math.min(partsAtOnceMax, connectionsMax);
          const options = { partSizeBytes, partsAtOnceMax: atOnce, usesMd5, signal };
          await putInParts(client, object, { body, options });
          return;
        }
        const md5 = usesMd5 ? { ContentMD5: contentMd5(body) } : {};
        const { ETag } = await client.send(new PutObjectCommand({ ...object, Body: body, ...md5 }), abort);
        if (ETag === undefined) throw notS3(location);
      });
    },

    stat: (name, { signal } = {}) => stat(name, signal),

    async *list(prefix, { signal } = {}) {
      assert.ok(prefix === '' || prefix.endsWith('/'), `prefix '${prefix}' ends in the middle of a name`);
      const request = { Bucket: at.bucket, Prefix: keyPrefix + prefix };
      let token: string | undefined;
      do {
        const from = token === undefined ? {} : { ContinuationToken: token };
        const page = await call(`list ${location}/${prefix}`, signal, (abort) =>
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
    },

    async remove(name, { signal } = {}) {
      await call(`remove ${location}/${name}`, signal, (abort) =>
        client.send(new DeleteObjectCommand(target(name)), abort),
      );
    },

    async [Symbol.asyncDispose]() {
      client.destroy();
    },
  };
}

interface AbortOption {
  readonly abortSignal?: AbortSignal;
}

/** What a single request and the first one of an upload in parts say alike. */
function putParameters(at: S3Location, isBulkData: boolean): Omit<PutObjectCommandInput, 'Bucket' | 'Key' | 'Body'> {
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
