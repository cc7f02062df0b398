// The classic environment variables of web applications, each the default of a key that lifeboat.yaml leaves out.
// lifeboat.yaml goes before POSTGRES_* and REDIS_*, these before libpq's PGHOST, PGPORT, PGUSER and PGPASSWORD.
import { basename } from 'node:path';
import type { InitServer } from '../cli/first-configuration.ts';
import { variable, type Environment } from './environment.ts';
import type { ConfigurationFile } from './schema.ts';
import { sslKeys } from './ssl-settings.ts';

type ComponentEntry = ConfigurationFile['components'][string];
type RepositoryEntry = ConfigurationFile['repositories'][string];

/** A problem of an environment variable; its value is not shown. */
export class VariableProblem {
  readonly text: string;
  constructor(name: string, expected: string) {
    this.text = `environment variable ${name}: found a value (not shown), expected ${expected}`;
  }
}

/** The application's own first, then libpq's: as psql would be told. */
const variableNames = {
  postgres: {
    url: 'DATABASE_URL',
    host: ['POSTGRES_HOST', 'PGHOST'],
    port: ['POSTGRES_PORT', 'PGPORT'],
    user: ['POSTGRES_USER', 'PGUSER'],
    password: ['POSTGRES_PASSWORD', 'PGPASSWORD'],
  },
  redis: { url: 'REDIS_URL', host: ['REDIS_HOST'], port: ['REDIS_PORT'], password: ['REDIS_PASSWORD'] },
} as const;

type ServerEntry = Extract<ComponentEntry, { type: 'postgres' | 'redis' }>;

/**
 * Each key that the file leaves out comes from its variable. A url says all at once: with one in the file no variable is asked
 * but libpq's for a missing password, and what the file says goes before one from a variable.
 */
export function withConnection(component: ComponentEntry, environment: Environment): ComponentEntry | VariableProblem {
  if (component.type !== 'postgres' && component.type !== 'redis') return component;
  const names = variableNames[component.type];
  const url = component.url ?? urlFromVariable(component, environment);
  if (url !== undefined) {
    if (component.type === 'redis') return { ...component, url };
    return { ...component, url, password: component.password ?? variable(environment, 'PGPASSWORD') };
  }
  const port = component.port ?? portVariable(environment, names.port);
  if (port instanceof VariableProblem) return port;
  return {
    ...(component.type === 'postgres' ? withRole(component, environment) : component),
    host: component.host ?? firstOf(names.host, environment) ?? 'localhost',
    port,
    password: component.password ?? firstOf(names.password, environment),
  };
}

function firstOf(names: readonly string[], environment: Environment): string | undefined {
  for (const name of names) {
    const value = variable(environment, name);
    if (value !== undefined) return value;
  }
  return undefined;
}

/** Only where neither the file nor POSTGRES_HOST or REDIS_HOST names a server. */
function urlFromVariable(component: ServerEntry, environment: Environment): string | undefined {
  const names = variableNames[component.type];
  if (component.host !== undefined || variable(environment, names.host[0]) !== undefined) return undefined;
  const text = variable(environment, names.url);
  const url = URL.parse(text ?? '');
  if (url === null) return text; // What is wrong with it is told where it is used.
  const user = component.type === 'postgres' ? component.user : component.username;
  if (user !== undefined) url.username = encodeURIComponent(user);
  if (component.password !== undefined) url.password = encodeURIComponent(component.password);
  if (component.port !== undefined) url.port = String(component.port);
  const ssl = component.type === 'postgres' ? sslKeys.filter((key) => component[key] !== undefined) : [];
  if (component.type === 'postgres') for (const key of ssl) url.searchParams.set(key, component[key] ?? '');
  const keys = [user, component.password, component.port, ...ssl];
  return keys.every((key) => key === undefined) ? text : url.href;
}

function withRole(
  component: Extract<ComponentEntry, { type: 'postgres' }>,
  environment: Environment,
): typeof component {
  const database = variable(environment, 'POSTGRES_DB');
  return {
    ...component,
    user: component.user ?? firstOf(variableNames.postgres.user, environment),
    // Not PGDATABASE: psql's habit of one database must not leave the others out of a backup.
    databases: component.databases ?? (database === undefined ? undefined : [database]),
  };
}

