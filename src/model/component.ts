// The parts of an application: what each is, where it is reached, how fresh and how fast back it must be.
import { z } from 'zod';
import { dayMs } from '../base/duration.ts';
import { contentCheckSchema } from './content-check.ts';
import type { Finding } from './finding.ts';
import { journalSettingsSchema } from './journal-settings.ts';
import { policySchema, type Policy } from './policy.ts';
import { sentinelSettingsSchema } from './sentinel.ts';
import { timeWindowSchema } from './time-window.ts';
import {
  byteRateSchema,
  byteSizeSchema,
  durationSchema,
  hostSchema,
  nameSchema,
  portSchema,
  secretSchema,
} from './scalar-schemas.ts';

const availabilityForm = 'a percentage such as 99.95%';

const scenarioRpo = z
  .union([z.literal('none'), durationSchema])
  .optional()
  .meta({ title: "a duration, or 'none'" });

const objectivesSchema = z
  .strictObject({
    rpo: durationSchema.optional().describe('how much of the newest data may be lost'),
    rto: durationSchema.optional().describe('how long until it works again'),
    availability: z
      .string()
      .refine((text) => /^(?:100|\d{1,2}(?:\.\d+)?)\s*%$/.test(text), `expected ${availabilityForm}`)
      .transform((text) => Number.parseFloat(text))
      .meta({ title: availabilityForm })
      .optional()
      .describe('share of the time in which it works'),
    scenarios: z
      .strictObject({
        deletion: scenarioRpo.describe('somebody deletes data'),
        corruption: scenarioRpo.describe('data is damaged, and found to be only later'),
        host: scenarioRpo.describe('the machine is lost, with the repositories in its folders'),
        site: scenarioRpo.describe('its site or region is lost'),
        ransomware: scenarioRpo.describe(
          'somebody takes over the machine and all its credentials; nothing is promised if absent',
        ),
      })
      .optional()
      .describe('how much may be lost in one kind of disaster, in place of rpo; `none`: nothing is promised'),
  })
  .transform(({ rpo, rto, availability, scenarios = {} }) => ({
    rpoMs: rpo,
    rtoMs: rto,
    availabilityPercent: availability,
    rpoOfScenario: scenarios,
  }))
  .describe('what its users were promised');

const labelForm = 'a label such as host=db-1: up to 100 letters, digits and . _ - =';
export const labelSchema = z
  .string()
  .regex(/^[\w.=-]{1,100}$/, `expected ${labelForm}`)
  .meta({ title: labelForm });

const commonFields = {
  tier: z.enum(['P0', 'P1', 'P2', 'P3']).default('P1').describe('P0 is recovered first, P3 last'),
  objectives: objectivesSchema.optional(),
  policy: z
    .union([nameSchema, policySchema])
    .optional()
    .meta({ title: 'the name of a policy, or a policy' })
    .describe('name of a policy, or one of its own; on demand to all repositories, kept for ever, if absent'),
  checks: z.array(contentCheckSchema).default([]).describe('checks of this component besides those of its policy'),
  labels: z
    .array(labelSchema)
    .default([])
    .describe('what a worker must carry to work on it, such as `host=db-1`; any worker if absent'),
  maintenance: z
    .array(timeWindowSchema)
    .default([])
    .describe('spans in which others work on it, so that nothing is started; what comes then begins at their end'),
};

const passwordField = secretSchema.optional().describe('password');
const urlConflict = 'expected either url or host, port, user and password, not both';

const filesSchema = z
  .strictObject({
    type: z.literal('files').describe('folders and files of this machine'),
    paths: z.array(z.string().min(1)).min(1).describe('folders and files to back up'),
    excludes: z
      .array(z.string().min(1))
      .default([])
      .describe('patterns of what to leave out, as for restic: `*.tmp`, `/srv/cache`, `logs/**`, `!keep.tmp`'),
    oneFileSystem: z.boolean().default(false).describe('do not enter other file systems'),
    excludeLargerThan: byteSizeSchema.optional().describe('leave out files larger than this'),
    excludeCaches: z.boolean().default(false).describe('leave out folders with a CACHEDIR.TAG file'),
    ...commonFields,
  })
  .transform(({ excludeLargerThan, ...rest }) => ({ ...rest, excludeLargerThanBytes: excludeLargerThan }));

const physicalSettingsSchema = z
  .strictObject({
    fullEvery: durationSchema
      .optional()
      .describe('how long backups only bring what changed before all is read again; 7d if absent'),
    checkpoint: z
      .enum(['fast', 'spread'])
      .default('fast')
      .describe('`fast` begins at once; `spread` waits for the next checkpoint to end, which spares the disk'),
    rateMax: byteRateSchema.optional().describe('how fast the server may send, per second'),
    fingerprint: z
      .boolean()
      .default(true)
      .describe('count and hash all rows for proofs: reads every table once more, and holds writers for a moment'),
  })
  .transform(({ fullEvery, checkpoint, rateMax, fingerprint }) => ({
    fullEveryMs: fullEvery ?? 7 * dayMs,
    checkpoint,
    rateMaxBytes: rateMax,
    takesFingerprint: fingerprint,
  }))
  .describe('how physical backups are taken');

