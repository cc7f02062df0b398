// lifeboat.yaml → one application, checked and completed. Lists all problems at once; prints no secret.
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { count } from '../base/count.ts';
import { AppError, errnoOf, isAppError } from '../base/errors.ts';
import type { AlertSettings, ChannelSettings } from '../model/alert-settings.ts';
import type { Application } from '../model/application.ts';
import type { Component } from '../model/component.ts';
import type { Finding } from '../model/finding.ts';
import { completePolicy, policySchema } from '../model/policy.ts';
import type { ProbeSettings } from '../model/probe.ts';
import type { RepositorySettings } from '../model/repository-settings.ts';
import { completeSelfBackup } from '../model/self-backup.ts';
import type { ApiSettings } from '../model/service-settings.ts';
import type { WarmUpSettings } from '../model/warm-up.ts';
import { configurationWarnings, referenceProblems, ringProblems, type ReferenceProblem } from './cross-checks.ts';
import { bucketLocation, configurationFromVariables, VariableProblem, withConnection, withStore } from './defaults.ts';
import type { ConfigurationDocument, Problem } from './document.ts';
import { variable, type Environment } from './environment.ts';
import { readExtended, templateOf, type ExtendedOrigin, type TemplateText } from './extended.ts';
import type { InterpolationSources } from './interpolation.ts';
import { isParameterName } from './parameters.ts';
import { problemsOf, type ProblemContext } from './problems.ts';
import { configurationJsonSchema, configurationSchema, type ConfigurationFile, type SchemaNode } from './schema.ts';
import { childOf, nodesAt, type DocumentPath } from './schema-walk.ts';
import { withoutUnsetEntries } from './unset-entries.ts';

export interface Configuration {
  readonly application: Application;
  /** Absent if the environment variables alone gave it. */
  readonly path: string | undefined;
  /** What was read there. */
  readonly text?: string | undefined;
  /** What it extends, as it was read. */
  readonly template?: TemplateText | undefined;
  readonly cacheFolder: string | undefined;
  /** What is allowed, but most likely not meant. */
  readonly warnings: readonly Finding[];
  /** Components that can't be reached, by name, because what their connection refers to is not set here. */
  readonly unreachable: ReadonlyMap<string, AppError>;
  readonly alerts: AlertSettings;
  readonly probes: Readonly<Record<string, ProbeSettings>>;
  /** What fills caches again, in its order. */
  readonly warmUp: Readonly<Record<string, WarmUpSettings>>;
  /** Of the service that looks after it, if this file is its first. */
  readonly api: ApiSettings;
  /** Channels, contacts, probes and steps of warming up that are left out, by their key, because what they refer to is not set here. */
  readonly unset: ReadonlyMap<string, AppError>;
}

const fileSizeMaxBytes = 1 << 20;
const secretFileSizeMaxBytes = 1 << 16;
const problemsMax = 50;

/** Reads the file at `path`; without one, makes do with the classic environment variables. */
export async function loadConfiguration(options: {
  readonly path: string | undefined;
  readonly environment: Environment;
  /** From `--repository` or LIFEBOAT_REPOSITORY, if it is a location; used only without a file. */
  readonly repositoryLocation?: string | undefined;
}): Promise<Configuration> {
  const { path, environment, repositoryLocation } = options;
  if (path !== undefined) {
    const text = environment.configurations?.get(path) ?? (await readText(path));
    return { ...parseConfiguration(text, { path, environment }), text };
  }
  const data = configurationFromVariables(environment, repositoryLocation);
  if (data !== undefined) return complete(JSON.stringify(data), { path, environment, name: 'environment variables' });
  throw new AppError('CONFIG_MISSING', 'there is no lifeboat.yaml here or above, and no variables that replace it', {
    hint: "Write one with 'lifeboat init', name one with --config, or set POSTGRES_HOST and S3_BACKUP_BUCKET.",
  });
}

/** Where the template lies that a file extends, valid or not; undefined where it extends none, or can't be read. */
export async function templatePathOf(path: string, { configurations }: Environment): Promise<string | undefined> {
  try {
    return templateOf(configurations?.get(path) ?? (await readText(path)), path);
  } catch (error) {
    if (isAppError(error)) return undefined;
    throw error;
  }
}

/** As `loadConfiguration`, from text. Relative paths in it are relative to the folder of `path`. */
export function parseConfiguration(
  text: string,
  { path, environment }: { readonly path: string; readonly environment: Environment },
): Configuration {
  return complete(text, { path, environment, name: shownPath(path, environment) });
}

