// Where backups live and how they are stored there.
import { z } from 'zod';
import { bucketSchema } from './bucket-settings.ts';
import { byteRateSchema, byteSizeSchema, secretSchema } from './scalar-schemas.ts';

const locationForm = 'a folder, or s3://bucket/prefix';

/** Whether the text names a place that some driver knows: a path, also as `file:///`, or `s3://` with a bucket. */
function isLocation(text: string): boolean {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1];
  return (
    scheme === undefined ||
    text.startsWith('file:///') ||
    /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:\/.*)?$/.test(text)
  );
}

const s3Schema = z
  .strictObject({
    endpoint: z
      .url({ protocol: /^https?$/ })
      .optional()
      .meta({ title: 'a URL with http or https' })
      .describe('of a store that is not AWS; AWS_ENDPOINT_URL_S3 if absent'),
    region: z.string().min(1).optional().describe('region; AWS_REGION or AWS_DEFAULT_REGION if absent'),
    pathStyle: z.boolean().optional().describe('put the bucket into the path; on if an endpoint is given'),
    accessKeyId: secretSchema.optional().describe('AWS_ACCESS_KEY_ID if absent, else what the machine offers'),
    secretAccessKey: secretSchema.optional().describe('AWS_SECRET_ACCESS_KEY if absent'),
    sessionToken: secretSchema.optional().describe('AWS_SESSION_TOKEN if absent'),
    sse: z.enum(['AES256', 'aws:kms']).optional().describe('encryption by the store, besides our own'),
    tagBulkData: z.boolean().default(false).describe('tag data packs, so that bucket rules can tell them apart'),
    storageClass: z
      .enum(['STANDARD', 'STANDARD_IA', 'ONEZONE_IA', 'INTELLIGENT_TIERING', 'GLACIER_IR'])
      .optional()
      .describe('class of data packs; only classes that answer at once'),
    bucket: bucketSchema.optional(),
  })
  .refine(({ accessKeyId, secretAccessKey }) => (accessKeyId === undefined) === (secretAccessKey === undefined), {
    path: ['accessKeyId'],
    message: 'expected accessKeyId and secretAccessKey together',
  })
  .refine(
    ({ bucket, tagBulkData }) =>
      tagBulkData ||
      [bucket?.infrequentAfterDays, bucket?.instantArchiveAfterDays, bucket?.archiveAfterDays].every(
        (days) => days === undefined,
      ),
    {
      path: ['tagBulkData'],
      message: 'expected it to be true, since rules of the bucket find data packs by their tag',
    },
  )
  .refine(({ bucket, sse }) => sse !== 'aws:kms' || bucket?.replication === undefined, {
    path: ['sse'],
    message: 'expected it not to be aws:kms beside bucket.replication, which can not read with such a key',
  })
  .describe('settings of an S3 store');

const megabyte = 2 ** 20;

const limitsSchema = z
  .strictObject({
    upload: byteRateSchema.optional().describe('most bytes sent per second'),
    download: byteRateSchema.optional().describe('most bytes received per second'),
  })
  .transform(({ upload, download }) => ({ uploadBytesPerSecond: upload, downloadBytesPerSecond: download }))
  .describe('limits on the network');

export const locationSchema = z
  .string()
  .min(1)
  .refine(isLocation, `expected ${locationForm}`)
  .meta({ title: locationForm });

export const repositorySchema = z
  .strictObject({
    location: locationSchema.optional().describe('where it is; s3://S3_BACKUP_BUCKET/S3_PREFIX if absent'),
    password: secretSchema
      .optional()
      .describe('password; LIFEBOAT_PASSWORD or --password-file if neither it nor passwordFile is given'),
    passwordFile: z.string().min(1).optional().describe('file that holds the password'),
    s3: s3Schema.optional(),
    limits: limitsSchema.optional(),
    compression: z.enum(['auto', 'off', 'max']).default('auto').describe('how hard to compress'),
    packSize: byteSizeSchema
      .refine((sizeBytes) => sizeBytes >= 4 * megabyte && sizeBytes <= 128 * megabyte, 'expected 4 MiB to 128 MiB')
      .optional()
      .describe('size that pack files aim at, 4 MiB to 128 MiB'),
    archive: z
      .literal('monthly')
      .optional()
      .describe(
        'copies of each month go to a repository of its own below the location, so that whole months can expire',
      ),
    survives: z
      .array(z.enum(['host', 'site', 'ransomware']))
      .optional()
      .describe(
        'what it outlives: loss of this machine, loss of its site or region, somebody with all its credentials; nothing if absent and it is a folder, `[host, site]` if it is a bucket, and of the last as much as its `lock` keeps',
      ),
  })
  .refine(
    ({ archive, s3 }) =>
      archive !== undefined ||
      (s3?.bucket?.archiveAfterDays === undefined && s3?.bucket?.expireAfterDays === undefined),
    {
      path: ['archive'],
      message: 'expected it to be monthly beside archiveAfter and expireAfter: other repositories need what is old',
    },
  )
  .refine(({ password, passwordFile }) => password === undefined || passwordFile === undefined, {
    path: ['passwordFile'],
    message: 'expected either password or passwordFile, not both',
  })
  .transform(({ packSize, limits, ...rest }) => ({
    ...rest,
    packSizeBytes: packSize,
    limits: limits ?? { uploadBytesPerSecond: undefined, downloadBytesPerSecond: undefined },
  }))
  .describe('a place for backups');

/** A repository with its name and a location that is decided. */
export type RepositorySettings = Omit<z.output<typeof repositorySchema>, 'location'> & {
  readonly name: string;
  readonly location: string;
  /** Of a month: the archive. */
  readonly partOf?: RepositorySettings | undefined;
};
