// `init`: writes a first lifeboat.yaml with comments, at --config if that is given, and on request the password file and the repository.
import { randomBytes } from 'node:crypto';
import { access, constants, rm, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { AppError, errnoOf, isAppError } from '../../base/errors.ts';
import { initRepository, refuseExisting } from '../../repository/open-repository.ts';
import type { Store } from '../../storage/store.ts';
import { defineCommand } from '../command.ts';
import type { CommandContext, FirstFile } from '../context.ts';
import type { InitAnswers } from '../first-configuration.ts';
import { answersFromFlags, askAnswers, notIncluded, type NotIncluded } from '../init-answers.ts';
import { refuseWrongAnswers } from '../init-checks.ts';
import { listOption, switchOption, textOption } from '../option.ts';
import { shortId, wrap, type Style } from '../style.ts';

export interface InitData {
  /** With `--dry-run`: what the file would hold. */
  readonly preview: string | undefined;
  readonly configuration: string;
  /** As `--config` or LIFEBOAT_CONFIG gave it: other commands have to be told too. */
  readonly namedConfiguration: string | undefined;
  readonly components: readonly string[];
  readonly passwordFile: string | undefined;
  readonly repository: { readonly id: string | undefined; readonly location: string } | undefined;
  /** Empty unless flags named some components. */
  readonly notIncluded: readonly NotIncluded[];
  /** The file refers to variables that stand in .env and are not set. */
  readonly needsEnvFile: boolean;
}

export const initCommand = defineCommand({
  summary: 'Write a first lifeboat.yaml',
  details:
    'Asks on a terminal for what the options leave open; elsewhere, and with --no-questions, it takes the servers that POSTGRES_HOST, DATABASE_URL, REDIS_HOST and REDIS_URL name, as variables or in the file .env, and what lies in the folder; backups go to S3_BACKUP_BUCKET, or to ./backups. Passwords are never written: the file refers to the variables that hold them. --repository names where backups go, --password-file where the password lies or is to be written.',
  examples: [
    'lifeboat init',
    'lifeboat init --files ./uploads --postgres localhost --repository /srv/backups',
    'lifeboat init -r ./backups -p ./password --create-password --create-repository',
  ],
  arguments: {},
  options: {
    application: textOption('--application <name>', "name of the application (default: the folder's)"),
    environment: textOption('--environment <name>', 'which of its environments this is (default: production)'),
    files: listOption('--files <path>', 'folders and files to protect'),
    postgres: textOption('--postgres <server>', 'PostgreSQL server to protect: host, host:port or URL'),
    redis: textOption('--redis <server>', 'Redis server to protect: host, host:port or URL'),
    configFiles: listOption('--config-files <path>', 'configuration files to protect'),
    cron: textOption('--cron <text>', "when to back up (default: '0 2 * * *')"),
    createsPasswordFile: switchOption('--create-password', 'write a random password to --password-file'),
    createsRepository: switchOption('--create-repository', 'create the repository'),
    asksNothing: switchOption('--no-questions', 'ask nothing, even on a terminal'),
    isForced: switchOption('--force', 'replace a lifeboat.yaml that exists'),
    isDryRun: switchOption('--dry-run', 'show the file and what else would be made, and write nothing'),
  },
  async run(context, input): Promise<InitData> {
    const { config, repository: location, passwordFile } = context.named;
    const path = resolve(context.workingFolder, config ?? 'lifeboat.yaml');
    // Before a row of questions rather than after it.
    await refuseUnwritable(path, input.isForced);
    const { application, environment, cron } = input;
    refuseWrongAnswers({ application, environment, cron, repository: location });
    const flags = { ...input, location, passwordFile };
    const { prompter } = context;
    const isAsking = prompter !== undefined && !input.asksNothing;
    const answers = isAsking ? await askAnswers(flags, prompter, context) : await answersFromFlags(flags, context);
    const file = context.firstFile(answers, path);
    // The file comes last: where something before it fails, the folder stays as it was.
    const made = await make(answers, file, { context, isDryRun: input.isDryRun });
    if (!input.isDryRun) await writeLast({ path, text: file.text, isForced: input.isForced }, made);
    return {
      preview: input.isDryRun ? file.text : undefined,
      configuration: path,
      namedConfiguration: config,
      components: answers.components.map(({ name }) => name),
      ...made,
      notIncluded: await notIncluded(flags, context),
      needsEnvFile:
        answers.components.some((component) => 'isOfEnvFile' in component && component.isOfEnvFile === true) ||
        (location === undefined && context.bucketOfVariables()?.isOfEnvFile === true),
    };
  },
  render({ configuration, namedConfiguration, components, passwordFile, repository, needsEnvFile, ...data }, style) {
    if (data.preview !== undefined) return previewText({ configuration, passwordFile, repository, ...data }, style);
    const written = `wrote ${configuration} with ${components.length === 0 ? 'no components yet' : components.join(', ')}`;
    const lines = [...wrap(written, style.widthColumns)];
    if (data.notIncluded.length > 0) lines.push(...wrap(notIncludedText(data.notIncluded), style.widthColumns));
    if (passwordFile !== undefined) {
      const care = `wrote ${passwordFile}: keep a copy of this password in another place, and the file out of version control`;
      lines.push(...wrap(care, style.widthColumns));
    }
    if (repository?.id !== undefined)
      lines.push(`created repository ${shortId(repository.id)} at ${repository.location}`);
    lines.push('', 'Next:');
    const suffix = namedConfiguration === undefined ? '' : ` --config ${namedConfiguration}`;
    const step = (command: string, why: string): string => `  ${`lifeboat ${command}${suffix}`.padEnd(15)}    # ${why}`;
    if (needsEnvFile) lines.push('  set -a; . ./.env; set +a    # lifeboat.yaml refers to these variables');
    lines.push(step('check', 'is everything in place?'));
    if (repository === undefined) lines.push(`  lifeboat repository init${suffix}`);
    lines.push(step('backup', 'take the first backup'), step('prove', 'restore it into a sandbox and compare'));
    return lines.join('\n');
  },
});

function previewText(data: Omit<InitData, 'namedConfiguration' | 'components' | 'needsEnvFile'>, style: Style): string {
  const { preview, configuration, passwordFile, repository } = data;
  const lines = [`would write ${configuration}`];
  if (data.notIncluded.length > 0) lines.push(...wrap(notIncludedText(data.notIncluded), style.widthColumns));
  if (passwordFile !== undefined) lines.push(`would write a random password to ${passwordFile}`);
  if (repository !== undefined) lines.push(`would create a repository at ${repository.location}`);
  return [preview, ...lines, 'nothing was done: --dry-run'].join('\n');
}

function notIncludedText(kinds: readonly NotIncluded[]): string {
  const words = kinds.map(({ kind, flag, found }) => {
    const seen = found.length === 0 ? '' : `; found ${found.join(', ')}`;
    return `${kind} (${flag}${seen})`;
  });
  return `not included: ${words.join(', ')}`;
}

/** What can be known beforehand; who may write everywhere (root) learns the rest when it is written. */
async function refuseUnwritable(path: string, isForced: boolean): Promise<void> {
  if (await isThere(path)) {
    if (!isForced) throw existing(path, 'Edit it, or give --force to replace it.');
    await access(path, constants.W_OK).catch((error: unknown) => {
      throw unwritable(path, error);
    });
  }
  await access(dirname(path), constants.W_OK).catch((error: unknown) => {
    throw unwritable(path, error);
  });
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw unwritable(path, error);
  }
}

