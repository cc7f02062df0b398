// The archive of a folder, against what tar makes of it; and `dump` through the real program.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  createWriteStream,
  chownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fsPath } from '../../src/base/byte-name.ts';
import { native } from '../../src/base/native.ts';
import { seededRandom } from '../../src/base/random.ts';
import { writeFolderArchive, type WrittenArchive } from '../../src/operations/dump/folder-archive.ts';
import { findNode } from '../../src/repository/walk.ts';
import { WorkerPool } from '../../src/repository/worker-pool.ts';
import { listFolder } from '../support/compare-folders.ts';
import { runLifeboat } from '../support/lifeboat.ts';
import { backupFolder, createRepository, latestSnapshot, noSignal, openIndexed } from '../support/repository.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';
import { isRoot } from '../support/unprivileged.ts';

let folder: TemporaryFolder;
let source: string;
const bigBytes = 5_000_000;

beforeAll(async () => {
  folder = await temporaryFolder();
  source = join(folder.path, 'source');
  fill(source);
  await backupFolder(await createRepository(folder.path), source);
});
afterAll(() => folder[Symbol.asyncDispose]());

function fill(root: string): void {
  const random = seededRandom(20_261_120);
  const put = (name: string, content: string | Buffer = name): string => {
    writeFileSync(join(root, name), content);
    return join(root, name);
  };
  for (const name of ['deep/er', 'empty', `long/${'x'.repeat(120)}/${'y'.repeat(150)}`]) {
    mkdirSync(join(root, name), { recursive: true });
  }
  put('big', Buffer.from(Array.from({ length: bigBytes }, () => random() * 256)));
  put('none', '');
  put('deep/er/ünïcödé — ☃');
  put(`long/${'x'.repeat(120)}/${'y'.repeat(150)}/${'z'.repeat(200)}`);
  put('z'.repeat(200));
  chmodSync(put('closed'), 0o000);
  chmodSync(put('setuid'), 0o4755);
  symlinkSync('../nowhere', join(root, 'link'));
  symlinkSync('ö'.repeat(120), join(root, 'long-link'));
  execFileSync('mkfifo', [join(root, 'fifo')]);
  if (isRoot) {
    chownSync(put('owned'), 123_456, 7);
    chownSync(put('far-owner'), 3_000_000_000, 2_999_999);
    execFileSync('mknod', [join(root, 'device'), 'c', '300', '70000']);
  }
  for (const path of [...readdirSync(root, { recursive: true, encoding: 'utf8' }), '']) {
    lutimesSync(join(root, path), 1_700_000_000, 1_700_000_000);
  }
  // Negative numbers are taken for now.
  lutimesSync(put('before 1970'), new Date('1969-12-31T00:00:00Z'), new Date('1969-12-31T00:00:00Z'));
  lutimesSync(put('after 2038'), 2 ** 31 + 1000, 2 ** 31 + 1000);
  lutimesSync(root, 1_700_000_000, 1_700_000_000);
}

async function archive(path: string, out: Writable, signal = noSignal): Promise<WrittenArchive> {
  const indexed = await openIndexed(folder.path);
  const { tree } = await latestSnapshot(indexed.repository);
  const node = await findNode(indexed, tree, { path, signal: noSignal });
  if (node?.subtree === undefined) throw new Error(`${path} is no folder`);
  await using pool = new WorkerPool(indexed.repository);
  return await writeFolderArchive(indexed, { path, tree: node.subtree, node }, { out, pool, signal });
}

