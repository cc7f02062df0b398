// The composition root: from settings to stores, repositories and sources. The only file that names concrete drivers;
// each is loaded when it is needed, so that a command pays for what it uses.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { systemClock } from './base/clock.ts';
import { AppError, errnoOf } from './base/errors.ts';
import { systemRandom } from './base/random.ts';
import type { AnyCommand } from './cli/command.ts';
import type { Access, CommandContext, LoadedConfiguration, OpenedRepository } from './cli/context.ts';
import type { GivenFlags, ProgramParts } from './cli/program.ts';
import { noProgress, type ProgressSink } from './cli/progress.ts';
import { terminalPrompter } from './cli/prompter.ts';
import { isInteractive, jsonProgress, plainProgress, terminalProgress, type Streams } from './cli/terminal.ts';
import { withStore } from './config/defaults.ts';
import type { Environment } from './config/environment.ts';
import { findConfiguration } from './config/find.ts';
import { loadConfiguration } from './config/load.ts';
import { defaultCacheFolder, globalOptions, resolveOptions, type GlobalOptions } from './config/options.ts';
import { postgresOptions, redisAddress } from './config/server-options.ts';
import type { Component } from './model/component.ts';
import { repositorySchema, type RepositorySettings } from './model/repository-settings.ts';
import { openRepository } from './repository/open-repository.ts';
import type { Source } from './sources/source.ts';
import { cachingStore } from './storage/caching.ts';
import { limitingStore } from './storage/limiting.ts';
import { parseLocation, type S3Location, type StoreLocation } from './storage/location.ts';
import { readOnlyStore } from './storage/read-only.ts';
import { retryingStore } from './storage/retrying.ts';
import type { Store } from './storage/store.ts';

export interface AppParts {
  readonly version: string;
  readonly environment: Environment;
  readonly streams: Streams;
  readonly signal: AbortSignal;
}

export function createContext(
  parts: AppParts,
  flags: GivenFlags,
  command: Pick<AnyCommand, 'isLong' | 'writesBytes'>,
): CommandContext {
  const { environment, streams, signal } = parts;
  const { values: options, origins } = resolveOptions(globalOptions, { flags, environment });
  const progress = progressFor(command, options, streams);
  const loaded = once(() => configurationFor(options, environment));
  const passwords = new Map<string, Promise<string>>();
  const isAsking = isInteractive(streams) && !options.json;
  const context: CommandContext = {
    clock: systemClock,
    random: systemRandom,
    signal,
    programVersion: parts.version,
    progress,
    prompter: isAsking ? terminalPrompter(signal) : undefined,
    stdout: streams.stdout,
    workingFolder: environment.workingFolder,
    settings: {
      lockWaitMs: options.retryLock,
      isVerbose: options.verbose,
      isJson: options.json,
      showsBar: streams.stderr.isTTY && !options.json && !options.quiet,
    },
    findConfiguration: loaded,
    async chosenRepositories() {
      if (options.repository !== undefined) return [await context.repositoryAt(options.repository)];
      const configuration = await loaded();
      if (configuration !== undefined) return configuration.application.repositories;
      throw new AppError('CONFIG_MISSING', 'no repository is named, and there is no lifeboat.yaml here or above', {
        hint: "Name a repository with --repository, or write a lifeboat.yaml with 'lifeboat init'.",
      });
    },
    repositoryAt: async (text, own) => ({ ...(await settingsAt(text, { loaded, environment })), ...own }),
    openStore: (settings) => openStore(settings, options),
    passwordOf(settings) {
      const key = `${settings.name}\0${settings.location}`;
      let password = passwords.get(key);
      if (password === undefined) {
        const isFileNamed = origins.passwordFile === 'flag';
        passwords.set(key, (password = findPassword(settings, { context, options, isFileNamed })));
      }
      return password;
    },
    openRepository: (settings, access) => openWithCache(settings, access, { context, options, environment }),
    sourceOf: (component) => createSource(component, environment),
    readPasswordFile: (path) => readPasswordFile(resolve(environment.workingFolder, path)),
  };
  return context;
}