function existing(path: string, hint: string): AppError {
  return new AppError('CONFIRMATION_NEEDED', `${path} exists already`, { hint });
}

function unwritable(path: string, error: unknown): AppError {
  const isFolderMissing = errnoOf(error) === 'ENOENT';
  return new AppError('TARGET_UNSAFE', `${path} can't be written (${errnoOf(error) ?? 'error'})`, {
    hint: isFolderMissing ? `Make the folder ${dirname(path)} first.` : 'Give this user the right to write there.',
    cause: error,
  });
}

async function writeNew(path: string, text: string, options: { flag: 'w' | 'wx'; mode: number }): Promise<void> {
  try {
    await writeFile(path, text, options);
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') throw existing(path, 'Remove it, or name another place.');
    throw unwritable(path, error);
  }
}

type Made = Pick<InitData, 'passwordFile' | 'repository'>;

/** The password file and the repository, as far as they are wanted. What stands in the way is found before either is made. */
async function make(
  answers: InitAnswers,
  file: FirstFile,
  { context, isDryRun }: { readonly context: CommandContext; readonly isDryRun: boolean },
): Promise<Made> {
  const passwordFile = newPasswordFile(answers, context);
  if (passwordFile !== undefined) await refuseUnwritable(passwordFile, false);
  if (!answers.createsRepository) {
    if (passwordFile !== undefined && !isDryRun) await writePassword(passwordFile);
    return { passwordFile, repository: undefined };
  }
  await using store = await context.openStore(file.repository);
  await refuseExisting(store, context.signal);
  if (isDryRun) return { passwordFile, repository: { id: undefined, location: store.properties.location } };
  if (passwordFile !== undefined) await writePassword(passwordFile);
  try {
    return { passwordFile, repository: await createRepository(store, file, context) };
  } catch (error) {
    if (passwordFile === undefined) throw error;
    const isFree = await isStillFree(store, context.signal);
    if (isFree) await rm(passwordFile, { force: true });
    throw isFree || !isAppError(error) ? error : withRest(error, [passwordWords(passwordFile)]);
  }
}

