// Rules of a bucket that are safe for a repository, and those that are not. Outside of an archive, which holds each month by itself, a rule
// must never expire or archive what is current: old objects hold data that today's backups need. Data packs move by their tag alone.
import type { LifecycleRule } from '@aws-sdk/client-s3';
import { bulkDataTag } from '../../base/s3-options.ts';

export interface LifecycleWish {
  readonly keepVersionsDays: number;
  readonly infrequentAfterDays: number | undefined;
  readonly instantArchiveAfterDays: number | undefined;
  /** Only where whole months lie by themselves. */
  readonly archiveAfterDays?: number | undefined;
  readonly expireAfterDays?: number | undefined;
}

/** Of years, so of the months of an archive; nothing else of a repository begins so. */
const monthsBegin = '20';

interface OwnRule {
  readonly ID: string;
  readonly rule: LifecycleRule;
  readonly words: string;
}

const ruleId = (kind: 'versions' | 'tiers' | 'expiry', prefix: string): string => `lifeboat ${kind} ${prefix}`.trim();

export interface LifecycleDecision {
  /** Undefined where the bucket has just what is wished. */
  readonly rules: readonly LifecycleRule[] | undefined;
  readonly words: string;
  readonly dangers: readonly RuleDanger[];
}

/** Rules of others stay. Those of ours that are no longer asked for go: one that expires would go on expiring. */
export function decideLifecycle(
  found: readonly LifecycleRule[],
  prefix: string,
  wish: LifecycleWish,
): LifecycleDecision {
  const own = ownRules(prefix, wish);
  const ids = new Set([ruleId('versions', prefix), ruleId('tiers', prefix), ruleId('expiry', prefix)]);
  const foreign = found.filter(({ ID = '' }) => !ids.has(ID));
  const isSet =
    found.length - foreign.length === own.length && own.every(({ rule }) => found.some((one) => isSameRule(one, rule)));
  return {
    rules: isSet ? undefined : [...foreign, ...own.map(({ rule }) => rule)],
    words: own.map(({ words }) => words).join('; '),
    dangers: foreignDangers(foreign, prefix),
  };
}

/** Stores answer with keys of their own; what we say must be so. */
function isSameRule(found: LifecycleRule, wished: LifecycleRule): boolean {
  const said = ({
    ID,
    Status,
    Filter,
    Transitions,
    NoncurrentVersionExpiration,
    AbortIncompleteMultipartUpload,
    Expiration,
  }: LifecycleRule) =>
    JSON.stringify([
      ID,
      Status,
      Filter?.And?.Tags ?? [],
      Filter?.And?.Prefix ?? Filter?.Prefix ?? '',
      (Transitions ?? []).map(({ Days, StorageClass }) => [Days, StorageClass]),
      NoncurrentVersionExpiration?.NoncurrentDays,
      AbortIncompleteMultipartUpload?.DaysAfterInitiation,
      Expiration?.Days,
    ]);
  return said(found) === said(wished);
}

/** An upload that goes on for so long is none any more. */
const uploadMaxDays = 7;

export function ownRules(prefix: string, wish: LifecycleWish): OwnRule[] {
  const { keepVersionsDays, infrequentAfterDays, instantArchiveAfterDays, archiveAfterDays } = wish;
  const below = prefix === '' ? '' : `${prefix}/`;
  const versions: LifecycleRule = {
    ID: ruleId('versions', prefix),
    Status: 'Enabled',
    Filter: { Prefix: below },
    NoncurrentVersionExpiration: { NoncurrentDays: keepVersionsDays },
    AbortIncompleteMultipartUpload: { DaysAfterInitiation: uploadMaxDays },
  };
  const moves = [
    ...(infrequentAfterDays === undefined ? [] : [{ Days: infrequentAfterDays, StorageClass: 'STANDARD_IA' as const }]),
    ...(instantArchiveAfterDays === undefined
      ? []
      : [{ Days: instantArchiveAfterDays, StorageClass: 'GLACIER_IR' as const }]),
    ...(archiveAfterDays === undefined ? [] : [{ Days: archiveAfterDays, StorageClass: 'GLACIER' as const }]),
  ];
  const words = `earlier versions go after ${keepVersionsDays} days, unfinished uploads after ${uploadMaxDays}`;
  const first = { ID: versions.ID ?? '', rule: versions, words };
  const others = expiryRules(prefix, below, wish);
  if (moves.length === 0) return [first, ...others];
  // What lies beside the months is not moved out of reach.
  const packs = archiveAfterDays === undefined ? below : below + monthsBegin;
  const tag = { Key: bulkDataTag.key, Value: bulkDataTag.value };
  const tiers: LifecycleRule = {
    ID: ruleId('tiers', prefix),
    Status: 'Enabled',
    Filter: { And: { Prefix: packs, Tags: [tag] } },
    Transitions: moves,
  };
  const tierWords = moves.map(({ Days, StorageClass }) => `data packs move to ${StorageClass} after ${Days} days`);
  return [first, { ID: tiers.ID ?? '', rule: tiers, words: tierWords.join(', ') }, ...others];
}

function expiryRules(prefix: string, below: string, { expireAfterDays: Days }: LifecycleWish): OwnRule[] {
  if (Days === undefined) return [];
  const ID = ruleId('expiry', prefix);
  const rule: LifecycleRule = { ID, Status: 'Enabled', Filter: { Prefix: below + monthsBegin }, Expiration: { Days } };
  return [{ ID, rule, words: `months go ${Days} days after their first copy` }];
}

const classesThatAnswer: ReadonlySet<string> = new Set([
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER_IR',
]);

export interface RuleDanger {
  readonly message: string;
  readonly hint: string;
}

/** Of the rules of others: those by which live objects of the repository would vanish, or answer no more. */
export function foreignDangers(rules: readonly LifecycleRule[], prefix: string): RuleDanger[] {
  return rules.flatMap((rule): RuleDanger[] => {
    if (rule.Status !== 'Enabled' || !concerns(rule, prefix)) return [];
    const name = rule.ID === undefined || rule.ID === '' ? 'a rule' : `rule '${rule.ID}'`;
    const { Expiration: expiration, Transitions: moves = [] } = rule;
    if (expiration?.Days !== undefined || expiration?.Date !== undefined) {
      return [
        {
          message: `${name} expires objects of the repository: backups would lose data without a word`,
          hint: 'Remove the rule, or limit it to another prefix; what is not needed any more goes by retention.',
        },
      ];
    }
    const archived = moves.find(
      ({ StorageClass }) => StorageClass !== undefined && !classesThatAnswer.has(StorageClass),
    );
    if (archived === undefined) return [];
    return [
      {
        message: `${name} moves objects of the repository to ${archived.StorageClass ?? ''}, which does not answer at once`,
        hint: 'Remove the rule, or let it move to GLACIER_IR; until then restores have to thaw objects first.',
      },
    ];
  });
}

function concerns({ Filter: filter, Prefix: old }: LifecycleRule, prefix: string): boolean {
  const own = filter?.And?.Prefix ?? filter?.Prefix ?? old ?? '';
  const below = prefix === '' ? '' : `${prefix}/`;
  return own.startsWith(below) || below.startsWith(own);
}
