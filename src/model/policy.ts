// When to back up, where to, how long to keep it, how to verify and prove it.
import { z } from 'zod';
import { contentCheckSchema, type ContentCheck } from './content-check.ts';
import { retentionPolicySchema, type RetentionPolicy } from './retention.ts';
import { nameSchema, shareSchema } from './scalar-schemas.ts';
import { scheduleSchema, type Schedule } from './schedule.ts';

const verificationSchema = z
  .strictObject({
    schedule: scheduleSchema.describe('when to verify'),
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
    schedule: scheduleSchema.optional().describe('when to prove'),
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

export const policySchema = z
  .strictObject({
    schedule: z
      .union([scheduleSchema, z.array(scheduleSchema).min(1)])
      .optional()
      .meta({ title: 'a schedule or a list of them' })
      .describe('when to back up; only on demand if absent'),
    retention: retentionPolicySchema.optional(),
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
    verification: verificationSchema.optional(),
    proof: proofSchema.optional(),
    checks: z.array(contentCheckSchema).default([]).describe('what restored data must satisfy to count as proven'),
  })
  .describe('when to back up, where to, how long to keep, how to verify');

export type PolicySettings = z.output<typeof policySchema>;

/** A policy with every absent key decided. */
export interface Policy {
  readonly schedules: readonly Schedule[];
  readonly targets: readonly { readonly repository: string; readonly retention: RetentionPolicy }[];
  readonly verification: Verification | undefined;
  readonly proof: ProofPolicy | undefined;
  readonly checks: readonly ContentCheck[];
}

/** Decides what the settings leave open: all repositories, keep everything, back up on demand. */
export function completePolicy(settings: PolicySettings, repositoryNames: readonly string[]): Policy {
  const { schedule, repositories = repositoryNames, retention = {}, verification, proof, checks } = settings;
  return {
    schedules: [schedule ?? []].flat(),
    targets: repositories.map((target) =>
      typeof target === 'string'
        ? { repository: target, retention }
        : { repository: target.name, retention: target.retention ?? retention },
    ),
    verification,
    proof,
    checks,
  };
}
