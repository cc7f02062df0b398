import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nameToBytes } from '../../base/byte-name.ts';
import { tarHeader, tarPadding, type TarEntry } from './tar-header.ts';

const plain: TarEntry = {
  name: 'srv/file',
  type: 'file',
  mode: 0o640,
  uid: 1000,
  gid: 100,
  user: 'someone',
  group: 'users',
  sizeBytes: 0,
  mtimeSeconds: 1_700_000_000,
  extendedAttributes: [],
};

/** Key → value of each record of an extended header; throws where a length does not count itself. */
function recordsOf(header: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  if (header.toString('latin1', 156, 157) !== 'x') return records;
  const sizeBytes = Number.parseInt(header.toString('latin1', 124, 135), 8);
  for (let at = 512; at < 512 + sizeBytes;) {
    const space = header.indexOf(' ', at);
    const end = at + Number(header.toString('latin1', at, space));
    const equals = header.indexOf('=', space);
    if (header[end - 1] !== 0x0a) throw new Error(`a record does not end at ${end}`);
    records.set(header.toString('utf8', space + 1, equals), header.subarray(equals + 1, end - 1));
    at = end;
  }
  return records;
}

function plainName(block: Buffer): Buffer {
  const text = (at: number, lengthBytes: number): Buffer => {
    const field = block.subarray(at, at + lengthBytes);
    const end = field.indexOf(0);
    return end === -1 ? field : field.subarray(0, end);
  };
  const prefix = text(345, 155);
  return prefix.length === 0 ? text(0, 100) : Buffer.concat([prefix, Buffer.from('/'), text(0, 100)]);
}

test('what fits the plain header needs no other', () => {
  const deep = `${'d'.repeat(150)}/${'f'.repeat(90)}`;
  for (const name of ['srv/file', deep, 'stray-\udcff']) expect(tarHeader({ ...plain, name })).toHaveLength(512);
});

test('records hold values of any bytes and length, and their lengths count themselves', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1200 }), fc.string({ unit: 'grapheme', maxLength: 300 }), (bytes, path) => {
      const value = Buffer.from(bytes);
      const name = `a/${path.replaceAll('\0', '')}`;
      const header = tarHeader({ ...plain, name, extendedAttributes: [{ name: 'user.x=%', value }] });
      expect(header.length % 512).toBe(0);
      const records = recordsOf(header);
      expect(records.get('SCHILY.xattr.user.x%3D%25')).toEqual(value);
      const whole = records.get('path') ?? plainName(header.subarray(-512));
      expect(whole).toEqual(nameToBytes(name));
    }),
  );
});

test('an ACL also comes in words, and what only looks like one does not', () => {
  const acl = Buffer.from('0200000001000600ffffffff020005006712000010000700ffffffff20000000ffffffff', 'hex');
  const records = (value: Buffer) =>
    recordsOf(tarHeader({ ...plain, extendedAttributes: [{ name: 'system.posix_acl_access', value }] }));
  expect(records(acl).get('SCHILY.acl.access')?.toString()).toBe('user::rw-\nuser:4711:r-x\nmask::rwx\nother::---\n');
  for (const broken of [
    acl.subarray(1),
    acl.subarray(0, 3),
    Buffer.concat([acl, Buffer.from('0300000000000000', 'hex')]),
  ]) {
    expect([...records(broken).keys()]).toEqual(['SCHILY.xattr.system.posix_acl_access']);
  }
});

test.each<[Partial<TarEntry>, RegExp]>([
  [{ sizeBytes: 9_000_000_000 }, /someone\/users +9000000000 2023/],
  [{ uid: 4_000_000_000, user: 'u'.repeat(40), group: '' }, /^-rw-r----- 4000000000\/100 /],
  [{ mtimeSeconds: -86_400 }, / 1969-12-31 00:00 /],
  [{ mtimeSeconds: 4_000_000_000 }, / 2096-10-02 07:06 /],
  [{ name: `${'ü'.repeat(60)}/x` }, / ü{60}\/x$/m],
  [{ type: 'symlink', linkTarget: 'ö'.repeat(70) }, / srv\/file -> ö{70}$/m],
  [{ type: 'character-device', device: { major: 300, minor: 70_000 } }, /^crw-r----- .* 300,70000 /],
])('tar reads %j', (changes, line) => {
  const header = tarHeader({ ...plain, ...changes });
  const env = { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8', TZ: 'UTC' };
  // Of the content nothing is needed to list it, but tar says that it is missing.
  const input = Buffer.concat([header, tarPadding(0), Buffer.alloc(changes.sizeBytes === undefined ? 1024 : 0)]);
  expect(spawnSync('tar', ['-tvf', '-'], { input, encoding: 'utf8', env }).stdout).toMatch(line);
});
