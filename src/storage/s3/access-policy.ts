// The least rights at a bucket, as an IAM policy: what the program calls, and nothing else. Whoever adds a call adds its right here;
// test/acceptance/storage-rights.test.ts works with these policies against a server that refuses all else.
import type { S3Location } from '../location.ts';

export interface AccessPolicy {
  readonly Version: '2012-10-17';
  readonly Statement: readonly AccessStatement[];
}

interface AccessStatement {
  readonly Sid: string;
  readonly Effect: 'Allow';
  readonly Action: readonly string[];
  readonly Resource: string | readonly string[];
}

/** `full` does all that is done to a repository; `append` backs up and can remove locks alone; `read` restores. */
export type AccessRole = 'full' | 'append' | 'read';

/** `isArchive`: its objects may have to be thawed by who restores. */
export function accessPolicy(at: S3Location, role: AccessRole, isArchive = false): AccessPolicy {
  const bucket = `arn:aws:s3:::${at.bucket}`;
  const objects = `${bucket}/${at.prefix === '' ? '' : `${at.prefix}/`}`;
  return {
    Version: '2012-10-17',
    Statement: [
      // Without a condition on the prefix: with one S3 answers "denied" in place of "no such object", which backups have to know.
      { Sid: 'List', Effect: 'Allow', Action: ['s3:ListBucket'], Resource: bucket },
      {
        Sid: 'Check',
        Effect: 'Allow',
        Action: ['s3:GetBucketVersioning', 's3:GetBucketObjectLockConfiguration'],
        Resource: bucket,
      },
      { Sid: 'Objects', Effect: 'Allow', Action: objectActions(at, role), Resource: `${objects}*` },
      ...(role === 'append' ? [removalOfLocks(objects, isArchive)] : []),
      ...(isArchive && role !== 'append' ? [thawing(objects)] : []),
      ...keyStatements(at, role),
    ],
  };
}

function objectActions({ tagsBulkData = false }: S3Location, role: AccessRole): string[] {
  if (role === 'read') return ['s3:GetObject'];
  const writes = [
    's3:GetObject',
    's3:PutObject',
    's3:AbortMultipartUpload',
    ...(tagsBulkData ? ['s3:PutObjectTagging'] : []),
  ];
  return role === 'full' ? [...writes, 's3:DeleteObject'] : writes;
}

/** A lock that can't be removed would keep `prune` out until it is stale. */
const removalOfLocks = (objects: string, isArchive: boolean): AccessStatement => ({
  Sid: 'Locks',
  Effect: 'Allow',
  Action: ['s3:DeleteObject'],
  Resource: isArchive ? [`${objects}locks/*`, `${objects}*/locks/*`] : `${objects}locks/*`,
});

const thawing = (objects: string): AccessStatement => ({
  Sid: 'Thaw',
  Effect: 'Allow',
  Action: ['s3:RestoreObject'],
  Resource: `${objects}*`,
});

/** The store's own key needs no statement; one of yours does. */
function keyStatements({ serverEncryption }: S3Location, role: AccessRole): AccessStatement[] {
  if (serverEncryption?.algorithm !== 'aws:kms' || serverEncryption.keyId === undefined) return [];
  const { keyId } = serverEncryption;
  const Resource = keyId.startsWith('arn:') ? keyId : `arn:aws:kms:*:*:key/${keyId}`;
  const Action = role === 'read' ? ['kms:Decrypt'] : ['kms:Decrypt', 'kms:GenerateDataKey'];
  return [{ Sid: 'Key', Effect: 'Allow', Action, Resource }];
}
