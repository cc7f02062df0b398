// The programs that are measured side by side, each with the verbs a backup needs. Compression: zstd, level 1 for Lifeboat
// and borg, "auto" for restic, which has no level 1 in 0.14.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from './measure.ts';

export interface Contender {
  readonly name: string;
  readonly version: string;
  init(repository: string): Command;
  backup(repository: string, tree: string): Command;
  restore(repository: string, target: string): Command;
  verify(repository: string): Command;
  /** Forgets all snapshots but the last, then frees their space. */
  prune(repository: string): Command[];
}

const password = 'benchmark';
const compileCache = join(tmpdir(), 'lifeboat-bench-compile-cache');

function versionOf(program: string, args: readonly string[]): string | undefined {
  const { stdout, status } = spawnSync(program, args, { encoding: 'utf8' });
  return status === 0 ? (stdout.trim().split('\n')[0] ?? '') : undefined;
}

function lifeboat(): Contender {
  const program = process.execPath;
  const main = resolve(import.meta.dirname, '..', 'dist', 'main.js');
  const command = (...args: string[]): Command => ({
    program,
    args: ['--max-semi-space-size=4', main, ...args, '--quiet'],
    // As the installed program does.
    environment: { LIFEBOAT_PASSWORD: password, NODE_COMPILE_CACHE: compileCache, MALLOC_MMAP_THRESHOLD_: '131072' },
  });
  return {
    name: 'lifeboat',
    version: versionOf(program, [main, '--version']) ?? 'not built',
    init: (repository) => command('repository', 'init', '--repository', repository),
    backup: (repository, tree) => command('backup', '--path', tree, '--repository', repository),
    restore: (repository, target) => command('restore', 'latest', '--to', target, '--yes', '--repository', repository),
    verify: (repository) => command('verify', '--read-data', '--repository', repository),
    prune: (repository) => [
      command('repository', 'forget', '--keep-last', '1', '--yes', '--repository', repository),
      command('repository', 'prune', '--yes', '--repository', repository),
    ],
  };
}

function restic(version: string): Contender {
  const command = (repository: string, ...args: string[]): Command => ({
    program: 'restic',
    args: ['--quiet', '--repo', repository, ...args],
    environment: { RESTIC_PASSWORD: password, RESTIC_CACHE_DIR: `${repository}-cache` },
  });
  return {
    name: 'restic',
    version,
    init: (repository) => command(repository, 'init'),
    backup: (repository, tree) => command(repository, 'backup', tree),
    restore: (repository, target) => command(repository, 'restore', 'latest', '--target', target),
    verify: (repository) => command(repository, 'check', '--read-data'),
    prune: (repository) => [command(repository, 'forget', '--keep-last', '1', '--prune')],
  };
}

function borg(version: string): Contender {
  let archive = 0;
  const command = (...args: string[]): Command => ({
    program: 'borg',
    args,
    environment: { BORG_PASSPHRASE: password, BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes' },
  });
  return {
    name: 'borg',
    version,
    init: (repository) => {
      rmSync(repository, { recursive: true, force: true });
      return command('init', '--encryption', 'repokey', repository);
    },
    backup: (repository, tree) =>
      command('create', '--compression', 'zstd,1', `${repository}::run-${(archive += 1)}`, tree),
    restore: (repository, target) => ({
      program: 'sh',
      args: ['-c', 'mkdir -p "$1" && cd "$1" && borg extract "$2::run-$3"', 'sh', target, repository, String(archive)],
      environment: { BORG_PASSPHRASE: password },
    }),
    verify: (repository) => command('check', '--verify-data', repository),
    prune: (repository) => [command('prune', '--keep-last', '1', repository), command('compact', repository)],
  };
}

/** Lifeboat first; peers only where they are installed. */
export function contenders(): Contender[] {
  const found = [lifeboat()];
  const resticVersion = versionOf('restic', ['version']);
  if (resticVersion !== undefined) found.push(restic(resticVersion));
  const borgVersion = versionOf('borg', ['--version']);
  if (borgVersion !== undefined) found.push(borg(borgVersion));
  return found;
}

export const repositoryOf = (work: string, contender: Contender): string => join(work, `repository-${contender.name}`);
