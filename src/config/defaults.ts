// The classic environment variables of web applications, as defaults where lifeboat.yaml is silent. Connection settings
// are taken as one set, and only where the file names no server: a password must not travel to another host.
import { basename } from 'node:path';
import { variable, type Environment } from './environment.ts';
import type { ConfigurationFile } from './schema.ts';

type ComponentEntry = ConfigurationFile['components'][string];
type RepositoryEntry = ConfigurationFile['repositories'][string];

/** A problem of an environment variable; its value is not shown. */
export class VariableProblem {
  readonly text: string;
  constructor(name: string, expected: string) {
    this.text = `environment variable ${name}: found a value (not shown), expected ${expected}`;
  }
}

/** Of each kind of server: what the names of its variables begin with, and the one that holds a whole URL. */
const serverVariables = {
  postgres: { prefix: 'POSTGRES', url: 'DATABASE_URL' },
  redis: { prefix: 'REDIS', url: 'REDIS_URL' },
} as const;

export function withConnection(component: ComponentEntry, environment: Environment): ComponentEntry | VariableProblem {
  if (component.type !== 'postgres' && component.type !== 'redis') return component;
  if (component.url !== undefined || component.host !== undefined) return component;
  const names = serverVariables[component.type];
  const host = variable(environment, `${names.prefix}_HOST`);
  const url = variable(environment, names.url);
  if (host === undefined && url !== undefined) return { ...component, url };
  const port = portVariable(environment, `${names.prefix}_PORT`);
  if (port instanceof VariableProblem) return port;
  return {
    ...(component.type === 'postgres' ? withRole(component, environment) : component),
    host: host ?? 'localhost',
    port: component.port ?? port,
    password: component.password ?? variable(environment, `${names.prefix}_PASSWORD`),
  };
}

function withRole(
  component: Extract<ComponentEntry, { type: 'postgres' }>,
  environment: Environment,
): typeof component {
  const database = variable(environment, 'POSTGRES_DB');
  return {
    ...component,
    user: component.user ?? variable(environment, 'POSTGRES_USER'),
    databases: component.databases ?? (database === undefined ? undefined : [database]),
  };
}

function portVariable(environment: Environment, name: string): number | undefined | VariableProblem {
  const text = variable(environment, name);
  if (text === undefined) return undefined;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : new VariableProblem(name, 'a port from 1 to 65535');
}

/** `s3://bucket/prefix` from S3_BACKUP_BUCKET (or BACKUP_S3_BUCKET) and S3_PREFIX. */
export function bucketLocation(environment: Environment): string | undefined {
  const bucket = variable(environment, 'S3_BACKUP_BUCKET') ?? variable(environment, 'BACKUP_S3_BUCKET');
  if (bucket === undefined) return undefined;
  const prefix = (variable(environment, 'S3_PREFIX') ?? '').replaceAll(/^\/+|\/+$/g, '');
  return prefix === '' ? `s3://${bucket}` : `s3://${bucket}/${prefix}`;
}

/** Fills in what the AWS variables say. The key, its secret and its session belong together, so they come as one. */
export function withStore(repository: RepositoryEntry, location: string, environment: Environment): RepositoryEntry {
  if (!location.startsWith('s3://')) return repository;
  const s3 = repository.s3 ?? { tagBulkData: false };
  const accessKeyId = variable(environment, 'AWS_ACCESS_KEY_ID');
  const secretAccessKey = variable(environment, 'AWS_SECRET_ACCESS_KEY');
  const isKeyFromEnvironment =
    s3.accessKeyId === undefined && accessKeyId !== undefined && secretAccessKey !== undefined;
  const key = isKeyFromEnvironment
    ? { accessKeyId, secretAccessKey, sessionToken: variable(environment, 'AWS_SESSION_TOKEN') }
    : {};
  const endpoint =
    s3.endpoint ?? variable(environment, 'AWS_ENDPOINT_URL_S3') ?? variable(environment, 'AWS_ENDPOINT_URL');
  const region = s3.region ?? variable(environment, 'AWS_REGION') ?? variable(environment, 'AWS_DEFAULT_REGION');
  return { ...repository, s3: { ...s3, ...key, endpoint, region, pathStyle: s3.pathStyle ?? endpoint !== undefined } };
}

/**
 * What lifeboat.yaml would say where there is none and the classic variables are set; undefined if they are not.
 * `repositoryLocation` is what `--repository` or LIFEBOAT_REPOSITORY gives.
 */
export function configurationFromVariables(environment: Environment, repositoryLocation: string | undefined): unknown {
  const isNamed = ({ prefix, url }: { readonly prefix: string; readonly url: string }): boolean =>
    variable(environment, `${prefix}_HOST`) !== undefined || variable(environment, url) !== undefined;
  const hasDatabase = isNamed(serverVariables.postgres);
  const hasCache = isNamed(serverVariables.redis);
  const bucket = bucketLocation(environment);
  if (!hasDatabase && !hasCache) return undefined;
  if (bucket === undefined && repositoryLocation === undefined) return undefined;
  const isOther = repositoryLocation !== undefined && repositoryLocation !== bucket;
  return {
    application: nameFromVariables(environment),
    repositories: {
      ...(isOther && {
        [repositoryLocation.startsWith('s3://') ? 'remote' : 'local']: { location: repositoryLocation },
      }),
      ...(bucket !== undefined && { s3: { location: bucket } }),
    },
    components: {
      ...(hasDatabase && { postgres: { type: 'postgres', tier: 'P0' } }),
      ...(hasCache && { redis: { type: 'redis' } }),
    },
  };
}

/** The database's name outlives a move to another folder or machine; snapshots are grouped by it. */
function nameFromVariables(environment: Environment): string {
  const name = variable(environment, 'POSTGRES_DB') ?? basename(environment.workingFolder);
  const safe = name.replaceAll(/[^A-Za-z0-9._-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '');
  return safe.slice(0, 64) || 'application';
}