export type PhysicalSettings = z.output<typeof physicalSettingsSchema>;

/** Where lifeboat.yaml says nothing of it. */
export const defaultPhysicalSettings: PhysicalSettings = physicalSettingsSchema.parse({});

const postgresSchema = z
  .strictObject({
    type: z.literal('postgres').describe('a PostgreSQL server'),
    url: secretSchema
      .optional()
      .describe(
        'connection URL, in place of host, port, user, password; DATABASE_URL if neither it, host nor POSTGRES_HOST is there',
      ),
    host: hostSchema
      .optional()
      .describe('host name, address or folder of the socket; POSTGRES_HOST, PGHOST or localhost if absent'),
    port: portSchema.optional().describe('port; POSTGRES_PORT, PGPORT or 5432 if absent'),
    user: z.string().min(1).optional().describe('role; POSTGRES_USER, PGUSER or postgres if absent'),
    password: passwordField.describe('password; POSTGRES_PASSWORD or PGPASSWORD if absent'),
    databases: z.array(z.string().min(1)).min(1).optional().describe('databases; POSTGRES_DB, or all, if absent'),
    sslmode: z
      .enum(['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'])
      .optional()
      .describe('as for psql; PGSSLMODE or prefer if absent. `require` with a root certificate is `verify-ca`'),
    sslrootcert: z
      .string()
      .min(1)
      .optional()
      .describe('file with the certificates to trust, or `system`; PGSSLROOTCERT or ~/.postgresql/root.crt if absent'),
    sslcert: z
      .string()
      .min(1)
      .optional()
      .describe('file with our own certificate; PGSSLCERT or, if it is there, ~/.postgresql/postgresql.crt if absent'),
    sslkey: z
      .string()
      .min(1)
      .optional()
      .describe('file with the key of our own certificate; PGSSLKEY or ~/.postgresql/postgresql.key if absent'),
    sslpassword: secretSchema.optional().describe('password of that key, if it has one'),
    sslnegotiation: z
      .enum(['postgres', 'direct'])
      .optional()
      .describe('`direct` begins TLS at once (PostgreSQL 17 and later); PGSSLNEGOTIATION or postgres if absent'),
    method: z
      .enum(['auto', 'physical', 'logical'])
      .default('auto')
      .describe(
        '`physical` copies the server as it is, in increments, for recovery to any instant; `logical` dumps with pg_dump; `auto` is physical where the role may replicate and all databases are meant',
      ),
    physical: physicalSettingsSchema.optional(),
    journal: journalSettingsSchema.optional(),
    sentinel: sentinelSettingsSchema.optional(),
    ...commonFields,
  })
  .refine(({ url, host }) => url === undefined || host === undefined, { path: ['url'], message: urlConflict });

const redisSchema = z
  .strictObject({
    type: z.literal('redis').describe('a Redis or Valkey server'),
    url: secretSchema
      .optional()
      .describe(
        'connection URL, in place of host, port, username, password; REDIS_URL if neither it, host nor REDIS_HOST is there',
      ),
    host: hostSchema.optional().describe('host name or address; REDIS_HOST or localhost if absent'),
    port: portSchema.optional().describe('port; REDIS_PORT or 6379 if absent'),
    username: z.string().min(1).optional().describe('ACL user'),
    password: passwordField.describe('password; REDIS_PASSWORD if absent'),
    ...commonFields,
  })
  .refine(({ url, host }) => url === undefined || host === undefined, { path: ['url'], message: urlConflict });

const configSchema = z
  .strictObject({
    type: z.literal('config').describe('configuration of the application'),
    files: z.array(z.string().min(1)).default([]).describe('environment and other configuration files'),
    compose: z.array(z.string().min(1)).default([]).describe('compose files'),
    gitFolder: z.string().min(1).optional().describe('working folder of a git repository whose revision is recorded'),
    ...commonFields,
  })
  .refine(({ files, compose }) => files.length + compose.length > 0, {
    path: ['files'],
    message: 'expected at least one file in files or compose',
  });

export const componentSchema = z
  .discriminatedUnion('type', [filesSchema, postgresSchema, redisSchema, configSchema])
  .describe('a part of the application');

export type ComponentSettings = z.output<typeof componentSchema>;

/** Leaves out a key of each member of a union. */
type Without<Union, Key extends PropertyKey> = Union extends unknown ? Omit<Union, Key> : never;

/** A component with its name and its policy completed; `checks` holds those of the policy too. */
export type Component = Without<ComponentSettings, 'policy'> & { readonly name: string; readonly policy: Policy };

/** A standby follows a journal. A policy may be shared by components of other kinds, for which this says nothing. */
export function continuousProofFindings(component: Component): Finding[] {
  if (component.policy.proof?.continuous !== true || component.type !== 'postgres') return [];
  if (component.journal !== undefined && component.method !== 'logical') return [];
  return [
    {
      aspect: `proof of ${component.name}`,
      outcome: 'warning',
      message: 'a continuous proof follows the journal, and this component has none',
      hint:
        component.method === 'logical'
          ? 'Give it the method physical and journal: {}, or prove it on a schedule.'
          : 'Give it journal: {}, or prove it on a schedule.',
    },
  ];
}
