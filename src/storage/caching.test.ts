import { createHash } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import type { AppError } from '../base/errors.ts';
import { cachingStore, type CachingOptions } from './caching.ts';
import { memoryStore, type MemoryStore } from './memory/store.ts';
import { describeStore } from './store-contract.ts';
import type { GetOptions, Store } from './store.ts';

const repositoryId = 'c'.repeat(64);

describeStore('the caching store', async (): Promise<Store> => {
  const folder = await temporaryFolder();
  const store = cachingStore(memoryStore(), {
    folder: folder.path,
    repositoryId,
    isCacheable: () => true,
    onProblem: (problem) => {
      throw problem;
    },
  });
  return { ...store, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
});

const pack = Buffer.from('the bytes of a pack that holds trees');
const packId = createHash('sha256').update(pack).digest('hex');
const packName = `data/${packId.slice(0, 2)}/${packId}`;

/** A caching store over one that counts what is fetched from it. */
async function setUp(options: Partial<CachingOptions> = {}) {
  const folder = await temporaryFolder();
  const memory = memoryStore();
  const fetched: string[] = [];
  const problems: AppError[] = [];
  const get = async (name: string, getOptions?: GetOptions): Promise<Buffer> => {
    fetched.push(`${name.slice(0, 7)} ${getOptions?.offset ?? 0}+${getOptions?.length ?? 'all'}`);
    return memory.get(name, getOptions);
  };
  const open = (more: Partial<CachingOptions> = {}): Store =>
    cachingStore(
      { ...memory, get },
      {
        folder: join(folder.path, 'cache'),
        repositoryId,
        isCacheable: (name) => !name.startsWith('data/') || name === packName,
        onProblem: (problem) => problems.push(problem),
        ...options,
        ...more,
      },
    );
  const cache = join(folder.path, 'cache');
  const copy = join(cache, repositoryId, 'data', packId.slice(0, 2), packId);
  return {
    store: open(),
    open,
    memory,
    fetched,
    problems,
    cache,
    copy,
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

const wholeFetch = `${packName.slice(0, 7)} 0+all`;

async function putInto(memory: MemoryStore, bytes = pack): Promise<void> {
  await memory.put(packName, [bytes]);
}

test('fetches an object once, whole, also for ranges, and not again in another process', async () => {
  await using setup = await setUp();
  await putInto(setup.memory);
  expect((await setup.store.get(packName, { offset: 4, length: 5 })).toString()).toBe('bytes');
  expect(await setup.store.get(packName)).toEqual(pack);
  expect(await setup.open().get(packName, { offset: 4, length: 5 })).toEqual(Buffer.from('bytes'));
  expect(setup.fetched).toEqual([wholeFetch]);
  expect(await readFile(setup.copy)).toEqual(pack);
});

test('has what it wrote, and lays it out as restic does, closed to others', async () => {
  await using setup = await setUp();
  const id = createHash('sha256').update('index').digest('hex');
  await setup.store.put(`index/${id}`, [Buffer.from('in'), Buffer.from('dex')]);
  await setup.store.put(packName, [pack]);
  expect((await setup.store.get(`index/${id}`)).toString()).toBe('index');
  expect(setup.fetched).toEqual([]);
  expect(await readFile(join(setup.cache, repositoryId, 'index', id.slice(0, 2), id), 'utf8')).toBe('index');
  expect(await readFile(join(setup.cache, repositoryId, 'version'), 'utf8')).toBe('1');
  expect(await readFile(join(setup.cache, 'CACHEDIR.TAG'), 'utf8')).toMatch(
    /^Signature: 8a477f597d28d172789f06886806bc55\n/,
  );
  expect((await stat(join(setup.cache, repositoryId))).mode & 0o777).toBe(0o700);
  expect(await setup.memory.get(packName)).toEqual(pack);
});

test('does not keep what is not worth it or not named by its hash', async () => {
  await using setup = await setUp();
  const other = 'a'.repeat(64);
  for (const name of [
    'config',
    `keys/${other}`,
    `locks/${other}`,
    `data/aa/${other}`,
    'index/short',
    `data/bb/${packId}`,
  ]) {
    await setup.store.put(name, [Buffer.from('x')]);
    await setup.store.get(name, { offset: 0, length: 1 });
    await setup.store.get(name, { offset: 0, length: 1 });
  }
  expect(setup.fetched).toHaveLength(12);
  expect(await readdir(setup.cache, { recursive: true }).catch(() => [])).toEqual([]);
});

test.each([
  ['altered', (path: string) => writeFile(path, Buffer.alloc(pack.length, 'x'))],
  ['cut short', (path: string) => truncate(path, 10)],
  ['empty', (path: string) => truncate(path, 0)],
  ['longer', (path: string) => truncate(path, 1_000)],
])('a copy that is %s is replaced from the store', async (_, damage) => {
  await using setup = await setUp();
  await setup.store.put(packName, [pack]);
  await chmod(setup.copy, 0o600);
  await damage(setup.copy);
  expect((await setup.store.get(packName, { offset: 30 })).toString()).toBe(' trees');
  expect(await readFile(setup.copy)).toEqual(pack);
  expect(await setup.store.get(packName)).toEqual(pack);
  expect(setup.fetched).toEqual([wholeFetch]);
});

test('a copy that is cut short or gone after it was checked is replaced, too', async () => {
  await using setup = await setUp();
  await setup.store.put(packName, [pack]);
  await setup.store.get(packName);
  await truncate(setup.copy, 10);
  expect((await setup.store.get(packName, { offset: 4, length: 12 })).toString()).toBe('bytes of a p');
  await setup.store.get(packName);
  await rm(setup.cache, { recursive: true });
  expect(await setup.store.get(packName)).toEqual(pack);
  expect(setup.fetched).toEqual([wholeFetch, wholeFetch]);
});

test('damage in the store is handed on and not kept', async () => {
  await using setup = await setUp();
  await putInto(setup.memory, Buffer.from('damaged'));
  expect((await setup.store.get(packName)).toString()).toBe('damaged');
  await putInto(setup.memory);
  expect(await setup.store.get(packName)).toEqual(pack);
});

test('callers at the same time share one download, and one that leaves does not take it from the others', async () => {
  await using setup = await setUp();
  await putInto(setup.memory);
  const stop = new AbortController();
  const leaving = setup.store.get(packName, { signal: stop.signal });
  const staying = setup.store.get(packName);
  const third = setup.store.get(packName, { offset: 0, length: 3 });
  stop.abort();
  await expect(leaving).rejects.toMatchObject({ code: 'INTERRUPTED' });
  expect(await staying).toEqual(pack);
  expect((await third).toString()).toBe('the');
  expect(setup.fetched).toEqual([wholeFetch]);
});

test('a complete listing removes copies of what is gone, an interrupted one does not', async () => {
  await using setup = await setUp();
  await setup.store.put(packName, [pack]);
  await setup.store.put(`data/00/${'0'.repeat(64)}`, [pack]);
  await setup.memory.remove(packName);
  for await (const _ of setup.store.list('data/')) break;
  await Array.fromAsync(setup.store.list('index/'));
  expect(await readFile(setup.copy)).toEqual(pack);
  await Array.fromAsync(setup.store.list('data/'));
  await expect(stat(setup.copy)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('a cache that can not be used is reported once, and everything comes from the store', async () => {
  await using setup = await setUp();
  await writeFile(setup.cache, 'a file in the way');
  await setup.store.put(packName, [pack]);
  expect(await setup.store.get(packName)).toEqual(pack);
  expect(await setup.store.get(packName, { offset: 4, length: 5 })).toEqual(Buffer.from('bytes'));
  expect(await Array.fromAsync(setup.store.list(''))).toHaveLength(1);
  await setup.store.remove(packName);
  expect(setup.problems).toHaveLength(1);
  expect(setup.problems[0]).toMatchObject({ code: 'STORE_FAILED', message: expect.stringContaining(setup.cache) });
});

test('a cache of another version is left alone', async () => {
  await using setup = await setUp();
  await setup.store.put(packName, [pack]);
  await writeFile(join(setup.cache, repositoryId, 'version'), '2');
  const store = setup.open();
  expect(await store.get(packName)).toEqual(pack);
  expect(setup.fetched).toEqual([wholeFetch]);
  expect(setup.problems).toMatchObject([{ code: 'STORE_FAILED', message: expect.stringContaining('version 2') }]);
});

test('whoever closes a cache removes those that nobody used for 30 days, and nothing else', async () => {
  await using setup = await setUp({ isCacheable: () => true });
  const id = createHash('sha256').update('text').digest('hex');
  for (const name of ['a', 'b']) {
    await using store = setup.open({ repositoryId: name.repeat(64) });
    await store.put(`index/${id}`, [Buffer.from('text')]);
  }
  const inDays = async (days: number): Promise<string[]> => {
    const nowMs = (await stat(join(setup.cache, 'a'.repeat(64)))).mtimeMs + days * 86_400_000;
    await utimes(join(setup.cache, 'b'.repeat(64)), nowMs / 1_000, nowMs / 1_000);
    await mkdir(join(setup.cache, 'd'.repeat(64)), { recursive: true });
    await utimes(join(setup.cache, 'd'.repeat(64)), 1, 1);
    {
      await using store = setup.open({ clock: { now: () => nowMs } });
      await store.get(`index/${id}`).catch(() => undefined);
    }
    return (await readdir(setup.cache)).toSorted().map((name) => (name.length === 64 ? name.slice(0, 1) : name));
  };
  await writeFile(join(setup.cache, 'not a cache'), 'kept');
  expect(await inDays(29.9)).toEqual(['CACHEDIR.TAG', 'a', 'b', 'c', 'd', 'not a cache']);
  expect(await inDays(30.1)).toEqual(['CACHEDIR.TAG', 'b', 'c', 'd', 'not a cache']);
  expect(setup.problems).toEqual([]);
});
