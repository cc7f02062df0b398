// Brings up the servers that this machine has programs for, says which it must leave out and why, and makes sure that they
// end with the demonstration, whatever ends it.
import { rmSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isAppError } from '../base/errors.ts';
import type { CommandContext } from '../cli/context.ts';
import type { DemoCache, DemoDatabase, DemoParts } from './parts.ts';

export interface LeftOut {
  readonly what: 'PostgreSQL' | 'Redis';
  readonly reason: string;
  readonly hint: string;
}

export interface DemoServers extends AsyncDisposable {
  readonly database: DemoDatabase | undefined;
  readonly cache: DemoCache | undefined;
  readonly leftOut: readonly LeftOut[];
}

export async function startServers(context: CommandContext, parts: DemoParts): Promise<DemoServers> {
  const folder = await mkdtemp(join(parts.temporaryFolder, 'lifeboat-demo-'));
  // The servers may run as another user, who passes through; their own folders inside are closed to all others.
  await chmod(folder, 0o711);
  const running: (DemoDatabase | DemoCache)[] = [];
  const onExit = (): void => endAtOnce(running, folder);
  process.once('exit', onExit);
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(async () => {
    process.off('exit', onExit);
    await rm(folder, { recursive: true, force: true });
  });
  const leftOut: LeftOut[] = [];
  const start = async <Server extends DemoDatabase | DemoCache>(
    what: LeftOut['what'],
    launch: () => Promise<Server>,
  ): Promise<Server | undefined> => {
    try {
      const server = cleanup.use(await launch());
      running.push(server);
      return server;
    } catch (error) {
      // Without a program, or a place where it may run, the rest of the story can still be told.
      if (!isAppError(error, 'TOOL_MISSING', 'INCONCLUSIVE')) throw error;
      leftOut.push({ what, reason: error.message, hint: error.hint });
      return undefined;
    }
  };
  const { signal } = context;
  const database = await start('PostgreSQL', () => parts.startDatabase(folder, signal));
  const cache = await start('Redis', () => parts.startCache(folder, signal));
  const all = cleanup.move();
  return { database, cache, leftOut, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** The process ends without waiting (a second Ctrl-C, a defect): nothing of ours may stay behind. */
function endAtOnce(running: readonly { readonly pid: number }[], folder: string): void {
  for (const { pid } of running) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended already.
    }
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}
