import fc from 'fast-check';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { AppError } from '../base/errors.ts';
import { parseLocation } from './location.ts';

const noS3Options = {
  client: { endpoint: undefined, region: undefined, usesPathStyle: undefined },
  serverEncryption: undefined,
  bulkStorageClass: undefined,
  tagsBulkData: undefined,
};

describe('a folder', () => {
  test.each([
    ['/srv/repo', '/srv/repo'],
    ['./repo', './repo'],
    ['../repo', '../repo'],
    ['backups/repo', 'backups/repo'],
    ['/srv/a:b?c#d%20e', '/srv/a:b?c#d%20e'],
    ['file:///srv/my%20repo', '/srv/my repo'],
    ['file:/srv/repo', '/srv/repo'],
    ['file:./repo', './repo'],
    ['FILE:///srv/repo', '/srv/repo'],
  ])('%s is the path %s', (address, path) => {
    expect(parseLocation(address)).toEqual({ kind: 'local', path });
  });
});

describe('an S3 bucket', () => {
  test('without a prefix is the whole bucket', () => {
    for (const address of ['s3://backups', 's3://backups/', 'S3://backups//']) {
      expect(parseLocation(address)).toEqual({ kind: 's3', bucket: 'backups', prefix: '', ...noS3Options });
    }
  });

  test('keeps the case and the blanks of its prefix', () => {
    const location = parseLocation('s3://my.bucket-1/shop/Pröd%20uction/');
    expect(location).toMatchObject({ bucket: 'my.bucket-1', prefix: 'shop/Pröd uction' });
  });

  test('takes every parameter', () => {
    const address =
      's3://backups/shop?endpoint=https://minio.example:9000&region=eu-central-1&path-style=true' +
      '&encryption=aws:kms&kms-key=alias/backup&storage-class=STANDARD_IA&tag-data=true';
    expect(parseLocation(address)).toEqual({
      kind: 's3',
      bucket: 'backups',
      prefix: 'shop',
      client: { endpoint: 'https://minio.example:9000', region: 'eu-central-1', usesPathStyle: true },
      serverEncryption: { algorithm: 'aws:kms', keyId: 'alias/backup' },
      bulkStorageClass: 'STANDARD_IA',
      tagsBulkData: true,
    });
  });

  test('reads an encryption without a key', () => {
    expect(parseLocation('s3://backups?encryption=AES256')).toMatchObject({
      serverEncryption: { algorithm: 'AES256' },
    });
    expect(parseLocation('s3://backups?kms-key=k')).toMatchObject({
      serverEncryption: { algorithm: 'aws:kms', keyId: 'k' },
    });
  });
});

test.each([
  '',
  'file:',
  'file://host/srv/repo',
  'file:///srv/%zz',
  'file:///srv/a%2fb',
  '~/repo',
  'ftp://host/repo',
  'rest:https://host/',
  'sftp:user@host:/repo',
  's3:https://host/bucket',
  's3:/bucket',
  's3://',
  's3:///prefix',
  's3://b',
  's3://host:9000/bucket',
  's3://bucket/a//b',
  's3://bucket/%zz',
  's3://bucket/a#b',
  's3://bucket?colour=red',
  's3://bucket?region=a&region=b',
  's3://bucket?path-style=yes',
  's3://bucket?endpoint=minio:9000',
  's3://bucket?endpoint=ftp://minio',
  's3://bucket?encryption=rot13',
  's3://bucket?encryption=AES256&kms-key=k',
])('refuses %s with a hint', (address) => {
  expect(() => parseLocation(address)).toThrow(
    expect.objectContaining({ code: 'USAGE', hint: expect.stringMatching(/./) }),
  );
});

test.each([
  's3://AKIDPLANTED:secretplanted@bucket/prefix',
  's3://bucket?endpoint=https://AKIDPLANTED:secretplanted@minio.example',
  's3://bucket?secret-key=secretplanted',
  'rest:https://user:secretplanted@host/',
  's3:https://user:secretplanted@host/bucket',
  's3://user:secretplanted@/bucket',
  's3://bucket?encryption=secretplanted',
  'file://user:secretplanted@host/repo',
])('does not repeat what may be a secret in an address that it refuses (%#)', (address) => {
  let thrown: unknown;
  try {
    parseLocation(address);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(AppError);
  expect(inspect(thrown, { depth: null, showHidden: true })).not.toContain('secretplanted');
});

test('gives a location or a USAGE error for any text', () => {
  const address = fc.oneof(
    fc.string(),
    fc
      .tuple(fc.constantFrom('s3://', 's3:', 'file:', 'file:///', 's3://bucket?'), fc.string())
      .map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(address, (text) => {
      let outcome: unknown;
      try {
        outcome = parseLocation(text).kind;
      } catch (error) {
        outcome = error instanceof AppError ? error.code : error;
      }
      expect(['local', 's3', 'USAGE']).toContain(outcome);
    }),
  );
});
