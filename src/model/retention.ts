// Which snapshots of one group stay: restic's forget policy to the letter, and one rule of our own: the newest recovery
// point that was really restored is never removed, whatever the policy. Decides only; deletes nothing.
import { z } from 'zod';
import { count } from '../base/count.ts';
import { AppError } from '../base/errors.ts';
import { formatCalendarDuration, instantBeforeNs, type CalendarDuration } from './calendar-duration.ts';
import { calendarDurationSchema } from './scalar-schemas.ts';

const countSchema = z
  .union([z.int().min(0), z.literal('unlimited')])
  .meta({ title: "a whole number from 0, or 'unlimited'" });

const rulesSchema = z.strictObject({
  keepLast: countSchema.optional().describe('snapshots to keep, counted from the newest'),
  keepHourly: countSchema.optional().describe('hours of which the last snapshot is kept'),
  keepDaily: countSchema.optional().describe('days of which the last snapshot is kept'),
  keepWeekly: countSchema.optional().describe('ISO weeks of which the last snapshot is kept'),
  keepMonthly: countSchema.optional().describe('months of which the last snapshot is kept'),
  keepYearly: countSchema.optional().describe('years of which the last snapshot is kept'),
  keepWithin: calendarDurationSchema.optional().describe('keep all within this span before the newest snapshot'),
  keepWithinHourly: calendarDurationSchema.optional().describe('keep the last of each hour within this span'),
  keepWithinDaily: calendarDurationSchema.optional().describe('keep the last of each day within this span'),
  keepWithinWeekly: calendarDurationSchema.optional().describe('keep the last of each ISO week within this span'),
  keepWithinMonthly: calendarDurationSchema.optional().describe('keep the last of each month within this span'),
  keepWithinYearly: calendarDurationSchema.optional().describe('keep the last of each year within this span'),
  keepTags: z
    .array(z.string().min(1))
    .optional()
    .describe('keep snapshots that carry one of these tags; `a,b` means both'),
});

const tagSchema = z
  .string()
  .regex(/^[^\s,]+$/, 'expected a tag without spaces and commas')
  .meta({ title: 'a tag without spaces and commas' });

export const retentionPolicySchema = rulesSchema
  .extend({
    tagged: z
      .record(tagSchema, rulesSchema.describe('what to keep of them; without any key all of them'))
      .optional()
      .describe(
        'rules for snapshots with a tag, such as manual, in place of the others; the first tag that fits counts',
      ),
  })
  .describe('what to keep; without any key everything is kept');

type RetentionRules = z.output<typeof rulesSchema>;
export type RetentionPolicy = z.output<typeof retentionPolicySchema>;

/** What a decision needs to know of a snapshot. */
export interface RetainableSnapshot {
  readonly id: string;
  /** RFC 3339 with offset, up to nanoseconds: its day and hour are those of this offset. */
  readonly time: string;
  readonly tags: readonly string[];
}

export interface RetentionContext {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Recovery points that a proof restored, expired or not. */
  readonly provenIds: ReadonlySet<string>;
  /** Recovery points that a verification found intact. */
  readonly verifiedIds: ReadonlySet<string>;
  /** Lets the policy alone decide, even over the newest proven recovery point. */
  readonly forgetProven: boolean;
}

export interface RetentionDecision<Snapshot> {
  readonly snapshot: Snapshot;
  readonly keep: boolean;
  /** Why it is kept: `daily snapshot`, `has tag legal`; empty if it is not. */
  readonly reasons: readonly string[];
}

interface DatedSnapshot<Snapshot> {
  readonly snapshot: Snapshot;
  readonly time: Temporal.ZonedDateTime;
  readonly epochNs: bigint;
}

/**
 * Decides for the snapshots of one group, newest first. An empty policy keeps all.
 * Throws `CONFIG_INVALID` if the policy would keep none: that is a slip far more often than a wish.
 */
