// A Python environment of the project's own under `.cache/`, made on first use: nothing is installed on the machine but,
// as root and where it is missing, Debian's python3-venv.
import { execFile, execFileSync } from 'node:child_process';
import { mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { errnoOf } from '../../src/base/errors.ts';

const run = promisify(execFile);
const cacheFolder = join(import.meta.dirname, '../../.cache');

/** Path of the environment's `python`; rejects, with the reason, where it can't be had. */
export async function pythonEnvironment(name: string, packages: readonly string[]): Promise<string> {
  const folder = join(cacheFolder, name);
  const python = join(folder, 'bin/python');
  const finished = join(folder, 'finished');
  await mkdir(cacheFolder, { recursive: true });
  if (await exists(finished)) return python;
  await using _ = await lock(`${folder}.lock`);
  if (await exists(finished)) return python; // Another test file made it while we waited.
  process.stderr.write(`installing ${packages.join(' ')} into ${folder}; once, about a minute\n`);
  await rm(folder, { recursive: true, force: true });
  await makeEnvironment(folder);
  await run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages]);
  await (await open(finished, 'w')).close();
  return python;
}

async function makeEnvironment(folder: string): Promise<void> {
  try {
    await run('python3', ['-m', 'venv', folder]);
  } catch (error) {
    if (process.getuid?.() !== 0) throw error;
    // Debian ships `venv` without the part that brings pip.
    const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    execFileSync('apt-get', ['install', '-y', '-q', '--no-install-recommends', 'python3', 'python3-venv'], {
      stdio: 'ignore',
      env: environment,
    });
    await rm(folder, { recursive: true, force: true });
    await run('python3', ['-m', 'venv', folder]);
  }
}

/** One process at a time: test files run side by side. A lock whose holder is gone is taken over. */
async function lock(path: string): Promise<AsyncDisposable> {
  for (;;) {
    try {
      await using handle = await open(path, 'wx');
      await handle.writeFile(String(process.pid));
      return { [Symbol.asyncDispose]: () => rm(path, { force: true }) };
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
      if (await isAbandoned(path)) await rm(path, { force: true });
      else await delay(300);
    }
  }
}

async function isAbandoned(path: string): Promise<boolean> {
  try {
    const pid = Number(await readFile(path, 'utf8'));
    if (pid === 0) return false; // Taken this moment, its holder not yet written.
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return errnoOf(error) === 'ESRCH';
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