/** What `main.ts` hands to the command line. */
export function programParts(parts: AppParts, interruption: ProgramParts['interruption']): ProgramParts {
  const { version, environment, streams } = parts;
  return {
    version,
    globalOptions: Object.entries(globalOptions).map(([name, declaration]) => ({ name, ...declaration })),
    streams,
    clock: systemClock,
    interruption,
    readOutputOptions: (flags) => resolveOptions(globalOptions, { flags, environment }).values,
    createContext: (flags, command) => createContext(parts, flags, command),
  };
}

function once<Value>(make: () => Promise<Value>): () => Promise<Value> {
  let made: Promise<Value> | undefined;
  return () => (made ??= make());
}

function progressFor(
  command: Pick<AnyCommand, 'isLong' | 'writesBytes'>,
  options: GlobalOptions,
  { stdout, stderr }: Streams,
): ProgressSink {
  if (options.json) return command.isLong === true ? jsonProgress(stdout, systemClock) : noProgress;
  if (options.quiet || command.writesBytes === true) return noProgress;
  return stderr.isTTY ? terminalProgress(stderr, systemClock) : plainProgress(stderr);
}

async function configurationFor(
  options: GlobalOptions,
  environment: Environment,
): Promise<LoadedConfiguration | undefined> {
  const path = await findConfiguration({ named: options.config, workingFolder: environment.workingFolder });
  const isLocation = options.repository !== undefined && !isName(options.repository);
  try {
    return await loadConfiguration({
      path,
      environment,
      ...(isLocation && { repositoryLocation: options.repository }),
    });
  } catch (error) {
    if (path === undefined && error instanceof AppError && error.code === 'CONFIG_MISSING') return undefined;
    throw error;
  }
}

/** A bare word may be a name in lifeboat.yaml; anything with a slash, a dot in front or a scheme is a place. */
const isName = (text: string): boolean => /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(text);

async function settingsAt(
  text: string,
  {
    loaded,
    environment,
  }: { readonly loaded: () => Promise<LoadedConfiguration | undefined>; readonly environment: Environment },
): Promise<RepositorySettings> {
  const repositories = isName(text) ? (await loaded())?.application.repositories : undefined;
  const named = repositories?.find(({ name }) => name === text);
  if (named !== undefined) return named;
  if (repositories !== undefined) {
    throw new AppError('NOT_FOUND', `lifeboat.yaml has no repository '${text}'`, {
      hint: `Name one of ${repositories.map(({ name }) => name).join(', ')}; write ./${text} for a folder of that name.`,
    });
  }
  const location = parseLocation(text).kind === 'local' ? resolve(environment.workingFolder, pathOf(text)) : text;
  const { location: _, ...settings } = withStore(repositorySchema.parse({ location }), location, environment);
  return { ...settings, name: text, location };
}

function pathOf(text: string): string {
  const location = parseLocation(text);
  return location.kind === 'local' ? location.path : text;
}

interface Finding {
  readonly context: CommandContext;
  readonly options: GlobalOptions;
  readonly isFileNamed: boolean;
}

/** What was named on the command line, else what the repository's own settings say, else the environment, else asked. */
async function findPassword(settings: RepositorySettings, { context, options, isFileNamed }: Finding): Promise<string> {
  if (isFileNamed && options.passwordFile !== undefined) return context.readPasswordFile(options.passwordFile);
  if (settings.passwordFile !== undefined) return context.readPasswordFile(settings.passwordFile);
  if (settings.password !== undefined) return settings.password;
  if (options.password !== undefined) return options.password.trim();
  if (options.passwordFile !== undefined) return context.readPasswordFile(options.passwordFile);
  if (context.prompter !== undefined) {
    context.progress.clear();
    const answer = await context.prompter.secret(`Password of ${settings.name}`);
    if (answer !== '') return answer;
  }
  throw new AppError('PASSWORD_MISSING', `no password was given for the repository ${settings.name}`, {
    hint: 'Set LIFEBOAT_PASSWORD, or name a file that holds it with --password-file.',
  });
}

async function readPasswordFile(path: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new AppError('PASSWORD_MISSING', `the password file ${path} can't be read (${errnoOf(error) ?? 'error'})`, {
      hint: 'Correct the path, or let this user read the file.',
      cause: error,
    });
  }
  const password = text.trim();
  if (password !== '') return password;
  throw new AppError('PASSWORD_MISSING', `the password file ${path} is empty`, { hint: 'Write the password into it.' });
}

