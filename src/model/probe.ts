// Probes: whether something works at this moment, from outside or from within, and what was seen of it.
import { z } from 'zod';
import { dayMs } from '../base/duration.ts';
import {
  byteSizeSchema,
  durationSchema,
  hostSchema,
  nameSchema,
  portSchema,
  secretSchema,
  shareSchema,
} from './scalar-schemas.ts';

/** `degraded`: works, but not as it should. `unknown`: could not be looked at, so nothing is said of it. */
export const probeOutcomes = ['up', 'degraded', 'down', 'unknown'] as const;
export type ProbeOutcome = (typeof probeOutcomes)[number];

export interface Observation {
  readonly outcome: ProbeOutcome;
  /** A lower-case fact with its values. No secret is in it. */
  readonly message: string;
  /** What to do; present unless the outcome is `up`. */
  readonly hint?: string | undefined;
  readonly atMs: number;
  readonly latencyMs: number;
  /** What was measured, for history and charts. */
  readonly facts: Readonly<Record<string, string | number | boolean>>;
}

const webForm = 'a URL with http or https, without a password';

function isProbedUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '';
}

function isPattern(text: string): boolean {
  try {
    return new RegExp(text, 'u') instanceof RegExp;
  } catch (error) {
    if (error instanceof SyntaxError) return false; // The answer, not a fault.
    throw error;
  }
}

const patternForm = 'a regular expression';
const patternSchema = z.string().min(1).refine(isPattern, `expected ${patternForm}`).meta({ title: patternForm });
const slowField = durationSchema.optional().describe('an answer that takes longer is degraded');
const caField = z.string().min(1).optional().describe('file with the certificates to trust; those of Node if absent');
const certificateDaysField = z
  .int()
  .min(0)
  .default(14)
  .describe('a certificate that ends within so many days is degraded');

export const dampingSchema = z
  .strictObject({
    worse: z.int().min(1).max(20).default(2).describe('so many bad looks …'),
    of: z.int().min(1).max(20).default(3).describe('… of the last so many make it bad'),
    better: z.int().min(1).max(20).default(2).describe('so many good looks in a row make it good again'),
    flappingWindow: z.int().min(4).max(100).default(20).describe('looks by which flapping is judged'),
    flappingStart: shareSchema.prefault('40%').describe('flaps when so many of them differ from the one before'),
    flappingStop: shareSchema.prefault('20%').describe('no longer flaps when so many or fewer do'),
  })
  .refine(({ worse, of }) => worse <= of, { path: ['worse'], message: 'expected worse to be at most of' })
  .refine(({ flappingStart, flappingStop }) => flappingStop < flappingStart, {
    path: ['flappingStop'],
    message: 'expected flappingStop to be less than flappingStart',
  })
  .describe('how many looks it takes to change what is said');

export type DampingSettings = z.output<typeof dampingSchema>;

const commonFields = {
  component: nameSchema.optional().describe('component that the probe tells about'),
  every: durationSchema.prefault('1m').describe('how often it looks'),
  timeout: durationSchema.prefault('10s').describe('what takes longer is down'),
  damping: dampingSchema.prefault({}),
};

const statusForm = 'a status such as 200, or 2xx';
const statusSchema = z
  .union([z.int().min(100).max(599), z.string().regex(/^[1-5]xx$/)], { error: `expected ${statusForm}` })
  .meta({ title: statusForm });

