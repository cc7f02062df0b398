// A repository in a bucket gives back what one on disk does: with the cache that remote stores get, and without.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AppError } from '../../src/base/errors.ts';
import { seededRandom } from '../../src/base/random.ts';
import { initRepository, openRepository } from '../../src/repository/open-repository.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { WorkerPool } from '../../src/repository/worker-pool.ts';
import { cachingStore } from '../../src/storage/caching.ts';
import { s3Store } from '../../src/storage/s3/store.ts';
import type { Store } from '../../src/storage/store.ts';
import { listFolder } from '../support/compare-folders.ts';
import { fillFolder, noise } from '../support/random-tree.ts';
import { backupFolder, cheapScrypt, noSignal, restoreTo, testPassword } from '../support/repository.ts';
import { describeWithS3, startS3Server, type S3Server } from '../support/s3-server.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';
import { watchedStore, type WatchedStore } from '../support/watched-store.ts';
import { freshSeed } from '../support/fresh-seed.ts';

await describeWithS3('a repository in a bucket', () => {
  let server: S3Server;
  let home: TemporaryFolder;
  let store: Store;
  let repository: Repository;
  let pool: WorkerPool;
  let data: string;
  let target: string;

  beforeAll(async () => {
    server = await startS3Server();
    home = await temporaryFolder();
    data = join(home.path, 'data');
    target = join(home.path, 'target');
    mkdirSync(data);
    const seed = freshSeed('tree for a bucket');
    fillFolder(data, seededRandom(seed), 80);
    writeFileSync(join(data, 'large'), noise(seededRandom(seed), 5_000_000));
    store = s3Store({ kind: 's3', bucket: await server.makeBucket(), prefix: 'shop', client: server.client });
    const options = {
      password: testPassword,
      signal: noSignal,
      chunkerDefault: 'gear',
      scryptCost: cheapScrypt,
    } as const;
    repository = { ...(await initRepository(store, options)), lockSettings: { settleMs: 0 } };
    pool = new WorkerPool(repository);
    await backupFolder(repository, data, { pool });
  });
  afterAll(async () => {
    await pool[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  /** As a command on another machine opens it. */
  async function openCached(cache: string): Promise<{ repository: Repository; remote: WatchedStore; got: string[] }> {
    const got: string[] = [];
    const remote = watchedStore(store, { beforeGet: (name) => void got.push(name) });
    const opened = await openRepository(remote, { password: testPassword, signal: noSignal });
    const treePacks = new Set<string>();
    const cached = cachingStore(remote, {
      folder: join(home.path, cache),
      repositoryId: opened.config.id,
      isCacheable: (name) => name.startsWith('index/') || name.startsWith('snapshots/') || treePacks.has(name),
      onProblem: (problem) => {
        throw problem;
      },
    });
    return { repository: { ...opened, store: cached, treePacks, lockSettings: { settleMs: 0 } }, remote, got };
  }

  const expectRestored = async (from: Repository, isDelta = false): Promise<void> => {
    expect((await restoreTo(from, { pool, target, base: data, isDelta })).problems).toEqual([]);
    expect(listFolder(target).slice(1)).toEqual(listFolder(data).slice(1));
  };

  test('comes back as from a disk', async () => {
    expect((await restoreTo(repository, { pool, target, base: data })).problems).toEqual([]);
    expect(listFolder(target).slice(1)).toEqual(listFolder(data).slice(1));
    rmSync(target, { recursive: true });
  });

  test('comes back through a cache, which spares the second restore all but the contents', async () => {
    const first = await openCached('cache');
    await expectRestored(first.repository);
    rmSync(target, { recursive: true });
    const second = await openCached('cache');
    await expectRestored(second.repository);
    expect(second.got.filter((name) => /^(?:index|snapshots)\//.test(name))).toEqual([]);
    expect(second.remote.packBytesRead).toBeLessThan(first.remote.packBytesRead);
    // What is there already need not be fetched at all.
    const third = await openCached('cache');
    await expectRestored(third.repository, true);
    expect(third.remote.packBytesRead).toBe(0);
    rmSync(target, { recursive: true });
  });

  test('is backed up to again through a cache, and nothing is sent twice', async () => {
    const { repository: cached, remote } = await openCached('fresh-cache');
    const { addedBytes, files } = await backupFolder(cached, data, { pool });
    expect(files).toMatchObject({ new: 0, changed: 0 });
    // The folders above changed: tests work in them.
    expect(addedBytes).toBeLessThan(8000);
    expect(remote.packBytesWritten).toBeLessThan(8000);
  });

  test('of which a pack vanished from the bucket loses that pack’s files only, and names it', async () => {
    const packs: string[] = [];
    for await (const { name, sizeBytes } of store.list('data/')) if (sizeBytes > 1_000_000) packs.push(name);
    const [name = ''] = packs;
    const bytes = await store.get(name);
    await store.remove(name);
    try {
      const { problems } = await restoreTo(repository, { pool, target, base: data });
      expect(problems.length).toBeGreaterThan(0);
      expect(problems.filter(({ message }) => !message.includes(name) && !message.includes('its other name'))).toEqual(
        [],
      );
      const good = new Set(listFolder(data));
      const paths = new Set(problems.map(({ path }) => path.slice(target.length)));
      const came = listFolder(target)
        .slice(1)
        .filter((line) => !paths.has(JSON.parse(line.slice(0, line.indexOf('" ') + 1)) as string));
      expect(came.filter((line) => !good.has(line))).toEqual([]);
    } finally {
      await store.put(name, [bytes]);
      rmSync(target, { recursive: true });
    }
  });

  test('that is not reached any more ends the restore with the reason, and leaves no file half written', async () => {
    let gets = 0;
    const broken = watchedStore(store, {
      beforeGet(name) {
        if (!name.startsWith('data/')) return;
        gets += 1;
        if (gets > 1) throw new AppError('STORE_UNREACHABLE', 'the server does not answer', { hint: 'Try later.' });
      },
    });
    const cut = { ...repository, store: broken };
    await expect(restoreTo(cut, { pool, target, base: data })).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' });
    const debris = readdirSync(home.path).includes('target') ? readdirSync(target) : [];
    expect(debris.filter((each) => each.startsWith('.lifeboat-'))).toEqual([]);
  });
});
