// Records what a server of an earlier commit leaves behind when it is killed at work: its state, its lifeboat.yaml, its repositories and
// what it protected, for the test that goes on with them (test/fixtures/earlier-servers).
// Run it as root with a checkout of that commit in which `npm ci` has run: `node scripts/record-earlier-server.ts <checkout> <name>`.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { earlierServersFolder, earlierShop } from '../test/support/earlier-servers.ts';

const [checkout = '', name = ''] = process.argv.slice(2);
const launcher = resolve(checkout, 'bin/lifeboat.js');
const triesMax = 20;
/** Jobs end themselves when their server is gone. */
const jobsEndMs = 3000;

/** Nothing in the catalog is to tell of the machine on which it was made. */
const elsewhere = ['--uts', 'sh', '-c', 'hostname shop-1 && exec "$@"', 'sh', process.execPath, launcher];

function environmentOf(folder: string): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: folder, TZ: 'UTC', LIFEBOAT_PASSWORD: earlierShop.password };
}

function lifeboat(folder: string, ...args: string[]): string {
  return execFileSync('unshare', [...elsewhere, ...args], {
    cwd: folder,
    env: environmentOf(folder),
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

async function startServer(folder: string): Promise<ChildProcess> {
  const child = spawn('unshare', [...elsewhere, 'server', '--listen', '0'], {
    cwd: folder,
    env: environmentOf(folder),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await sleep(3000);
  return child;
}

/** Something is at work, and of each kind one had succeeded before. */
function isWorthKeeping(folder: string): boolean {
  const text = lifeboat(folder, 'runs', 'list', '--json', '--limit', '200');
  const { runs } = JSON.parse(text) as { readonly runs: readonly { readonly state: string; readonly kind: string }[] };
  const succeeded = new Set(runs.flatMap(({ state, kind }) => (state === 'succeeded' ? [kind] : [])));
  const kinds = ['backup', 'copy', 'proof', 'verification'];
  return runs.some(({ state }) => state === 'running') && kinds.every((kind) => succeeded.has(kind));
}

async function killAtWork(folder: string): Promise<void> {
  for (let tries = 0; tries < triesMax; tries += 1) {
    const server = await startServer(folder);
    const exited = new Promise((end) => server.once('exit', end));
    await sleep(8000 + tries * 70); // What is due comes meanwhile.
    lifeboat(folder, 'runs', 'start', 'backup/uploads');
    await sleep(50 * tries);
    server.kill('SIGKILL');
    await exited;
    await sleep(jobsEndMs);
    if (isWorthKeeping(folder)) return;
  }
  throw new Error('no run was open, or not all had succeeded, when the server was killed');
}

const folder = mkdtempSync(join(tmpdir(), 'lifeboat-earlier-'));
try {
  mkdirSync(join(folder, 'data'));
  for (const [file, content] of Object.entries(earlierShop.files)) writeFileSync(join(folder, 'data', file), content);
  writeFileSync(join(folder, 'lifeboat.yaml'), earlierShop.configuration);
  lifeboat(folder, 'repository', 'init', '--repository', 'local');
  lifeboat(folder, 'repository', 'init', '--repository', 'offsite', '--from', 'local');
  lifeboat(folder, 'token', 'create', earlierShop.token, '--role', 'viewer');
  await killAtWork(folder);
  // What it keeps to be faster would only make the fixture larger.
  rmSync(join(folder, '.cache'), { recursive: true, force: true });
  mkdirSync(earlierServersFolder, { recursive: true });
  execFileSync('tar', [
    '-C',
    folder,
    '--owner=0',
    '--group=0',
    '-czf',
    join(earlierServersFolder, `${name}.tar.gz`),
    '.',
  ]);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