export function decideRetention<Snapshot extends RetainableSnapshot>(
  snapshots: readonly Snapshot[],
  policy: RetentionPolicy,
  context: RetentionContext,
): RetentionDecision<Snapshot>[] {
  const dated = snapshots.map(withTime).toSorted(newestFirst);
  if (isEmptyPolicy(policy)) {
    return dated.map(({ snapshot }) => ({ snapshot, keep: true, reasons: ['policy is empty'] }));
  }
  const { tagged = {}, ...own } = policy;
  const newest = (of: typeof dated): Temporal.ZonedDateTime | undefined => newestNotInFuture(of, context.now);
  const byClass = new Map<string | undefined, DatedSnapshot<Snapshot>[]>(
    Map.groupBy(dated, ({ snapshot }) => classOf(snapshot, policy)),
  );
  const reasonsById = new Map(
    [...byClass].flatMap(([tag, items]) =>
      // Spans of a tag count from the newest snapshot of all, or the last one by hand would stay for ever.
      tag === undefined ? reasonsOf(items, own, newest(items)) : reasonsOf(items, tagged[tag] ?? {}, newest(dated)),
    ),
  );
  const reasons = dated.map(({ snapshot }) => reasonsById.get(snapshot.id) ?? []);
  const lost = [dated, byClass.get(undefined) ?? []].find(
    (of) => of.length > 0 && of.every(({ snapshot }) => reasonsById.get(snapshot.id)?.length === 0),
  );
  if (lost !== undefined) {
    throw new AppError(
      'CONFIG_INVALID',
      `the retention policy would remove all of a group: ${count(lost.length, 'snapshot')}`,
      {
        hint: 'Add a rule that keeps some, such as keepLast: 1; remove single snapshots by their id.',
      },
    );
  }
  const guarded = context.forgetProven ? undefined : guardedIndex(dated, context);
  if (guarded !== undefined) reasons[guarded.index]?.push(guarded.reason);
  return dated.map(({ snapshot }, index) => {
    const why = reasons[index] ?? [];
    return { snapshot, keep: why.length > 0, reasons: why };
  });
}

/** The tag by whose rules a snapshot stays or goes. */
function classOf({ tags }: RetainableSnapshot, { tagged = {} }: RetentionPolicy): string | undefined {
  return Object.keys(tagged).find((tag) => tags.includes(tag));
}

/** Of one class, newest first; spans count from `newest`. */
function reasonsOf(
  dated: readonly DatedSnapshot<RetainableSnapshot>[],
  policy: RetentionRules,
  newest: Temporal.ZonedDateTime | undefined,
): [id: string, reasons: string[]][] {
  if (isEmptyPolicy(policy)) return dated.map(({ snapshot }) => [snapshot.id, ['no rule for it']]);
  const rules = rulesOf(policy, newest);
  return dated.map((item, index) => {
    const byRules = rules.flatMap((rule) => rule(item, index, index === dated.length - 1) ?? []);
    return [item.snapshot.id, [...tagReasons(item.snapshot, policy.keepTags ?? []), ...byRules]];
  });
}

/** The snapshot that no policy may remove: the newest proven one; if none is proven, the newest verified one. */
function guardedIndex(
  dated: readonly DatedSnapshot<RetainableSnapshot>[],
  { provenIds, verifiedIds }: RetentionContext,
): { readonly index: number; readonly reason: string } | undefined {
  const proven = dated.findIndex(({ snapshot }) => provenIds.has(snapshot.id));
  if (proven >= 0) return { index: proven, reason: 'newest proven recovery point' };
  const verified = dated.findIndex(({ snapshot }) => verifiedIds.has(snapshot.id));
  return verified < 0 ? undefined : { index: verified, reason: 'newest verified recovery point, none is proven' };
}

function withTime<Snapshot extends RetainableSnapshot>(snapshot: Snapshot): DatedSnapshot<Snapshot> {
  const offset = /(?:Z|[+-]\d\d:\d\d)$/i.exec(snapshot.time)?.[0];
  if (offset === undefined) throw new RangeError(`snapshot ${snapshot.id} has the time '${snapshot.time}'`);
  const instant = Temporal.Instant.from(snapshot.time);
  const time = instant.toZonedDateTimeISO(offset.toUpperCase() === 'Z' ? 'UTC' : offset);
  return { snapshot, time, epochNs: instant.epochNanoseconds };
}

