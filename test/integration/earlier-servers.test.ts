// Servers of earlier commits, killed at work, are followed by this one: it takes over their state, ends what they had begun, and restores
// what they backed up. scripts/record-earlier-server.ts makes them.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { RunsListData } from '../../src/cli/commands/runs-list.ts';
import { earlierServersFolder, earlierShop } from '../support/earlier-servers.ts';
import { runHere, type Ran } from '../support/lifeboat.ts';
import { eventually, startServerProcess } from '../support/server-process.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const earlier = readdirSync(earlierServersFolder);

describe('a server of an earlier commit', () => {
  test.for(earlier)('leaves to this one all that it had: %s', async (file) => {
    await using folder = await temporaryFolder();
    execFileSync('tar', ['-C', folder.path, '--no-same-owner', '-xzf', join(earlierServersFolder, file)]);
    const lifeboat = (...args: string[]): Promise<Ran> => runHere([...args, '--json'], { folder: folder.path });
    const runs = async (): Promise<RunsListData['runs']> => {
      const { stdout } = await lifeboat('runs', 'list', '--limit', '200');
      return (JSON.parse(stdout) as RunsListData).runs;
    };
    const begun = (await runs()).filter(({ state }) => state === 'running');
    expect(begun).not.toEqual([]);
    const restored = async (repository: string): Promise<Record<string, string>> => {
      const target = join(folder.path, `restored-${repository}`);
      const words = ['restore', 'uploads', '--from', 'latest', '--repository', repository, '--to', target];
      expect(await lifeboat(...words, '--retry-lock', '1m')).toMatchObject({ exitCode: 0, stderr: '' });
      const found = readdirSync(target, { recursive: true, encoding: 'utf8' });
      const names = Object.keys(earlierShop.files).map((name) => [name, found.find((path) => path.endsWith(name))]);
      return Object.fromEntries(
        names.map(([name, path = '']) => [name, readFileSync(join(target, path ?? ''), 'utf8')]),
      );
    };
    const before = await restored('local');
    // What was begun or waits is enough; a machine that is busy with more is slow.
    const configuration = earlierShop.configuration.replaceAll(/every: \ds/g, 'every: 1h');
    writeFileSync(join(folder.path, 'lifeboat.yaml'), configuration);
    {
      await using server = await startServerProcess(folder.path);
      for (const job of ['backup/uploads', 'proof/uploads'])
        expect(await lifeboat('runs', 'start', job)).toMatchObject({ exitCode: 0, stderr: '' });
      await eventually(async () => {
        const now = new Map((await runs()).map(({ id, state }) => [id, state]));
        return begun.every(({ id }) => now.get(id) === 'succeeded');
      });
      for (const job of ['backup/uploads', 'copy/uploads/local/offsite', 'proof/uploads', 'self-backup/local'])
        await eventually(() => server.said().includes(`shop: ${job} succeeded`));
      await eventually(async () => (await lifeboat('status', '--last')).exitCode === 0);
      expect(server.said()).not.toContain('failed');
      server.child.kill('SIGTERM');
      expect(await server.exited).toBe(0);
    }
    expect([before, await restored('offsite')]).toEqual([earlierShop.files, earlierShop.files]);
    for (const words of [
      ['verify', '--read-data'],
      ['audit', 'verify'],
    ])
      expect(await lifeboat(...words)).toMatchObject({ exitCode: 0, stderr: '' });
    expect((await lifeboat('token', 'list')).stdout).toContain(earlierShop.token);
  });
});