function newPasswordFile(answers: InitAnswers, { workingFolder }: CommandContext): string | undefined {
  if (!answers.createsPasswordFile) return undefined;
  if (answers.passwordFile !== undefined) return resolve(workingFolder, answers.passwordFile);
  throw new AppError('USAGE', '--create-password without a place for the password', {
    hint: 'Name the file with --password-file.',
  });
}

/** Never replaces a password: what it protects could not be read any more. */
async function writePassword(path: string): Promise<void> {
  await writeNew(path, `${randomBytes(24).toString('base64url')}\n`, { flag: 'wx', mode: 0o600 });
}

/** The answer to a write may be all that was lost: then a password that was just made protects something. */
async function isStillFree(store: Store, signal: AbortSignal): Promise<boolean> {
  try {
    await refuseExisting(store, signal);
    return true;
  } catch {
    return false;
  }
}

async function createRepository(
  store: Store,
  { repository }: FirstFile,
  context: CommandContext,
): Promise<InitData['repository']> {
  const { signal, clock, random } = context;
  const password = await context.passwordOf(repository, 'new');
  const { config } = await initRepository(store, { password, signal, clock, random, chunkerDefault: 'gear' });
  return { id: config.id, location: store.properties.location };
}

async function writeLast(
  { path, text, isForced }: { readonly path: string; readonly text: string; readonly isForced: boolean },
  { passwordFile, repository }: Made,
): Promise<void> {
  try {
    await writeNew(path, text, { flag: isForced ? 'w' : 'wx', mode: 0o644 });
  } catch (error) {
    const rest = [
      ...(passwordFile === undefined ? [] : [passwordWords(passwordFile)]),
      ...(repository === undefined ? [] : [`the new repository at ${repository.location}`]),
    ];
    throw isAppError(error) && rest.length > 0 ? withRest(error, rest) : error;
  }
}

const passwordWords = (path: string): string => `the new password file ${path}`;

function withRest(error: AppError, rest: readonly string[]): AppError {
  const { code, message, hint } = error;
  return new AppError(code, `${message}; what stays: ${rest.join(' and ')}`, { hint, cause: error });
}
