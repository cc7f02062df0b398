// Every global option, declared once: flag, variable, key in lifeboat.yaml, help, default, secrecy. The command line's
// help, the reference page and the values that commands receive derive from this table.
import { durationForm, parseDuration } from '../base/duration.ts';
import { AppError } from '../base/errors.ts';
import type { RepositorySettings } from '../model/repository-settings.ts';
import { parseByteRate } from '../model/scalar-schemas.ts';
import { variable, type Environment } from './environment.ts';

/** What a lifeboat.yaml can say of global options. */
export interface ConfiguredValues {
  /** The repository in use, if one is chosen. */
  readonly repository: RepositorySettings | undefined;
  readonly cacheFolder: string | undefined;
}

export interface OptionDeclaration<Value> {
  /** As commander writes it: `-r, --repository <location>`. Absent for what must not stand on a command line. */
  readonly flag?: string;
  readonly environment?: string;
  /** Key in lifeboat.yaml; `<name>` stands for the name of the repository in use. */
  readonly configKey?: string;
  readonly fromConfig?: (configured: ConfiguredValues) => Value | undefined;
  /** A lower-case phrase. */
  readonly help: string;
  readonly default: Value;
  /** How the default reads where the value itself says little. */
  readonly defaultWords?: string;
  /** What `parse` accepts, for messages. */
  readonly expected: string;
  /** The value of a text, or undefined if it is none. */
  readonly parse: (text: string) => Value | undefined;
  /** Never printed. */
  readonly secret?: boolean;
}

type OptionTable = Readonly<Record<string, OptionDeclaration<unknown>>>;
export type OptionValues<Table extends OptionTable> = {
  readonly [Name in keyof Table]: Table[Name] extends OptionDeclaration<infer Value> ? Value : never;
};

export type OptionOrigin = 'flag' | 'environment' | 'config' | 'default';

function option<Value>(declaration: OptionDeclaration<Value>): OptionDeclaration<Value> {
  return declaration;
}

function parseText(text: string): string | undefined {
  return text === '' ? undefined : text;
}

/** A switch: the flag alone means yes. */
function parseSwitch(text: string): boolean | undefined {
  if (/^(?:1|true|yes|on)$/i.test(text)) return true;
  return /^(?:0|false|no|off)$/i.test(text) ? false : undefined;
}

const text = { expected: 'text', parse: parseText } as const;
const yesOrNo = { expected: 'true or false', parse: parseSwitch } as const;
const rate = { expected: 'bytes per second, such as 10 MB or 512 KiB', parse: parseByteRate } as const;

export const globalOptions = {
  config: option<string | undefined>({
    flag: '-c, --config <path>',
    environment: 'LIFEBOAT_CONFIG',
    help: 'configuration file',
    default: undefined,
    defaultWords: 'lifeboat.yaml here, or above in the same git repository',
    ...text,
  }),
  repository: option<string | undefined>({
    flag: '-r, --repository <name>',
    environment: 'LIFEBOAT_REPOSITORY',
    help: 'repository: a name from lifeboat.yaml, a folder, or s3://bucket/prefix',
    default: undefined,
    defaultWords: 'those of the policies; to read from, the first of lifeboat.yaml',
    ...text,
  }),
  passwordFile: option<string | undefined>({
    flag: '-p, --password-file <path>',
    environment: 'LIFEBOAT_PASSWORD_FILE',
    help: 'file that holds the password of the repository; one that lifeboat.yaml names for a repository comes first, but for the flag where one repository is meant',
    default: undefined,
    ...text,
  }),
  password: option<string | undefined>({
    environment: 'LIFEBOAT_PASSWORD',
    help: 'password of repositories for which lifeboat.yaml gives none; never as a flag, where every process of the machine could read it',
    default: undefined,
    secret: true,
    ...text,
  }),
  databaseUrl: option<string | undefined>({
    environment: 'LIFEBOAT_DATABASE_URL',
    help: 'address of a PostgreSQL database for the state of the service; never as a flag, since it holds a password',
    default: undefined,
    defaultWords: '`lifeboat/catalog.sqlite` in $XDG_STATE_HOME, or in ~/.local/state',
    secret: true,
    ...text,
  }),
  cacheFolder: option<string | undefined>({
    flag: '--cache-folder <path>',
    environment: 'LIFEBOAT_CACHE_FOLDER',
    configKey: 'cache.folder',
    fromConfig: ({ cacheFolder }) => cacheFolder,
    help: 'folder for local copies of repository metadata',
    default: undefined,
    defaultWords: '$XDG_CACHE_HOME/lifeboat, or ~/.cache/lifeboat',
    ...text,
  }),
  cache: option<boolean>({
    flag: '--no-cache',
    environment: 'LIFEBOAT_CACHE',
    help: 'keep no local copies of repository metadata',
    default: true,
    defaultWords: 'keep them',
    ...yesOrNo,
  }),
  limitUpload: option<number | undefined>({
    flag: '--limit-upload <rate>',
    environment: 'LIFEBOAT_LIMIT_UPLOAD',
    configKey: 'repositories.<name>.limits.upload',
    fromConfig: ({ repository }) => repository?.limits.uploadBytesPerSecond,
    help: 'most bytes sent per second',
    default: undefined,
    defaultWords: 'no limit',
    ...rate,
  }),
  limitDownload: option<number | undefined>({
    flag: '--limit-download <rate>',
    environment: 'LIFEBOAT_LIMIT_DOWNLOAD',
    configKey: 'repositories.<name>.limits.download',
    fromConfig: ({ repository }) => repository?.limits.downloadBytesPerSecond,
    help: 'most bytes received per second',
    default: undefined,
    defaultWords: 'no limit',
    ...rate,
  }),
  retryLock: option<number>({
    flag: '--retry-lock <duration>',
    environment: 'LIFEBOAT_RETRY_LOCK',
    help: 'wait this long for a lock that others hold',
    default: 0,
    defaultWords: 'do not wait',
    expected: durationForm,
    parse: parseDuration,
  }),
  json: option<boolean>({
    flag: '--json',
    environment: 'LIFEBOAT_JSON',
    help: 'print one JSON document, or JSON lines for long work',
    default: false,
    ...yesOrNo,
  }),
  quiet: option<boolean>({
    flag: '-q, --quiet',
    environment: 'LIFEBOAT_QUIET',
    help: 'print results only, no progress',
    default: false,
    ...yesOrNo,
  }),
  verbose: option<boolean>({
    flag: '-v, --verbose',
    environment: 'LIFEBOAT_VERBOSE',
    help: 'print what is done in detail',
    default: false,
    ...yesOrNo,
  }),
} as const;

