// The system to protect, in one environment.
import type { Component } from './component.ts';
import type { RepositorySettings } from './repository-settings.ts';
import { nameSchema } from './scalar-schemas.ts';
import type { SelfBackup } from './self-backup.ts';

export const applicationSchema = nameSchema.describe('name of the application; its snapshots carry it as host name');
export const environmentNameSchema = nameSchema
  .default('production')
  .describe('which of its environments this is: production, staging …');

/** One application with all that protects it. */
export interface Application {
  readonly name: string;
  readonly environment: string;
  readonly repositories: readonly RepositorySettings[];
  readonly components: readonly Component[];
  /** Of the state of the service that looks after it; absent if there shall be none. */
  readonly selfBackup?: SelfBackup | undefined;
}
