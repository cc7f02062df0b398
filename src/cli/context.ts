// What every command is given: the application, its repositories and sources, time, and ways to tell and to ask. The
// composition root makes it; tests may make one of memory stores and fixed clocks.
import type { Writable } from 'node:stream';
import type { Clock } from '../base/clock.ts';
import type { AppError } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import type { Catalog } from '../catalog/catalog.ts';
import type { DescribedConfiguration } from '../service/state/state-source.ts';
import type { CatalogLocation } from '../catalog/open-catalog.ts';
import type { AlertSettings } from '../model/alert-settings.ts';
import type { Application } from '../model/application.ts';
import type { Month } from '../model/archive.ts';
import type { Component } from '../model/component.ts';
import type { Finding } from '../model/finding.ts';
import type { ProbeSettings } from '../model/probe.ts';
import type { WarmUpSettings } from '../model/warm-up.ts';
import type { RepositorySettings } from '../model/repository-settings.ts';
import type { ProbePorts } from '../monitoring/probes/look.ts';
import type { Repository } from '../repository/repository.ts';
import type { Source } from '../sources/source.ts';
import type { Store } from '../storage/store.ts';
import type { Thawing, ThawWish } from '../storage/thawing.ts';
import type { TamperReport } from '../storage/tamper.ts';
import type { InitAnswers, InitComponent } from './first-configuration.ts';
import type { ProgressSink } from './progress.ts';
import type { Prompter } from './prompter.ts';
import type { Style } from './style.ts';

export interface CommandContext {
  readonly clock: Clock;
  readonly random: Random;
  /** Aborts on Ctrl-C; its reason is an `AppError`. */
  readonly signal: AbortSignal;
  readonly programVersion: string;
  readonly progress: ProgressSink;
  /** Absent where nobody can answer: input or output is no terminal, or a program reads it. */
  readonly prompter: Prompter | undefined;
  /** For commands that write bytes. */
  readonly stdout: Writable;
  readonly workingFolder: string;
  readonly homeFolder: string;
  /** What a script or a timer starts. */
  readonly launcherPath: string;
  readonly cacheFolder: string;
  /** For what must last on this machine; below it a folder for each application and component. */
  readonly stateFolder: string;
  /** As given by flags or variables, before any configuration is looked at. */
  readonly named: {
    readonly config: string | undefined;
    readonly repository: string | undefined;
    readonly passwordFile: string | undefined;
    /** The state is shared, in PostgreSQL. */
    readonly hasDatabase: boolean;
  };
  readonly settings: ContextSettings;
  /** A server started this command for somebody, of whom it keeps the account itself. */
  readonly isOfServer: boolean;

  /** lifeboat.yaml, or what the classic environment variables say in its place; undefined without either. */
  findConfiguration(): Promise<LoadedConfiguration | undefined>;
  /** What keeps a configuration file from being used on this machine, wholly or in part; empty if nothing does. `texts` count in place of what lies at their paths. */
  problemsOfConfiguration(path: string, texts?: ReadonlyMap<string, string>): Promise<readonly string[]>;
  /** Servers that the classic environment variables, or a .env file with them, name, for a first lifeboat.yaml. */
  serversOfVariables(): readonly InitComponent[];
  /** `s3://bucket/prefix` by the same variables. */
  bucketOfVariables(): BucketOfVariables | undefined;
  /**
   * The text of a first lifeboat.yaml at `path`, and the repository it names. Rejects with `CONFIG_INVALID` if no command could
   * read it; from then on all others here work by it.
   */
  firstFile(answers: InitAnswers, path: string): FirstFile;
  /** Keeps applications protected until it is closed. The service stands above the commands, which its jobs are. */
  startService(wishes: ServiceWishes): Promise<RunningService>;
  /** Shows on throw-away servers what Lifeboat does. The demo stands above the commands, which it runs. */
  runDemo(wishes: DemoWishes): Promise<DemoOutcome>;
  /** Those of `--repository`, else all of the configuration. Rejects with `CONFIG_MISSING` if there are none. */
  chosenRepositories(): Promise<readonly RepositorySettings[]>;
  /** A repository by its name in the configuration, or by its location. */
  repositoryAt(location: string, own?: { readonly passwordFile?: string | undefined }): Promise<RepositorySettings>;
  /** The place itself, without a key: for creating a repository and for looking whether it answers. */
  openStore(settings: RepositorySettings): Promise<Store>;
  /** What a bucket looks like from here; nothing for other places. */
  reportBucket(settings: RepositorySettings): AsyncIterable<Finding>;
  /** Creates the bucket, switches its versioning on; tells what was done. Rejects with `USAGE` for other places. */
  prepareBucket(settings: RepositorySettings, wish: BucketWish): Promise<readonly string[]>;
  /** Makes the bucket as it shall be, one aspect after another; looks only, if `isDryRun`. Throws `USAGE` for other places. */
  setUpBucket(settings: RepositorySettings, isDryRun: boolean): AsyncIterable<BucketStep>;
  /** The least rights at a bucket, as an IAM policy. Throws `USAGE` for other places. */
  bucketPolicy(settings: RepositorySettings, role: BucketRole): object;
  /** Brings back what a bucket moved to a class that does not answer; of an archive its newest month. Throws `USAGE` for other places. */
  thaw(settings: RepositorySettings, wish: ThawWish): Promise<Thawing>;
  /** Tries to harm an object of its own there, with the rights that backups have. `name`: one that no file of a repository has. */
  tamper(settings: RepositorySettings, name: string): Promise<TamperReport>;
  /** The password from wherever it may come; rejects with `PASSWORD_MISSING`. */
  passwordOf(settings: RepositorySettings, use?: PasswordUse): Promise<string>;
  /** The file it would be read from, if it comes from one. */
  passwordFileOf(settings: RepositorySettings): Promise<string | undefined>;
  /** Of an archive: the month that is named; without one, to write the place itself, and to read the newest month, if there is any. */
  openRepository(settings: RepositorySettings, access: Access, month?: Month | 'newest'): Promise<OpenedRepository>;
  /** The months of an archive that hold a backup, newest first. */
  monthsHolding(settings: RepositorySettings): AsyncIterable<Month>;
  /** Rejects with `REPOSITORY_MISSING` if this is a month of an archive that is not there. */
  requireMonth(settings: RepositorySettings): Promise<void>;
  sourceOf(component: Component): Promise<Source>;
  /** What probes ask components. */
  readonly probePorts: ProbePorts;
  /** The state of the service, created where there is none. A command opens it once: SQLite does not bear two in one process. */
  openCatalog(): Promise<Catalog>;
  /** Where that is; its URL holds a password. */
  readonly catalogLocation: CatalogLocation;
  /** A configuration file as it is in force: what lies there may be half written. Rejects as the file system does. */
  readConfigurationFile(path: string): Promise<Buffer>;
  /** What it lacks when it is read with the variables of a file and none of this process. */
  unattendedStart(path: string, environmentFile: string): Promise<UnattendedStart>;
  /** What can be said of one without an error: whose it is, if it can be used here as it is, and which template it extends. */
  describeConfiguration(path: string): Promise<DescribedConfiguration>;
  /** The text of a file that holds one password, `-` for standard input, without white space at its ends. */
  readPasswordFile(path: string): Promise<string>;
}

