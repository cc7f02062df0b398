// `service install`: one command, after which the server runs, now and after each start of the machine.
import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { AppError, errnoOf, messageOf } from '../../base/errors.ts';
import type { RepositorySettings } from '../../model/repository-settings.ts';
import { defineCommand } from '../command.ts';
import { requireConfiguration } from '../component-choice.ts';
import { requireConsent } from '../confirmation.ts';
import type { CommandContext } from '../context.ts';
import { switchOption } from '../option.ts';
import { wrap } from '../style.ts';
import { environmentFileOf, unitNameOf, unitPath, unitText } from '../systemd-unit.ts';

export interface ServiceInstallData {
  readonly path: string;
  readonly text: string;
  readonly isDryRun: boolean;
  readonly environmentFile: string;
  /** Repositories whose password the unit can't find: it comes from a variable of this shell, or a question. */
  readonly withoutPassword: readonly string[];
  /** What else it can't find, a sentence each. */
  readonly lacking: readonly string[];
  /** Whether this user may read the file of variables: who may not can't be told what is missing there. */
  readonly readsEnvironmentFile: boolean;
}

const run = promisify(execFile);

export const serviceInstallCommand = defineCommand({
  summary: 'Have systemd keep the server running',
  details:
    'Writes the unit lifeboat-<application>.service, starts it, and has it started with the machine; for all of it as root, or with --user for your own account. Passwords come from the files that lifeboat.yaml names, or from variables in /etc/lifeboat/<application>.env (NAME=value, one a line, readable for root alone).',
  examples: ['lifeboat service install --dry-run', 'sudo lifeboat service install', 'lifeboat service install --user'],
  arguments: {},
  options: {
    isOfUser: switchOption('--user', 'for your own account, without rights of the system'),
    isDryRun: switchOption('--dry-run', 'show the unit, and do nothing'),
    isConfirmed: switchOption('--yes', 'replace a unit that says something else without asking'),
  },
  async run(context, { isOfUser, isDryRun, isConfirmed }): Promise<ServiceInstallData> {
    const { application, path: configurationPath } = await requireConfiguration(context);
    if (configurationPath === undefined) {
      throw new AppError('CONFIG_MISSING', 'there is no lifeboat.yaml that the server could read', {
        hint: "Write one with 'lifeboat init': variables of this shell are not there when the machine starts.",
      });
    }
    const home = isOfUser ? context.homeFolder : undefined;
    const environmentFile = environmentFileOf(application.name, home);
    const path = unitPath(application.name, home);
    const text = unitText({
      application: application.name,
      program: [process.execPath, context.launcherPath],
      configurationPath,
      workingFolder: dirname(configurationPath),
      stateHome: isOfUser ? dirname(context.stateFolder) : '/var/lib',
      environmentFile,
      isOfUser,
    });
    const { variables, lacking } = await context.unattendedStart(configurationPath, environmentFile);
    const isGiven = variables === undefined || variables.has('LIFEBOAT_PASSWORD');
    const withoutPassword = isGiven ? [] : await lackingPasswords(context, application.repositories);
    if (!isDryRun) await install(context, { path, text, name: unitNameOf(application.name), isOfUser, isConfirmed });
    const found = { withoutPassword, lacking, readsEnvironmentFile: variables !== undefined };
    return { path, text, isDryRun, environmentFile, ...found };
  },
  render(data, style) {
    const { path, text, isDryRun } = data;
    const lines = isDryRun ? [`would write ${path}:`, '', text] : [`installed and started: ${path}`];
    return [...lines, ...noteLines(data).flatMap((note) => wrap(note, style.widthColumns))].join('\n');
  },
  exitCode: ({ withoutPassword, lacking }) => (withoutPassword.length + lacking.length === 0 ? 0 : 3),
});

function noteLines({
  environmentFile,
  withoutPassword,
  lacking,
  readsEnvironmentFile,
}: Omit<ServiceInstallData, 'path'>): string[] {
  const notes = lacking.map((sentence) => `missing for the server: ${sentence}`);
  if (lacking.length > 0)
    notes.push(
      `hint: Write it as NAME=value into ${environmentFile}, then install again: what is there now is read at its start.`,
    );
  if (withoutPassword.length > 0) {
    const whose = withoutPassword.join(', ');
    notes.push(
      `hint: The password of ${whose} is in no file. Name one as passwordFile in lifeboat.yaml, or write LIFEBOAT_PASSWORD=… into ${environmentFile}.`,
    );
  }
  if (!readsEnvironmentFile)
    notes.push(`${environmentFile} may not be read here: whether it has all that is needed is not known.`);
  return notes;
}

async function lackingPasswords(
  context: CommandContext,
  repositories: readonly RepositorySettings[],
): Promise<string[]> {
  const lacking: string[] = [];
  for (const settings of repositories) {
    if ((await context.passwordFileOf(settings)) === undefined) lacking.push(settings.name);
  }
  return lacking;
}

interface Installation {
  readonly path: string;
  readonly text: string;
  readonly name: string;
  readonly isOfUser: boolean;
  readonly isConfirmed: boolean;
}

async function install(
  context: CommandContext,
  { path, text, name, isOfUser, isConfirmed }: Installation,
): Promise<void> {
  const before = await readFile(path, 'utf8').catch(missing);
  if (before !== undefined && before !== text) await requireConsent(context, `replace ${path}`, isConfirmed);
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text, { mode: 0o644 });
  } catch (error) {
    throw new AppError('SERVICE_MANAGER_FAILED', `${path} can't be written: ${messageOf(error)}`, {
      hint: 'Run it with sudo, or with --user for your own account.',
      cause: error,
    });
  }
  try {
    await systemctl(isOfUser, 'daemon-reload');
    await systemctl(isOfUser, 'enable', name);
  } catch (error) {
    // As it was before: a unit that nothing reads would only mislead.
    await (before === undefined ? rm(path, { force: true }) : writeFile(path, before));
    throw error;
  }
  // One that runs goes on with the new unit.
  await systemctl(isOfUser, 'restart', name);
}

function missing(error: unknown): undefined {
  if (errnoOf(error) === 'ENOENT') return undefined;
  throw error;
}

export async function systemctl(isOfUser: boolean, ...args: string[]): Promise<void> {
  try {
    await run('systemctl', isOfUser ? ['--user', ...args] : args);
  } catch (error) {
    const text = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : messageOf(error);
    throw new AppError('SERVICE_MANAGER_FAILED', `systemctl ${args.join(' ')} failed: ${text}`, {
      hint: "Where systemd does not run, have whatever starts programs there start 'lifeboat server'.",
      cause: error,
    });
  }
}
