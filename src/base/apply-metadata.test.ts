import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type TemporaryFolder, temporaryFolder } from '../../test/support/temporary-folder.ts';
import { describeWith, findTool } from '../../test/support/tools.ts';
import { isRoot, nobody, unprivileged } from '../../test/support/unprivileged.ts';
import { applyMetadata, createSpecial } from './apply-metadata.ts';
import { fsPath } from './byte-name.ts';
import { readMetadata } from './file-metadata.ts';
import type { FileMetadata } from './file-type.ts';
import { native } from './native.ts';

let folder: TemporaryFolder;
/** An entry to read from and one to write to. */
let original: string;
let copy: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  chmodSync(folder.path, 0o777);
  original = join(folder.path, 'original');
  copy = join(folder.path, 'copy');
});
afterEach(() => folder[Symbol.asyncDispose]());

/** What a restore can bring back. */
function restorable(path: string) {
  const { ctimeNs, inode, deviceId, links, ...rest } = readMetadata(path);
  expect(ctimeNs + inode + deviceId + BigInt(links)).toBeGreaterThan(0n);
  return rest;
}

function attribute(path: string, name: string, value: string): void {
  native()?.writeExtendedAttribute(path, name, Buffer.from(value));
}

const clean = { problems: [], isOwnerRefused: false };

test('a file comes back with mode, nanosecond times and attributes', () => {
  writeFileSync(original, 'content');
  attribute(original, 'user.kept', 'value');
  attribute(original, 'user.empty', '');
  native()?.writeTimes(original, 4_102_444_800_000_000_001n, -999_999_999n);
  chmodSync(original, 0o6751);
  writeFileSync(copy, 'content');
  expect(applyMetadata(copy, readMetadata(original))).toEqual(clean);
  expect(restorable(copy)).toEqual(restorable(original));
  expect(restorable(copy)).toMatchObject({ mode: 0o6751, mtimeNs: -999_999_999n });
});

test('attributes that the snapshot does not have disappear, and changed ones get their value back', () => {
  writeFileSync(original, '');
  attribute(original, 'user.same', 'old');
  writeFileSync(copy, '');
  attribute(copy, 'user.surplus', 'x');
  attribute(copy, 'user.same', 'new');
  expect(applyMetadata(copy, readMetadata(original))).toEqual(clean);
  expect(readMetadata(copy).extendedAttributes).toEqual([{ name: 'user.same', value: Buffer.from('old') }]);
});

test('a directory whose mode forbids everything still gets its attributes and times', () => {
  mkdirSync(original);
  attribute(original, 'user.kept', 'value');
  native()?.writeTimes(original, 1n, 2n);
  chmodSync(original, 0);
  mkdirSync(copy);
  expect(applyMetadata(copy, readMetadata(original))).toEqual(clean);
  expect(restorable(copy)).toEqual(restorable(original));
});

test('a link comes back with the bytes of its target and its own times; what it points to is untouched', () => {
  const target = join(folder.path, 'target');
  writeFileSync(target, '', { mode: 0o640 });
  const before = readMetadata(target);
  symlinkSync(fsPath('target'), original);
  native()?.writeTimes(original, 3n, 4n);
  expect(createSpecial(copy, readMetadata(original))).toBeUndefined();
  expect(applyMetadata(copy, readMetadata(original))).toEqual(clean);
  expect(restorable(copy)).toEqual(restorable(original));
  expect(readMetadata(target)).toEqual(before);
});

test('a link target that is not UTF-8 keeps its bytes', () => {
  const target = 'caf\udce9/\udcff';
  symlinkSync(fsPath(target), original);
  expect(readMetadata(original).linkTarget).toBe(target);
  expect(createSpecial(copy, readMetadata(original))).toBeUndefined();
  expect(readMetadata(copy).linkTarget).toBe(target);
});

test('metadata of a file that meets a link in its place does not reach what the link points to', () => {
  const target = join(folder.path, 'target');
  writeFileSync(target, '', { mode: 0o600 });
  const before = readMetadata(target);
  writeFileSync(original, '', { mode: 0o644 });
  symlinkSync('target', copy);
  const { problems } = applyMetadata(copy, readMetadata(original));
  expect(problems).toEqual([expect.stringContaining('mode not restored')]);
  expect(readMetadata(target)).toEqual(before);
});

test('a fifo comes back, and one that is in the way is a problem, not an error', () => {
  native()?.makeFifo(original, 0o600);
  chmodSync(original, 0o622);
  expect(createSpecial(copy, readMetadata(original))).toBeUndefined();
  expect(applyMetadata(copy, readMetadata(original))).toEqual(clean);
  expect(restorable(copy)).toEqual(restorable(original));
  expect(createSpecial(copy, readMetadata(original))).toContain('EEXIST');
});

test('an entry that is gone yields one problem for each part, and no error', () => {
  writeFileSync(original, '');
  const { problems } = applyMetadata(copy, readMetadata(original));
  expect(problems.map((problem) => problem.split(' ')[0])).toEqual(['owner', 'extended', 'times', 'mode']);
});