function shownPath(path: string, { workingFolder }: Environment): string {
  const fromHere = relative(workingFolder, path);
  return fromHere.startsWith('..') ? path : fromHere;
}

interface Origin {
  readonly path: string | undefined;
  readonly environment: Environment;
  /** For messages. */
  readonly name: string;
}

async function readText(path: string): Promise<string> {
  try {
    const bytes = await readFile(path);
    if (bytes.length <= fileSizeMaxBytes) return bytes.toString('utf8');
  } catch (error) {
    const errno = errnoOf(error) ?? 'unknown error';
    throw new AppError('CONFIG_MISSING', `cannot read ${path}: ${errno}`, {
      hint: errno === 'ENOENT' ? 'Name a file that is there.' : 'Make it a file that this user may read.',
      cause: error,
    });
  }
  throw new AppError('CONFIG_INVALID', `${path} is larger than ${fileSizeMaxBytes} bytes`, {
    hint: 'Name the right file with --config.',
  });
}

function templateText(path: string, { configurations }: Environment): ReturnType<ExtendedOrigin['read']> {
  const known = configurations?.get(path);
  if (known !== undefined) return { text: known };
  return readBounded(path, fileSizeMaxBytes);
}

function complete(text: string, origin: Origin): Configuration {
  const base = origin.path === undefined ? origin.environment.workingFolder : dirname(origin.path);
  const paths: PathResolver = (path) => resolvePath(path, base, origin.environment.homeFolder);
  const schema = configurationJsonSchema();
  const { document: read, template } = readExtended(text, {
    path: origin.path,
    environment: interpolationSources(origin.environment, paths),
    nameOf: (path) => shownPath(path, origin.environment),
    read: (path) => templateText(path, origin.environment),
  });
  const whole = withBucket(read, origin.environment);
  for (const { path, replace } of whole.filled)
    convertFilled(nodesAt(schema, whole.data, path), path, { document: whole, replace });
  const references = referenceProblems(whole.data);
  const { document, unset: unsetProblems } = withoutUnsetEntries(whole);
  const parsed = configurationSchema.safeParse(document.data);
  const problems = [
    ...document.problems,
    ...(document.data === undefined && document.problems.length > 0
      ? []
      : schemaProblems(parsed.error, references, { document, schema })),
  ];
  const settled = parsed.success ? settle(parsed.data, origin.environment, { paths, document }) : undefined;
  problems.push(...(settled?.problems ?? []));
  const isBlocking = problems.some((problem) => !isOfConnection(problem));
  if (isBlocking || settled === undefined) throw invalid(problems, origin.name);
  const { application, unusedPolicies, cacheFolder, alerts, probes, warmUp, api } = settled;
  const unset = new Map([...unsetProblems].map(([key, own]) => [key, invalid(own, origin.name)]));
  return {
    application,
    path: origin.path,
    template,
    cacheFolder,
    warnings: configurationWarnings(application, unusedPolicies, unset),
    unreachable: unreachableComponents(problems, origin.name),
    alerts,
    probes,
    warmUp,
    api,
    unset,
  };
}

/** A file that names no repository means the bucket of the variables, where they name one. */
function withBucket(document: ConfigurationDocument, environment: Environment): ConfigurationDocument {
  const { data } = document;
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return document;
  const given = childOf(data, 'repositories');
  const isEmpty =
    given === undefined || (typeof given === 'object' && given !== null && Object.keys(given).length === 0);
  if (!isEmpty || bucketLocation(environment) === undefined) return document;
  return { ...document, data: { ...data, repositories: { s3: {} } } };
}

const connectionKeys: ReadonlySet<unknown> = new Set(['url', 'host', 'port', 'user', 'username', 'password']);

/**
 * Who lost the .env file must be able to restore it with a lifeboat.yaml that refers to it: a server's address or secret
 * that is not set stops only what needs that server.
 */
function isOfConnection({ path, isUnset }: Problem): boolean {
  return isUnset === true && path.length === 3 && path[0] === 'components' && connectionKeys.has(path[2]);
}

function unreachableComponents(problems: readonly Problem[], name: string): Map<string, AppError> {
  const byComponent = Map.groupBy(problems.filter(isOfConnection), ({ path }) => String(path[1]));
  return new Map([...byComponent].map(([component, own]) => [component, invalid(own, name)]));
}

