import { chmodSync, lstatSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type TemporaryFolder, temporaryFolder } from '../../../test/support/temporary-folder.ts';
import { isRoot, unprivilegedAsync } from '../../../test/support/unprivileged.ts';
import { compareNames, fsPath } from '../../base/byte-name.ts';
import { native } from '../../base/native.ts';
import type { BackupSession, Entry } from '../source.ts';
import { type FilesOptions, filesSource } from './files-source.ts';

const never = new AbortController().signal;
let folder: TemporaryFolder;

beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());

function write(path: string, content = ''): void {
  const full = join(folder.path, path);
  mkdirSync(join(full, '..'), { recursive: true });
  writeFileSync(full, content);
}

/** Paths relative to the test's folder, and what could not be read. */
async function walked(options: Partial<FilesOptions> = {}, onEntry: (path: string) => void = () => undefined) {
  await using session = await filesSource({ paths: [folder.path], ...options }).open(never);
  const paths: string[] = [];
  for await (const { path } of session.entries(never)) {
    onEntry(relative(path));
    paths.push(relative(path));
  }
  const problems = session.problems.map(({ path, message }) => `${relative(path)}: ${message}`);
  return { paths: paths.filter((path) => path !== '' && !path.startsWith('/')), problems };
}

function relative(path: string): string {
  return path === folder.path ? '' : path.startsWith(`${folder.path}/`) ? path.slice(folder.path.length + 1) : path;
}

async function entriesOf(session: BackupSession): Promise<Map<string, Entry>> {
  return new Map((await Array.fromAsync(session.entries(never))).map((entry) => [entry.path, entry]));
}

test('directories come before what they hold, in the order of bytes', async () => {
  for (const path of ['b/x', 'a', 'a.b', 'a-b/y', '\ufffd', '\u{1f600}/z', 'Z', 'ä']) write(path);
  const { paths } = await walked();
  expect(paths).toEqual(['Z', 'a', 'a-b', 'a-b/y', 'a.b', 'b', 'b/x', 'ä', '\ufffd', '\u{1f600}', '\u{1f600}/z']);
});

test('names that are not UTF-8, hold line breaks, or have 255 bytes come through as they are', async () => {
  const names = ['bad\udcff\udcfe', 'new\nline', 'ü'.repeat(127) + 'x', '\ufffd'];
  for (const name of names) writeFileSync(fsPath(join(folder.path, name)), '');
  const { paths, problems } = await walked();
  expect(paths).toEqual(names.toSorted(compareNames));
  expect(problems).toEqual([]);
});

test('several paths become one tree, each directory on the way once, and a path inside another disappears in it', async () => {
  for (const path of ['a/1/x', 'a/2/y', 'a/3/z', 'b/w', 'c/unwanted']) write(path);
  const { paths } = await walked({
    paths: ['b', 'a/3/z', 'a/1', 'a/1/x', 'b/', 'a/./1/..//1'].map((path) => `${folder.path}/${path}`),
  });
  expect(paths).toEqual(['a', 'a/1', 'a/1/x', 'a/3', 'a/3/z', 'b', 'b/w']);
});

test("a session's paths are absolute and as given, each once", async () => {
  write('b/x');
  const given = [join(folder.path, 'b/'), join(folder.path, 'b'), folder.path, '.'];
  await using session = await filesSource({ paths: given }).open(never);
  expect(session.paths).toEqual([join(folder.path, 'b'), folder.path, process.cwd()]);
});

test('the tree begins at / with the metadata of the directories on the way', async () => {
  write('a/file', 'x');
  await using session = await filesSource({ paths: [join(folder.path, 'a/file')] }).open(never);
  const entries = await entriesOf(session);
  const onTheWay = ['/tmp', folder.path, join(folder.path, 'a')].map((path) => entries.get(path)?.metadata.inode);
  expect(onTheWay).toEqual(
    ['/tmp', folder.path, join(folder.path, 'a')].map((path) => lstatSync(path, { bigint: true }).ino),
  );
  const inode = lstatSync(join(folder.path, 'a/file'), { bigint: true }).ino;
  expect([...entries.values()].at(-1)?.metadata).toMatchObject({ type: 'file', inode, sizeBytes: 1 });
});

