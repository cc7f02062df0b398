import { spawn, spawnSync } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, readdir, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../../test/support/temporary-folder.ts';
import { alignedBytes } from '../../base/aligned-memory.ts';
import { seededRandom, systemRandom } from '../../base/random.ts';
import { describeStore } from '../store-contract.ts';
import type { Store } from '../store.ts';
import { localStore } from './store.ts';

describeStore('the local store', async (): Promise<Store> => {
  const folder = await temporaryFolder();
  const store = localStore(join(folder.path, 'new', 'repository'));
  return { ...store, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
});

const bytes = Buffer.from('some bytes');

test.each([1024 * 1024, 2 * 1024 * 1024 + 5, 20_000_001])(
  '%i bytes in aligned memory come back, whatever follows them',
  async (size) => {
    await using folder = await temporaryFolder();
    await using store = localStore(folder.path);
    const large = alignedBytes(size);
    createCipheriv('aes-256-ctr', Buffer.alloc(32), Buffer.alloc(16)).update(Buffer.alloc(size)).copy(large);
    await store.put('data/ab/abcd', [large, bytes, large.subarray(1, 9)]);
    const wanted = Buffer.concat([large, bytes, large.subarray(1, 9)]);
    expect((await store.get('data/ab/abcd')).equals(wanted)).toBe(true);
  },
);
const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

test('leftovers of writes that were cut short are never listed, and removed when they are old', async () => {
  await using folder = await temporaryFolder();
  await using store = localStore(folder.path);
  await store.put('data/ab/abcd', [bytes]);
  await store.put('notes/proof/11/aa', [bytes]);
  const nowMs = Date.parse('2026-11-20T12:00:00Z');
  const leftovers = ['data/ab/abcd-tmp-1', 'data/ab/cdef-tmp-2', 'config-tmp-3', 'notes/proof/11/aa-tmp-4'];
  for (const [at, name] of leftovers.entries()) {
    await writeFile(join(folder.path, name), 'cut');
    const writtenMs = nowMs - at * 3_600_000;
    await utimes(join(folder.path, name), writtenMs / 1000, writtenMs / 1000);
  }
  const names = async () => (await Array.fromAsync(store.list(''), ({ name }) => name)).toSorted();
  expect(await names()).toEqual(['data/ab/abcd', 'notes/proof/11/aa']);
  expect(await store.removeUnfinished?.(nowMs - 3_600_000)).toBe(2);
  expect((await readdir(folder.path, { recursive: true })).filter((name) => name.includes('-tmp-')).toSorted()).toEqual(
    leftovers.slice(0, 2),
  );
  expect(await names()).toEqual(['data/ab/abcd', 'notes/proof/11/aa']);
});

test.each(['its folder is gone', 'its disk is not mounted'])(
  'a repository that was there and is not any more, because %s, is not taken for an empty one',
  async (how) => {
    await using folder = await temporaryFolder();
    const [root, away] = [join(folder.path, 'repository'), join(folder.path, 'away')];
    await localStore(root).put('config', [bytes]);
    await using store = localStore(root);
    await store.get('config');
    await store.put('data/ab/abcd', [bytes]);
    await rename(root, away);
    if (how === 'its disk is not mounted') await mkdir(root);
    const gone = { code: 'STORE_UNREACHABLE' };
    await expect(store.put('data/ab/abce', [bytes])).rejects.toMatchObject(gone);
    await expect(store.put('data/cd/cdef', [bytes])).rejects.toMatchObject(gone);
    await expect(store.get('data/ab/abcd')).rejects.toMatchObject(gone);
    await expect(store.stat('data/ab/abcd')).rejects.toMatchObject(gone);
    await expect(store.remove('data/ab/abcd')).rejects.toMatchObject(gone);
    await expect(Array.fromAsync(store.list('data/'))).rejects.toMatchObject(gone);
    await expect(Array.fromAsync(store.list(''))).rejects.toMatchObject(gone);
    expect(await readdir(folder.path)).not.toContain(how === 'its folder is gone' ? 'repository' : 'data');
    await rm(root, { recursive: true, force: true });
    await rename(away, root);
    await store.put('data/ab/abce', [bytes]);
    expect((await Array.fromAsync(store.list('data/'), ({ name }) => name)).toSorted()).toEqual([
      'data/ab/abcd',
      'data/ab/abce',
    ]);
  },
);

describe('permissions', () => {
  test('files are read-only and folders closed to others', async () => {
    await using folder = await temporaryFolder();
    await using store = localStore(join(folder.path, 'repo'));
    await store.put('config', [bytes]);
    await store.put('data/ab/abcd', [bytes]);
    expect(await modeOf(join(folder.path, 'repo'))).toBe(0o700);
    expect(await modeOf(join(folder.path, 'repo/data/ab'))).toBe(0o700);
    expect(await modeOf(join(folder.path, 'repo/data/ab/abcd'))).toBe(0o400);
  });

  test('a repository whose config the group may read is shared with the group', async () => {
    await using folder = await temporaryFolder();
    await localStore(folder.path).put('config', [bytes]);
    await chmod(join(folder.path, 'config'), 0o440);
    const umask = process.umask(0o077);
    try {
      await localStore(folder.path).put('data/ab/abcd', [bytes]);
    } finally {
      process.umask(umask);
    }
    expect(await modeOf(join(folder.path, 'data'))).toBe(0o770);
    expect(await modeOf(join(folder.path, 'data/ab'))).toBe(0o770);
    expect(await modeOf(join(folder.path, 'data/ab/abcd'))).toBe(0o440);
  });

  test('changes of a folder that can be changed but not opened are not said to last', async ({ skip }) => {
    const nobody = 65_534;
    skip(process.getuid?.() !== 0, 'only root can become somebody without rights');
    await using folder = await temporaryFolder();
    await using store = localStore(folder.path);
    await store.put('index/ab', [bytes]);
    await store.settle?.('index/');
    await store.settle?.('snapshots/');
    await chmod(folder.path, 0o755);
    await chmod(join(folder.path, 'index'), 0o333);
    process.seteuid?.(nobody);
    try {
      await store.remove('index/ab');
      await expect(store.settle?.('index/')).rejects.toMatchObject({
        code: 'STORE_DENIED',
        message: expect.stringContaining('make changes in'),
      });
    } finally {
      process.seteuid?.(0);
    }
  });

  test('a refusal of the file system says what to do', async ({ skip }) => {
    const nobody = 65_534;
    skip(process.getuid?.() !== 0, 'only root can become somebody without rights');
    await using folder = await temporaryFolder();
    await localStore(folder.path).put('config', [bytes]);
    await chmod(folder.path, 0o755);
    const denied = {
      code: 'STORE_DENIED',
      hint: expect.stringContaining('right'),
      message: expect.stringContaining('EACCES'),
    };
    process.seteuid?.(nobody);
    try {
      await using store = localStore(folder.path);
      await expect(store.get('config')).rejects.toMatchObject(denied);
      await expect(store.put('index/ab', [bytes])).rejects.toMatchObject(denied);
      await expect(store.remove('config')).rejects.toMatchObject(denied);
      await expect(localStore('/root').put('config', [bytes])).rejects.toMatchObject(denied);
    } finally {
      process.seteuid?.(0);
    }
  });
});

describe('unfinished files', () => {
  test('of a crash and of restic are not listed', async () => {
    await using folder = await temporaryFolder();
    await using store = localStore(folder.path);
    await store.put('data/ab/abcd', [bytes]);
    await writeFile(join(folder.path, 'data/ab/abce-tmp-123456'), 'half');
    await writeFile(join(folder.path, 'config-tmp-9'), '');
    expect(await Array.fromAsync(store.list(''))).toEqual([{ name: 'data/ab/abcd', sizeBytes: 10 }]);
  });

  test('are removed when the write fails, whatever stands in its way', async () => {
    await using folder = await temporaryFolder();
    await using store = localStore(folder.path);
    await mkdir(join(folder.path, 'index/ab'), { recursive: true });
    await writeFile(join(folder.path, 'keys'), 'a file where a folder should be');
    await expect(store.put('index/ab', [bytes])).rejects.toMatchObject({ code: 'STORE_FAILED' });
    await expect(store.put('keys/ab', [bytes])).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect((await readdir(folder.path, { recursive: true })).toSorted()).toEqual(['index', 'index/ab', 'keys']);
  });

  test('never take a name that is in use', async () => {
    await using folder = await temporaryFolder();
    const random = (() => {
      const numbers = [0.25, 0.25, 0.5];
      return () => numbers.shift() ?? 0.75;
    })();
    await writeFile(join(folder.path, `config-tmp-${2 ** 30}`), 'of another process');
    await using store = localStore(folder.path, { random });
    await store.put('config', [bytes]);
    expect(await store.get('config')).toEqual(bytes);
    expect((await stat(join(folder.path, `config-tmp-${2 ** 30}`))).size).toBe(18);
  });
});

describe('in odd places', () => {
  test('follows a link to where somebody moved the data', async () => {
    await using folder = await temporaryFolder();
    await mkdir(join(folder.path, 'big-disk'));
    await mkdir(join(folder.path, 'repo'));
    await symlink('../big-disk', join(folder.path, 'repo/data'));
    await symlink('nowhere', join(folder.path, 'repo/dangling'));
    await using store = localStore(join(folder.path, 'repo'));
    await store.put('data/ab/abcd', [bytes]);
    expect(await Array.fromAsync(store.list(''))).toEqual([{ name: 'data/ab/abcd', sizeBytes: 10 }]);
    expect(await readdir(join(folder.path, 'big-disk/ab'))).toEqual(['abcd']);
  });

  test('a link in a circle does not make a listing endless', async () => {
    await using folder = await temporaryFolder();
    await using store = localStore(folder.path);
    await store.put('data/abcd', [bytes]);
    await symlink('.', join(folder.path, 'data/again'));
    const listed = await Array.fromAsync(store.list(''));
    expect(listed.length).toBeLessThan(20);
  });

  test('makes folders anew that somebody removed', async () => {
    await using folder = await temporaryFolder();
    await using store = localStore(folder.path);
    await store.put('data/ab/abcd', [bytes]);
    await rm(join(folder.path, 'data'), { recursive: true });
    await store.put('data/ab/abce', [bytes]);
    expect(await store.get('data/ab/abce')).toEqual(bytes);
  });

  test.each(['../config', 'data/../../x', '/etc/passwd', 'data//x', '', 'data/', './config', 'nul\0'])(
    'refuses the name %j, which no code of ours may ask for',
    async (name) => {
      await using folder = await temporaryFolder();
      await using store = localStore(folder.path);
      await expect(store.get(name)).rejects.toThrow('is not a name');
      await expect(store.put(name, [bytes])).rejects.toThrow('is not a name');
      await expect(store.remove(name)).rejects.toThrow('is not a name');
    },
  );
});

const storeUrl = pathToFileURL(join(import.meta.dirname, 'store.ts')).href;

test('a full disk is told, costs no object and leaves no debris', ({ skip }) => {
  // In a mount namespace of its own, so that nothing of it stays on the machine.
  const script = `
    import { readdirSync } from 'node:fs';
    import { localStore } from '${storeUrl}';
    const store = localStore('/mnt/repo');
    await store.put('config', [Buffer.from('kept')]);
    const error = await store.put('data/ab/big', [Buffer.alloc(900_000), Buffer.alloc(900_000)]).catch((thrown) => thrown);
    console.log(JSON.stringify({
      code: error.code, hint: error.hint, config: String(await store.get('config')),
      files: readdirSync('/mnt/repo', { recursive: true }),
    }));`;
  const inNamespace = ['-rm', 'sh', '-c', 'mount -t tmpfs -o size=1m none /mnt && exec "$@"', 'sh'];
  const canMount = spawnSync('unshare', [...inNamespace, 'true']).status === 0;
  skip(!canMount && process.env['CI'] !== 'true', 'this machine lets nobody mount a small disk');
  const ran = spawnSync('unshare', [...inNamespace, process.execPath, '--input-type=module', '-e', script], {
    encoding: 'utf8',
  });
  expect(ran.stderr).toBe('');
  expect(JSON.parse(ran.stdout)).toEqual({
    code: 'STORE_FULL',
    hint: expect.stringContaining('Free space'),
    config: 'kept',
    files: ['config', 'data', 'data/ab'],
  });
});

test('whenever the process is killed, every object there is whole, and every one that was acknowledged is there', async () => {
  await using folder = await temporaryFolder();
  const script = `
    import { createHash, randomBytes } from 'node:crypto';
    import { localStore } from '${storeUrl}';
    const store = localStore(process.argv[1]);
    async function write() {
      for (;;) {
        const bytes = randomBytes(3_000_000);
        const id = createHash('sha256').update(bytes).digest('hex');
        await store.put('data/' + id.slice(0, 1) + '/' + id, [bytes.subarray(0, 1_000_000), bytes.subarray(1_000_000)]);
        process.stdout.write(id + '\\n');
      }
    }
    await Promise.all([write(), write()]);`;
  const seed = Math.floor(systemRandom() * 2 ** 32);
  const random = seededRandom(seed);
  const acknowledged: string[] = [];
  for (let turn = 0; turn < 4; turn += 1) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script, folder.path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => lines.push(chunk));
    await once(child.stdout, 'data');
    await new Promise((resolve) => setTimeout(resolve, random() * 150));
    child.kill('SIGKILL');
    await once(child, 'close');
    acknowledged.push(...Buffer.concat(lines).toString().split('\n').slice(0, -1));
  }
  await using store = localStore(folder.path);
  const names = new Set<string>();
  for await (const { name } of store.list('data/')) {
    const id = createHash('sha256')
      .update(await store.get(name))
      .digest('hex');
    expect(name, `seed ${seed}`).toBe(`data/${id.slice(0, 1)}/${id}`);
    names.add(id);
  }
  expect(acknowledged.length).toBeGreaterThanOrEqual(4);
  expect(
    acknowledged.filter((id) => !names.has(id)),
    `seed ${seed}`,
  ).toEqual([]);
});