function schemaProblems(
  error: ReturnType<typeof configurationSchema.safeParse>['error'],
  referenced: readonly ReferenceProblem[],
  { document, schema }: ProblemContext,
): Problem[] {
  const references = referenced.map(({ path, text }) => ({
    path,
    position: document.positionOf(path, 'value'),
    text,
  }));
  const unfilled = new Set(document.problems.map(({ path }) => JSON.stringify(path)));
  // What could not be filled in is missing now: said once is enough. So it is of parameters whose names are none, and are not shown.
  const isSaid = (path: readonly PropertyKey[]): boolean =>
    unfilled.has(JSON.stringify(path)) || (path[0] === 'parameters' && !isParameterName(String(path[1] ?? '_')));
  const issues = (error?.issues ?? []).filter(({ path }) => !isSaid(path));
  return [...problemsOf(issues, { document, schema }), ...references];
}

/** References yield text; where the schema wants a number or a truth value and no text, it is read as one. */
function convertFilled(
  nodes: readonly SchemaNode[],
  path: DocumentPath,
  { document, replace }: { readonly document: ConfigurationDocument; readonly replace: (value: unknown) => void },
): void {
  const text = path.reduce(childOf, document.data);
  const types = new Set(nodes.flatMap(({ type }) => type ?? []));
  if (typeof text !== 'string' || types.has('string')) return;
  if ((types.has('integer') || types.has('number')) && /^-?\d+(?:\.\d+)?$/.test(text)) replace(Number(text));
  else if (types.has('boolean') && /^(?:true|false)$/.test(text)) replace(text === 'true');
}

type PathResolver = (path: string) => string;

function resolvePath(path: string, base: string, homeFolder: string): string {
  return path === '~' || path.startsWith('~/') ? join(homeFolder, path.slice(1)) : resolve(base, path);
}

function interpolationSources(environment: Environment, paths: PathResolver): InterpolationSources {
  return {
    variable: (name) => variable(environment, name),
    file: (path) => readBounded(paths(path), secretFileSizeMaxBytes),
  };
}

function readBounded(path: string, sizeMaxBytes: number): { readonly text: string } | { readonly problem: string } {
  try {
    const bytes = readFileSync(path);
    if (bytes.length > sizeMaxBytes) return { problem: `which is larger than ${sizeMaxBytes} bytes` };
    return { text: bytes.toString('utf8') };
  } catch (error) {
    return { problem: `which cannot be read (${errnoOf(error) ?? 'unknown error'})` };
  }
}

interface Settled {
  readonly application: Application;
  readonly unusedPolicies: ReadonlySet<string>;
  readonly cacheFolder: string | undefined;
  readonly alerts: AlertSettings;
  readonly probes: Configuration['probes'];
  readonly warmUp: Configuration['warmUp'];
  readonly api: ApiSettings;
  readonly problems: readonly Problem[];
}

/** Decides all that the file leaves open: names, defaults from the environment, policies, absolute paths. */
function settle(
  file: ConfigurationFile,
  environment: Environment,
  { paths, document }: { readonly paths: PathResolver; readonly document: ConfigurationDocument },
): Settled {
  const problems: Problem[] = [];
  const repositories: RepositorySettings[] = [];
  for (const [name, entry] of Object.entries(file.repositories)) {
    const location = entry.location ?? bucketLocation(environment);
    if (location === undefined) {
      const path = ['repositories', name];
      const text = "missing key 'location', expected a folder, or s3://bucket/prefix, or S3_BACKUP_BUCKET to be set";
      problems.push({ path, position: document.positionOf(path, 'key'), text });
      continue;
    }
    const { passwordFile, ...settings } = withStore(entry, location, environment);
    repositories.push({
      ...settings,
      name,
      location: location.includes('://') ? location : paths(location),
      passwordFile: passwordFile === undefined ? undefined : paths(passwordFile),
    });
  }
  const components: Component[] = [];
  const unusedPolicies = new Set(Object.keys(file.policies));
  for (const [name, entry] of Object.entries(file.components)) {
    const connected = withConnection(entry, environment);
    if (connected instanceof VariableProblem) {
      problems.push({ path: ['components', name], position: undefined, text: connected.text });
      continue;
    }
    if (typeof entry.policy === 'string') unusedPolicies.delete(entry.policy);
    components.push(completeComponent(name, withAbsolutePaths(connected, paths), file));
  }
  const application = {
    name: file.application,
    environment: file.environment,
    repositories,
    components,
    selfBackup: completeSelfBackup(file.service, namesForBackups(file)),
  };
  for (const { path, text } of ringProblems(application)) {
    problems.push({ path, position: document.positionOf(path, 'key'), text });
  }
  const cacheFolder = file.cache.folder === undefined ? undefined : paths(file.cache.folder);
  const channels = mapValues(file.alerts.channels, (channel) => withCaPath(channel, paths));
  const alerts = { ...file.alerts, channels };
  const probes = mapValues(file.probes, (probe) => withProbePaths(probe, paths));
  const warmUp = mapValues(file.warmUp, (step) => withProbePaths(step, paths));
  const { api } = file.service;
  return { application, unusedPolicies, cacheFolder, alerts, probes, warmUp, api, problems };
}

