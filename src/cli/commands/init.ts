// `init`: writes a first lifeboat.yaml with comments, and on request the password file and the repository.
import { randomBytes } from 'node:crypto';
import { access, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { AppError, errnoOf } from '../../base/errors.ts';
import { initRepository } from '../../repository/open-repository.ts';
import { defineCommand } from '../command.ts';
import type { CommandContext } from '../context.ts';
import type { InitAnswers } from '../first-configuration.ts';
import { answersFromFlags, askAnswers, notIncluded, type NotIncluded } from '../init-answers.ts';
import { listOption, switchOption, textOption } from '../option.ts';
import { shortId, wrap } from '../style.ts';

export interface InitData {
  readonly configuration: string;
  readonly components: readonly string[];
  readonly passwordFile: string | undefined;
  readonly repository: { readonly id: string; readonly location: string } | undefined;
  /** Empty unless flags named some components. */
  readonly notIncluded: readonly NotIncluded[];
  /** The file refers to variables that stand in .env and are not set. */
  readonly needsEnvFile: boolean;
}

export const initCommand = defineCommand({
  summary: 'Write a first lifeboat.yaml',
  details:
    'Asks on a terminal for what the options leave open; elsewhere, and with --no-questions, it takes the servers that POSTGRES_HOST, DATABASE_URL, REDIS_HOST and REDIS_URL name, as variables or in the file .env, and what lies in the folder. Passwords are never written: the file refers to the variables that hold them. --repository names where backups go, --password-file where the password lies or is to be written.',
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
  },
  async run(context, input): Promise<InitData> {
    const path = join(context.workingFolder, 'lifeboat.yaml');
    // Before a row of questions rather than after it.
    if (!input.isForced && (await isThere(path))) throw existing(path, 'Edit it, or give --force to replace it.');
    const { repository: location, passwordFile } = context.named;
    const flags = { ...input, location, passwordFile };
    const { prompter } = context;
    const isAsking = prompter !== undefined && !input.asksNothing;
    const answers = isAsking ? await askAnswers(flags, prompter, context) : await answersFromFlags(flags, context);
    if (answers.createsPasswordFile && answers.passwordFile === undefined) {
      throw new AppError('USAGE', '--create-password without a place for the password', {
        hint: 'Name the file with --password-file.',
      });
    }
    await writeNew(path, context.configurationTemplate(answers), { flag: input.isForced ? 'w' : 'wx', mode: 0o644 });
    const password = await passwordFileOf(answers, context);
    const repository = answers.createsRepository ? await createRepository(answers, context) : undefined;
    return {
      configuration: path,
      components: answers.components.map(({ name }) => name),
      passwordFile: password,
      repository,
      notIncluded: await notIncluded(flags, context),
      needsEnvFile: answers.components.some(
        (component) => 'isOfEnvFile' in component && component.isOfEnvFile === true,
      ),
    };
  },
  render({ configuration, components, passwordFile, repository, needsEnvFile, ...data }, style) {
    const written = `wrote ${configuration} with ${components.length === 0 ? 'no components yet' : components.join(', ')}`;
    const lines = [...wrap(written, style.widthColumns)];
    if (data.notIncluded.length > 0) lines.push(...wrap(notIncludedText(data.notIncluded), style.widthColumns));
    if (passwordFile !== undefined) {
      const care = `wrote ${passwordFile}: keep a copy of this password in another place, and the file out of version control`;
      lines.push(...wrap(care, style.widthColumns));
    }
    if (repository !== undefined) lines.push(`created repository ${shortId(repository.id)} at ${repository.location}`);
    lines.push('', 'Next:');
    if (needsEnvFile) lines.push('  set -a; . ./.env; set +a    # lifeboat.yaml refers to these variables');
    lines.push('  lifeboat check     # is everything in place?');
    if (repository === undefined) lines.push('  lifeboat repository init');
    lines.push(
      '  lifeboat backup    # take the first backup',
      '  lifeboat prove     # restore it into a sandbox and compare',
    );
    return lines.join('\n');
  },
});

function notIncludedText(kinds: readonly NotIncluded[]): string {
  const words = kinds.map(({ kind, flag, found }) => {
    const seen = found.length === 0 ? '' : `; found ${found.join(', ')}`;
    return `${kind} (${flag}${seen})`;
  });
  return `not included: ${words.join(', ')}`;
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
  return new AppError('TARGET_UNSAFE', `${path} can't be written (${errnoOf(error) ?? 'error'})`, {
    hint: 'Give this user the right to write there.',
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

/** Never replaces a password: what it protects could not be read any more. */
async function passwordFileOf(answers: InitAnswers, { workingFolder }: CommandContext): Promise<string | undefined> {
  if (!answers.createsPasswordFile || answers.passwordFile === undefined) return undefined;
  const path = resolve(workingFolder, answers.passwordFile);
  await writeNew(path, `${randomBytes(24).toString('base64url')}\n`, { flag: 'wx', mode: 0o600 });
  return path;
}

async function createRepository(answers: InitAnswers, context: CommandContext): Promise<InitData['repository']> {
  const { signal, clock, random } = context;
  const settings = await context.repositoryAt(answers.location, { passwordFile: answers.passwordFile });
  await using store = await context.openStore(settings);
  const password = await context.passwordOf(settings, 'new');
  const { config } = await initRepository(store, { password, signal, clock, random, chunkerDefault: 'gear' });
  return { id: config.id, location: store.properties.location };
}
