// What the files source reads, against what stock restic records of the very same files.
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, linkSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, assert, beforeAll, expect, test } from 'vitest';
import { fsPath, nameFromBytes, nameToBytes } from '../../src/base/byte-name.ts';
import type { FileMetadata } from '../../src/base/file-type.ts';
import { native } from '../../src/base/native.ts';
import { type FilesOptions, filesSource } from '../../src/sources/files/files-source.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts';
import { describeWith, findTool } from '../support/tools.ts';
import { isRoot } from '../support/unprivileged.ts';

const never = new AbortController().signal;

describeWith(['restic', 'setfacl'], 'the files source and restic', () => {
  let folder: TemporaryFolder;
  let source: string;

  beforeAll(async () => {
    folder = await temporaryFolder();
    source = join(folder.path, 'source');
    mkdirSync(source);
    fill(source);
    restic(folder.path, ['init']);
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  test('record the same metadata for every kind of entry', async () => {
    const output = restic(folder.path, ['backup', '--json', '--with-atime', source]);
    const summary = JSON.parse(output.trim().split('\n').at(-1) ?? '') as { snapshot_id: string };
    const snapshot = JSON.parse(restic(folder.path, ['cat', 'snapshot', summary.snapshot_id])) as { tree: string };
    const theirs = nodesBelow(folder.path, snapshot.tree, '');
    const ours = await entries({ paths: [source] });
    const inSource = (path: string): boolean => path === source || path.startsWith(`${source}/`);
    expect([...ours.keys()].toSorted()).toEqual([...theirs.keys()].toSorted());
    for (const [path, metadata] of ours) {
      // Directories on the way are in use by others (restic's own repository lies in one of them).
      const node = theirs.get(path);
      assert(node !== undefined);
      const compared = inSource(path) ? withoutReadTime : lasting;
      expect({ path, ...compared(recorded(metadata)) }).toEqual({ path, ...compared(node) });
    }
    expect(new Set([...ours.values()].map((metadata) => metadata.type)).size).toBeGreaterThanOrEqual(isRoot ? 6 : 4);
  });

  test.each<[Partial<FilesOptions>, string[]]>([
    [{ excludes: ['*.tmp'] }, []],
    [{ excludes: ['/'] }, []],
    [{ excludes: ['d/**'] }, []],
    [{ excludes: ['**/x?'] }, []],
    [{ excludes: ['source/**/deep'] }, []],
    [{ excludes: ['d/*/deep/', 'empt[x-z]'] }, []],
    [{ excludes: ['*', '!source', '!kept*'] }, []],
    [{ excludes: ['[^s]*.t?p', '!b.tmp', 'kept.txt'] }, []],
    [{ excludes: [String.raw`\*.tmp`, '**/**/x2'], excludeCaches: true }, ['--exclude-caches']],
    [{ excludes: ['//d//e/../x1', './b.tmp'] }, []],
    [{ excludeCaches: true, excludeLargerThanBytes: 5000 }, ['--exclude-caches', '--exclude-larger-than', '5000']],
  ])('leave out the same entries by %j', async (options, extra) => {
    const flags = (options.excludes ?? []).flatMap((pattern) => ['--exclude', pattern]);
    const output = restic(folder.path, ['backup', '--dry-run', '-vv', '--force', '--json', ...flags, ...extra, source]);
    // A dry run names files and directories only, the latter with a slash, and bytes that are not UTF-8 as U+FFFD.
    const theirs = [...output.matchAll(/"item":("[^"]+")/g)].map(([, item = '']) => String(JSON.parse(item)));
    const ours = [...(await entries({ paths: [source], ...options }))].flatMap(([path, { type }]) =>
      type === 'dir' ? [`${path}/`] : type === 'file' ? [nameToBytes(path).toString()] : [],
    );
    expect(ours.toSorted()).toEqual(theirs.toSorted());
  });
});

function fill(source: string): void {
  const at = (name: string): string => join(source, name);
  for (const directory of ['d/e/deep', 'd/deep', 'cache', 'empty']) mkdirSync(at(directory), { recursive: true });
  for (const name of ['a.tmp', 'b.tmp', '*.tmp', 'd/x1', 'd/e/x2', 'd/e/deep/y', 'd/deep/y', 'cache/big', 'kept.txt']) {
    writeFileSync(at(name), name);
  }
  writeFileSync(at('cache/CACHEDIR.TAG'), 'Signature: 8a477f597d28d172789f06886806bc55');
  writeFileSync(at('two-links'), 'linked');
  linkSync(at('two-links'), at('d/two-links'));
  writeFileSync(fsPath(at('bad\udcff\udcfe')), '');
  writeFileSync(at('ü'.repeat(127) + 'x'), '');
  symlinkSync('d/x1', at('link'));
  writeFileSync(at('sparse'), '');
  truncateSync(at('sparse'), 100_000);
  writeFileSync(at('attributes'), '');
  const calls = native();
  assert(calls !== undefined);
  calls.writeExtendedAttribute(at('attributes'), 'user.z', Buffer.from([0, 1, 255]));
  calls.writeExtendedAttribute(at('attributes'), 'user.a', Buffer.alloc(0));
  calls.writeExtendedAttribute(at('d'), 'user.directory', Buffer.from('x'));
  execFileSync(findTool('setfacl') ?? '', ['-m', 'u:4711:rwx,d:g:4712:rx', at('d/deep')]);
  calls.makeFifo(at('fifo'), 0o644);
  for (const [name, mode] of [
    ['a.tmp', 0o6755],
    ['empty', 0o1777],
    ['d/e', 0o2750],
  ] as const) {
    chmodSync(at(name), mode);
  }
  calls.writeTimes(at('d/x1'), 1n, -1_000_000_001n);
  calls.writeTimes(at('d/e/x2'), -86_400_000_000_001n, 4_102_444_800_123_456_780n);
  calls.writeTimes(at('link'), 7n, 1_700_000_000_000_000_000n);
  if (!isRoot) return;
  chmodSync(at('b.tmp'), 0); // Anyone else could not read it.
  chownSync(at('kept.txt'), 4711, 4712);
  chownSync(at('d/x1'), 1, 2);
  calls.makeDevice(at('null'), 0o020666, 259n);
  calls.makeDevice(at('block'), 0o060660, 1_050_412n);
}

/** Runs restic as an administrator would, with its repository below `folder`. */
function restic(folder: string, args: readonly string[]): string {
  return execFileSync(findTool('restic') ?? '', ['--no-cache', ...args], {
    encoding: 'utf8',
    env: { RESTIC_PASSWORD: 'test', RESTIC_REPOSITORY: join(folder, 'repository'), TZ: 'UTC' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

async function entries(options: FilesOptions): Promise<Map<string, FileMetadata>> {
  await using session = await filesSource(options).open(never);
  const found = new Map<string, FileMetadata>();
  for await (const { path, metadata } of session.entries(never)) found.set(path, metadata);
  return found;
}

type Node = Record<string, unknown>;

const large = new Set(['inode', 'device_id', 'device', 'size']);

function keepText(key: string, value: unknown, context?: { source?: string }): unknown {
  return large.has(key) ? context?.source : value;
}

/** All nodes of a tree by path. Numbers that may be too large for JavaScript stay the text they are. */
function nodesBelow(folder: string, tree: string, prefix: string): Map<string, Node> {
  const found = new Map<string, Node>();
  const text = restic(folder, ['cat', 'blob', tree]);
  for (const { name, subtree, content, ...node } of (JSON.parse(text, keepText) as { nodes: Node[] }).nodes) {
    const path = `${prefix}/${unquoted(String(name))}`;
    expect(content === null).toBe(node['type'] !== 'file');
    found.set(path, node);
    if (typeof subtree === 'string') for (const [at, child] of nodesBelow(folder, subtree, path)) found.set(at, child);
  }
  return found;
}

/** Of Go's quoting only what the names here need. */
function unquoted(name: string): string {
  const bytes = name.replaceAll(/\\x(?<hex>[0-9a-f]{2})/g, (_escape, hex: string) =>
    String.fromCharCode(0xdc00 + Number.parseInt(hex, 16)),
  );
  return nameFromBytes(Buffer.from(name)) === bytes ? name : bytes;
}

const goTypeBits = {
  file: 0,
  dir: 2 ** 31,
  symlink: 2 ** 27,
  dev: 2 ** 26,
  chardev: 2 ** 26 + 2 ** 21,
  fifo: 2 ** 25,
  socket: 2 ** 24,
};

/** Metadata as restic writes it, without what is zero or empty. */
function recorded(metadata: FileMetadata): Node {
  const { type, mode } = metadata;
  const special = (mode & 0o4000 ? 2 ** 23 : 0) + (mode & 0o2000 ? 2 ** 22 : 0) + (mode & 0o1000 ? 2 ** 20 : 0);
  const node: Node = {
    type,
    mode: goTypeBits[type] + special + (mode & 0o777),
    mtime: goTime(metadata.mtimeNs),
    atime: goTime(metadata.atimeNs),
    ctime: goTime(metadata.ctimeNs),
    uid: metadata.uid,
    gid: metadata.gid,
    user: metadata.user,
    group: metadata.group,
    inode: String(metadata.inode),
    device_id: String(metadata.deviceId),
    size: metadata.sizeBytes === 0 ? '' : String(metadata.sizeBytes),
    links: ['dir', 'fifo'].includes(type) ? 0 : metadata.links,
    linktarget: metadata.linkTarget ?? '',
    device: metadata.deviceNumber === 0n ? '' : String(metadata.deviceNumber),
    extended_attributes: metadata.extendedAttributes.map(({ name, value }) => ({
      name,
      value: value.toString('base64'),
    })),
  };
  return Object.fromEntries(Object.entries(node).filter(([key, value]) => key.endsWith('id') || !isEmpty(value)));
}

function isEmpty(value: unknown): boolean {
  return value === '' || value === 0 || (Array.isArray(value) && value.length === 0);
}

/** Reading a link or a directory changes the time of its last access, so it differs from one reader to the next. */
function withoutReadTime({ atime, ...rest }: Node): Node {
  return rest['type'] === 'symlink' || rest['type'] === 'dir' ? rest : { atime, ...rest };
}

function lasting({ type, mode, uid, gid, user, group, inode, device_id }: Node): Node {
  return { type, mode, uid, gid, user, group, inode, device_id };
}

/** RFC 3339 in UTC with as many of nine fractional digits as needed. */
function goTime(timeNs: bigint): string {
  const rest = ((timeNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  const seconds = new Date(Number((timeNs - rest) / 1_000_000n)).toISOString().slice(0, 19);
  const fraction = String(rest).padStart(9, '0').replace(/0+$/, '');
  return `${seconds}${fraction === '' ? '' : `.${fraction}`}Z`;
}
