// Replication of a repository's objects into another bucket by the store itself, so that it can't lose data: what hides deleted objects stays
// behind, so what a stolen key deletes here is there. Rules of others stay; and the rights of the role that S3 does it with.
import type { ReplicationConfiguration, ReplicationRule } from '@aws-sdk/client-s3';
import type { RuleDanger } from './lifecycle-rules.ts';

export interface ReplicationWish {
  /** The name of the other bucket. */
  readonly to: string;
  /** Its region, if it is another one. */
  readonly region: string | undefined;
  /** ARN of the role that S3 takes. */
  readonly role: string;
  /** Of the replicas; that of the originals if absent. */
  readonly storageClass: string | undefined;
}

type Decision =
  | { readonly kind: 'same' }
  | { readonly kind: 'left out'; readonly message: string; readonly hint: string }
  | { readonly kind: 'change'; readonly configuration: ReplicationConfiguration };

const arnOf = (bucket: string): string => `arn:aws:s3:::${bucket}`;
const below = (prefix: string): string => (prefix === '' ? '' : `${prefix}/`);

export function decideReplication(
  found: ReplicationConfiguration | undefined,
  prefix: string,
  wish: ReplicationWish,
): Decision {
  const ID = ownRuleId(prefix);
  const rules = found?.Rules ?? [];
  const foreign = rules.filter((rule) => rule.ID !== ID);
  const own = rules.find((rule) => rule.ID === ID);
  const wished = ruleOf(ID, prefix, wish);
  const Priority = priorityBeside(foreign, prefix, own?.Priority);
  const isSame = own !== undefined && own.Priority === Priority && said(own) === said(wished);
  if (isSame && found?.Role === wish.role) return { kind: 'same' };
  return (
    obstacleOf(foreign, found?.Role, wish) ?? {
      kind: 'change',
      configuration: { Role: wish.role, Rules: [...foreign, { ...wished, Priority }] },
    }
  );
}

/**
 * Of two rules for one object the higher one holds, and no two may have the same. Those of other prefixes are no rivals: otherwise ours for
 * two repositories would overtake each other for ever.
 */
function priorityBeside(foreign: readonly ReplicationRule[], prefix: string, now: number | undefined): number {
  const priorities = (rules: readonly ReplicationRule[]): number[] => rules.map((rule) => rule.Priority ?? 0);
  const rivals = priorities(foreign.filter((rule) => concerns(rule, prefix)));
  const taken = priorities(foreign);
  const stays = now !== undefined && !taken.includes(now) && rivals.every((rival) => rival < now);
  return stays ? now : 1 + Math.max(0, ...taken);
}

export const ownRuleId = (prefix: string): string => `lifeboat replication ${prefix}`.trim();

function obstacleOf(
  foreign: readonly ReplicationRule[],
  role: string | undefined,
  wish: ReplicationWish,
): Decision | undefined {
  if (foreign.some(isOld)) {
    return {
      kind: 'left out',
      message: 'the bucket has replication rules of the older form, beside which none of ours can stand',
      hint: 'Give those rules a filter and a priority, then run it again.',
    };
  }
  if (foreign.length === 0 || role === wish.role) return undefined;
  return {
    kind: 'left out',
    message: `the rules of the bucket have one role, and others use ${role ?? 'another one'}`,
    hint: 'Name that role here, and give it the rights besides its own.',
  };
}

function ruleOf(ID: string, prefix: string, { to, storageClass }: ReplicationWish): ReplicationRule {
  return {
    ID,
    Status: 'Enabled',
    Filter: { Prefix: below(prefix) },
    DeleteMarkerReplication: { Status: 'Disabled' },
    Destination: {
      Bucket: arnOf(to),
      ...(storageClass !== undefined && { StorageClass: storageClass as 'STANDARD_IA' }),
    },
  };
}

/** Without a filter: such a rule also replicates what hides deleted objects. */
const isOld = ({ Filter: filter }: ReplicationRule): boolean => filter === undefined;

/** Stores answer with keys of their own; what we say must be so. */
const said = ({ Status, Filter, DeleteMarkerReplication: markers, Destination }: ReplicationRule): string =>
  JSON.stringify([Status, prefixOf({ Filter }), markers?.Status, Destination?.Bucket, Destination?.StorageClass]);

const prefixOf = ({ Filter: filter, Prefix: old }: Pick<ReplicationRule, 'Filter' | 'Prefix'>): string =>
  filter?.And?.Prefix ?? filter?.Prefix ?? old ?? '';

function concerns(rule: ReplicationRule, prefix: string): boolean {
  const theirs = prefixOf(rule);
  return theirs.startsWith(below(prefix)) || below(prefix).startsWith(theirs);
}

/** Rules of others by which what is deleted here vanishes there, too. */
export function replicationDangers(foreign: readonly ReplicationRule[], prefix: string): RuleDanger[] {
  return foreign.flatMap((rule): RuleDanger[] => {
    const { ID: id = '', Status: status, DeleteMarkerReplication: markers, Destination: target } = rule;
    const replicatesMarkers = isOld(rule) || markers?.Status === 'Enabled';
    if (status !== 'Enabled' || !replicatesMarkers || !concerns(rule, prefix)) return [];
    return [
      {
        message: `rule '${id}' replicates deletions to ${target?.Bucket ?? 'another bucket'}: what a stolen key deletes here is hidden there, too`,
        hint: 'Disable DeleteMarkerReplication in it.',
      },
    ];
  });
}

export interface RoleDocuments {
  /** Who may take the role. */
  readonly trust: object;
  /** What it may do. */
  readonly policy: object;
  /** For the policy of the other bucket, if that belongs to another account. */
  readonly otherAccount: object;
}

/** The least that S3 needs. It has no right to replicate deletions. */
export function roleDocuments(
  at: { readonly bucket: string; readonly prefix: string },
  { to, role }: ReplicationWish,
  hasLock: boolean,
): RoleDocuments {
  const from = `${arnOf(at.bucket)}/${below(at.prefix)}*`;
  const there = `${arnOf(to)}/${below(at.prefix)}*`;
  const ofLock = hasLock ? ['s3:GetObjectRetention', 's3:GetObjectLegalHold'] : [];
  const reads = [
    's3:GetObjectVersionForReplication',
    's3:GetObjectVersionAcl',
    's3:GetObjectVersionTagging',
    ...ofLock,
  ];
  const writes = ['s3:ReplicateObject', 's3:ReplicateTags'];
  const Effect = 'Allow';
  const statement = (Action: readonly string[], Resource: string) => ({ Effect, Action, Resource });
  const policyOf = (...Statement: readonly object[]) => ({ Version: '2012-10-17', Statement });
  return {
    trust: policyOf({ Effect, Principal: { Service: 's3.amazonaws.com' }, Action: 'sts:AssumeRole' }),
    policy: policyOf(
      statement(['s3:GetReplicationConfiguration', 's3:ListBucket'], arnOf(at.bucket)),
      statement(reads, from),
      statement(writes, there),
    ),
    otherAccount: { ...statement(writes, there), Principal: { AWS: role } },
  };
}
