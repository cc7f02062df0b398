// The archive of a folder, against what tar makes of it; and `dump` through the real program.
import { execFileSync, spawnSync } from 'node:child_process';
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
import { findTool } from '../support/tools.ts';
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

/** The whole archive of the snapshot of `data`, taken into a new repository below `place`. */
async function archiveOf(place: string, data: string): Promise<Buffer> {
  await backupFolder(await createRepository(place), data);
  const indexed = await openIndexed(place);
  const { tree } = await latestSnapshot(indexed.repository);
  await using pool = new WorkerPool(indexed.repository);
  const out = new PassThrough({ highWaterMark: 10_000_000 });
  const { leftOut } = await writeFolderArchive(indexed, { path: '', tree }, { out, pool, signal: noSignal });
  expect(leftOut).toEqual([]);
  out.end();
  return Buffer.concat((await out.toArray()) as Buffer[]);
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

  test('brings extended attributes, ACLs and capabilities, whatever their bytes and names are', async ({ skip }) => {
    await using other = await temporaryFolder();
    const data = join(other.path, 'data');
    mkdirSync(data);
    writeFileSync(join(data, 'file'), 'content');
    const attributes: [string, Buffer][] = [
      ['user.origin', Buffer.from('https://example.org/?a=b\nünï')],
      ['user.empty', Buffer.alloc(0)],
      ['user.binary', Buffer.from([0xff, 0x00, 0x0a, 0x3d])],
      ['user.a=b%3D', Buffer.from([0x80])],
      // A record's length counts its own digits: these stand where they become more.
      ...[70, 71, 72, 73, 970].map((size): [string, Buffer] => [`user.of-${size}`, Buffer.alloc(size, 0xfe)]),
    ];
    const calls = native();
    try {
      for (const [name, value] of attributes) calls?.writeExtendedAttribute(join(data, 'file'), name, value);
    } catch {
      skip('this file system has no extended attributes');
    }
    const acl = findTool('setfacl') === undefined ? [] : ['system.posix_acl_access', 'system.posix_acl_default'];
    if (acl.length > 0)
      execFileSync(findTool('setfacl') ?? '', ['-m', 'u:4711:rwx,g:12:r,d:g:4712:rx', join(data)], { stdio: 'pipe' });
    if (isRoot) {
      const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
      calls?.writeExtendedAttribute(join(data, 'file'), 'security.capability', capability);
    }
    const input = await archiveOf(other.path, data);
    for (const options of [['--acls'], ['--xattrs', '--acls'], ['--xattrs', '--xattrs-include=*']]) {
      const target = join(other.path, `unpacked${options.join('')}`);
      mkdirSync(target);
      const all = ['-x', '--no-same-owner', ...options, '-C', target];
      execFileSync('tar', all, { input, stdio: ['pipe', 'ignore', 'pipe'] });
      const path = join(target, data);
      for (const name of acl) {
        const read = (at: string) => calls?.readExtendedAttribute(at, name)?.toString('hex');
        expect(read(path)).toBe(read(data));
      }
      const given = options.includes('--xattrs') ? attributes : [];
      for (const [name, value] of given) expect(calls?.readExtendedAttribute(join(path, 'file'), name)).toEqual(value);
    }
    const names = (at: string) => calls?.listExtendedAttributes(join(at, 'file'))?.toSorted();
    expect(names(join(other.path, 'unpacked--xattrs--xattrs-include=*', data))).toEqual(names(data));
  });

  test('holds hard links as files, and names that are no text', async () => {
    await using other = await temporaryFolder();
    const data = join(other.path, 'data');
    mkdirSync(fsPath(`${data}/folder-\udcfe`), { recursive: true });
    writeFileSync(join(data, 'one'), 'shared');
    linkSync(join(data, 'one'), join(data, 'two'));
    writeFileSync(fsPath(`${data}/folder-\udcfe/stray-\udcff`), 'named by a byte');
    writeFileSync(fsPath(`${data}/${'x'.repeat(150)}-\udcff`), 'named at length');
    symlinkSync(fsPath('to-\udcff'), join(data, 'link'));
    const input = await archiveOf(other.path, data);
    const target = join(other.path, 'unpacked');
    mkdirSync(target);
    const ran = spawnSync('tar', ['-xp', '-C', target], {
      input,
      env: { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8' },
    });
    expect(ran).toMatchObject({ status: 0 });
    // Of times whole seconds come along, and a second link as a file of its own.
    const facts = (root: string): string[] =>
      listFolder(root).map((line) => line.replace(/ (\d{10})\d{9} /, ' $1 ').replace(' /one ', '  '));
    expect(facts(join(target, data))).toEqual(facts(data));
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