test('a link is stored as a link, also when it is the path given; on the way to a path it counts as a directory', async () => {
  write('real/file');
  symlinkSync('real', join(folder.path, 'link'));
  await using given = await filesSource({ paths: [join(folder.path, 'link')] }).open(never);
  const last = [...(await entriesOf(given)).values()].at(-1);
  expect(last).toMatchObject({ path: join(folder.path, 'link'), metadata: { type: 'symlink', linkTarget: 'real' } });
  await using onTheWay = await filesSource({ paths: [join(folder.path, 'link/file')] }).open(never);
  const entries = await entriesOf(onTheWay);
  expect(entries.get(join(folder.path, 'link'))?.metadata.type).toBe('dir');
  expect(entries.get(join(folder.path, 'link/file'))?.metadata.type).toBe('file');
});

test('links inside are not followed, even into a circle', async () => {
  write('a/file');
  symlinkSync('..', join(folder.path, 'a/up'));
  expect((await walked()).paths).toEqual(['a', 'a/file', 'a/up']);
});

test('sockets are left out without a word', async () => {
  write('file');
  const server = createServer().listen(join(folder.path, 'socket'));
  await new Promise((resolve) => server.once('listening', resolve));
  try {
    expect(await walked()).toEqual({ paths: ['file'], problems: [] });
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

test('what vanishes during the walk is a problem, and the walk goes on', async () => {
  for (const path of ['a', 'b-file', 'c-folder/x', 'd']) write(path);
  const { paths, problems } = await walked({}, (path) => {
    if (path === 'a') rmSync(join(folder.path, 'b-file'));
    if (path === 'c-folder') rmSync(join(folder.path, 'c-folder'), { recursive: true });
  });
  expect(paths).toEqual(['a', 'c-folder', 'd']);
  expect(problems).toEqual([
    'b-file: vanished while the folder was read',
    'c-folder: vanished while the folder was read',
  ]);
});

test('a folder that becomes a file during the walk is a problem, and the walk goes on', async () => {
  for (const path of ['a/x', 'b']) write(path);
  const { paths, problems } = await walked({}, (path) => {
    if (path !== 'a') return;
    rmSync(join(folder.path, 'a'), { recursive: true });
    write('a');
  });
  expect(paths).toEqual(['a', 'b']);
  expect(problems).toEqual(['a: vanished while the folder was read']);
});

test('a path given that is gone stops the backup, even if others are there', async () => {
  const paths = [folder.path, join(folder.path, 'missing')];
  await expect(filesSource({ paths }).open(never)).rejects.toMatchObject({
    code: 'SOURCE_UNREACHABLE',
    message: `${join(folder.path, 'missing')} does not exist`,
  });
});

test('no paths at all are refused', () => {
  expect(() => filesSource({ paths: [] })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
});

test('a folder of 70 000 files is walked, and other work goes on meanwhile', async () => {
  for (let number = 0; number < 70_000; number += 1) writeFileSync(join(folder.path, `f${number}`), '');
  let turns = 0;
  let next = setImmediate(function turn() {
    turns += 1;
    next = setImmediate(turn);
  });
  const { paths } = await walked();
  clearImmediate(next);
  expect(paths.length).toBe(70_000);
  expect(turns).toBeGreaterThan(100);
});

describe('excludes', () => {
  test('what a pattern excludes is left out with all it holds', async () => {
    for (const path of ['a.tmp', 'keep.tmp', 'src/node_modules/x', 'src/main', 'cache/x']) write(path);
    const excludes = ['*.tmp', '!keep.tmp', 'node_modules', join(folder.path, 'cache')];
    expect(await walked({ excludes })).toEqual({ paths: ['keep.tmp', 'src', 'src/main'], problems: [] });
  });

  test('a pattern that excludes what was named is told of by the walk and by the check', async () => {
    write('uploads/x');
    const options = { paths: [join(folder.path, 'uploads')], excludes: ['lifeboat-test-*'] };
    expect(await walked(options)).toEqual({
      paths: [],
      problems: ['uploads: excluded by a pattern, though it or something in it was named'],
    });
    const findings = await Array.fromAsync(filesSource(options).check(never));
    expect(findings.find((finding) => finding.aspect === 'exclude patterns')?.outcome).toBe('failed');
  });

  test('of a cache only its tag is kept; a tag without the signature marks nothing', async () => {
    write('cache/CACHEDIR.TAG', 'Signature: 8a477f597d28d172789f06886806bc55\n# more');
    write('cache/big');
    write('fake/CACHEDIR.TAG', 'Signature: something');
    write('fake/kept');
    mkdirSync(join(folder.path, 'pipe'));
    native()?.makeFifo(join(folder.path, 'pipe/CACHEDIR.TAG'), 0o600);
    const kept = ['cache', 'cache/CACHEDIR.TAG', 'fake', 'fake/CACHEDIR.TAG', 'fake/kept', 'pipe'];
    expect((await walked({ excludeCaches: true })).paths.filter((path) => !path.startsWith('pipe/'))).toEqual(kept);
    expect((await walked()).paths).toContain('cache/big');
  });

  test('files above the limit are left out, those just on it are kept, directories have no size', async () => {
    write('small', '12345');
    write('large', '123456');
    write('folder/x');
    expect((await walked({ excludeLargerThanBytes: 5 })).paths).toEqual(['folder', 'folder/x', 'small']);
  });

  test.skipIf(!isMount('/dev/pts'))(
    'another file system is left out but for its empty mount point, unless it or something in it is named',
    async () => {
      const all = await terminals(false, ['/dev']);
      expect(all).toContain('/dev/pts/ptmx');
      expect(await terminals(true, ['/dev'])).toEqual(['/dev/pts']);
      expect(await terminals(true, ['/dev', '/dev/pts'])).toEqual(all);
      expect(await terminals(true, ['/dev', '/dev/pts/ptmx'])).toEqual(['/dev/pts', '/dev/pts/ptmx']);
    },
  );
});

async function terminals(oneFileSystem: boolean, paths: string[]): Promise<string[]> {
  await using session = await filesSource({ paths, oneFileSystem }).open(never);
  return [...(await entriesOf(session)).keys()].filter((path) => path.startsWith('/dev/pts'));
}

function isMount(path: string): boolean {
  const device = lstatSync(path, { throwIfNoEntry: false })?.dev;
  return device !== undefined && device !== lstatSync(join(path, '..')).dev;
}

describe.skipIf(!isRoot)('as a user without rights', () => {
  test('folders that may not be read are kept empty and told of; folders that may not be searched tell of each entry', async () => {
    chmodSync(folder.path, 0o755);
    for (const path of ['closed/x', 'open/y', 'unsearchable/z']) write(path);
    chmodSync(join(folder.path, 'closed'), 0o700);
    chmodSync(join(folder.path, 'unsearchable'), 0o744);
    expect(await unprivilegedAsync(() => walked())).toEqual({
      paths: ['closed', 'open', 'open/y', 'unsearchable'],
      problems: ['closed: permission denied', 'unsearchable/z: permission denied'],
    });
  });

  test('a path given in a folder that may not be searched stops the backup', async () => {
    write('closed/x');
    const source = filesSource({ paths: [join(folder.path, 'closed/x')] });
    await expect(unprivilegedAsync(() => source.open(never))).rejects.toMatchObject({ code: 'SOURCE_DENIED' });
    const findings = await unprivilegedAsync(() => Array.fromAsync(source.check(never)));
    expect(findings.find((finding) => finding.aspect === 'paths')?.outcome).toBe('failed');
  });
});
