import { spawnSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, assert, beforeEach, describe, expect, test } from 'vitest';
import { type TemporaryFolder, temporaryFolder } from '../../test/support/temporary-folder.ts';
import { fsPath } from './byte-name.ts';
import { native } from './native.ts';

const calls = native();

describe.skipIf(calls === undefined)('native calls', () => {
  let folder: TemporaryFolder;
  let file: string;

  beforeEach(async () => {
    folder = await temporaryFolder();
    file = join(folder.path, 'file');
    writeFileSync(file, 'x');
  });
  afterEach(() => folder[Symbol.asyncDispose]());

  test('attributes are listed in the order the kernel keeps, and their bytes come back', () => {
    assert(calls !== undefined);
    expect(calls.listExtendedAttributes(file)).toEqual([]);
    calls.writeExtendedAttribute(file, 'user.z', Buffer.from([0, 255, 10]));
    calls.writeExtendedAttribute(file, 'user.a', Buffer.alloc(0));
    expect(calls.listExtendedAttributes(file)).toEqual(['user.z', 'user.a']);
    expect(calls.readExtendedAttribute(file, 'user.z')).toEqual(Buffer.from([0, 255, 10]));
    expect(calls.readExtendedAttribute(file, 'user.a')).toEqual(Buffer.alloc(0));
    calls.removeExtendedAttribute(file, 'user.z');
    expect(calls.readExtendedAttribute(file, 'user.z')).toBeUndefined();
  });

  test('holes of a file are told from its data', () => {
    assert(calls !== undefined);
    const sparse = join(folder.path, 'sparse');
    const handle = openSync(sparse, 'w+');
    writeSync(handle, 'data', 0, 'utf8');
    writeSync(handle, 'more', 10_000_000);
    ftruncateSync(handle, 30_000_000);
    expect(calls.nextData(handle, 0)).toBe(0);
    const next = calls.nextData(handle, 1_000_000) ?? 0;
    expect(next).toBeGreaterThan(1_000_000);
    expect(next).toBeLessThanOrEqual(10_000_000);
    expect(calls.nextData(handle, 20_000_000)).toBeUndefined();
    closeSync(handle);
  });

  test('a file system is synced through any of its files', () => {
    assert(calls !== undefined);
    const handle = openSync(folder.path, 'r');
    expect(calls.syncFileSystem(handle)).toBeUndefined();
    closeSync(handle);
    expect(() => calls.syncFileSystem(-1)).toThrow('EBADF');
  });

  test('an answer is a copy: the next call does not change it', () => {
    assert(calls !== undefined);
    calls.writeExtendedAttribute(file, 'user.first', Buffer.from('first'));
    calls.writeExtendedAttribute(file, 'user.other', Buffer.from('other'));
    const first = calls.readExtendedAttribute(file, 'user.first');
    calls.readExtendedAttribute(file, 'user.other');
    expect(first?.toString()).toBe('first');
  });

  test('attribute names and paths may be any bytes but zero', () => {
    assert(calls !== undefined);
    const odd = join(folder.path, '\udcff\udc80');
    writeFileSync(fsPath(odd), '');
    calls.writeExtendedAttribute(odd, 'user.\udcfe', Buffer.from('odd'));
    expect(calls.listExtendedAttributes(odd)).toEqual(['user.\udcfe']);
    expect(() => calls.listExtendedAttributes(`${file}\0.txt`)).toThrow('EINVAL');
  });

  test.each([
    ['a missing file', 'ENOENT', (path: string) => calls?.listExtendedAttributes(`${path}-missing`)],
    ['a file taken for a folder', 'ENOTDIR', (path: string) => calls?.listExtendedAttributes(`${path}/x`)],
    ['a path of 5000 bytes', 'ENAMETOOLONG', () => calls?.listExtendedAttributes('/abcd'.repeat(1000))],
    ['a path of 4095 bytes', 'ENOENT', () => calls?.listExtendedAttributes('/missing' + '/a'.repeat(2043) + '/')],
    [
      'a name of 256 bytes',
      'ENAMETOOLONG',
      (path: string) => calls?.readExtendedAttribute(path, `user.${'n'.repeat(251)}`),
    ],
    [
      'too large a value',
      'E2BIG',
      (path: string) => calls?.writeExtendedAttribute(path, 'user.x', Buffer.alloc(65_537)),
    ],
    [
      'an unknown namespace',
      'ENOTSUP',
      (path: string) => calls?.writeExtendedAttribute(path, 'bogus', Buffer.alloc(1)),
    ],
    ['an occupied place', 'EEXIST', (path: string) => calls?.makeFifo(path, 0o600)],
  ])('%s is refused with %s', (_case, code, act) => {
    expect(() => act(file)).toThrow(expect.objectContaining({ code }));
  });

  test('an error carries what Node puts into its own', () => {
    assert(calls !== undefined);
    const path = join(folder.path, 'missing');
    expect(() => calls.listExtendedAttributes(path)).toThrow(
      expect.objectContaining({ code: 'ENOENT', errno: -2, syscall: 'llistxattr', path }),
    );
  });

  test('errno is that of the call, however often calls succeed and fail in turn', () => {
    assert(calls !== undefined);
    const codes = new Map<string, number>();
    for (let round = 0; round < 20_000; round += 1) {
      const path = [file, `${file}-missing`, `${file}/x`][round % 3] ?? '';
      let code = 'ok';
      try {
        calls.listExtendedAttributes(path);
      } catch (error) {
        code = (error as NodeJS.ErrnoException).code ?? 'none';
      }
      codes.set(`${round % 3} ${code}`, (codes.get(`${round % 3} ${code}`) ?? 0) + 1);
    }
    expect([...codes.keys()].toSorted()).toEqual(['0 ok', '1 ENOENT', '2 ENOTDIR']);
  });

  test.each([
    ['before 1970', -1n, -1_234_567_890_123_456_789n],
    ['at whole seconds', 0n, -1_000_000_000n],
    ['after 2038', 4_102_444_800_123_456_789n, 7_258_118_399_999_999_999n],
  ])('times %s keep each nanosecond', (_case, atimeNs, mtimeNs) => {
    assert(calls !== undefined);
    calls.writeTimes(file, atimeNs, mtimeNs);
    const stats = lstatSync(file, { bigint: true });
    expect([stats.atimeNs, stats.mtimeNs]).toEqual([atimeNs, mtimeNs]);
  });

  test('times and mode touch a link itself or nothing, never what it points to', () => {
    assert(calls !== undefined);
    const link = join(folder.path, 'link');
    symlinkSync('file', link);
    calls.writeTimes(file, 5n, 5n);
    calls.writeTimes(link, 7n, 7n);
    expect(lstatSync(link, { bigint: true }).mtimeNs).toBe(7n);
    expect(() => calls.writeMode(link, 0o777)).toThrow('ENOTSUP');
    expect(lstatSync(file, { bigint: true })).toMatchObject({ mtimeNs: 5n, mode: 0o100644n });
  });

  test('mode is set bit for bit, whatever the umask', () => {
    assert(calls !== undefined);
    const directory = join(folder.path, 'directory');
    mkdirSync(directory);
    for (const mode of [0, 0o7777, 0o1777, 0o2755, 0o4711]) {
      calls.writeMode(directory, mode);
      expect(lstatSync(directory).mode & 0o7777).toBe(mode);
    }
  });

  test('names of users and groups are those of the name service', () => {
    assert(calls !== undefined);
    expect(calls.userName(0)).toBe('root');
    expect(calls.groupName(0)).toBe('root');
    expect(calls.userName(3_999_999_999)).toBeUndefined();
    expect(calls.groupName(3_999_999_999)).toBeUndefined();
  });

  test('loading is silent, and other experimental warnings still show', () => {
    const script = `import { native } from ${JSON.stringify(import.meta.resolve('./native.ts'))};
      native().userName(0); process.emitWarning('something else', 'ExperimentalWarning');`;
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    expect(child.status).toBe(0);
    expect(child.stderr).toContain('something else');
    expect(child.stderr).not.toContain('FFI');
  });

  test('without node:ffi there are no native calls, and nothing fails', () => {
    const script = `import { native } from ${JSON.stringify(import.meta.resolve('./native.ts'))}; console.log(native());`;
    const options = ['--no-experimental-ffi', '--input-type=module', '-e', script];
    const child = spawnSync(process.execPath, options, { encoding: 'utf8' });
    expect(child.stderr).toBe('');
    expect(child.stdout).toBe('undefined\n');
  });
});
