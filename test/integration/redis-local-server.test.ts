import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { connectRedis } from '../../src/sources/redis/connection.ts';
import { startLocalServer } from '../../src/sources/redis/local-server.ts';
import { describeWith } from '../support/tools.ts';

const { signal } = new AbortController();
const isAlive = (pid: number) => existsSync(`/proc/${pid}`);

describeWith(['redis-server'], 'a local redis-server', () => {
  test('is gone with its folder once it is closed', async () => {
    const server = await startLocalServer({}, signal);
    expect([isAlive(server.pid), existsSync(server.folder)]).toEqual([true, true]);
    await server[Symbol.asyncDispose]();
    expect([isAlive(server.pid), existsSync(server.folder)]).toEqual([false, false]);
  });

  test('is told no secret of ours', async () => {
    vi.stubEnv('LIFEBOAT_PASSWORD', 'planted');
    await using server = await startLocalServer({}, signal);
    vi.unstubAllEnvs();
    expect(readFileSync(`/proc/${server.pid}/environ`, 'utf8')).not.toContain('LIFEBOAT_PASSWORD');
  });

  test('listens on no network port', async () => {
    await using server = await startLocalServer({}, signal);
    await using connection = await connectRedis(server.address, signal);
    expect(String(await connection.call('CONFIG', 'GET', 'port'))).toBe('port,0');
  });

  test('that cannot load what is in its folder leaves nothing behind', async () => {
    let used = '';
    const started = startLocalServer(
      {
        prepare: (folder) => {
          used = folder;
          return writeFile(join(folder, 'dump.rdb'), 'no dump at all');
        },
      },
      signal,
    );
    await expect(started).rejects.toMatchObject({ code: 'RESTORE_FAILED' });
    expect(existsSync(used)).toBe(false);
  });

  test('does not start when the work was aborted', async () => {
    await expect(startLocalServer({}, AbortSignal.abort(new Error('stopped')))).rejects.toThrow('stopped');
  });

  test('is stopped when the work is aborted while it loads', async () => {
    const controller = new AbortController();
    let used = '';
    const started = startLocalServer(
      {
        prepare: async (folder) => {
          used = folder;
          setImmediate(() => controller.abort(new Error('stopped')));
        },
      },
      controller.signal,
    );
    await expect(started).rejects.toThrow('stopped');
    expect(existsSync(used)).toBe(false);
  });
});