export const httpProbeSchema = z.strictObject({
  type: z.literal('http').describe('a web address'),
  url: z.string().refine(isProbedUrl, `expected ${webForm}`).meta({ title: webForm }).describe('address'),
  method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'OPTIONS']).default('GET').describe('method'),
  headers: z
    .record(z.string().regex(/^[A-Za-z0-9-]+$/), secretSchema)
    .default({})
    .describe('headers, by name'),
  body: secretSchema.optional().describe('body to send'),
  status: z.array(statusSchema).min(1).default(['2xx']).describe('statuses that are up'),
  redirects: z.int().min(0).max(10).default(5).describe('redirects to follow'),
  contains: z.string().min(1).optional().describe('text that the answer must hold'),
  matches: patternSchema.optional().describe('regular expression that the answer must match'),
  json: z
    .array(
      z.strictObject({
        path: z
          .string()
          .regex(/^[^.[\]]+(?:\.[^.[\]]+|\[\d+\])*$/, 'expected a path such as checks[0].status')
          .describe('place in the answer, such as `checks[0].status`'),
        equals: z.union([z.string(), z.number(), z.boolean()]).describe('what must stand there'),
      }),
    )
    .default([])
    .describe('values that the answer, read as JSON, must hold'),
  slow: slowField,
  certificateDays: certificateDaysField,
  ca: caField,
  ...commonFields,
});

const sqlSchema = z.strictObject({
  type: z.literal('sql').describe('a query against a PostgreSQL component, which may only read'),
  sql: z.string().min(1).describe('query whose first column of the first row is the value'),
  database: z.string().min(1).optional().describe('database to ask; the first one if absent'),
  min: z.number().optional().describe('smallest value that is up'),
  max: z.number().optional().describe('largest value that is up'),
  equals: z.union([z.number(), z.string()]).optional().describe('the only value that is up'),
  slow: slowField,
  ...commonFields,
  component: nameSchema.describe('component of type postgres'),
});

const redisSchema = z
  .strictObject({
    type: z.literal('redis').describe('a Redis component: whether it answers, and what it says of itself'),
    role: z.enum(['master', 'slave']).optional().describe('role that it must have'),
    memoryMax: byteSizeSchema.optional().describe('used memory beyond which it is degraded'),
    saveAge: durationSchema.optional().describe('age of its last save beyond which it is degraded'),
    slow: slowField,
    ...commonFields,
    component: nameSchema.describe('component of type redis'),
  })
  .transform(({ memoryMax, saveAge, ...rest }) => ({ ...rest, memoryMaxBytes: memoryMax, saveAgeMaxMs: saveAge }));

const tcpSchema = z.strictObject({
  type: z.literal('tcp').describe('a port that accepts connections'),
  host: hostSchema.describe('host name or address'),
  port: portSchema.describe('port'),
  tls: z.boolean().default(false).describe('agree on TLS, too'),
  slow: slowField,
  certificateDays: certificateDaysField,
  ca: caField,
  ...commonFields,
});

const resolverForm = 'an IP address, perhaps with a port: 127.0.0.1:5353 or [::1]:53';
const dnsSchema = z.strictObject({
  type: z.literal('dns').describe('records of a name'),
  name: z.string().min(1).describe('name to look up'),
  record: z.enum(['A', 'AAAA', 'CNAME', 'MX', 'NS', 'TXT', 'SRV']).default('A').describe('type of the records'),
  values: z
    .array(z.string().min(1))
    .default([])
    .describe('records that must be there, and no others; any if absent. MX as `10 mail.example.com`'),
  resolver: z
    .string()
    .regex(
      /^(?:\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?|\[[0-9a-fA-F:.]+\](?::\d{1,5})?|[0-9a-fA-F:]+)$/,
      `expected ${resolverForm}`,
    )
    .meta({ title: resolverForm })
    .optional()
    .describe('name server to ask; that of this machine if absent'),
  slow: slowField,
  ...commonFields,
});

const roomForm = 'a share such as 10%, or a size such as 5 GiB';
const roomSchema = z
  .union([
    shareSchema.transform((share) => ({ share, sizeBytes: undefined })),
    byteSizeSchema.transform((sizeBytes) => ({ share: undefined, sizeBytes })),
  ])
  .meta({ title: roomForm });

export type Room = z.output<typeof roomSchema>;

