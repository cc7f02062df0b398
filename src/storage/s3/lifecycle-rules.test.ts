import { expect, test } from 'vitest';
import type { LifecycleRule } from '@aws-sdk/client-s3';
import { decideLifecycle, foreignDangers, ownRules } from './lifecycle-rules.ts';
import { logGrant, withLogGrant } from './log-policy.ts';
import { withTlsOnly } from './tls-policy.ts';

const wish = { keepVersionsDays: 60, infrequentAfterDays: undefined, instantArchiveAfterDays: undefined };

test('our rules never expire what is current, and move nothing but tagged data', () => {
  const rules = ownRules('shop', { ...wish, infrequentAfterDays: 30, instantArchiveAfterDays: 90 });
  expect(rules.map(({ rule }) => rule.Expiration)).toEqual([undefined, undefined]);
  expect(rules[0]?.rule).toMatchObject({
    Filter: { Prefix: 'shop/' },
    NoncurrentVersionExpiration: { NoncurrentDays: 60 },
  });
  expect(rules[1]?.rule.Filter?.And?.Tags).toHaveLength(1);
  expect(rules[1]?.rule.Transitions).toEqual([
    { Days: 30, StorageClass: 'STANDARD_IA' },
    { Days: 90, StorageClass: 'GLACIER_IR' },
  ]);
  expect(ownRules('', wish).map(({ ID }) => ID)).toEqual(['lifeboat versions']);
});

test('a rule of ours that is no longer asked for goes, and those of others stay', () => {
  const theirs: LifecycleRule = { ID: 'tidy', Status: 'Enabled', Filter: { Prefix: 'logs/' }, Expiration: { Days: 7 } };
  const other: LifecycleRule = { ...theirs, ID: 'lifeboat expiry other', Filter: { Prefix: 'other/20' } };
  const idsAfter = (found: readonly LifecycleRule[], wished: typeof wish): (string | undefined)[] | undefined =>
    decideLifecycle(found, 'shop', wished).rules?.map(({ ID }) => ID);
  const archive = { ...wish, archiveAfterDays: 90, expireAfterDays: 365 };
  const { rules = [] } = decideLifecycle([theirs, other], 'shop', archive);
  expect(rules.map(({ ID }) => ID)).toEqual([
    'tidy',
    'lifeboat expiry other',
    'lifeboat versions shop',
    'lifeboat tiers shop',
    'lifeboat expiry shop',
  ]);
  expect(decideLifecycle(rules, 'shop', archive)).toMatchObject({ rules: undefined, dangers: [] });
  expect(idsAfter(rules, wish)).toEqual(['tidy', 'lifeboat expiry other', 'lifeboat versions shop']);
  const longer = decideLifecycle(rules, 'shop', { ...archive, expireAfterDays: 730 }).rules?.at(-1);
  expect(longer?.Expiration).toEqual({ Days: 730 });
});

test.each([
  ['expires all', { Filter: {}, Expiration: { Days: 365 } }, 1],
  ['expires our prefix', { Filter: { Prefix: 'shop/data/' }, Expiration: { Days: 365 } }, 1],
  ['expires by its old form', { Prefix: '', Expiration: { Date: new Date(0) } }, 1],
  ['archives ours', { Filter: { And: { Prefix: 'sh' } }, Transitions: [{ Days: 90, StorageClass: 'GLACIER' }] }, 1],
  ['moves ours where they still answer', { Filter: {}, Transitions: [{ Days: 9, StorageClass: 'GLACIER_IR' }] }, 0],
  ['expires others', { Filter: { Prefix: 'logs/' }, Expiration: { Days: 7 } }, 0],
  ['expires earlier versions', { Filter: {}, NoncurrentVersionExpiration: { NoncurrentDays: 5 } }, 0],
  ['is off', { Status: 'Disabled', Filter: {}, Expiration: { Days: 1 } }, 0],
] as [string, Partial<LifecycleRule>, number][])('a rule that %s is told of, or not', (_, rule, count) => {
  expect(foreignDangers([{ Status: 'Enabled', ...rule }], 'shop')).toHaveLength(count);
});

test('a policy gets the statement once, and keeps its others', () => {
  const other = { Sid: 'Others', Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: '*' };
  const given = JSON.stringify({ Version: '2012-10-17', Statement: other });
  const first = withTlsOnly(given, 'shop-backups') ?? '';
  expect((JSON.parse(first) as { Statement: unknown[] }).Statement).toEqual([
    other,
    expect.objectContaining({ Effect: 'Deny', Resource: ['arn:aws:s3:::shop-backups', 'arn:aws:s3:::shop-backups/*'] }),
  ]);
  expect(withTlsOnly(first, 'shop-backups')).toBeUndefined();
  expect(withTlsOnly(undefined, 'shop-backups')).toContain('SecureTransport');
});

test('the log of a bucket is granted once, also where others wrote it in their way, and not by what is for another', () => {
  const grant = logGrant({ bucket: 'logs', prefix: 'backups/', source: 'shop-backups' });
  const granted = (change: object): string =>
    JSON.stringify({
      Statement: {
        Sid: 'Logs',
        ...grant,
        Action: ['s3:PutObject'],
        Principal: { Service: ['logging.s3.amazonaws.com'] },
        ...change,
      },
    });
  expect(withLogGrant(withLogGrant(undefined, grant), grant)).toBeUndefined();
  const StringEquals = { 'aws:SourceAccount': '123456789012' };
  expect(withLogGrant(granted({ Condition: { ...grant.Condition, StringEquals } }), grant)).toBeUndefined();
  expect(withLogGrant(granted({ Resource: 'arn:aws:s3:::logs/*', Condition: undefined }), grant)).toBeUndefined();
  for (const other of [
    { Effect: 'Deny' },
    { Resource: 'arn:aws:s3:::logs/others/*' },
    { Condition: { ArnLike: { 'aws:SourceArn': 'arn:aws:s3:::others' } } },
    { Condition: { ...grant.Condition, IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } } },
  ]) {
    const { Statement } = JSON.parse(withLogGrant(granted(other), grant) ?? '{}') as { Statement: unknown[] };
    expect(Statement).toMatchObject([{ Sid: 'Logs' }, grant]);
  }
});
