// When to back up, where to, how long to keep it, how to verify and prove it.
import { z } from 'zod';
import { dayMs } from '../base/duration.ts';
import { contentCheckSchema, type ContentCheck } from './content-check.ts';
import { retentionPolicySchema, type RetentionPolicy } from './retention.ts';
import { nameSchema, shareSchema } from './scalar-schemas.ts';
import { schedulesSchema, type Schedule } from './schedule.ts';

const verificationSchema = z
  .strictObject({
    schedule: schedulesSchema.describe('when to verify'),
    level: z
      .enum(['structure', 'data'])
      .default('structure')
      .describe('`structure` reads indexes, snapshots and trees; `data` also reads and checks stored bytes'),
    readDataShare: shareSchema
      .optional()
      .describe('share of the data read by level `data`, another one each time; all if absent'),
  })
  .describe('whether repositories are intact');

export type Verification = z.output<typeof verificationSchema>;

const proofSchema = z
  .strictObject({
    schedule: schedulesSchema.optional().describe('when to prove'),
    continuous: z
      .boolean()
      .default(false)
      .describe(
        'keep a standby of PostgreSQL components with a journal: it replays the journal from the repository all the time, is compared on its way, and can take over (`lifeboat postgres standby`)',
      ),
  })
  .refine(({ schedule, continuous }) => schedule !== undefined || continuous, {
    path: ['schedule'],
    message: 'expected a schedule, or continuous: true',
  })
  .describe('whether backups really come back: restored into a sandbox and compared');

export type ProofPolicy = z.output<typeof proofSchema>;

const copySchema = z
  .strictObject({
    from: nameSchema.optional().describe('name of the repository to copy from; the first of the policy if absent'),
    to: nameSchema.describe('name of the repository to copy to'),
    schedule: schedulesSchema.optional().describe('when to copy; after each backup if absent'),
    snapshots: z
      .enum(['all', 'newest'])
      .default('all')
      .describe('`all` that are not there yet, or the `newest` alone, for fewer in the other place'),
    retention: retentionPolicySchema.optional().describe('in place of the retention of the policy'),
  })
  .describe('copies of snapshots in another repository');

export const policySchema = z
  .strictObject({
    schedule: schedulesSchema.optional().describe('when to back up; only on demand if absent'),
    retention: retentionPolicySchema
      .extend({
        schedule: schedulesSchema
          .optional()
          .describe('when to remove what is no longer kept; once a day if absent and there is a rule'),
      })
      .describe('what to keep, and when to remove the rest; without any rule everything is kept')
      .optional(),
    repositories: z
      .array(
        z.union([
          nameSchema,
          z.strictObject({
            name: nameSchema.describe('name of a repository'),
            retention: retentionPolicySchema.optional().describe('in place of the retention of the policy'),
          }),
        ]),
      )
      .min(1)
      .optional()
      .describe('repositories to back up to, by name, each with its own retention if need be; all if absent'),
    copy: z
      .union([copySchema, z.array(copySchema).min(1)])
      .optional()
      .meta({ title: 'a copy or a list of them' })
      .describe('further repositories, to which snapshots are copied without reading the source again'),
    verification: verificationSchema.optional(),
    proof: proofSchema.optional(),
    checks: z.array(contentCheckSchema).default([]).describe('what restored data must satisfy to count as proven'),
  })
  .describe('when to back up, where to, how long to keep, how to verify');

export type PolicySettings = z.output<typeof policySchema>;

/** What is copied from one repository to another. */
export interface CopyPolicy {
  readonly from: string;
  readonly to: string;
  readonly schedules: readonly Schedule[];
  readonly snapshots: 'all' | 'newest';
  readonly retention: RetentionPolicy;
}

/** A policy with every absent key decided. */
export interface Policy {
  readonly schedules: readonly Schedule[];
  readonly targets: readonly { readonly repository: string; readonly retention: RetentionPolicy }[];
  readonly copies: readonly CopyPolicy[];
  /** When what the rules no longer keep is removed, in every repository of the policy that has rules. */
  readonly retentionSchedules: readonly Schedule[];
  readonly verification: Verification | undefined;
  readonly proof: ProofPolicy | undefined;
  readonly checks: readonly ContentCheck[];
}

/** Without a word on it, nothing stays much longer than its rule says. */
const retentionScheduleDefault: Schedule = { kind: 'interval', everyMs: dayMs };
const afterBackup: Schedule = { kind: 'after', job: 'backup', component: undefined };

/** Decides what the settings leave open: all repositories, keep everything, back up on demand. */
export function completePolicy(settings: PolicySettings, repositoryNames: readonly string[]): Policy {
  const { schedule, copy, retention = {}, verification, proof, checks } = settings;
  const { schedule: removal = retentionScheduleDefault, ...rules } = retention;
  const copies = [copy ?? []].flat();
  const copiedTo = new Set(copies.map(({ to }) => to));
  // What is filled by copies is no place for backups unless it is said.
  const repositories = settings.repositories ?? repositoryNames.filter((name) => !copiedTo.has(name));
  const targets = repositories.map((target) =>
    typeof target === 'string'
      ? { repository: target, retention: rules }
      : { repository: target.name, retention: target.retention ?? rules },
  );
  return {
    schedules: [schedule ?? []].flat(),
    targets,
    copies: copies.map(({ from, to, schedule: when, snapshots, retention: own }) => ({
      from: from ?? targets.find(({ repository }) => repository !== to)?.repository ?? to,
      to,
      schedules: [when ?? afterBackup].flat(),
      snapshots,
      retention: own ?? rules,
    })),
    retentionSchedules: [removal].flat(),
    verification,
    proof,
    checks,
  };
}

/** What a repository keeps by this policy; undefined where the policy does not reach it. */
export function retentionIn({ targets, copies }: Policy, repository: string): RetentionPolicy | undefined {
  const target = targets.find((each) => each.repository === repository);
  return target?.retention ?? copies.find(({ to }) => to === repository)?.retention;
}
