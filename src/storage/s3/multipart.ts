// A large object goes up in parts, several at once: one broken connection costs a part, not the whole. Nothing of it
// shows until the last request, and parts of an upload that fails are removed, since a bucket bills them for ever.
// (`Upload` of @aws-sdk/lib-storage watches the signal only between parts and cleans up behind the caller's back.)
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
  type CompletedPart,
  type CreateMultipartUploadCommandInput,
  type S3Client,
} from '@aws-sdk/client-s3';
import { untilAborted } from '../interruption.ts';
import { contentMd5 } from './content-md5.ts';
import { notS3 } from './errors.ts';

export interface MultipartOptions {
  readonly partSizeBytes: number;
  readonly partsAtOnceMax: number;
  /** Servers other than AWS get an MD5 of each part in place of the SDK's checksums. */
  readonly usesMd5: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Names the object, and what else its creation says: encryption, class, tag. */
type Target = Omit<CreateMultipartUploadCommandInput, 'Bucket' | 'Key'> & {
  readonly Bucket: string;
  readonly Key: string;
};

const partsMax = 10_000;
/** How long a failed upload may take to remove its parts. */
const cleanUpMaxMs = 15_000;
/** How long a server may take to say under what name it takes parts. */
const beginMaxMs = 60_000;

export async function putInParts(
  client: S3Client,
  target: Target,
  { body, options }: { readonly body: Buffer; readonly options: MultipartOptions },
): Promise<void> {
  const partSizeBytes = Math.max(options.partSizeBytes, Math.ceil(body.length / partsMax));
  const abort = options.signal === undefined ? {} : { abortSignal: options.signal };
  const algorithm = options.usesMd5 ? {} : ({ ChecksumAlgorithm: 'CRC32' } as const);
  const upload = await beginUpload(client, { ...target, ...algorithm }, options.signal);
  try {
    const Parts = await sendParts(client, upload, { body, options: { ...options, partSizeBytes } });
    const complete = new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts } });
    const { ETag } = await client.send(complete, abort);
    if (ETag === undefined) throw notS3(locationOf(target));
  } catch (error) {
    await removeParts(client, upload, error);
    throw error;
  }
}

const locationOf = ({ Bucket, Key }: Target): string => `s3://${Bucket}/${Key}`;

/** An abort lets the caller go at once; the answer is waited for all the same, since an upload whose id nobody knows stays for ever. */
async function beginUpload(client: S3Client, target: Target, signal: AbortSignal | undefined): Promise<Upload> {
  const { Bucket, Key } = target;
  const begun = client
    .send(new CreateMultipartUploadCommand(target), { abortSignal: AbortSignal.timeout(beginMaxMs) })
    .then(({ UploadId }) => {
      if (UploadId === undefined) throw notS3(locationOf(target));
      return { Bucket, Key, UploadId };
    });
  if (signal === undefined) return begun;
  try {
    return await untilAborted(begun, signal);
  } catch (error) {
    if (signal.aborted) begun.then((upload) => removeParts(client, upload, error)).catch(() => undefined); // None was begun.
    throw error;
  }
}

interface Upload {
  readonly Bucket: string;
  readonly Key: string;
  readonly UploadId: string;
}

async function sendParts(
  client: S3Client,
  upload: Upload,
  { body, options }: { readonly body: Buffer; readonly options: MultipartOptions },
): Promise<CompletedPart[]> {
  const { partSizeBytes, usesMd5, signal } = options;
  const count = Math.ceil(body.length / partSizeBytes);
  const done: CompletedPart[] = [];
  // The first part that fails stops the others.
  const stop = new AbortController();
  const abortSignal = signal === undefined ? stop.signal : AbortSignal.any([stop.signal, signal]);
  let next = 0;
  async function sendSome(): Promise<void> {
    for (let index = next++; index < count; index = next++) {
      const Body = body.subarray(index * partSizeBytes, (index + 1) * partSizeBytes);
      const PartNumber = index + 1;
      const md5 = usesMd5 ? { ContentMD5: contentMd5(Body) } : {};
      const sent = client.send(new UploadPartCommand({ ...upload, PartNumber, Body, ...md5 }), { abortSignal });
      const { ETag, ChecksumCRC32 } = await untilAborted(sent, abortSignal);
      done[index] = { PartNumber, ETag, ...(ChecksumCRC32 !== undefined && { ChecksumCRC32 }) };
    }
  }
  const workers = Array.from({ length: Math.min(options.partsAtOnceMax, count) }, sendSome);
  try {
    await Promise.all(workers);
  } catch (error) {
    stop.abort();
    await Promise.allSettled(workers);
    throw error;
  }
  return done;
}

/** Not under the caller's signal, which may be what ended the upload; a bucket rule removes what this can't. */
async function removeParts(client: S3Client, upload: Upload, failure: unknown): Promise<void> {
  try {
    await client.send(new AbortMultipartUploadCommand(upload), { abortSignal: AbortSignal.timeout(cleanUpMaxMs) });
  } catch (error) {
    // The failure of the upload itself is what the caller must hear of; this one rides along.
    if (failure instanceof Error && failure.cause === undefined) failure.cause = error;
  }
}