async function openStore(settings: RepositorySettings, options: GlobalOptions): Promise<Store> {
  const store = await openDriver(locationOf(settings));
  const uploadBytesPerSecond = options.limitUpload ?? settings.limits.uploadBytesPerSecond;
  const downloadBytesPerSecond = options.limitDownload ?? settings.limits.downloadBytesPerSecond;
  const isLimited = uploadBytesPerSecond !== undefined || downloadBytesPerSecond !== undefined;
  const limited = isLimited ? limitingStore(store, { uploadBytesPerSecond, downloadBytesPerSecond }) : store;
  return limited.properties.isRemote ? retryingStore(limited) : limited;
}

async function openDriver(location: StoreLocation): Promise<Store> {
  if (location.kind === 'local') return (await import('./storage/local/store.ts')).localStore(location.path);
  return (await import('./storage/s3/store.ts')).s3Store(location);
}

/** What the address says comes before what the settings beside it say. */
function locationOf({ location: address, s3 }: RepositorySettings): StoreLocation {
  const location = parseLocation(address);
  if (location.kind === 'local' || s3 === undefined) return location;
  const { accessKeyId, secretAccessKey, sessionToken } = s3;
  const credentials =
    accessKeyId === undefined || secretAccessKey === undefined
      ? undefined
      : { accessKeyId, secretAccessKey, sessionToken };
  const { client } = location;
  return {
    ...location,
    client: {
      ...client,
      endpoint: client.endpoint ?? s3.endpoint,
      region: client.region ?? s3.region,
      usesPathStyle: client.usesPathStyle ?? (client.endpoint === undefined ? s3.pathStyle : undefined),
      credentials,
    },
    serverEncryption: location.serverEncryption ?? (s3.sse === undefined ? undefined : { algorithm: s3.sse }),
    bulkStorageClass: location.bulkStorageClass ?? s3.storageClass,
    tagsBulkData: location.tagsBulkData ?? s3.tagBulkData,
  } satisfies S3Location;
}

async function openWithCache(
  settings: RepositorySettings,
  access: Access,
  parts: { readonly context: CommandContext; readonly options: GlobalOptions; readonly environment: Environment },
): Promise<OpenedRepository> {
  const { context, options, environment } = parts;
  const password = await context.passwordOf(settings);
  const base = await context.openStore(settings);
  const store = access === 'read' ? readOnlyStore(base) : base;
  try {
    const { signal, clock, random } = context;
    const repository = await openRepository(store, { password, signal, clock, random });
    const usesCache = options.cache && store.properties.isRemote;
    const cached = usesCache
      ? cachingStore(store, {
          folder: options.cacheFolder ?? defaultCacheFolder(environment),
          repositoryId: repository.config.id,
          isCacheable: (name) => name.startsWith('index/') || name.startsWith('snapshots/'),
          onProblem: ({ message }) => context.progress.note(`working without the cache: ${message}`),
        })
      : store;
    return {
      settings,
      repository: { ...repository, store: cached },
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    };
  } catch (error) {
    await store[Symbol.asyncDispose]();
    throw error;
  }
}

async function createSource(component: Component, environment: Environment): Promise<Source> {
  if (component.type === 'files') return createFilesSource(component, environment);
  if (component.type === 'postgres') {
    const { postgresSource } = await import('./sources/postgres/postgres-source.ts');
    return postgresSource({ ...postgresOptions(component, environment), clock: systemClock });
  }
  if (component.type === 'redis') {
    const { redisSource } = await import('./sources/redis/redis-source.ts');
    return redisSource({ ...redisAddress(component), clock: systemClock });
  }
  const { configSource } = await import('./sources/config/config-source.ts');
  const { files, compose, gitFolder: repositoryFolder } = component;
  return configSource({ files, compose, repositoryFolder });
}

async function createFilesSource(
  {
    excludes,
    excludeCaches,
    excludeLargerThanBytes,
    oneFileSystem,
    ...component
  }: Extract<Component, { type: 'files' }>,
  { workingFolder }: Environment,
): Promise<Source> {
  const { filesSource } = await import('./sources/files/files-source.ts');
  const paths = component.paths.map((path) => resolve(workingFolder, path));
  return filesSource({ paths, excludes, excludeCaches, excludeLargerThanBytes, oneFileSystem });
}
