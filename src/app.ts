// The composition root: from settings to repositories and sources. With the `…-parts.ts` beside it the only file that names
// concrete drivers; each is loaded when it is needed, so that a command pays for what it uses.
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from './base/clock.ts';
import { AppError, isAppError, messageOf } from './base/errors.ts';
import { systemRandom } from './base/random.ts';
import type { Catalog } from './catalog/catalog.ts';
import type { AnyCommand } from './cli/command.ts';
import type {
  Access,
  CommandContext,
  ContextSettings,
  DemoOutcome,
  DemoWishes,
  FirstFile,
  OpenedRepository,
  PasswordUse,
  RunningService,
  ServiceWishes,
} from './cli/context.ts';
import type { InitAnswers } from './cli/first-configuration.ts';
import { newPassword } from './cli/new-password.ts';
import type { GivenFlags, ProgramParts } from './cli/program.ts';
import { noProgress, type ProgressSink } from './cli/progress.ts';
import { terminalPrompter } from './cli/prompter.ts';
import { RepeatedWarnings } from './cli/repeated-warnings.ts';
import {
  isInteractive,
  jsonProgress,
  plainProgress,
  styleFor,
  terminalProgress,
  type Streams,
} from './cli/terminal.ts';
import { chooseRepository } from './config/choose-repository.ts';
import { bucketOfVariables, serversOfVariables } from './config/defaults.ts';
import { programFolders, readEnvFile, tetherSilenceMs, type Environment } from './config/environment.ts';
import { findConfiguration } from './config/find.ts';
import { firstFile } from './config/first-file.ts';
import { loadConfiguration, templatePathOf, type Configuration } from './config/load.ts';
import { configuredNames } from './config/names.ts';
import {
  defaultCacheFolder,
  defaultStateFolder,
  globalOptions,
  resolveOptions,
  type GlobalOptions,
} from './config/options.ts';
import {
  passwordFrom,
  passwordMissing,
  passwordSource,
  readPassword,
  readPasswordFrom,
  type PasswordSource,
} from './config/password.ts';
import { postgresOptions, redisAddress } from './config/server-options.ts';
import { problemsOfConfiguration } from './config/usable.ts';
import { unattendedStart } from './config/unattended.ts';
import { monthIn, type Month } from './model/archive.ts';
import type { Component } from './model/component.ts';
import type { RepositorySettings } from './model/repository-settings.ts';
import { probePorts } from './probe-ports.ts';
import { openRepository } from './repository/open-repository.ts';
import type { Repository } from './repository/repository.ts';
import type { Source } from './sources/source.ts';
import { unreachableSource } from './sources/unreachable-source.ts';
import { cachingStore } from './storage/caching.ts';
import { readOnlyStore } from './storage/read-only.ts';
import { bucketPorts, monthPorts, openStore, placeOf, requireMonth } from './store-parts.ts';

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
  const given = resolveOptions(globalOptions, { flags, environment });
  const options = given.values;
  const file = new ConfigurationInUse(options, environment);
  const loaded = () => file.loaded();
  const passwords = new Passwords(given, loaded, environment);
  const unlocked = new Map<string, Unlocked>();
  const context: CommandContext = {
    clock: systemClock,
    random: systemRandom,
    signal,
    programVersion: parts.version,
    progress: progressFor(command, options, streams),
    prompter: isInteractive(streams) && !options.json ? terminalPrompter(signal) : undefined,
    stdout: streams.stdout,
    workingFolder: environment.workingFolder,
    homeFolder: environment.homeFolder,
    launcherPath: fileURLToPath(new URL('../bin/lifeboat.js', import.meta.url)),
    cacheFolder: options.cacheFolder ?? defaultCacheFolder(environment),
    stateFolder: defaultStateFolder(environment),
    settings: settingsFor(options, streams),
    named: namedBy(options),
    ...readersOf(environment),
    firstFile: (answers, path) => file.firstFile(answers, path),
    findConfiguration: loaded,
    async chosenRepositories() {
      const known = (await loaded())?.application.repositories ?? [];
      if (options.repository === undefined && known.length > 1) return known;
      return [chooseRepository(options.repository, known, environment)];
    },
    async repositoryAt(text, own) {
      const settings = chooseRepository(text, (await loaded())?.application.repositories ?? [], environment);
      if (own?.passwordFile !== undefined) passwords.keep(settings, context.readPasswordFile(own.passwordFile));
      return settings;
    },
    openStore: (settings) => openStore(settings, optionsOf(settings)),
    ...bucketPorts(environment, signal),
    passwordOf: (settings, use) => passwords.of(settings, context, use),
    passwordFileOf: (settings) => passwords.fileOf(settings),
    openRepository: (settings, access, month) =>
      openWithCache(settings, access, { context, options: optionsOf(settings), environment, unlocked, month }),
    ...monthPorts(() => context),
    openCatalog: () => openCatalogOf(context),
    catalogLocation: { path: join(defaultStateFolder(environment), 'catalog.sqlite'), url: options.databaseUrl },
    async sourceOf(component) {
      const source = await createSource(component, environment);
      const reason = (await loaded())?.unreachable.get(component.name);
      return reason === undefined ? source : unreachableSource(source, reason);
    },
    startService: (wishes) => startService(context, parts, { options, wishes }),
    probePorts: probePorts(environment, loaded),
    runDemo: (wishes) => runDemo(context, parts, { options, command, wishes }),
    readPasswordFile: (path) =>
      path === '-' ? readPasswordFrom(streams.stdin) : readPassword(resolve(environment.workingFolder, path)),
  };
  /** The global options as they are for one repository, whose settings may say some of them. */
  function optionsOf(repository: RepositorySettings): GlobalOptions {
    return resolveOptions(globalOptions, {
      flags,
      environment,
      configured: { repository, cacheFolder: file.cacheFolder },
    }).values;
  }
  return context;
}

