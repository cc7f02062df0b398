// What `init` needs to know for a first lifeboat.yaml: from flags where given, asked where somebody can answer, else guessed
// from the classic environment variables and what lies in the folder.
import { access } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import type { CommandContext } from './context.ts';
import type { InitAnswers, InitComponent } from './first-configuration.ts';
import { wrongAnswer } from './init-checks.ts';
import type { Prompter } from './prompter.ts';
import { serverOfAnswer, wrongServer } from './server-answer.ts';

export interface InitFlags {
  readonly application: string | undefined;
  readonly environment: string | undefined;
  readonly location: string | undefined;
  readonly passwordFile: string | undefined;
  readonly createsPasswordFile: boolean;
  readonly createsRepository: boolean;
  readonly files: readonly string[];
  readonly postgres: string | undefined;
  readonly redis: string | undefined;
  readonly configFiles: readonly string[];
  readonly cron: string | undefined;
}

const defaults = { environment: 'production', location: './backups', cron: '0 2 * * *' } as const;

export function safeName(text: string): string {
  const safe = text.replaceAll(/[^A-Za-z0-9._-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '');
  return safe.slice(0, 64) || 'application';
}

/** Answers without asking: what was not given is what suits most. */
export async function answersFromFlags(flags: InitFlags, context: CommandContext): Promise<InitAnswers> {
  const { workingFolder } = context;
  const given = componentsOf(flags);
  return {
    application: flags.application ?? safeName(basename(workingFolder)),
    environment: flags.environment ?? defaults.environment,
    location: flags.location ?? context.bucketOfVariables()?.location ?? defaults.location,
    passwordFile: flags.passwordFile,
    createsPasswordFile: flags.createsPasswordFile,
    createsRepository: flags.createsRepository,
    components: given.length > 0 ? given : [...context.serversOfVariables(), ...(await componentsFound(workingFolder))],
    cron: flags.cron ?? defaults.cron,
    timeZone: Temporal.Now.timeZoneId(),
  };
}

/** A kind of component that no flag named, although another was. */
export interface NotIncluded {
  readonly kind: string;
  /** What adds it. */
  readonly flag: string;
  /** What there seems to be of it, by the variables and in the folder. */
  readonly found: readonly string[];
}

/** Who names one component by a flag gets that one alone; nobody may believe that the rest is protected too. */
export async function notIncluded(flags: InitFlags, context: CommandContext): Promise<NotIncluded[]> {
  const given = new Set(componentsOf(flags).map(({ type }) => type));
  if (given.size === 0) return [];
  const found = [...context.serversOfVariables(), ...(await componentsFound(context.workingFolder))];
  return kinds
    .filter(({ type }) => !given.has(type))
    .map(({ type, kind, flag }) => ({
      kind,
      flag,
      found: found.filter((component) => component.type === type).flatMap(wordsOf),
    }));
}

const kinds = [
  { type: 'files', kind: 'files such as uploads', flag: '--files' },
  { type: 'postgres', kind: 'PostgreSQL', flag: '--postgres' },
  { type: 'redis', kind: 'Redis', flag: '--redis' },
  { type: 'config', kind: 'configuration files', flag: '--config-files' },
] as const;

function wordsOf(component: InitComponent): readonly string[] {
  if (component.type === 'files') return component.paths;
  if (component.type === 'config') return component.files;
  const words = component.host ?? component.urlVariable;
  return words === undefined ? [] : [words];
}

/** Asks for all that no flag gave. */
export async function askAnswers(flags: InitFlags, prompter: Prompter, context: CommandContext): Promise<InitAnswers> {
  const guessed = await answersFromFlags(flags, context);
  const application =
    flags.application ??
    (await prompter.text('Name of the application', checkedQuestion('application', guessed.application)));
  const environment =
    flags.environment ??
    (await prompter.text('Which environment is this', checkedQuestion('environment', guessed.environment)));
  const location =
    flags.location ??
    (await prompter.text(
      'Where should backups go (a folder, or s3://bucket/prefix)',
      checkedQuestion('repository', guessed.location),
    ));
  const components =
    componentsOf(flags).length > 0 ? guessed.components : await askComponents(prompter, guessed.components);
  const passwordFile =
    flags.passwordFile ??
    orNothing(
      await prompter.text('File for the password of the repository (empty: LIFEBOAT_PASSWORD is used)', {
        suggestion: './lifeboat.password',
      }),
    );
  const createsPasswordFile =
    flags.createsPasswordFile ||
    (passwordFile !== undefined &&
      !(await isThere(resolve(context.workingFolder, passwordFile))) &&
      (await prompter.confirm('Make that file now, with a random password', true)));
  const createsRepository = flags.createsRepository || (await prompter.confirm('Create the repository now', true));
  return {
    ...guessed,
    application,
    environment,
    location,
    components,
    passwordFile,
    createsPasswordFile,
    createsRepository,
  };
}

function checkedQuestion(kind: Parameters<typeof wrongAnswer>[0], suggestion: string) {
  return { suggestion, validate: (answer: string) => wrongAnswer(kind, answer) };
}

async function askComponents(prompter: Prompter, found: readonly InitComponent[]): Promise<InitComponent[]> {
  const pathsOf = (type: 'files' | 'config'): string =>
    found
      .flatMap((component) => (component.type === 'files' && type === 'files' ? component.paths : []))
      .concat(found.flatMap((component) => (component.type === 'config' && type === 'config' ? component.files : [])))
      .join(', ');
  const servers = [...(await askServer(prompter, 'postgres', found)), ...(await askServer(prompter, 'redis', found))];
  const files = listOf(
    await prompter.text('Folders with files, such as uploads (empty: none)', { suggestion: pathsOf('files') }),
  );
  const configFiles = listOf(
    await prompter.text('Configuration files, such as .env (empty: none)', { suggestion: pathsOf('config') }),
  );
  return [...servers, ...componentsOf({ postgres: undefined, redis: undefined, files, configFiles })];
}

/** The server that variables name is suggested; kept, it brings along all that they say of it. */
async function askServer(
  prompter: Prompter,
  type: 'postgres' | 'redis',
  found: readonly InitComponent[],
): Promise<InitComponent[]> {
  const product = type === 'postgres' ? 'PostgreSQL' : 'Redis';
  const known = found.find((component) => component.type === type);
  const suggestion = known === undefined || !('host' in known) ? undefined : known.host || known.urlVariable;
  const question = `${product}: host, host:port or URL (empty: none)`;
  const validate = (text: string): string | undefined => wrongServer(type, text.trim())?.hint;
  const answer = orNothing(
    await prompter.text(question, suggestion === undefined ? { validate } : { suggestion, validate }),
  );
  if (answer === undefined) return [];
  if (known !== undefined && answer === suggestion) return [known];
  return [serverOfAnswer(type, answer)];
}

const orNothing = (answer: string): string | undefined => (answer.trim() === '' ? undefined : answer.trim());
const listOf = (answer: string): string[] =>
  answer
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

function componentsOf(flags: Pick<InitFlags, 'postgres' | 'redis' | 'files' | 'configFiles'>): InitComponent[] {
  const { postgres, redis, files, configFiles } = flags;
  return [
    ...(postgres === undefined ? [] : [serverOfAnswer('postgres', postgres)]),
    ...(redis === undefined ? [] : [serverOfAnswer('redis', redis)]),
    ...(files.length === 0 ? [] : [{ name: 'files', type: 'files' as const, paths: files }]),
    ...(configFiles.length === 0 ? [] : [{ name: 'configuration', type: 'config' as const, files: configFiles }]),
  ];
}

const usualFolders = ['uploads', 'media', 'storage', 'data'];
const usualFiles = ['.env', 'docker-compose.yml', 'docker-compose.yaml', 'compose.yml', 'compose.yaml'];

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function componentsFound(folder: string): Promise<InitComponent[]> {
  const existing = async (names: readonly string[]): Promise<string[]> => {
    const found: string[] = [];
    for (const name of names) {
      if (await isThere(join(folder, name))) found.push(`./${name}`);
    }
    return found;
  };
  return componentsOf({
    postgres: undefined,
    redis: undefined,
    files: await existing(usualFolders),
    configFiles: await existing(usualFiles),
  });
}