test('a file is no special file', () => {
  writeFileSync(original, '');
  expect(createSpecial(copy, readMetadata(original))).toContain('not a special file');
});

describe.skipIf(!mayMakeDevices())('device nodes', () => {
  test.each([
    ['chardev', 0o020000, 259n],
    ['dev', 0o060000, 1_050_412n],
  ])('a %s comes back with its number', (type, kind, deviceNumber) => {
    native()?.makeDevice(original, kind | 0o640, deviceNumber);
    expect(readMetadata(original)).toMatchObject({ type, deviceNumber, sizeBytes: 0 });
    expect(createSpecial(copy, readMetadata(original))).toBeUndefined();
    expect(applyMetadata(copy, readMetadata(original))).toEqual(clean);
    expect(restorable(copy)).toEqual(restorable(original));
  });
});

describe.skipIf(!isRoot)('with root to prepare it', () => {
  test('root gives owner and group back by number, and setuid survives', () => {
    writeFileSync(original, '');
    chownSync(original, 4711, 4712);
    chmodSync(original, 0o6755);
    writeFileSync(copy, '');
    expect(applyMetadata(copy, readMetadata(original))).toEqual(clean);
    expect(readMetadata(copy)).toMatchObject({ uid: 4711, gid: 4712, user: '', group: '', mode: 0o6755 });
  });

  test('a capability of a program survives the change of its owner', () => {
    // cap_net_bind_service+ep, as `setcap` writes it.
    const value = Buffer.from('0100000200040000000000000000000000000000', 'hex');
    writeFileSync(original, '');
    chownSync(original, 4711, 4712);
    native()?.writeExtendedAttribute(original, 'security.capability', value);
    writeFileSync(copy, '');
    expect(applyMetadata(copy, readMetadata(original))).toEqual(clean);
    expect(readMetadata(copy).extendedAttributes).toEqual([{ name: 'security.capability', value }]);
  });

  test('on request owners stay as they are; a setuid bit meant for another is dropped all the same', () => {
    writeFileSync(original, '');
    chownSync(original, 4711, 0);
    chmodSync(original, 0o6755);
    writeFileSync(copy, '');
    expect(applyMetadata(copy, readMetadata(original), { withOwner: false })).toEqual(clean);
    expect(readMetadata(copy)).toMatchObject({ uid: 0, mode: 0o2755 });
  });

  test('without root the owner is refused, setuid and setgid are dropped, all else comes back', () => {
    writeFileSync(original, '');
    attribute(original, 'user.kept', 'value');
    chmodSync(original, 0o6755);
    const metadata = readMetadata(original);
    const applied = unprivileged(() => {
      writeFileSync(copy, '');
      return applyMetadata(copy, metadata);
    });
    expect(applied).toEqual({ problems: [], isOwnerRefused: true });
    expect(readMetadata(copy)).toMatchObject({ uid: nobody, gid: nobody, mode: 0o755, mtimeNs: metadata.mtimeNs });
    expect(readMetadata(copy).extendedAttributes).toEqual(metadata.extendedAttributes);
  });

  test('without root the group still comes back where the user belongs to it', () => {
    writeFileSync(original, '');
    chownSync(original, 0, 4712);
    chmodSync(original, 0o6755);
    const metadata = readMetadata(original);
    const act = () => {
      writeFileSync(copy, '');
      return applyMetadata(copy, metadata);
    };
    expect(unprivileged(act, [4712])).toEqual({ problems: [], isOwnerRefused: true });
    expect(readMetadata(copy)).toMatchObject({ uid: nobody, gid: 4712, mode: 0o2755 });
  });

  test('without root nothing is refused where the owner is the restoring user already', () => {
    const applied = unprivileged(() => {
      writeFileSync(original, '', { mode: 0o4750 });
      chmodSync(original, 0o4750);
      writeFileSync(copy, '');
      return applyMetadata(copy, readMetadata(original));
    });
    expect(applied).toEqual(clean);
    expect(readMetadata(copy).mode).toBe(0o4750);
  });

  test('without root a write-protected file of the own still gets its attributes', () => {
    const applied = unprivileged(() => {
      writeFileSync(original, '');
      attribute(original, 'user.kept', 'value');
      chmodSync(original, 0o444);
      writeFileSync(copy, '');
      attribute(copy, 'user.surplus', 'value');
      chmodSync(copy, 0o444);
      return applyMetadata(copy, readMetadata(original));
    });
    expect(applied).toEqual(clean);
    expect(restorable(copy)).toEqual(restorable(original));
  });

  test('without root an attribute that only root may write is a named problem', () => {
    writeFileSync(original, '');
    attribute(original, 'trusted.secret', 'value');
    const metadata: FileMetadata = { ...readMetadata(original), uid: nobody, gid: nobody };
    const { problems } = unprivileged(() => {
      writeFileSync(copy, '');
      return applyMetadata(copy, metadata);
    });
    expect(problems).toEqual([expect.stringMatching(/^extended attribute trusted\.secret not restored: E/)]);
  });

  test("another user's file yields problems, and stays as it is", () => {
    writeFileSync(copy, '', { mode: 0o600 });
    const before = readMetadata(copy);
    writeFileSync(original, '', { mode: 0o644 });
    const metadata = readMetadata(original);
    const { problems } = unprivileged(() => applyMetadata(copy, metadata));
    expect(problems.map((problem) => problem.split(' ')[0])).toEqual(['times', 'mode']);
    expect(readMetadata(copy)).toEqual(before);
  });

  test('an attribute whose value may not be read is told of, not left out in silence', () => {
    writeFileSync(original, '', { mode: 0o600 });
    attribute(original, 'user.hidden', 'value');
    const told: string[] = [];
    const metadata = unprivileged(() => readMetadata(original, undefined, { onProblem: (text) => told.push(text) }));
    expect(metadata.extendedAttributes).toEqual([]);
    expect(told).toEqual([expect.stringContaining('user.hidden not read: EACCES')]);
  });
});