type Readers = Pick<
  CommandContext,
  | 'isOfServer'
  | 'serversOfVariables'
  | 'bucketOfVariables'
  | 'problemsOfConfiguration'
  | 'readConfigurationFile'
  | 'unattendedStart'
  | 'describeConfiguration'
>;

function readersOf(environment: Environment): Readers {
  return {
    isOfServer: tetherSilenceMs(environment) !== undefined,
    serversOfVariables: () => serversOfVariables(environment, readEnvFile(environment.workingFolder)),
    bucketOfVariables: () => bucketOfVariables(environment, readEnvFile(environment.workingFolder)),
    problemsOfConfiguration: (path, configurations = environment.configurations) =>
      problemsOfConfiguration(
        path,
        { ...environment, ...(configurations && { configurations }) },
        { hasRepositories: true },
      ),
    unattendedStart: (path, environmentFile) => unattendedStart(path, { environmentFile, environment }),
    async readConfigurationFile(path) {
      const text = environment.configurations?.get(path);
      return text === undefined ? await readFile(path) : Buffer.from(text);
    },
    async describeConfiguration(path) {
      return {
        application: await applicationNameIn(path, environment),
        template: await templatePathOf(path, environment),
      };
    },
  };
}

function namedBy({ config, repository, passwordFile, databaseUrl }: GlobalOptions): CommandContext['named'] {
  return { config, repository, passwordFile, hasDatabase: databaseUrl !== undefined };
}

function settingsFor({ retryLock, json, quiet }: GlobalOptions, { stderr }: Streams): ContextSettings {
  return { lockWaitMs: retryLock, isJson: json, showsBar: stderr.isTTY && !json && !quiet };
}

async function openCatalogOf({ catalogLocation, clock }: CommandContext): Promise<Catalog> {
  const { openCatalog } = await import('./catalog/open-catalog.ts');
  return openCatalog(catalogLocation, clock);
}