describe('the archive of a folder', () => {
  test('is unpacked by tar to what was backed up', async () => {
    const file = join(folder.path, 'folder.tar');
    const out = createWriteStream(file);
    const { bytes, leftOut } = await archive(source, out);
    out.end();
    await finished(out);
    expect(leftOut).toEqual([]);
    expect(readFileSync(file)).toHaveLength(bytes);
    const target = join(folder.path, 'unpacked');
    mkdirSync(target);
    execFileSync('tar', ['-xpf', file, '-C', target, '--numeric-owner'], { stdio: ['ignore', 'ignore', 'pipe'] });
    expect(listFolder(join(target, source))).toEqual(listFolder(source));
  });

  test('brings extended attributes that are text', async ({ skip }) => {
    await using other = await temporaryFolder();
    const data = join(other.path, 'data');
    mkdirSync(data);
    writeFileSync(join(data, 'file'), 'content');
    const attributes = [
      ['user.origin', 'https://example.org/?a=b\nünï'],
      ['user.empty', ''],
    ] as const;
    const calls = native();
    try {
      for (const [name, value] of attributes)
        calls?.writeExtendedAttribute(join(data, 'file'), name, Buffer.from(value));
      calls?.writeExtendedAttribute(join(data, 'file'), 'user.binary', Buffer.from([0xff, 0x00]));
    } catch {
      skip('this file system has no extended attributes');
    }
    await backupFolder(await createRepository(other.path), data);
    const indexed = await openIndexed(other.path);
    const { tree } = await latestSnapshot(indexed.repository);
    await using pool = new WorkerPool(indexed.repository);
    const out = new PassThrough({ highWaterMark: 1_000_000 });
    await writeFolderArchive(indexed, { path: '', tree }, { out, pool, signal: noSignal });
    out.end();
    const input = Buffer.concat((await out.toArray()) as Buffer[]);
    const target = join(other.path, 'unpacked');
    mkdirSync(target);
    execFileSync('tar', ['-x', '--xattrs', '-C', target], { input });
    const path = join(target, data, 'file');
    expect(calls?.listExtendedAttributes(path)?.toSorted()).toEqual(['user.empty', 'user.origin']);
    for (const [name, value] of attributes) expect(calls?.readExtendedAttribute(path, name)?.toString()).toBe(value);
  });

  test('holds hard links as files, and leaves out what tar has no words for', async () => {
    await using other = await temporaryFolder();
    writeFileSync(join(other.path, 'one'), 'shared');
    linkSync(join(other.path, 'one'), join(other.path, 'two'));
    writeFileSync(fsPath(`${other.path}/stray-\udcff`), 'named by a byte');
    const repository = await createRepository(join(other.path, 'place'));
    await backupFolder(repository, other.path);
    const indexed = await openIndexed(join(other.path, 'place'));
    const { tree } = await latestSnapshot(indexed.repository);
    await using pool = new WorkerPool(indexed.repository);
    const out = new PassThrough({ highWaterMark: 10_000_000 });
    const written = await writeFolderArchive(indexed, { path: '', tree }, { out, pool, signal: noSignal });
    expect(written.leftOut).toEqual([`${other.path}/stray-\udcff`]);
    out.end();
    const input = Buffer.concat((await out.toArray()) as Buffer[]);
    const list = execFileSync('tar', ['-tvf', '-'], { input, encoding: 'utf8' });
    for (const name of ['one', 'two'])
      expect(list).toMatch(new RegExp(`^-.* 6 .*${other.path.slice(1)}/${name}$`, 'm'));
  });

  test('ends with the reason when its reader goes away', async () => {
    const gone = new Writable({ write: (_chunk, _encoding, done) => done(new Error('gone')) });
    gone.on('error', () => undefined);
    await expect(archive(source, gone)).rejects.toThrow('gone');
  });

  test('ends at once when it is interrupted', async () => {
    const stop = new AbortController();
    const slow = new Writable({ write: () => stop.abort(new Error('stopped')) });
    await expect(archive(source, slow, stop.signal)).rejects.toThrow('stopped');
  });
});

test('files that are stored without compression come whole', async () => {
  await using own = await temporaryFolder();
  const data = join(own.path, 'data');
  mkdirSync(data);
  for (const name of ['one', 'two']) writeFileSync(join(data, name), name.repeat(1000));
  const repository = await createRepository(own.path);
  await backupFolder(repository, data, { compressionLevel: 0 });
  const unpacked = join(own.path, 'unpacked');
  mkdirSync(unpacked);
  const ran = await runLifeboat(['dump', 'latest', data, '--repository', './repository'], { folder: own.path });
  expect(ran).toMatchObject({ exitCode: 0, stderr: '' });
  execFileSync('tar', ['-x', '-C', unpacked, '--strip-components', String(data.split('/').length - 1)], {
    input: ran.stdout,
  });
  expect(readFileSync(join(unpacked, 'two'), 'utf8')).toBe('two'.repeat(1000));
});

test('dump prints a folder, or all of a snapshot, as an archive', async () => {
  for (const path of [join(source, 'deep'), `${join(source, 'deep')}/`, '/']) {
    const args = ['dump', 'latest', path, '--repository', './repository'];
    const ran = await runLifeboat(args, { folder: folder.path });
    expect(ran).toMatchObject({ exitCode: 0, stderr: '' });
    expect(ran.stdout).toContain(`${join(source, 'deep').slice(1)}/er/`);
    expect(ran.stdout.includes(`${source.slice(1)}/closed`)).toBe(path === '/');
  }
});
