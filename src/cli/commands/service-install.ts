// `service install`: one command, after which the server runs, now and after each start of the machine.
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
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
  /** Repositories whose password the unit can't find: it comes from a variable or a question. */
  readonly withoutPassword: readonly string[];
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
      program: [process.execPath, '--max-semi-space-size=4', context.launcherPath],
      configurationPath,
      workingFolder: dirname(configurationPath),
      stateHome: isOfUser ? dirname(context.stateFolder) : '/var/lib',
      environmentFile,
      isOfUser,
    });
    const withoutPassword = await lackingPasswords(context, application.repositories);
    if (!isDryRun) await install(context, { path, text, name: unitNameOf(application.name), isOfUser, isConfirmed });
    return { path, text, isDryRun, environmentFile, withoutPassword };
  },
  render({ path, text, isDryRun, environmentFile, withoutPassword }, style) {
    const notes =
      withoutPassword.length === 0
        ? []
        : wrap(
            `hint: The password of ${withoutPassword.join(', ')} is in no file. Name one as passwordFile in lifeboat.yaml, or write LIFEBOAT_PASSWORD=… into ${environmentFile}.`,
            style.widthColumns,
          );
    const lines = isDryRun ? [`would write ${path}:`, '', text] : [`installed and started: ${path}`];
    return [...lines, ...notes].join('\n');
  },
  exitCode: ({ withoutPassword }) => (withoutPassword.length === 0 ? 0 : 3),
});

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
  await systemctl(isOfUser, 'daemon-reload');
  await systemctl(isOfUser, 'enable', name);
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