async function startService(
  { stateFolder, launcherPath, progress }: CommandContext,
  { environment, version }: AppParts,
  { options, wishes }: { readonly options: GlobalOptions; readonly wishes: ServiceWishes },
): Promise<RunningService> {
  const { runService } = await import('./service-parts.ts');
  const warnings = new RepeatedWarnings();
  const place = {
    environment,
    stateFolder,
    databaseUrl: options.databaseUrl,
    configurationPath: options.config,
    launcherPath,
    version,
    onNote: (text: string) => progress.note(text),
    onProblem(error: Error) {
      const text = `warning: ${messageOf(error)}`;
      if (warnings.isNews(text, performance.now())) progress.note(text);
    },
  };
  return runService(place, wishes);
}

/** Read when it is first needed. */
class ConfigurationInUse {
  readonly #environment: Environment;
  readonly #found: () => Promise<Configuration | undefined>;
  /** What `init` is about to write counts before what lies there. */
  #first: Configuration | undefined;
  cacheFolder: string | undefined;

  constructor(options: GlobalOptions, environment: Environment) {
    this.#environment = environment;
    this.#found = once(async () => {
      const configuration = await configurationFor(options, environment);
      this.cacheFolder = configuration?.cacheFolder;
      return configuration;
    });
  }

  async loaded(): Promise<Configuration | undefined> {
    return this.#first ?? this.#found();
  }

  firstFile(answers: InitAnswers, path: string): FirstFile {
    const environment = this.#environment;
    const schemaPath = fileURLToPath(new URL('../lifeboat.schema.json', import.meta.url));
    const { text, configuration } = firstFile(answers, { path, schemaPath, environment });
    this.#first = configuration;
    return { text, repository: chooseRepository(undefined, configuration.application.repositories, environment) };
  }
}

/** Each password is looked for once. */
class Passwords {
  readonly #known = new Map<string, Promise<string>>();
  readonly #given: ReturnType<typeof resolveOptions<typeof globalOptions>>;
  readonly #loaded: () => Promise<Configuration | undefined>;
  readonly #environment: Environment;

  constructor(
    given: ReturnType<typeof resolveOptions<typeof globalOptions>>,
    loaded: () => Promise<Configuration | undefined>,
    environment: Environment,
  ) {
    this.#given = given;
    this.#loaded = loaded;
    this.#environment = environment;
  }

  keep(settings: RepositorySettings, password: Promise<string>): void {
    password.catch(() => undefined); // Whoever needs it hears of it; perhaps nobody will.
    this.#known.set(keyOf(settings), password);
  }

  of(settings: RepositorySettings, context: CommandContext, use: PasswordUse = 'open'): Promise<string> {
    let password = this.#known.get(keyOf(settings));
    if (password === undefined) {
      password = this.#sourceOf(settings).then((source) => findPassword(settings, context, { source, use }));
      this.keep(settings, password);
    }
    return password;
  }

  async fileOf(settings: RepositorySettings): Promise<string | undefined> {
    const source = await this.#sourceOf(settings);
    return source?.kind === 'file' ? source.path : undefined;
  }

