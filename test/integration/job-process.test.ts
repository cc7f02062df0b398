// Jobs of the service as processes: what they return and tell, how they fail, and that none outlives its worker.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runJob, type JobCommand, type JobEvents } from '../../src/service/job-process.ts';
import { childProcesses } from '../support/child-processes.ts';
import { createRepository, noSignal, testPassword } from '../support/repository.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

const launcherPath = join(import.meta.dirname, '../../bin/lifeboat.js');

describe('a job', () => {
  let home: TemporaryFolder;
  const notes: string[] = [];
  const events: JobEvents = { onNote: (text) => notes.push(text), onStatus: () => undefined };
  const job = (...args: string[]): JobCommand => ({
    launcherPath,
    args: [...args, '--repository', './repository'],
    workingFolder: home.path,
    variables: { ...process.env, LIFEBOAT_PASSWORD: testPassword },
  });

  beforeAll(async () => {
    home = await temporaryFolder();
    await createRepository(home.path);
    mkdirSync(join(home.path, 'data'));
    writeFileSync(join(home.path, 'data', 'file'), 'content');
  });
  afterAll(() => home[Symbol.asyncDispose]());

  test('returns what its command returned, over one line or many', async () => {
    const backup = await runJob(job('backup', '--path', './data'), events, noSignal);
    expect(backup).toMatchObject({ exitCode: 0, summary: { backups: [{ repository: './repository' }] } });
    const snapshots = await runJob(job('snapshots'), events, noSignal);
    expect(snapshots.summary).toMatchObject({ repositories: [{ snapshots: [{}] }] });
  });

  test('fails with the error of its command, or with what is known where it says nothing', async () => {
    const failing = runJob(job('backup', '--path', './none'), events, noSignal);
    await expect(failing).rejects.toMatchObject({
      code: 'SOURCE_UNREACHABLE',
      hint: 'Mount or create it, or correct the path.',
    });
    const broken = runJob({ ...job('status'), launcherPath: join(home.path, 'no-such-program.js') }, events, noSignal);
    await expect(broken).rejects.toMatchObject({
      code: 'JOB_FAILED',
      message: expect.stringContaining('no-such') as string,
    });
  });

  test('ends when it is asked to, with all that it started', async () => {
    await using store = await silentStore();
    const controller = new AbortController();
    const reason = new Error('not wanted any more');
    const waiting = runJob(hanging(store.port), events, controller.signal);
    waiting.catch(() => undefined);
    await store.asked;
    expect(jobsLeft()).toHaveLength(1);
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect(jobsLeft()).toEqual([]);
  });

  test('that nobody waits for gives way with all its threads, and one that people wait for does not', async () => {
    const prioritiesOf = async (command: string): Promise<number[]> => {
      await using store = await silentStore();
      const controller = new AbortController();
      const waiting = runJob(hanging(store.port, command), events, controller.signal);
      waiting.catch(() => undefined);
      await store.asked;
      const threads = jobsLeft(command).flatMap(({ pid }) => readdirSync(`/proc/${pid}/task`).map(Number));
      const priorities = threads.map((thread) => getPriority(thread));
      const session = `/proc/${threads[0]}/autogroup`;
      // Whose own is lower already leaves it at that.
      if (getPriority() < 5 && existsSync(session))
        priorities.push(Number(/nice (-?\d+)/.exec(readFileSync(session, 'utf8'))?.[1]));
      controller.abort();
      await waiting.catch(() => undefined);
      return priorities;
    };
    const usual = getPriority();
    const lower = Math.max(usual, 5);
    const background = await prioritiesOf('verify');
    expect(background.length).toBeGreaterThan(4);
    expect(new Set(background)).toEqual(new Set([lower]));
    expect(new Set(await prioritiesOf('snapshots'))).toEqual(new Set([usual]));
  });

  // Whose own priority is lower already leaves its jobs at that.
  test.runIf(getPriority() < 5 && existsSync('/proc/self/autogroup'))(
    'that begins with others at once gives way with its session, though the kernel takes but one of them',
    async () => {
      chmodSync(home.path, 0o755);
      const path = join(home.path, 'launcher.mjs');
      // Says how its session stands as soon as that is as it should be, or after a while.
      writeFileSync(
        path,
        `import { readFileSync } from 'node:fs';
const nice = () => Number(/nice (-?\\d+)/.exec(readFileSync('/proc/self/autogroup', 'utf8'))?.[1]);
for (let times = 0; times < 50 && nice() < 5; times += 1) await new Promise((done) => setTimeout(done, 100));
console.log(JSON.stringify({ nice: nice() }));
process.disconnect();`,
      );
      const parent = fork(join(import.meta.dirname, '../support/jobs-without-rights.ts'), [path]);
      const [nices] = (await once(parent, 'message')) as [unknown];
      expect(nices).toEqual([5, 5, 5]);
    },
  );

  test('does not outlive a worker that is killed', async () => {
    await using store = await silentStore();
    const worker = fork(join(import.meta.dirname, '../support/job-parent.ts'), [JSON.stringify(hanging(store.port))]);
    await store.asked;
    const [child] = jobsLeft();
    expect(child).toBeDefined();
    worker.kill('SIGKILL');
    for (let tries = 0; tries < 200 && isAlive(child?.pid ?? 0); tries += 1) await sleep(50);
    expect(isAlive(child?.pid ?? 0)).toBe(false);
  });

  /** Asks a store that never answers. */
  function hanging(port: number, command = 'snapshots'): JobCommand {
    const { args: _, ...more } = job();
    const variables = {
      ...more.variables,
      AWS_ACCESS_KEY_ID: 'a',
      AWS_SECRET_ACCESS_KEY: 'b',
      AWS_REGION: 'us-east-1',
    };
    const args = [command, '--repository', `s3://bucket/x?endpoint=http://127.0.0.1:${port}&path-style=true`];
    return { ...more, args, variables };
  }
});

const jobsLeft = (command = 'snapshots') => childProcesses('node').filter((child) => child.arguments.includes(command));

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function silentStore(): Promise<AsyncDisposable & { readonly port: number; readonly asked: Promise<void> }> {
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    resolve();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
}
