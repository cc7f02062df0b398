// All keys of lifeboat.yaml. The JSON Schema for editors and the reference page derive from it.
import { z } from 'zod';
import { alertsSchema } from '../model/alert-settings.ts';
import { applicationSchema, environmentNameSchema } from '../model/application.ts';
import { componentSchema } from '../model/component.ts';
import { policySchema } from '../model/policy.ts';
import { repositorySchema } from '../model/repository-settings.ts';
import { probeSchema } from '../model/probe.ts';
import { nameSchema } from '../model/scalar-schemas.ts';
import { serviceSchema } from '../model/service-settings.ts';
import { warmUpSchema } from '../model/warm-up.ts';

export const configurationSchema = z
  .strictObject({
    extends: z
      .string()
      .min(1)
      .optional()
      .meta({ title: 'the path of a template, relative to this file' })
      .describe(
        'a file that holds what several have in common, and extends nothing itself; the keys of this one are laid over its keys',
      ),
    parameters: z
      .record(z.string(), z.union([z.string(), z.number(), z.boolean()]).optional().meta({ title: 'one value' }))
      .default({})
      .meta({ writeOnly: true })
      .describe(
        'values that `${NAME}` stands for in this file and in its template, before environment variables; those of a template are defaults',
      ),
    application: applicationSchema,
    environment: environmentNameSchema,
    repositories: z
      .record(nameSchema, repositorySchema)
      .meta({ title: 'a map of repositories, or S3_BACKUP_BUCKET to be set' })
      .describe('places for backups, by name; the bucket of S3_BACKUP_BUCKET if absent and that is set'),
    policies: z.record(nameSchema, policySchema).default({}).describe('policies that components refer to, by name'),
    components: z.record(nameSchema, componentSchema).describe('parts of the application, by name'),
    probes: z.record(nameSchema, probeSchema).default({}).describe('looks at whether things work, by name'),
    warmUp: z
      .record(nameSchema, warmUpSchema)
      .default({})
      .describe('steps that fill caches again, by name, in their order; `lifeboat warm-up` carries them out'),
    alerts: alertsSchema.prefault({}),
    service: serviceSchema.prefault({}),
    cache: z
      .strictObject({ folder: z.string().min(1).optional().describe('folder of the cache') })
      .default({})
      .describe('local copies of repository metadata'),
  })
  .describe('what an application consists of, and how it is protected');

export type ConfigurationFile = z.output<typeof configurationSchema>;

/** What JSON Schema says of one value; only the words that our schema uses. */
export interface SchemaNode {
  readonly type?: string | readonly string[];
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: string | number | boolean;
  readonly enum?: readonly (string | number | boolean)[];
  readonly minimum?: number;
  readonly maximum?: number;
  /** Marks a secret. */
  readonly writeOnly?: boolean;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: SchemaNode | boolean;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
  readonly oneOf?: readonly SchemaNode[];
}

let walked: SchemaNode | undefined;

/** Of what is written, before defaults and conversions; each place complete, so that it can be walked. Made once. */
export function configurationJsonSchema(): SchemaNode {
  walked ??= wantingNoRepositories(z.toJSONSchema(configurationSchema, { io: 'input', target: 'draft-7' }));
  return walked;
}

/** The same as editors read it: what stands in several places is defined once, or it would be 700 KB. */
export function editorJsonSchema(): object {
  const whole = z.toJSONSchema(configurationSchema, { io: 'input', target: 'draft-7', reused: 'ref' });
  const { $schema, description, definitions, ...rest } = wantingNoRepositories(whole) as EditorSchema;
  // What a file that extends another leaves out stands there: only its keys are known here.
  const keys = Object.entries(rest.properties ?? {}).map(([key, node]) => [key, ownKeys.has(key) ? node : true]);
  const known = { type: 'object', properties: Object.fromEntries(keys), additionalProperties: false };
  return { $schema, description, ...known, if: { required: ['extends'] }, else: rest, definitions };
}

interface EditorSchema extends SchemaNode {
  readonly $schema?: string;
  readonly definitions?: object;
}

const ownKeys: ReadonlySet<string> = new Set(['extends', 'parameters', 'application', 'environment']);

/** Neither editors nor the page know the variables: S3_BACKUP_BUCKET may stand for the repositories. */
function wantingNoRepositories(schema: object): SchemaNode {
  const node = schema as SchemaNode;
  return { ...node, required: node.required?.filter((key) => key !== 'repositories') ?? [] };
}
