import fc from 'fast-check';
import { expect, test } from 'vitest';
import { onlyAppErrors } from '../../../../test/support/only-app-errors.ts';
import { pieceLengths, pieces } from '../../../../test/support/pieces.ts';
import { TarReader } from './tar-reader.ts';

interface Made {
  readonly name: string | Buffer;
  readonly type?: string;
  readonly content?: Buffer;
  readonly sizeField?: Buffer;
  readonly link?: string;
  readonly mode?: number;
}

function block({ name, type = '0', content, sizeField, link = '', mode = 0o600 }: Made): Buffer {
  const header = Buffer.alloc(512);
  if (typeof name === 'string') header.write(name, 0);
  else name.copy(header);
  header.write(`${mode.toString(8).padStart(7, '0')}\0`, 100);
  (sizeField ?? Buffer.from((content?.length ?? 0).toString(8).padStart(11, '0') + ' ')).copy(header, 124);
  header.write('14736312345\0', 136);
  header.write(type, 156);
  header.write(link, 157);
  header.write('ustar\x0000', 257, 'latin1');
  header.fill(0x20, 148, 156);
  let sum = 0;
  for (const byte of header) sum += byte;
  header.write(`${sum.toString(8).padStart(7, '0')} `, 148);
  return header;
}

function archive(members: readonly Made[], ending = Buffer.alloc(1024)): Buffer {
  const parts = members.flatMap((member) => {
    const content = member.content ?? Buffer.alloc(0);
    return [block(member), content, Buffer.alloc(-content.length & 511)];
  });
  return Buffer.concat([...parts, ending]);
}

function read(bytes: Uint8Array, lengths: readonly number[] = [bytes.length || 1]) {
  const reader = new TarReader();
  const members: { path: string; type: string; content: string; link?: string | undefined; ended: boolean }[] = [];
  for (const piece of pieces(bytes, lengths)) {
    for (const event of reader.push(piece)) {
      const last = members.at(-1);
      if (event.kind === 'member') {
        const { path, type, linkTarget } = event.member;
        members.push({ path, type, content: '', link: linkTarget, ended: false });
      } else if (event.kind === 'content') last!.content += Buffer.from(event.bytes).toString('latin1');
      else last!.ended = true;
    }
  }
  reader.finish();
  return members;
}

const members: Made[] = [
  { name: 'backup_label', content: Buffer.from('START') },
  { name: './pg_wal/archive_status/', type: '5', mode: 0o700 },
  { name: 'pg_tblspc/16400/', type: '2', link: '/mnt/fast disk/' },
  { name: 'base/1/PG_VERSION', content: Buffer.from('18\n') },
  { name: 'empty', content: Buffer.alloc(0) },
  { name: 'block', content: Buffer.alloc(512, 0x41) },
  { name: Buffer.from([0x66, 0xff]), content: Buffer.alloc(1500, 0x42) },
];

test('members come as the server names them, with or without the blocks of zeros at the end, wherever the bytes are split', () => {
  const expected = [
    { path: 'backup_label', type: 'file', content: 'START', link: undefined, ended: true },
    { path: 'pg_wal/archive_status', type: 'folder', content: '', link: undefined, ended: true },
    { path: 'pg_tblspc/16400', type: 'link', content: '', link: '/mnt/fast disk', ended: true },
    { path: 'base/1/PG_VERSION', type: 'file', content: '18\n', link: undefined, ended: true },
    { path: 'empty', type: 'file', content: '', link: undefined, ended: true },
    { path: 'block', type: 'file', content: 'A'.repeat(512), link: undefined, ended: true },
    { path: 'f\udcff', type: 'file', content: 'B'.repeat(1500), link: undefined, ended: true },
  ];
  fc.assert(
    fc.property(pieceLengths, fc.boolean(), (lengths, hasEnd) => {
      expect(read(archive(members, Buffer.alloc(hasEnd ? 1024 : 0)), lengths)).toEqual(expected);
    }),
    { numRuns: 200 },
  );
});

test('content is handed on without a copy', () => {
  const bytes = archive([{ name: 'a', content: Buffer.alloc(1000, 1) }]);
  const views = [...new TarReader().push(bytes)].flatMap((event) => (event.kind === 'content' ? [event.bytes] : []));
  expect(
    views.map(({ buffer, byteOffset, length }) => [buffer === bytes.buffer, byteOffset - bytes.byteOffset, length]),
  ).toEqual([[true, 512, 1000]]);
});

test('a size from 8 GiB on is read from its binary form', () => {
  const header = block({ name: 'large', sizeField: Buffer.from('800000000000000240000000', 'hex') });
  const [event] = new TarReader().push(header);
  expect(event).toMatchObject({
    member: { path: 'large', sizeBytes: 9 * 2 ** 30, mode: 0o600, modifiedSeconds: 0o14736312345 },
  });
});

test.each(['/etc/passwd', '../x', 'a/../../x', 'a/./b', 'a//b', '.', './', '..', '', '/', './/../x'])(
  'the name %j is refused',
  (name) => {
    expect(() => read(archive([{ name, content: Buffer.from('x') }]))).toThrow(
      expect.objectContaining({ code: 'HOSTILE_CONTENT' }),
    );
  },
);

test.each(['1', '3', '6', 'L', 'x', 'g'])('a member of type %j is unknown', (type) => {
  expect(() => read(archive([{ name: 'a', type }]))).toThrow(expect.objectContaining({ code: 'SOURCE_UNSUPPORTED' }));
});

test('an archive that is cut short anywhere inside a member is not taken for a whole one', () => {
  const bytes = archive(members, Buffer.alloc(0));
  const starts = new Set([0]);
  let at = 0;
  for (const { content } of members) {
    at += 512 + Math.ceil((content?.length ?? 0) / 512) * 512;
    starts.add(at);
  }
  for (let length = 0; length < bytes.length; length += 1) {
    expect({ length, isWhole: isWhole(bytes.subarray(0, length)) }).toEqual({ length, isWhole: starts.has(length) });
  }
});

function isWhole(bytes: Uint8Array): boolean {
  try {
    read(bytes);
    return true;
  } catch (error) {
    if (String(error).includes('it is cut short')) return false;
    throw error;
  }
}

test('bytes behind the end are noticed', () => {
  expect(() => read(Buffer.concat([archive(members), Buffer.of(0, 0, 1)]))).toThrow('bytes follow its end');
});

test('any bytes are an archive or our error', () => {
  const whole = archive(members);
  const spoilt = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(spoilt, pieceLengths, (changes, lengths) => {
      const copy = Buffer.from(whole);
      for (const [at, byte] of changes) copy[at] = byte;
      expect(() => onlyAppErrors(() => read(copy, lengths))).not.toThrow();
    }),
    { numRuns: 1000 },
  );
});