const diskSchema = z.strictObject({
  type: z.literal('disk').describe('space on the file system of a path'),
  path: z.string().min(1).describe('folder or file'),
  warn: roomSchema.prefault('10%').describe('less free space is degraded'),
  min: roomSchema.prefault('5%').describe('less free space is down'),
  inodesWarn: shareSchema.prefault('10%').describe('fewer free inodes are degraded'),
  inodesMin: shareSchema.prefault('5%').describe('fewer free inodes are down'),
  ...commonFields,
});

const processSchema = z
  .strictObject({
    type: z.literal('process').describe('a running process of this machine'),
    pidFile: z.string().min(1).optional().describe('file with its number'),
    command: patternSchema.optional().describe('regular expression for its command line'),
    unit: z
      .string()
      .regex(/^[\w@.\\:-]+$/, 'expected the name of a systemd unit')
      .optional()
      .describe('systemd unit that must be active'),
    ...commonFields,
  })
  .refine(({ pidFile, command, unit }) => [pidFile, command, unit].filter((one) => one !== undefined).length === 1, {
    path: ['pidFile'],
    message: 'expected one of pidFile, command and unit',
  });

export const scriptProbeSchema = z.strictObject({
  type: z
    .literal('script')
    .describe('a program that ends as plugins of Nagios do: 0 up, 1 degraded, 2 down, 3 unknown'),
  run: z.array(z.string().min(1)).min(1).describe('program and arguments, without a shell'),
  environment: z.record(z.string().min(1), secretSchema).default({}).describe('variables for it, besides PATH'),
  ...commonFields,
});

const replicationSchema = z
  .strictObject({
    type: z
      .literal('replication')
      .describe('standbys and slots of a PostgreSQL component, or how far a standby is behind'),
    standbys: z.int().min(0).optional().describe('so many standbys at least must be connected'),
    lagMax: durationSchema.optional().describe('a standby that is further behind is degraded'),
    lagBytesMax: byteSizeSchema.optional().describe('as lagMax, by the changes that it lacks'),
    retainedMax: byteSizeSchema.optional().describe('a slot that keeps more changes is degraded'),
    inactiveSlots: z.enum(['degraded', 'ignore']).default('degraded').describe('what a slot that nobody uses means'),
    ...commonFields,
    component: nameSchema.describe('component of type postgres'),
  })
  .transform(({ lagMax, lagBytesMax, retainedMax, ...rest }) => ({
    ...rest,
    lagMaxMs: lagMax,
    lagMaxBytes: lagBytesMax,
    retainedMaxBytes: retainedMax,
  }));

export const probeSchema = z
  .discriminatedUnion('type', [
    httpProbeSchema,
    sqlSchema,
    redisSchema,
    tcpSchema,
    dnsSchema,
    diskSchema,
    processSchema,
    scriptProbeSchema,
    replicationSchema,
  ])
  .transform(withUnits)
  .describe('a look at whether something works');

interface Timed {
  readonly every: number;
  readonly timeout: number;
  readonly slow?: number | undefined;
}

/** Of each member of a union by itself. */
type WithUnits<Probe> = Probe extends unknown
  ? Omit<Probe, 'every' | 'timeout' | 'slow'> & {
      readonly everyMs: number;
      readonly timeoutMs: number;
      readonly slowMs: number | undefined;
    }
  : never;

export function withUnits<Probe extends Timed>({ every, timeout, slow, ...rest }: Probe): WithUnits<Probe> {
  return { ...rest, everyMs: every, timeoutMs: timeout, slowMs: slow } as unknown as WithUnits<Probe>;
}

export type ProbeSettings = z.output<typeof probeSchema>;
export type ProbeOf<Type extends ProbeSettings['type']> = Extract<ProbeSettings, { type: Type }>;

/** The kind of component that a probe asks, where it asks one. */
export function probedComponentType(type: ProbeSettings['type']): 'postgres' | 'redis' | undefined {
  if (type === 'redis') return 'redis';
  return type === 'sql' || type === 'replication' ? 'postgres' : undefined;
}

export function daysUntil(endMs: number, nowMs: number): number {
  return Math.floor((endMs - nowMs) / dayMs);
}