function newestFirst(left: DatedSnapshot<RetainableSnapshot>, right: DatedSnapshot<RetainableSnapshot>): number {
  if (left.epochNs !== right.epochNs) return left.epochNs > right.epochNs ? -1 : 1;
  // Equal times: by id, so that every run decides alike.
  return left.snapshot.id < right.snapshot.id ? -1 : 1;
}

function isEmptyPolicy({ keepTags, tagged = {}, ...others }: RetentionPolicy): boolean {
  if ((keepTags ?? []).length > 0 || Object.keys(tagged).length > 0) return false;
  return Object.values(others).every((value) => value === undefined || value === 0);
}

/** Spans count from it; a clock that once ran ahead must not shift them. */
function newestNotInFuture(
  dated: readonly DatedSnapshot<RetainableSnapshot>[],
  now: number,
): Temporal.ZonedDateTime | undefined {
  return dated.find(({ epochNs }) => epochNs < BigInt(now) * 1_000_000n)?.time;
}

function tagReasons(snapshot: RetainableSnapshot, keepTags: readonly string[]): string[] {
  return keepTags
    .filter((list) => list.split(',').every((tag) => snapshot.tags.includes(tag.trim())))
    .map((list) => `has tag ${list}`);
}

/** Answers why a snapshot is kept, if it is, and counts it; asked once for each snapshot, newest first. */
type Rule = (item: DatedSnapshot<RetainableSnapshot>, index: number, isOldest: boolean) => string | undefined;

type BucketOf = (time: Temporal.ZonedDateTime, index: number) => string;

const bucketOf = {
  each: (_time, index) => String(index),
  hour: (time) => `${time.year}-${time.month}-${time.day} ${time.hour}`,
  day: (time) => `${time.year}-${time.month}-${time.day}`,
  week: (time) => `${time.yearOfWeek}-W${time.weekOfYear}`,
  month: (time) => `${time.year}-${time.month}`,
  year: (time) => `${time.year}`,
} satisfies Record<string, BucketOf>;

function rulesOf(policy: RetentionRules, newest: Temporal.ZonedDateTime | undefined): Rule[] {
  const counted = (word: string, bucket: BucketOf, most: RetentionPolicy['keepLast']): Rule =>
    bucketRule(`${word} snapshot`, bucket, { countMax: most === 'unlimited' ? Infinity : (most ?? 0) });
  const within = (word: string, bucket: BucketOf, span: CalendarDuration | undefined): Rule => {
    if (span === undefined) return () => undefined;
    const afterNs = newest === undefined ? undefined : instantBeforeNs(newest, span);
    return bucketRule(`${word}within ${formatCalendarDuration(span)}`, bucket, { countMax: Infinity, afterNs });
  };
  return [
    counted('last', bucketOf.each, policy.keepLast),
    counted('hourly', bucketOf.hour, policy.keepHourly),
    counted('daily', bucketOf.day, policy.keepDaily),
    counted('weekly', bucketOf.week, policy.keepWeekly),
    counted('monthly', bucketOf.month, policy.keepMonthly),
    counted('yearly', bucketOf.year, policy.keepYearly),
    within('', bucketOf.each, policy.keepWithin),
    within('hourly ', bucketOf.hour, policy.keepWithinHourly),
    within('daily ', bucketOf.day, policy.keepWithinDaily),
    within('weekly ', bucketOf.week, policy.keepWithinWeekly),
    within('monthly ', bucketOf.month, policy.keepWithinMonthly),
    within('yearly ', bucketOf.year, policy.keepWithinYearly),
  ];
}

/** Keeps the newest of each bucket while counts are left; while they are, the oldest snapshot of all as well. */
function bucketRule(
  reason: string,
  bucket: BucketOf,
  { countMax, afterNs }: { readonly countMax: number; readonly afterNs?: bigint | undefined },
): Rule {
  let left = countMax;
  let last: string | undefined;
  return ({ time, epochNs }, index, isOldest) => {
    if (left <= 0 || (afterNs !== undefined && epochNs <= afterNs)) return undefined;
    const own = bucket(time, index);
    const isNew = own !== last;
    if (!isNew && !isOldest) return undefined;
    last = own;
    left -= 1;
    return isNew ? reason : `oldest ${reason}`;
  };
}
