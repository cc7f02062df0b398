import { chmod, cp, lstat, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeWithPostgres } from '../../../test/support/postgres-server.ts';
import { temporaryFolder, type TemporaryFolder } from '../../../test/support/temporary-folder.ts';
import { connect } from './connection.ts';
import { startLocalServer } from './local-server.ts';
import { findServer, packagedServer } from './server-programs.ts';

const never = new AbortController().signal;

describeWithPostgres(17, 'a throw-away server', () => {
  test('answers on loopback to its own password only, and goes without a trace', async () => {
    await using parent = await openFolder();
    const server = await startLocalServer(await findServer(17, [], never), { parentFolder: parent.path }, never);
    await using connection = await connect(server.address, 'postgres', never);
    expect(await connection.query('SHOW listen_addresses')).toEqual([{ listen_addresses: '127.0.0.1' }]);
    await connection.query("CREATE ROLE other LOGIN PASSWORD 'other'");
    await expect(
      connect({ ...server.address, user: 'other', password: 'other' }, 'postgres', never),
    ).rejects.toMatchObject({ code: 'SOURCE_DENIED' });
    await expect(connect({ ...server.address, password: 'wrong' }, 'postgres', never)).rejects.toMatchObject({
      code: 'SOURCE_DENIED',
    });
    await server[Symbol.asyncDispose]();
    expect(() => process.kill(server.pid, 0)).toThrow('ESRCH');
    expect(await readdir(parent.path)).toEqual([]);
  });

  test('starts from a package whose links were never made, in a folder nobody else may enter', async (context) => {
    const packaged = await packagedServer(17);
    if (packaged === undefined) {
      context.skip('no package');
      return;
    }
    await using parent = await openFolder();
    const root = join(parent.path, 'closed', 'native');
    await mkdir(join(parent.path, 'closed'), { mode: 0o700 });
    await cp(packaged.root, root, {
      recursive: true,
      verbatimSymlinks: true,
      filter: async (path) => !(await lstat(path)).isSymbolicLink(),
    });
    await using server = await startLocalServer(
      { ...packaged, root, folder: join(root, 'bin') },
      { parentFolder: parent.path },
      never,
    );
    await using connection = await connect(server.address, 'postgres', never);
    expect(await connection.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  test.runIf(process.getuid?.() === 0)('does not start in a folder that its account may not enter', async () => {
    await using parent = await temporaryFolder();
    const started = startLocalServer(await findServer(17, [], never), { parentFolder: parent.path }, never);
    await expect(started).rejects.toMatchObject({
      code: 'INCONCLUSIVE',
      message: expect.stringContaining('may not enter'),
    });
    expect(await readdir(parent.path)).toEqual([]);
  });

  test('that can not start says why and leaves nothing', async () => {
    await using parent = await openFolder();
    const programs = await findServer(17, [], never);
    const settings = ['shared_buffers=nonsense'];
    await expect(startLocalServer(programs, { parentFolder: parent.path, settings }, never)).rejects.toMatchObject({
      code: 'INCONCLUSIVE',
      message: expect.stringContaining('shared_buffers'),
    });
    await expect(
      startLocalServer(programs, { parentFolder: parent.path }, AbortSignal.abort(new Error('stop'))),
    ).rejects.toThrow('stop');
    expect(await readdir(parent.path)).toEqual([]);
    await expect(findServer(99, [], never)).rejects.toMatchObject({
      code: 'TOOL_MISSING',
      hint: expect.stringContaining('postgresql-99'),
    });
  });
});

/** The server runs as another account where the tests run as root. */
async function openFolder(): Promise<TemporaryFolder> {
  const folder = await temporaryFolder();
  await chmod(folder.path, 0o755);
  return folder;
}
