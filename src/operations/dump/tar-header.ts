// Headers of a tar archive as POSIX has them (ustar, and pax records where its fields are too narrow), with extended attributes
// and ACLs as GNU tar and libarchive name them. Pure. Of our own, since no library writes values that are no text.
import assert from 'node:assert/strict';
import { isAscii, isUtf8 } from 'node:buffer';
import { nameToBytes } from '../../base/byte-name.ts';
import type { ExtendedAttribute } from '../../base/file-type.ts';
import { aclText } from './acl-text.ts';

const typeFlags = {
  file: '0',
  symlink: '2',
  'character-device': '3',
  'block-device': '4',
  directory: '5',
  fifo: '6',
} as const;

export interface TarEntry {
  /** Names as elsewhere: a lone surrogate stands for a byte that is no UTF-8. Of folders with a slash at its end. */
  readonly name: string;
  readonly type: keyof typeof typeFlags;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly user: string;
  readonly group: string;
  readonly sizeBytes: number;
  /** Since 1970; may be negative. */
  readonly mtimeSeconds: number;
  /** Of a symbolic link. */
  readonly linkTarget?: string | undefined;
  readonly device?: { readonly major: number; readonly minor: number } | undefined;
  readonly extendedAttributes: readonly ExtendedAttribute[];
}

export const tarBlockBytes = 512;
const nameMaxBytes = 100;
const prefixMaxBytes = 155;
const ownerMaxBytes = 31;

/** All blocks in front of the content. */
export function tarHeader(entry: TarEntry): Buffer {
  const name = nameToBytes(entry.name);
  const linkTarget = nameToBytes(entry.linkTarget ?? '');
  const place = plainPlace(name);
  const records = [
    ...(place === undefined ? [record('path', name)] : []),
    ...(isPlain(linkTarget, nameMaxBytes) ? [] : [record('linkpath', linkTarget)]),
    ...(entry.uid > octalMax(8) ? [record('uid', `${entry.uid}`)] : []),
    ...(entry.gid > octalMax(8) ? [record('gid', `${entry.gid}`)] : []),
    ...(entry.sizeBytes > octalMax(12) ? [record('size', `${entry.sizeBytes}`)] : []),
    ...(isPlainTime(entry.mtimeSeconds) ? [] : [record('mtime', `${entry.mtimeSeconds}`)]),
    ...entry.extendedAttributes.flatMap(attributeRecords),
  ];
  // Else names in records would be taken for UTF-8.
  const isBinary = !entry.name.isWellFormed() || entry.linkTarget?.isWellFormed() === false;
  if (isBinary && records.length > 0) records.unshift(record('hdrcharset', 'BINARY'));
  const { prefix, rest } = place ?? { prefix: Buffer.alloc(0), rest: name.subarray(0, nameMaxBytes) };
  const plain = block({ ...entry, flag: typeFlags[entry.type], prefix, rest, linkTarget });
  if (records.length === 0) return plain;
  const body = Buffer.concat(records);
  const extended = block({
    ...entry,
    flag: 'x',
    prefix: Buffer.alloc(0),
    rest: Buffer.from('PaxHeader'),
    linkTarget: Buffer.alloc(0),
    sizeBytes: body.length,
    device: undefined,
  });
  return Buffer.concat([extended, body, tarPadding(body.length), plain]);
}

/** Behind a content of so many bytes. */
export function tarPadding(sizeBytes: number): Buffer {
  return Buffer.alloc((tarBlockBytes - (sizeBytes % tarBlockBytes)) % tarBlockBytes);
}

/** As GNU tar does: an ACL also as text, for those who unpack with `--acls`. */
function attributeRecords({ name, value }: ExtendedAttribute): Buffer[] {
  const key = name.replaceAll('%', '%25').replaceAll('=', '%3D');
  const raw = record(Buffer.concat([Buffer.from('SCHILY.xattr.'), nameToBytes(key)]), value);
  const kind = /^system\.posix_acl_(?<kind>access|default)$/.exec(name)?.groups?.['kind'];
  const text = kind === undefined ? undefined : aclText(value);
  return text === undefined ? [raw] : [record(`SCHILY.acl.${kind}`, text), raw];
}

/** `<length> <key>=<value>\n`, whose length counts itself. */
function record(key: string | Buffer, value: string | Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(' '), bytesOf(key), Buffer.from('='), bytesOf(value), Buffer.from('\n')]);
  let length = rest.length + `${rest.length}`.length;
  if (`${length}`.length + rest.length > length) length = `${length}`.length + rest.length;
  return Buffer.concat([Buffer.from(`${length}`), rest]);
}

const bytesOf = (text: string | Buffer): Buffer => (typeof text === 'string' ? Buffer.from(text) : text);

/** What every reader takes as it is: ASCII, and bytes that are no UTF-8 anyway. */
function isPlain(name: Buffer, maxBytes: number): boolean {
  return name.length <= maxBytes && (isAscii(name) || !isUtf8(name));
}

/** Undefined where the header has no room for it. */
function plainPlace(name: Buffer): { readonly prefix: Buffer; readonly rest: Buffer } | undefined {
  if (!isPlain(name, prefixMaxBytes + 1 + nameMaxBytes)) return undefined;
  if (name.length <= nameMaxBytes) return { prefix: Buffer.alloc(0), rest: name };
  const slash = name.indexOf('/', name.length - nameMaxBytes - 1);
  if (slash <= 0 || slash > prefixMaxBytes || slash === name.length - 1) return undefined;
  return { prefix: name.subarray(0, slash), rest: name.subarray(slash + 1) };
}

/** Of a field of so many bytes, the last of which is a NUL. */
const octalMax = (fieldBytes: number): number => 8 ** (fieldBytes - 1) - 1;

const isPlainTime = (seconds: number): boolean => seconds >= 0 && seconds <= octalMax(12);

interface Block extends Omit<TarEntry, 'name' | 'type' | 'linkTarget' | 'extendedAttributes'> {
  readonly flag: string;
  readonly prefix: Buffer;
  readonly rest: Buffer;
  readonly linkTarget: Buffer;
}

function block(entry: Block): Buffer {
  const header = Buffer.alloc(tarBlockBytes);
  const octal = (value: number, at: number, fieldBytes: number): void => {
    // What does not fit stands in a record.
    const fitting = value >= 0 && value <= octalMax(fieldBytes) ? value : 0;
    header.write(fitting.toString(8).padStart(fieldBytes - 1, '0'), at);
  };
  entry.rest.copy(header, 0);
  octal(entry.mode, 100, 8);
  octal(entry.uid, 108, 8);
  octal(entry.gid, 116, 8);
  octal(entry.sizeBytes, 124, 12);
  octal(entry.mtimeSeconds, 136, 12);
  header.fill(' ', 148, 156);
  header.write(entry.flag, 156);
  entry.linkTarget.copy(header, 157, 0, nameMaxBytes);
  header.write('ustar\x0000', 257);
  header.write(ownerName(entry.user), 265);
  header.write(ownerName(entry.group), 297);
  octal(entry.device?.major ?? 0, 329, 8);
  octal(entry.device?.minor ?? 0, 337, 8);
  assert.ok(entry.prefix.length <= prefixMaxBytes);
  entry.prefix.copy(header, 345);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

/** A longer one would run into the next field; its number says the same. */
function ownerName(name: string): string {
  return name.isWellFormed() && Buffer.byteLength(name) <= ownerMaxBytes ? name : '';
}