/**
 * `read` refuses to write, so that it works with a right to read only and leaves no lock behind. `uncached` may write and
 * reads what the store really holds, not a copy of it.
 */
export type Access = 'read' | 'write' | 'uncached';

/** A `new` password that has to be asked for is asked for twice: a slip would lock everybody out for ever. */
export type PasswordUse = 'open' | 'new';

export interface ContextSettings {
  /** How long to wait for a lock of others. */
  readonly lockWaitMs: number;
  readonly isJson: boolean;
  /** The bar is seen by somebody, so a total is worth looking for. */
  readonly showsBar: boolean;
}

export interface UnattendedStart {
  /** The variables that the file sets; undefined where it may not be read here. */
  readonly variables: ReadonlySet<string> | undefined;
  /** A sentence for each thing that is not there. */
  readonly lacking: readonly string[];
}

export interface BucketWish {
  readonly creates: boolean;
  readonly enablesVersioning: boolean;
}

/** Who works with a bucket. */
export type BucketRole = 'full' | 'append' | 'read';

export interface BucketStep {
  readonly aspect: string;
  /** `differs`: it would be changed, and was not; `failed`: could not be looked at or changed; `danger`: nobody can change it here; `left out`: it would do harm here. */
  readonly outcome: 'as wished' | 'changed' | 'differs' | 'failed' | 'danger' | 'left out';
  readonly message: string;
  readonly hint?: string | undefined;
  /** What has to be made elsewhere for it, such as the policy of a role. */
  readonly documents?: Readonly<Record<string, object>> | undefined;
}

export interface BucketOfVariables {
  readonly location: string;
  /** The variable stands in the .env file of the folder, and is not set. */
  readonly isOfEnvFile: boolean;
}

export interface FirstFile {
  readonly text: string;
  readonly repository: RepositorySettings;
}

export interface ServiceWishes {
  /** Files, each of one application; the usual one if there are none. */
  readonly configurations: readonly string[];
  /** Starts what is due, and looks at what there is; else it only works. */
  readonly plans: boolean;
  readonly labels: readonly string[];
  /** Jobs at once. */
  readonly runsMax: number;
  /** Where the API answers; it does not if absent. */
  readonly listen: ListenAddress | undefined;
}

export interface ListenAddress {
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
}

export interface RunningService extends AsyncDisposable {
  readonly workerId: string;
  readonly applications: readonly string[];
  /** Of the API: `http://127.0.0.1:7411`. */
  readonly address: string | undefined;
  /** Resolves if its state was recovered elsewhere: it may not act any more. */
  readonly replaced: Promise<AppError>;
}

export interface DemoWishes {
  /** When its story is told, until somebody ends it. */
  readonly staysUp: boolean;
}

export interface DemoOutcome {
  readonly report: object;
  readonly exitCode: number;
  render(style: Style): string;
}

export interface LoadedConfiguration {
  readonly application: Application;
  /** Absent if the environment variables alone gave it. */
  readonly path: string | undefined;
  /** What it extends. */
  readonly template?: { readonly path: string } | undefined;
  readonly warnings: readonly Finding[];
  readonly alerts: AlertSettings;
  readonly probes: Readonly<Record<string, ProbeSettings>>;
  readonly warmUp: Readonly<Record<string, WarmUpSettings>>;
  /** Channels, contacts, probes and steps of warming up that are left out, by their key, because what they refer to is not set here. */
  readonly unset: ReadonlyMap<string, AppError>;
}

export interface OpenedRepository extends AsyncDisposable {
  readonly settings: RepositorySettings;
  readonly repository: Repository;
  /** Of an archive: the month that was opened, if it was one. */
  readonly month?: Month | undefined;
}