  async #sourceOf(settings: RepositorySettings): Promise<PasswordSource | undefined> {
    const known = (await this.#loaded())?.application.repositories ?? [];
    const { repository: named } = this.#given.values;
    const isOnlyOne =
      named === undefined
        ? known.length <= 1
        : keyOf(chooseRepository(named, known, this.#environment)) === keyOf(settings);
    return passwordSource(settings, { ...this.#given, isOnlyOne, workingFolder: this.#environment.workingFolder });
  }
}

/** The demonstration runs commands in a folder of its own, with the output options given and nothing else. */
async function runDemo(
  context: CommandContext,
  parts: AppParts,
  given: {
    readonly options: GlobalOptions;
    readonly command: Parameters<typeof createContext>[2];
    readonly wishes: DemoWishes;
  },
): Promise<DemoOutcome> {
  const { demonstrate } = await import('./demo/demonstration.ts');
  const { demoParts } = await import('./demo-parts.ts');
  const { json, quiet, verbose } = given.options;
  const contextIn = (folder: string, environment: Environment): CommandContext => {
    const flags = { json, quiet, verbose, config: resolve(folder, 'lifeboat.yaml') };
    return createContext({ ...parts, environment }, flags, given.command);
  };
  const { environment, streams } = parts;
  const style = styleFor(streams.stdout, { clock: systemClock, isVerbose: verbose });
  const { launcherPath } = context;
  return demonstrate(context, demoParts({ environment, launcherPath, style, contextIn }), given.wishes);
}

/** What a password opened. Deriving a key takes half a second on purpose: once for each repository is enough. */
type Unlocked = Pick<Repository, 'keys' | 'keyId' | 'config'>;

const keyOf = ({ name, location }: RepositorySettings): string => `${name}\0${location}`;

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
    completionNames: (words) => configuredNames(words, environment),
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
  if (options.quiet) return noProgress;
  return stderr.isTTY && command.writesBytes !== true ? terminalProgress(stderr, systemClock) : plainProgress(stderr);
}

async function configurationFor(options: GlobalOptions, environment: Environment): Promise<Configuration | undefined> {
  const { workingFolder, configurations } = environment;
  const path = await findConfiguration({ named: options.config, workingFolder, configurations });
  const isLocation = options.repository?.includes('/') === true;
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

async function applicationNameIn(path: string, environment: Environment): Promise<string | undefined> {
  try {
    return (await loadConfiguration({ path, environment })).application.name;
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
  }
}

async function findPassword(
  settings: RepositorySettings,
  context: CommandContext,
  { source, use }: { readonly source: PasswordSource | undefined; readonly use: PasswordUse },
): Promise<string> {
  const { prompter, progress } = context;
  if (source !== undefined) return (await passwordFrom(source)).trim();
  if (prompter === undefined) throw passwordMissing();
  if (use === 'new') return newPassword(context, undefined);
  progress.clear();
  const answer = (await prompter.secret(`Password of ${settings.name}`)).trim();
  if (answer === '') throw passwordMissing();
  return answer;
}

async function openWithCache(
  settings: RepositorySettings,
  access: Access,
  parts: {
    readonly context: CommandContext;
    readonly options: GlobalOptions;
    readonly environment: Environment;
    readonly unlocked: Map<string, Unlocked>;
    readonly month: Month | 'newest' | undefined;
  },
): Promise<OpenedRepository> {
  const { context, options, environment, unlocked, month } = parts;
  const place = await placeOf(settings, context, { access, month });
  const base = await context.openStore(place);
  const store = access === 'read' ? readOnlyStore(base) : base;
  try {
    const { signal, clock, random } = context;
    const known = unlocked.get(keyOf(settings));
    const repository: Repository =
      known === undefined
        ? await openRepository(store, { password: () => context.passwordOf(settings), signal, clock, random })
        : { ...known, store, clock, random };
    const { keys, keyId, config } = repository;
    unlocked.set(keyOf(settings), { keys, keyId, config });
    const treePacks = new Set<string>();
    const usesCache = options.cache && access !== 'uncached' && store.properties.isRemote;
    const cached = usesCache
      ? cachingStore(store, {
          folder: options.cacheFolder ?? defaultCacheFolder(environment),
          repositoryId: repository.config.id,
          isCacheable: (name) => name.startsWith('index/') || name.startsWith('snapshots/') || treePacks.has(name),
          onProblem: ({ message }) => context.progress.note(`working without the cache: ${message}`),
        })
      : store;
    return {
      settings,
      month: monthIn(place, settings),
      repository: { ...repository, store: cached, treePacks },
      [Symbol.asyncDispose]: () => cached[Symbol.asyncDispose](),
    };
  } catch (error) {
    await store[Symbol.asyncDispose]();
    if (isAppError(error, 'REPOSITORY_MISSING')) await requireMonth(settings, context);
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
    return redisSource({
      ...redisAddress(component),
      programFolders: programFolders(environment),
      clock: systemClock,
    });
  }
  const { configSource } = await import('./sources/config/config-source.ts');
  const { files, compose, gitFolder: repositoryFolder } = component;
  return configSource({ files, compose, repositoryFolder, programFolders: programFolders(environment) });
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
