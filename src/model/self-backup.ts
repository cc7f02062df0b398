// How the service backs its own state up: history, tokens, users, audit log, and the configuration itself.
import { z } from 'zod';
import { dayMs } from '../base/duration.ts';
import { retentionPolicySchema, type RetentionPolicy } from './retention.ts';
import { nameSchema } from './scalar-schemas.ts';
import { schedulesSchema, type Schedule } from './schedule.ts';

/** Of its snapshots. No component of an application can have it. */
export const selfComponent = '_service';
export const selfTag = 'lifeboat';

const scheduleDefault: Schedule = { kind: 'interval', everyMs: dayMs };
const retentionDefault: RetentionPolicy = { keepLast: 3, keepDaily: 7, keepWeekly: 5, keepMonthly: 12 };

export const selfBackupSchema = z
  .strictObject({
    schedule: schedulesSchema
      .refine((given) => [given].flat().every(({ kind }) => kind !== 'after'), 'expected cron, every, window or before')
      .optional()
      .describe('when, besides after a change of lifeboat.yaml; once a day if absent'),
    repositories: z.array(nameSchema).min(1).optional().describe('repositories, by name; all if absent'),
    retention: retentionPolicySchema
      .optional()
      .describe('what to keep; the last 3, 7 daily, 5 weekly and 12 monthly ones if absent'),
  })
  .describe('backups of the state of the service: history, tokens, users, audit log and lifeboat.yaml');

/** With every absent key decided. */
export interface SelfBackup {
  readonly schedules: readonly Schedule[];
  readonly repositories: readonly string[];
  /** The file names them; else they are all. */
  readonly isPlaced: boolean;
  readonly retention: RetentionPolicy;
}

/** Undefined if there shall be none. */
export function completeSelfBackup(
  { selfBackup = {} }: { readonly selfBackup?: z.output<typeof selfBackupSchema> | false | undefined },
  repositoryNames: readonly string[],
): SelfBackup | undefined {
  if (selfBackup === false) return undefined;
  const { schedule = scheduleDefault, repositories = repositoryNames, retention = retentionDefault } = selfBackup;
  const isPlaced = selfBackup.repositories !== undefined;
  return { schedules: [schedule].flat(), repositories, isPlaced, retention };
}