function acl(path: string): string {
  return execFileSync(
    join(findTool('setfacl') ?? '', '../getfacl'),
    ['--absolute-names', '--omit-header', '--numeric', path],
    { encoding: 'utf8' },
  );
}

describeWith(['setfacl'], 'POSIX ACLs', () => {
  test('access and default ACLs come back, and inherited ones that the snapshot lacks disappear', () => {
    mkdirSync(original);
    execFileSync(findTool('setfacl') ?? '', ['-m', 'u:4711:rwx,g:4712:r-x,d:u:4713:rx,m::r-x', original]);
    mkdirSync(copy);
    execFileSync(findTool('setfacl') ?? '', ['-m', 'u:9999:rwx,d:u:9999:rwx', copy]);
    expect(applyMetadata(copy, readMetadata(original))).toEqual(clean);
    expect(acl(copy)).toBe(acl(original));
    const plain = join(folder.path, 'plain');
    mkdirSync(plain);
    expect(applyMetadata(copy, readMetadata(plain))).toEqual(clean);
    expect(acl(copy)).toBe(acl(plain));
  });
});

test('without node:ffi attributes are a problem, names of owners are read, and times come close', () => {
  writeFileSync(original, '');
  attribute(original, 'user.kept', 'value');
  native()?.writeTimes(original, 1_700_000_000_123_456_789n, 1_700_000_000_123_456_789n);
  chmodSync(original, 0o640);
  const metadata = readMetadata(original);
  writeFileSync(copy, '');
  const script = `
    import { applyMetadata, createSpecial } from ${JSON.stringify(import.meta.resolve('./apply-metadata.ts'))};
    import { readMetadata } from ${JSON.stringify(import.meta.resolve('./file-metadata.ts'))};
    const [original, copy] = process.argv.slice(1);
    const read = readMetadata(original);
    const attributes = [{ name: 'user.kept', value: Buffer.from('value') }];
    const { problems } = applyMetadata(copy, { ...read, extendedAttributes: attributes });
    const fifo = createSpecial(copy + '-fifo', { ...read, type: 'fifo' });
    console.log(JSON.stringify({ problems, fifo, user: read.user, group: read.group, none: read.extendedAttributes }));`;
  const options = ['--no-experimental-ffi', '--input-type=module', '-e', script, original, copy];
  const child = spawnSync(process.execPath, options, { encoding: 'utf8' });
  expect(child.stderr).toBe('');
  expect(JSON.parse(child.stdout)).toEqual({
    problems: ['1 extended attributes not restored: Node lacks node:ffi here'],
    fifo: 'fifo not restored: this build of Node cannot make one',
    user: metadata.user,
    group: metadata.group,
    none: [],
  });
  const found = readMetadata(copy);
  expect(found.mode).toBe(0o640);
  expect(Math.abs(Number(found.mtimeNs - metadata.mtimeNs))).toBeLessThan(1000);
});

test('hard links share inode and device, and count each other', () => {
  writeFileSync(original, '');
  linkSync(original, copy);
  const [left, right] = [readMetadata(original), readMetadata(copy)];
  expect(left).toEqual(right);
  expect(left.links).toBe(2);
});

test('a sparse file shows its whole length', () => {
  writeFileSync(original, '');
  truncateSync(original, 5_000_000_000);
  expect(readMetadata(original)).toMatchObject({ type: 'file', sizeBytes: 5_000_000_000 });
});

function nameIn(path: string, id: number): string | undefined {
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.find((line) => line.split(':')[2] === String(id))?.split(':')[0];
}

test('owners have the names that /etc/passwd and /etc/group give them', () => {
  writeFileSync(original, '');
  const { uid, gid, user, group } = readMetadata(original);
  expect([user, group]).toEqual([nameIn('/etc/passwd', uid), nameIn('/etc/group', gid)]);
});

test('metadata of a missing entry is refused as lstat refuses it', () => {
  expect(() => readMetadata(copy)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
});

function mayMakeDevices(): boolean {
  const probe = mkdtempSync(join(tmpdir(), 'lifeboat-test-'));
  try {
    native()?.makeDevice(join(probe, 'device'), 0o020000, 259n);
    return native() !== undefined;
  } catch {
    return false;
  } finally {
    rmSync(probe, { recursive: true });
  }
}
