// `lifeboat server` as people run it: it does what is due, goes on after it was killed, follows its configuration, and stops when told.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunsListData } from '../../src/cli/commands/runs-list.ts';
import type { RunsShowData } from '../../src/cli/commands/runs-show.ts';
import type { RunView } from '../../src/service/run-view.ts';
import { childProcesses } from '../support/child-processes.ts';
import { runLifeboat } from '../support/lifeboat.ts';
import { eventually, startServerProcess } from '../support/server-process.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

const configuration = (schedule: string): string => `
application: shop
service: { selfBackup: false }
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

  beforeAll(async () => {
    home = await temporaryFolder();
    mkdirSync(join(home.path, 'data'));
    writeFileSync(join(home.path, 'data', 'file'), 'content');
    writeFileSync(join(home.path, 'lifeboat.yaml'), configuration('{ every: 2s }'));
    await lifeboat('repository', 'init', '--repository', 'local');
    await lifeboat('repository', 'init', '--repository', 'offsite', '--from', 'local');
  });
  afterAll(() => home[Symbol.asyncDispose]());

  async function lifeboat(...args: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await runLifeboat([...args, '--json'], { folder: home.path });
    expect([exitCode, stderr]).toEqual([0, '']);
    return stdout;
  }

  const runs = async (...args: string[]): Promise<readonly RunView[]> =>
    (JSON.parse(await lifeboat('runs', 'list', '--limit', '1000', ...args)) as RunsListData).runs;

  test(
    'backs up, copies, goes on after it was killed, and lets nobody else at its state',
    { timeout: 240_000 },
    async () => {
      await using first = await startServerProcess(home.path);
      await eventually(async () => (await runs('--kind', 'copy', '--state', 'succeeded')).length > 0);
      const address = /answers at (http:\S+)/.exec(first.said())?.[1] ?? '';
      expect(first.said()).toContain('nobody is told when something of shop goes wrong');
      expect(address).toContain('http://127.0.0.1:');
      expect((await fetch(`${address}/health`)).status).toBe(200);
      expect((await fetch(`${address}/api/v1/runs`)).status).toBe(401);
      const { token } = JSON.parse(await lifeboat('token', 'create', 'test')) as { token: string };
      const answer = await fetch(`${address}/api/v1/runs`, { headers: { authorization: `Bearer ${token}` } });
      expect([answer.status, await answer.json()]).toEqual([
        200,
        expect.objectContaining({ items: expect.arrayContaining([expect.objectContaining({ kind: 'copy' })]) as [] }),
      ]);
      await using second = await startServerProcess(home.path);
      expect(await second.exited).toBe(11);
      expect(second.said()).toContain('is in use by process');
      await eventually(async () => (await runs('--state', 'running')).length > 0);
      first.child.kill('SIGKILL');
      await first.exited;
      const [left] = await runs('--state', 'running');
      await using third = await startServerProcess(home.path);
      const id = left?.id.slice(-8) ?? '';
      await eventually(
        async () => (JSON.parse(await lifeboat('runs', 'show', id)) as { run: RunView }).run.state === 'succeeded',
      );
      const { events } = JSON.parse(await lifeboat('runs', 'show', id)) as RunsShowData;
      const command = expect.stringMatching(/^lifeboat (?:backup|copy|retention) .*--config/) as string;
      expect(events).toContainEqual(expect.objectContaining({ kind: 'command', text: command }));
      // Read again where it changes; what is wrong is told, and changes nothing.
      writeFileSync(join(home.path, 'lifeboat.yaml'), 'application: [');
      await eventually(() => third.said().includes('lifeboat.yaml'));
      // What is in force goes on, by the text that was valid.
      const [last] = await runs('--kind', 'backup', '--limit', '1');
      await eventually(async () => {
        const ended = await runs('--kind', 'backup', '--state', 'succeeded');
        return ended.some(({ createdAt }) => Date.parse(createdAt) > Date.parse(last?.createdAt ?? ''));
      });
      expect(await runs('--state', 'failed')).toEqual([]);
      writeFileSync(join(home.path, 'lifeboat.yaml'), configuration('{ before: deployment }'));
      await eventually(() => third.said().includes('configured anew'));
      await lifeboat('runs', 'start', '--before', 'deployment');
      await eventually(async () => (await runs('--open')).length === 0);
      const [newest] = await runs('--kind', 'backup');
      expect(newest).toMatchObject({ state: 'succeeded', origin: { kind: 'event', event: 'deployment' } });
      // What somebody asked for is a class of its own, also for retention.
      expect(await lifeboat('snapshots', '--last', '1', '--tag', 'manual')).toContain('before-deployment');
      await lifeboat('schedule', 'pause', 'retention/local', '--for', '2h');
      const schedules = async (): Promise<object[]> => {
        const at = /answers at (http:\S+)/.exec(third.said())?.[1] ?? '';
        const listed = await fetch(`${at}/api/v1/schedules`, { headers: { authorization: `Bearer ${token}` } });
        return ((await listed.json()) as { items: object[] }).items;
      };
      const paused = { job: 'retention/local', isPaused: true, pausedUntil: expect.any(String) as string };
      expect(await schedules()).toContainEqual(expect.objectContaining(paused));
      await lifeboat('schedule', 'resume', 'retention/local');
      expect(await schedules()).not.toContainEqual(expect.objectContaining({ isPaused: true }));
      const unknown = await runLifeboat(['schedule', 'pause', 'no/job'], { folder: home.path });
      expect(unknown).toMatchObject({ exitCode: 4, stderr: expect.stringContaining('There are') as string });
      third.child.kill('SIGTERM');
      expect(await third.exited).toBe(0);
      expect(childProcesses('node').filter(({ arguments: [, ...args] }) => args.includes('backup'))).toEqual([]);
      expect(readFileSync(join(home.path, 'data', 'file'), 'utf8')).toBe('content');
    },
  );
});
