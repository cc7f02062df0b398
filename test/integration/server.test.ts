// `lifeboat server` as people run it: it does what is due, goes on after it was killed, follows its configuration, and stops when told.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunsListData } from '../../src/cli/commands/runs-list.ts';
import type { RunRow } from '../../src/catalog/runs.ts';
import { childProcesses } from '../support/child-processes.ts';
import { environmentIn, launcher, runLifeboat } from '../support/lifeboat.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

const configuration = (schedule: string): string => `
application: shop
repositories:
  local: { location: ./local }
  offsite: { location: ./offsite }
components:
  files:
    type: files
    paths: [./data]
    policy:
      schedule: ${schedule}
      repositories: [local]
      copy: { to: offsite }
      retention: { keepLast: 2, schedule: { every: 3h } }
`;

describe('a server', () => {
  let home: TemporaryFolder;
  const started = new Set<ChildProcess>();

  beforeAll(async () => {
    home = await temporaryFolder();
    mkdirSync(join(home.path, 'data'));
    writeFileSync(join(home.path, 'data', 'file'), 'content');
    writeFileSync(join(home.path, 'lifeboat.yaml'), configuration('{ every: 2s }'));
    await lifeboat('repository', 'init', '--repository', 'local');
    await lifeboat('repository', 'init', '--repository', 'offsite', '--from', 'local');
  });
  afterAll(async () => {
    for (const child of started) child.kill('SIGKILL');
    await home[Symbol.asyncDispose]();
  });

  async function lifeboat(...args: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await runLifeboat([...args, '--json'], { folder: home.path });
    expect([exitCode, stderr]).toEqual([0, '']);
    return stdout;
  }

  async function startServer(): Promise<{ child: ChildProcess; said: () => string; exited: Promise<number | null> }> {
    const child = spawn(process.execPath, [launcher, 'server', '--listen', '0'], {
      cwd: home.path,
      env: environmentIn(home.path),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    started.add(child);
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
    const server = { child, said: () => text, exited };
    await until(() => text.includes('is ready') || child.exitCode !== null);
    return server;
  }

  const runs = async (...args: string[]): Promise<readonly RunRow[]> =>
    (JSON.parse(await lifeboat('runs', 'list', '--limit', '1000', ...args)) as RunsListData).runs;

  test(
    'backs up, copies, goes on after it was killed, and lets nobody else at its state',
    { timeout: 240_000 },
    async () => {
      const first = await startServer();
      await until(async () => (await runs('--kind', 'copy', '--state', 'succeeded')).length > 0);
      const second = await startServer();
      expect(await second.exited).toBe(11);
      expect(second.said()).toContain('is in use by process');
      await until(async () => (await runs('--state', 'running')).length > 0);
      first.child.kill('SIGKILL');
      await first.exited;
      const [left] = await runs('--state', 'running');
      const third = await startServer();
      const id = left?.id.slice(-8) ?? '';
      await until(
        async () => (JSON.parse(await lifeboat('runs', 'show', id)) as { run: RunRow }).run.state === 'succeeded',
      );
      // Read again where it changes; what is wrong is told, and changes nothing.
      writeFileSync(join(home.path, 'lifeboat.yaml'), 'application: [');
      await until(() => third.said().includes('lifeboat.yaml'));
      writeFileSync(join(home.path, 'lifeboat.yaml'), configuration('{ before: deployment }'));
      await until(() => third.said().includes('configured anew'));
      await lifeboat('runs', 'start', '--before', 'deployment');
      await until(async () => (await runs('--open')).length === 0);
      const [newest] = await runs('--kind', 'backup');
      expect(newest).toMatchObject({ state: 'succeeded', origin: expect.stringContaining('deployment') as string });
      third.child.kill('SIGTERM');
      expect(await third.exited).toBe(0);
      expect(childProcesses('node').filter(({ arguments: [, ...args] }) => args.includes('backup'))).toEqual([]);
      expect(readFileSync(join(home.path, 'data', 'file'), 'utf8')).toBe('content');
    },
  );
});

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const startMs = performance.now();
  while (!(await isSo())) {
    if (performance.now() - startMs > 120_000) throw new Error(`it never comes to that: ${isSo.toString()}`);
    await sleep(100);
  }
}
