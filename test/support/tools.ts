// Programs that tests need beside Node: found on the machine, installed from Debian's packages as root, or, where that
// can't be, the tests that need them are skipped with the reason. Under CI=true a missing one fails instead.
import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe } from 'vitest';

/** Program → Debian package. */
const packages = {
  restic: 'restic',
  'redis-server': 'redis-server',
  git: 'git',
  openssl: 'openssl',
  pg_dump: 'postgresql-client-15',
  setfacl: 'acl',
  age: 'age',
} as const;

export type Tool = keyof typeof packages;

const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/lib/postgresql/15/bin', '/usr/sbin'];

/** Path of a program, or undefined if this machine has none. */
export function findTool(name: Tool): string | undefined {
  for (const folder of folders) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

/** Installs what is missing; called once before all tests. Says what it could not do. */
export function installTools(): void {
  const missing = (Object.keys(packages) as Tool[]).filter((name) => findTool(name) === undefined);
  if (missing.length === 0) return;
  const wanted = missing.map((name) => packages[name]);
  if (process.getuid?.() !== 0) {
    process.stderr.write(`not root, so not installed: ${wanted.join(' ')}; tests that need them are skipped\n`);
    return;
  }
  // A server package must not start its own service: tests start servers on ports and folders of their own.
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  try {
    execFileSync('apt-get', ['update', '-q'], { stdio: 'ignore', env: environment });
    execFileSync('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...wanted], {
      stdio: 'ignore',
      env: environment,
    });
  } catch (error) {
    process.stderr.write(`could not install ${wanted.join(' ')}: ${String(error)}\n`);
  }
}

/** `describe` for tests that need programs: runs them, or skips them loudly; under CI=true it fails instead. */
export function describeWith(tools: readonly Tool[], title: string, define: () => void): void {
  const missing = tools.filter((name) => findTool(name) === undefined);
  if (missing.length === 0) describe(title, define);
  else if (process.env['CI'] === 'true') throw new Error(`${title}: ${missing.join(', ')} missing on CI`);
  else describe.skip(`${title} (not run: no ${missing.join(', ')} on this machine)`, define);
}
