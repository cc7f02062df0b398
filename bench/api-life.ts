// A server as people start it, over the state of a large installation, which does its jobs meanwhile; and beside it a backup after the
// other, in processes of their own as jobs are.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { runJob } from '../src/service/job-process.ts';
import type { Client, Served } from './api-clients.ts';
import { configure, openFilledCatalog, wholeComponent, writeFiles } from './api-fixture.ts';

const run = promisify(execFile);
const main = resolve(import.meta.dirname, '..', 'dist', 'main.js');

export interface LivingServer extends Served, AsyncDisposable {
  /** Backs up, others files each time, until told to stop; returns how often. */
  backUpUntil(signal: AbortSignal): Promise<number>;
}

export async function startLivingServer(): Promise<LivingServer> {
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'lifeboat-bench-api-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  const env = {
    ...process.env,
    HOME: folder,
    XDG_STATE_HOME: join(folder, 'state'),
    XDG_CACHE_HOME: join(folder, 'cache'),
    LIFEBOAT_PASSWORD: 'benchmark',
    NODE_COMPILE_CACHE: join(folder, 'compile-cache'),
    // As the installed program does.
    MALLOC_MMAP_THRESHOLD_: '131072',
  };
  const lifeboat = (...args: string[]) => run(process.execPath, [main, ...args], { cwd: folder, env });
  const tenant = configure(folder);
  await writeFiles(folder, 'all');
  await lifeboat('repository', 'init');
  const stateFolder = join(folder, 'state', 'lifeboat');
  mkdirSync(stateFolder, { recursive: true, mode: 0o700 });
  const { log, token } = await openFilledCatalog(stateFolder, tenant);
  await log.catalog[Symbol.asyncDispose]();

  const stdio: ['ignore', 'ignore', 'pipe'] = ['ignore', 'ignore', 'pipe'];
  const child = spawn(process.execPath, [main, 'server', '--listen', '0'], { cwd: folder, env, stdio });
  const exited = once(child, 'exit');
  stack.defer(async () => {
    child.kill('SIGTERM');
    await exited;
  });
  let said = '';
  const url = await new Promise<string>((answer, reject) => {
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      const address = /answers at (http:\S+)/.exec(said)?.[1];
      if (address !== undefined) answer(address);
    });
    child.once('exit', () => reject(new Error(`the server did not start: ${said}`)));
  });
  const running = stack.move();
  return {
    url,
    token,
    async backUpUntil(signal) {
      for (let round = 0; ; round += 1) {
        if (signal.aborted) return round;
        await writeFiles(folder, round);
        // As the server starts its jobs.
        await runJob(
          { launcherPath: main, args: ['backup', wholeComponent], workingFolder: folder, variables: env },
          { onNote: () => undefined, onStatus: () => undefined },
          AbortSignal.timeout(60_000),
        );
      }
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

export interface Use {
  readonly cpuMs: number;
  readonly residentMiB: number;
}

/** As the server itself counts it. */
export async function useOf(client: Client): Promise<Use> {
  const text = await client.ask('/metrics');
  const value = (name: string): number => Number(new RegExp(`^lifeboat_${name} (\\S+)$`, 'm').exec(text)?.[1]);
  return {
    cpuMs: value('process_cpu_seconds_total') * 1000,
    residentMiB: Math.round(value('process_resident_bytes') / 2 ** 20),
  };
}
