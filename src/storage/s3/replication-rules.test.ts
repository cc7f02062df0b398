// What becomes of the rules of a bucket, with those of others beside ours.
import type { ReplicationConfiguration, ReplicationRule } from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { decideReplication, replicationDangers, roleDocuments } from './replication-rules.ts';

const role = 'arn:aws:iam::123456789012:role/replicate';
const wish = { to: 'far', region: 'eu-west-1', role, storageClass: 'STANDARD_IA' };
const theirs: ReplicationRule = {
  ID: 'photos',
  Priority: 7,
  Status: 'Enabled',
  Filter: { Prefix: 'photos/' },
  DeleteMarkerReplication: { Status: 'Enabled' },
  Destination: { Bucket: 'arn:aws:s3:::far' },
};

function changed(found: ReplicationConfiguration | undefined): ReplicationConfiguration {
  const decision = decideReplication(found, 'shop', wish);
  return decision.kind === 'change' ? decision.configuration : { Role: decision.kind, Rules: [] };
}

test('the rule takes the prefix of the repository, and leaves what hides deleted objects behind', () => {
  const made = changed(undefined);
  expect(made).toEqual({
    Role: role,
    Rules: [
      {
        ID: 'lifeboat replication shop',
        Priority: 1,
        Status: 'Enabled',
        Filter: { Prefix: 'shop/' },
        DeleteMarkerReplication: { Status: 'Disabled' },
        Destination: { Bucket: 'arn:aws:s3:::far', StorageClass: 'STANDARD_IA' },
      },
    ],
  });
  expect(decideReplication(made, 'shop', wish)).toEqual({ kind: 'same' });
});

test('rules of others stay, below ours, and a second time changes nothing', () => {
  const made = changed({ Role: role, Rules: [theirs] });
  expect(made.Rules?.map(({ ID, Priority }) => [ID, Priority])).toEqual([
    ['photos', 7],
    ['lifeboat replication shop', 8],
  ]);
  expect(decideReplication(made, 'shop', wish)).toEqual({ kind: 'same' });
});

test('two repositories of one bucket are set up one after the other, and then neither has to change', () => {
  const first = changed(undefined);
  const second = decideReplication(first, 'crm', wish);
  const both = second.kind === 'change' ? second.configuration : { Role: second.kind, Rules: [] };
  expect(both.Rules?.map(({ Priority }) => Priority)).toEqual([1, 2]);
  expect(['shop', 'crm'].map((prefix) => decideReplication(both, prefix, wish).kind)).toEqual(['same', 'same']);
});

test('somebody who let deletions be replicated, put a rule above ours or took another role is set right', () => {
  const made = changed(undefined);
  const [own] = made.Rules ?? [];
  const deletes = { ...own, DeleteMarkerReplication: { Status: 'Enabled' } } as ReplicationRule;
  expect(changed({ Role: role, Rules: [deletes] })).toEqual(made);
  const above = { ...theirs, Filter: { Prefix: '' } };
  expect(changed({ ...made, Rules: [above, ...(made.Rules ?? [])] }).Rules?.map(({ Priority }) => Priority)).toEqual([
    7, 8,
  ]);
  expect(changed({ ...made, Role: 'arn:aws:iam::123456789012:role/other' })).toEqual(made);
});

test('what would break the rules of others is left out', () => {
  const { Filter: _, ...older } = theirs;
  expect(decideReplication({ Role: role, Rules: [{ ...older, Prefix: '' }] }, 'shop', wish)).toMatchObject({
    kind: 'left out',
    message: expect.stringMatching(/older form/) as string,
  });
  expect(decideReplication({ Role: 'arn:of:theirs', Rules: [theirs] }, 'shop', wish)).toMatchObject({
    kind: 'left out',
    message: expect.stringMatching(/arn:of:theirs/) as string,
  });
});

test('rules of others that replicate deletions of the repository are dangers, and none else', () => {
  const dangers = (rule: Partial<ReplicationRule>): number =>
    replicationDangers([{ ...theirs, ...rule }], 'shop').length;
  expect(dangers({})).toBe(0);
  expect(dangers({ Filter: { Prefix: '' } })).toBe(1);
  expect(dangers({ Filter: { Prefix: 'shop/data/' } })).toBe(1);
  expect(dangers({ Filter: undefined, Prefix: 'shop/' })).toBe(1);
  expect(dangers({ Filter: { Prefix: '' }, Status: 'Disabled' })).toBe(0);
  expect(dangers({ Filter: { Prefix: '' }, DeleteMarkerReplication: { Status: 'Disabled' } })).toBe(0);
});

test('the role reads here, writes there, may replicate no deletion, and reads locks where there are any', () => {
  const { policy, otherAccount } = roleDocuments({ bucket: 'near', prefix: 'shop' }, wish, true);
  const text = JSON.stringify(policy);
  expect(text).toContain('"s3:ReplicateObject","s3:ReplicateTags"],"Resource":"arn:aws:s3:::far/shop/*"');
  expect(text).toContain('s3:GetObjectRetention');
  expect(text).not.toContain('ReplicateDelete');
  expect(JSON.stringify(otherAccount)).toContain(role);
  expect(JSON.stringify(roleDocuments({ bucket: 'near', prefix: '' }, wish, false))).not.toContain('Retention');
});