function mapValues<Value>(
  record: Readonly<Record<string, Value>>,
  map: (value: Value) => Value,
): Record<string, Value> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}

function withCaPath<Settings extends ChannelSettings | ProbeSettings>(
  settings: Settings,
  paths: PathResolver,
): Settings {
  return 'ca' in settings && settings.ca !== undefined ? { ...settings, ca: paths(settings.ca) } : settings;
}

function withProbePaths<Probe extends ProbeSettings>(probe: Probe, paths: PathResolver): Probe {
  if (probe.type === 'disk') return { ...probe, path: paths(probe.path) };
  if (probe.type === 'process' && probe.pidFile !== undefined) return { ...probe, pidFile: paths(probe.pidFile) };
  if (probe.type !== 'script') return withCaPath(probe, paths);
  const [program = '', ...args] = probe.run;
  // A bare name is looked for in the PATH.
  return program.includes('/') ? { ...probe, run: [paths(program), ...args] } : probe;
}

/** Archives are filled by copies alone. */
const namesForBackups = ({ repositories }: ConfigurationFile): string[] =>
  Object.entries(repositories).flatMap(([name, { archive }]) => (archive === undefined ? [name] : []));

type ComponentEntry = ConfigurationFile['components'][string];

function completeComponent(name: string, entry: ComponentEntry, file: ConfigurationFile): Component {
  const named = typeof entry.policy === 'string' ? file.policies[entry.policy] : entry.policy;
  const policy = completePolicy(named ?? policySchema.parse({}), namesForBackups(file));
  return { ...entry, name, policy, checks: [...policy.checks, ...entry.checks] };
}

function withAbsolutePaths(entry: ComponentEntry, paths: PathResolver): ComponentEntry {
  if (entry.type === 'files') return { ...entry, paths: entry.paths.map(paths) };
  if (entry.type === 'postgres') return withAbsoluteServerPaths(entry, paths);
  if (entry.type !== 'config') return entry;
  const gitFolder = entry.gitFolder === undefined ? undefined : paths(entry.gitFolder);
  return { ...entry, files: entry.files.map(paths), compose: entry.compose.map(paths), gitFolder };
}

function withAbsoluteServerPaths(
  entry: Extract<ComponentEntry, { type: 'postgres' }>,
  paths: PathResolver,
): ComponentEntry {
  const { journal, sslrootcert, sslcert, sslkey } = entry;
  const absolute = (path: string | undefined): string | undefined => (path === undefined ? undefined : paths(path));
  const files = {
    sslrootcert: sslrootcert === 'system' ? sslrootcert : absolute(sslrootcert),
    sslcert: absolute(sslcert),
    sslkey: absolute(sslkey),
  };
  if (journal === undefined) return { ...entry, ...files };
  const folders = { spoolFolder: absolute(journal.spoolFolder), incomingFolder: absolute(journal.incomingFolder) };
  return { ...entry, ...files, journal: { ...journal, ...folders } };
}

const correctHint = 'Correct it; docs/reference/configuration.md explains every key.';
const unsetHint = "Set what is missing; 'set -a; . ./.env; set +a' takes the variables of a .env file.";

function invalid(problems: readonly Problem[], name: string): AppError {
  const ordered = problems.toSorted(
    ({ position: left }, { position: right }) =>
      (left?.file ?? '').localeCompare(right?.file ?? '') ||
      (left?.line ?? 0) - (right?.line ?? 0) ||
      (left?.column ?? 0) - (right?.column ?? 0),
  );
  const lines = ordered.slice(0, problemsMax).map(({ position, path, text }) => {
    const place = position === undefined ? name : `${position.file ?? name}:${position.line}:${position.column}`;
    return [place, path.join('.'), text].filter((part) => part !== '').join(': ');
  });
  if (ordered.length > problemsMax) lines.push(`and ${ordered.length - problemsMax} more`);
  // One that stands in a template does not say by itself whose file is meant.
  const isElsewhere = ordered.some(({ position }) => position?.file !== undefined);
  const message =
    lines.length === 1 && !isElsewhere
      ? lines.join('')
      : `${name} has ${count(ordered.length, 'problem')}\n  ${lines.join('\n  ')}`;
  const isUnset = problems.every((problem) => problem.isUnset === true);
  return new AppError('CONFIG_INVALID', message, { hint: isUnset ? unsetHint : correctHint });
}