export type GlobalOptions = OptionValues<typeof globalOptions>;

/** Values of flags as a command line parser gives them: only those that were given; switches as true or false. */
export type GivenFlags = Readonly<Record<string, string | boolean | undefined>>;

/** Flag, else variable, else lifeboat.yaml, else default; with the origin of each value. */
export function resolveOptions<Table extends OptionTable>(
  table: Table,
  sources: { readonly flags: GivenFlags; readonly environment: Environment; readonly configured?: ConfiguredValues },
): { readonly values: OptionValues<Table>; readonly origins: Readonly<Record<keyof Table, OptionOrigin>> } {
  const resolved = Object.entries(table).map(
    ([name, declaration]) => [name, resolveOne(name, declaration, sources)] as const,
  );
  return {
    values: Object.fromEntries(resolved.map(([name, { value }]) => [name, value])) as OptionValues<Table>,
    origins: Object.fromEntries(resolved.map(([name, { origin }]) => [name, origin])) as Record<
      keyof Table,
      OptionOrigin
    >,
  };
}

function resolveOne(
  name: string,
  declaration: OptionDeclaration<unknown>,
  { flags, environment, configured }: Parameters<typeof resolveOptions>[1],
): { readonly value: unknown; readonly origin: OptionOrigin } {
  const flag = flags[name];
  if (typeof flag === 'boolean') return { value: flag, origin: 'flag' };
  if (flag !== undefined)
    return { value: parseOr('USAGE', declaration.flag ?? name, { text: flag, declaration }), origin: 'flag' };
  const { environment: variableName } = declaration;
  const fromVariable = variableName === undefined ? undefined : variable(environment, variableName);
  if (variableName !== undefined && fromVariable !== undefined) {
    const value = parseOr('CONFIG_INVALID', variableName, { text: fromVariable, declaration });
    return { value, origin: 'environment' };
  }
  const fromConfig = configured === undefined ? undefined : declaration.fromConfig?.(configured);
  if (fromConfig !== undefined) return { value: fromConfig, origin: 'config' };
  return { value: declaration.default, origin: 'default' };
}

function parseOr(
  code: 'USAGE' | 'CONFIG_INVALID',
  place: string,
  { text: given, declaration }: { readonly text: string; readonly declaration: OptionDeclaration<unknown> },
): unknown {
  const value = declaration.parse(given);
  if (value !== undefined) return value;
  const found = declaration.secret ? 'a value (not shown)' : `'${given}'`;
  throw new AppError(code, `${place}: found ${found}, expected ${declaration.expected}`, {
    hint: `Give ${declaration.expected}, or leave it out.`,
  });
}

/** The folder for what must last on this machine where lifeboat.yaml names none, such as the spool of a journal. */
export function defaultStateFolder(environment: Environment): string {
  return `${variable(environment, 'XDG_STATE_HOME') ?? `${environment.homeFolder}/.local/state`}/lifeboat`;
}

/** The folder for the cache where no option names one. */
export function defaultCacheFolder(environment: Environment): string {
  return `${variable(environment, 'XDG_CACHE_HOME') ?? `${environment.homeFolder}/.cache`}/lifeboat`;
}
