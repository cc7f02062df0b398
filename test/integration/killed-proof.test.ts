// What a kill -9 leaves of a proof: no server, no folder; and what is left where everything was killed goes with the next one.
import { execFileSync, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { recordOwner } from '../../src/base/folder-owner.ts';
import { runLifeboat } from '../support/lifeboat.ts';
import { describeWithPostgres, startPostgres } from '../support/postgres-server.ts';
import { processesIn } from '../support/processes-in-folder.ts';
import { testRedis } from '../support/redis-server.ts';
import { createRepository } from '../support/repository.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { describeWith } from '../support/tools.ts';

interface Place {
  readonly folder: string;
  /** Where throw-away servers are made. */
  readonly work: string;
  run(...args: string[]): ReturnType<typeof runLifeboat>;
}

async function configure(folder: string, components: object): Promise<Place> {
  await createRepository(folder);
  const repositories = { local: { location: './repository' } };
  await writeFile(join(folder, 'lifeboat.yaml'), JSON.stringify({ application: 'shop', repositories, components }));
  const work = join(folder, 'work');
  await mkdir(work);
  await chmod(folder, 0o755); // The server runs as another account where the tests run as root.
  const run = (...args: string[]) => runLifeboat(args, { folder, environment: { TMPDIR: work } });
  return { folder, work, run };
}

const ownerOf = (folder: string): number | undefined => {
  try {
    return (JSON.parse(readFileSync(join(folder, 'owner.json'), 'utf8')) as { pid: number }).pid;
  } catch {
    return undefined; // Not written yet, or gone.
  }
};

function programIn(folder: string, name: string): boolean {
  return processesIn(folder).some((pid) => {
    try {
      return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === name;
    } catch {
      return false;
    }
  });
}

/** Proves until the throw-away server runs, and kills the program then. Answers the folder of that server. */
async function killAmidProof({ folder, work }: Place, component: string, program: string): Promise<string> {
  let child: ChildProcess | undefined;
  const environment = { TMPDIR: work };
  const onStart = (started: ChildProcess): void => void (child = started);
  const ended = runLifeboat(['prove', component], { folder, environment, onStart });
  for (;;) {
    for (const parent of [work, '/dev/shm']) {
      for (const name of await readdir(parent)) {
        const path = join(parent, name);
        const isOurs = name.startsWith('lifeboat-') && child?.pid !== undefined && ownerOf(path) === child.pid;
        if (!isOurs || !programIn(path, program)) continue;
        process.kill(child?.pid ?? 0, 'SIGKILL');
        expect((await ended).exitCode).toBe(-2);
        return path;
      }
    }
    if (child?.exitCode !== null && child !== undefined) throw new Error(`it ended by itself: ${(await ended).stderr}`);
    await sleep(5);
  }
}

async function isAllGone(folder: string): Promise<void> {
  await expect.poll(() => processesIn(folder), { timeout: 15_000 }).toEqual([]);
  await expect.poll(() => existsSync(folder), { timeout: 15_000 }).toBe(false);
}

describeWith(['redis-server', 'pg_dump'], 'kill -9', () => {
  describeWithPostgres(15, 'amid a proof', () => {
    test('of PostgreSQL leaves neither the server nor its folder', async () => {
      await using home = await temporaryFolder();
      await using server = await startPostgres(15);
      await server.sql('postgres', 'create database shop');
      const { host, port, user, password } = server.address;
      const own = { host, port, user, password, sslmode: 'disable', databases: ['shop'] };
      const checks = [{ sql: 'select pg_sleep(60)' }];
      const place = await configure(home.path, { database: { type: 'postgres', ...own, checks } });
      expect(await place.run('backup')).toMatchObject({ exitCode: 0 });
      await isAllGone(await killAmidProof(place, 'database', 'postgres'));
    });

    test('of Redis leaves neither the server nor its folder', async () => {
      await using home = await temporaryFolder();
      await using redis = await testRedis({ settings: ['enable-debug-command yes'] });
      await redis.connection.call('DEBUG', 'POPULATE', 300_000);
      const { host, port } = redis.address;
      const place = await configure(home.path, { cache: { type: 'redis', host, port } });
      expect(await place.run('backup')).toMatchObject({ exitCode: 0 });
      await isAllGone(await killAmidProof(place, 'cache', 'redis-server'));
    });
  });

  test('of the program and its watchers leaves folders that the next proof removes, and only those', async () => {
    await using home = await temporaryFolder();
    await writeFile(join(home.path, 'file'), 'content');
    const place = await configure(home.path, { files: { type: 'files', paths: ['./file'] } });
    expect(await place.run('backup')).toMatchObject({ exitCode: 0 });
    const make = async (name: string): Promise<string> => {
      await mkdir(join(place.work, name, 'data'), { recursive: true });
      await writeFile(join(place.work, name, 'data/rows'), 'of production');
      return join(place.work, name);
    };
    const dead = await make('lifeboat-postgres-AAAAAA');
    const source = fileURLToPath(new URL('../../src/base/folder-owner.ts', import.meta.url));
    execFileSync(process.execPath, [
      '-e',
      `import(process.argv[1]).then((m) => m.recordOwner(process.argv[2]))`,
      source,
      dead,
    ]);
    const alive = await make('lifeboat-redis-BBBBBB');
    recordOwner(alive);
    const numberReused = await make('lifeboat-prove-CCCCCC');
    recordOwner(numberReused);
    const record = JSON.parse(readFileSync(join(numberReused, 'owner.json'), 'utf8')) as { started: string };
    await writeFile(join(numberReused, 'owner.json'), JSON.stringify({ ...record, started: '1' }));
    const elsewhere = await make('lifeboat-prove-DDDDDD');
    await writeFile(join(elsewhere, 'owner.json'), JSON.stringify({ ...record, started: '1', host: 'another' }));
    await make('lifeboat-prove-EEEEEE');
    await make('of-somebody-else');

    expect(await place.run('prove')).toMatchObject({ exitCode: 0 });
    const left = (await readdir(place.work)).filter((name) => name !== 'node-compile-cache');
    expect(left.toSorted()).toEqual([
      'lifeboat-prove-DDDDDD',
      'lifeboat-prove-EEEEEE',
      'lifeboat-redis-BBBBBB',
      'of-somebody-else',
    ]);
  });
});
