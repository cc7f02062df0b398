// Installs pg_dump where the system's packages are ours to install: as root, on a system with apt, after saying so; on a
// terminal only with consent.
import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { promisify } from 'node:util';
import { messageOf } from '../base/errors.ts';
import type { CommandContext } from '../cli/context.ts';
import type { DemoParts } from './parts.ts';

const packageManager = '/usr/bin/apt-get';
/** The system's own major: any does, as servers of all majors come with this program. */
const packageName = 'postgresql-client';
const installMaxMs = 180_000;

/** Tells whether it was installed. */
export async function installDatabaseClient(
  { prompter, progress, signal }: CommandContext,
  { isRoot }: DemoParts,
): Promise<boolean> {
  if (!isRoot || !(await isThere(packageManager))) return false;
  progress.clear();
  if (prompter !== undefined) {
    const question = `pg_dump is missing, without it PostgreSQL is left out. Install the package ${packageName}?`;
    if (!(await prompter.confirm(question, false))) return false;
  }
  progress.note(`pg_dump is missing: installing the package ${packageName} with apt-get`);
  progress.update({ work: `install ${packageName}` });
  try {
    await run(['update', '-q'], signal);
    await run(['install', '-y', '-q', '--no-install-recommends', packageName], signal);
    return true;
  } catch (error) {
    signal.throwIfAborted();
    progress.note(`${packageName} could not be installed: ${reasonOf(error)}`);
    return false;
  }
}

async function run(commandArguments: readonly string[], signal: AbortSignal): Promise<void> {
  await promisify(execFile)(packageManager, commandArguments, {
    env: { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C', PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    signal,
    timeout: installMaxMs,
    maxBuffer: 2 ** 24,
  });
}

/** apt-get's own first words on what went wrong. */
function reasonOf(error: unknown): string {
  const lines = messageOf(error).split('\n');
  return lines.find((line) => line.startsWith('E: '))?.slice(3) ?? lines[0] ?? '';
}

async function isThere(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
