// How the bucket of a repository shall be: what `lifeboat storage setup` makes of it.
import { z } from 'zod';
import { dayMs } from '../base/duration.ts';
import { durationSchema } from './scalar-schemas.ts';

const daysForm = 'whole days such as 30d';
const daysSchema = durationSchema
  .refine((ms) => ms % dayMs === 0, `expected ${daysForm}`)
  .transform((ms) => ms / dayMs)
  .meta({ title: daysForm });

/** AWS moves nothing into it earlier. */
const infrequentMinDays = 30;

const bucketName = /^(?:arn:aws:s3:::)?([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])$/;

const replicationSchema = z
  .strictObject({
    to: z
      .string()
      .regex(bucketName, 'expected the name or the ARN of a bucket')
      .transform((text) => bucketName.exec(text)?.[1] ?? text)
      .meta({ title: 'the name or the ARN of a bucket' })
      .describe('the other bucket; it must exist, best in another region'),
    region: z.string().min(1).optional().describe('region of the other bucket; that of this one if absent'),
    role: z
      .string()
      .regex(/^arn:aws:iam::\d{12}:role\/.+$/, 'expected arn:aws:iam::<account>:role/<name>')
      .meta({ title: 'arn:aws:iam::<account>:role/<name>' })
      .describe('role that S3 does it with; `lifeboat storage setup` prints what it needs'),
    storageClass: z
      .enum(['STANDARD', 'STANDARD_IA', 'ONEZONE_IA', 'INTELLIGENT_TIERING', 'GLACIER_IR'])
      .optional()
      .describe('class of the replicas, that of the originals if absent; only classes that answer at once'),
  })
  .transform(({ region, storageClass, ...rest }) => ({ ...rest, region, storageClass }))
  .describe('have the store replicate what is written into another bucket; deletions are not replicated');

export const bucketSchema = z
  .strictObject({
    keepVersions: daysSchema
      .prefault('60d')
      .describe('how long what was overwritten or deleted stays, also where a stolen key deleted it'),
    infrequentAfter: daysSchema
      .refine((days) => days >= infrequentMinDays, `expected at least ${infrequentMinDays}d`)
      .optional()
      .describe('when data packs move to STANDARD_IA; needs tagBulkData'),
    instantArchiveAfter: daysSchema
      .optional()
      .describe('when data packs move to GLACIER_IR, which still answers at once; needs tagBulkData'),
    archiveAfter: daysSchema
      .optional()
      .describe(
        'when data packs of an archive move to GLACIER, which does not answer: `lifeboat storage thaw` brings them back; needs tagBulkData',
      ),
    expireAfter: daysSchema
      .optional()
      .describe('how long a month of an archive stays, counted from its first copy; only where archive is set'),
    accessLog: z
      .string()
      .regex(/^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:\/.*)?$/, 'expected s3://bucket/prefix')
      .meta({ title: 's3://bucket/prefix' })
      .optional()
      .describe('where the store shall log who did what: another bucket of the same account and region'),
    lock: daysSchema
      .optional()
      .describe(
        'object lock: so long nobody destroys a version, whatever credentials they have; only a bucket that is made with it can have it',
      ),
    replication: replicationSchema.optional(),
  })
  .transform(({ keepVersions, infrequentAfter, instantArchiveAfter, archiveAfter, expireAfter, lock, ...rest }) => ({
    ...rest,
    keepVersionsDays: keepVersions,
    infrequentAfterDays: infrequentAfter,
    instantArchiveAfterDays: instantArchiveAfter,
    archiveAfterDays: archiveAfter,
    expireAfterDays: expireAfter,
    lockDays: lock,
  }))
  .refine(
    ({ infrequentAfterDays = 0, instantArchiveAfterDays = Infinity }) => infrequentAfterDays < instantArchiveAfterDays,
    { path: ['instantArchiveAfter'], message: 'expected it to be later than infrequentAfter' },
  )
  .refine(
    ({ infrequentAfterDays = 0, instantArchiveAfterDays = 0, archiveAfterDays = Infinity }) =>
      Math.max(infrequentAfterDays, instantArchiveAfterDays) < archiveAfterDays,
    { path: ['archiveAfter'], message: 'expected it to be later than infrequentAfter and instantArchiveAfter' },
  )
  .refine(
    ({ infrequentAfterDays = 0, instantArchiveAfterDays = 0, archiveAfterDays = 0, expireAfterDays = Infinity }) =>
      Math.max(infrequentAfterDays, instantArchiveAfterDays, archiveAfterDays) < expireAfterDays,
    { path: ['expireAfter'], message: 'expected it to be later than what comes before' },
  )
  .refine(({ lockDays = 0, keepVersionsDays }) => lockDays <= keepVersionsDays, {
    path: ['lock'],
    message: 'expected it to be no longer than keepVersions',
  })
  .describe('how the bucket shall be, for `lifeboat storage setup`');

export type BucketSettings = z.output<typeof bucketSchema>;
export const bucketDefault: BucketSettings = bucketSchema.parse({});