function portVariable(environment: Environment, names: readonly string[]): number | undefined | VariableProblem {
  const name = names.find((one) => variable(environment, one) !== undefined);
  if (name === undefined) return undefined;
  const text = variable(environment, name) ?? '';
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

/** The same for `init`, which also looks into the .env file. */
export function bucketOfVariables(
  given: Environment,
  envFile: Environment['variables'],
): { readonly location: string; readonly isOfEnvFile: boolean } | undefined {
  const isOfEnvFile = bucketLocation(given) === undefined;
  const location = bucketLocation({ ...given, variables: { ...envFile, ...given.variables } });
  return location === undefined ? undefined : { location, isOfEnvFile };
}

/** Fills in what the AWS variables say. The key, its secret and its session belong together, so they come as one. */
export function withStore(repository: RepositoryEntry, location: string, environment: Environment): RepositoryEntry {
  if (!location.startsWith('s3://')) return repository;
  const s3 = repository.s3 ?? { tagBulkData: false };
  const key = s3.accessKeyId === undefined ? keyOfVariables(environment) : {};
  const endpoint =
    s3.endpoint ?? variable(environment, 'AWS_ENDPOINT_URL_S3') ?? variable(environment, 'AWS_ENDPOINT_URL');
  const region = s3.region ?? variable(environment, 'AWS_REGION') ?? variable(environment, 'AWS_DEFAULT_REGION');
  return { ...repository, s3: { ...s3, ...key, endpoint, region, pathStyle: s3.pathStyle ?? endpoint !== undefined } };
}

function keyOfVariables(environment: Environment) {
  const accessKeyId = variable(environment, 'AWS_ACCESS_KEY_ID');
  const secretAccessKey = variable(environment, 'AWS_SECRET_ACCESS_KEY');
  if (accessKeyId === undefined || secretAccessKey === undefined) return {};
  return { accessKeyId, secretAccessKey, sessionToken: variable(environment, 'AWS_SESSION_TOKEN') };
}

/**
 * What lifeboat.yaml would say where there is none and the classic variables are set; undefined if they are not.
 * `repositoryLocation` is what `--repository` or LIFEBOAT_REPOSITORY gives.
 */
export function configurationFromVariables(environment: Environment, repositoryLocation: string | undefined): unknown {
  const isNamed = ({ host, url }: { readonly host: readonly string[]; readonly url: string }): boolean =>
    firstOf([...host.slice(0, 1), url], environment) !== undefined;
  const hasDatabase = isNamed(variableNames.postgres);
  const hasCache = isNamed(variableNames.redis);
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

/**
 * The servers that variables name, as `init` writes them down. `$` begins a reference in the file, so that a value with one is
 * referred to rather than repeated, like a secret. `envFile` holds what a .env file would set: it gives way to the environment.
 */
export function serversOfVariables(given: Environment, envFile: Environment['variables'] = {}): InitServer[] {
  const environment = { ...given, variables: { ...envFile, ...given.variables } };
  const servers: InitServer[] = [];
  for (const type of ['postgres', 'redis'] as const) {
    const names = variableNames[type];
    const name = type === 'postgres' ? 'database' : 'cache';
    const host = variable(environment, names.host[0]);
    const url = variable(environment, names.url);
    if (host !== undefined)
      servers.push({ name, type, host: written(names.host[0], host), ...keysOf(type, environment) });
    else if (url !== undefined) servers.push({ name, type, host: URL.parse(url)?.hostname, urlVariable: names.url });
  }
  return servers.map((server) => {
    const name = server.urlVariable ?? server.passwordVariable;
    return name === undefined || variable(given, name) !== undefined ? server : { ...server, isOfEnvFile: true };
  });
}

function written(name: string, value: string): string {
  return value.includes('$') ? `\${${name}}` : value;
}

function keysOf(type: 'postgres' | 'redis', environment: Environment) {
  const names = variableNames[type];
  const port = portVariable(environment, names.port);
  const passwordVariable = names.password.find((name) => variable(environment, name) !== undefined);
  const known = { port: port instanceof VariableProblem ? undefined : port, passwordVariable };
  if (type === 'redis') return known;
  const userName = variableNames.postgres.user.find((name) => variable(environment, name) !== undefined);
  const database = variable(environment, 'POSTGRES_DB');
  return {
    ...known,
    user: userName && written(userName, variable(environment, userName) ?? ''),
    database: database && written('POSTGRES_DB', database),
  };
}

/** The database's name outlives a move to another folder or machine; snapshots are grouped by it. */
function nameFromVariables(environment: Environment): string {
  const name = variable(environment, 'POSTGRES_DB') ?? basename(environment.workingFolder);
  const safe = name.replaceAll(/[^A-Za-z0-9._-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '');
  return safe.slice(0, 64) || 'application';
}
