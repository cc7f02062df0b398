// Directory listings ("trees"), byte for byte as restic writes them, so that equal folders have equal ids in both programs.
import { compareNames, nameFromBytes, nameToBytes } from '../base/byte-name.ts';
import type { ExtendedAttribute, FileType } from '../base/file-type.ts';
import { goJsonString, quoteName, unquoteName } from './go-text.ts';
import { isId, type BlobId } from './ids.ts';

/** One directory entry. Absent numbers are 0, absent strings empty, as in restic's JSON. */
export interface TreeNode {
  /** A byte name (`base/byte-name.ts`). */
  readonly name: string;
  readonly type: FileType;
  /** Go's bits, see `file-mode.ts`. */
  readonly mode: number;
  /** RFC 3339 with the zone of the machine that made the backup. */
  readonly mtime: string;
  readonly atime: string;
  readonly ctime: string;
  readonly uid: number;
  readonly gid: number;
  readonly user: string;
  readonly group: string;
  readonly inode: bigint;
  readonly deviceId: bigint;
  readonly sizeBytes: number;
  readonly links: number;
  readonly linkTarget: string;
  readonly extendedAttributes: readonly ExtendedAttribute[];
  readonly device: bigint;
  /** Of files. */
  readonly content?: readonly BlobId[] | undefined;
  /** Of directories. */
  readonly subtree?: BlobId | undefined;
  /** `generic_attributes`, `error` and fields of later versions, in their own JSON. */
  readonly rest: Readonly<Record<string, unknown>>;
}

const optional = (name: string, value: number | bigint | string): string =>
  value === 0 || value === 0n || value === ''
    ? ''
    : `,"${name}":${typeof value === 'string' ? goJsonString(value) : value}`;

const stray = /[\udc80-\udcff]/u;

function linkFields(target: string): string {
  const raw = stray.test(target) ? `,"linktarget_raw":"${nameToBytes(target).toString('base64')}"` : '';
  return optional('linktarget', target) + raw;
}

function attributeFields(attributes: readonly ExtendedAttribute[]): string {
  if (attributes.length === 0) return '';
  const list = attributes.map(
    ({ name, value }) => `{"name":${goJsonString(name)},"value":"${value.toString('base64')}"}`,
  );
  return `,"extended_attributes":[${list.join(',')}]`;
}

function contentField(node: TreeNode): string {
  if (node.content === undefined) return ',"content":null';
  return node.content.length === 0 ? ',"content":[]' : `,"content":["${node.content.join('","')}"]`;
}

const restFields = (fields: Readonly<Record<string, unknown>>): string =>
  Object.entries(fields)
    .map(([name, value]) => `,${goJsonString(name)}:${JSON.stringify(value)}`)
    .join('');

function encodeNode(node: TreeNode): string {
  const { generic_attributes: generic, error, ...later } = node.rest;
  return (
    `{"name":${goJsonString(quoteName(node.name))},"type":"${node.type}"${optional('mode', node.mode)}` +
    `,"mtime":"${node.mtime}","atime":"${node.atime}","ctime":"${node.ctime}","uid":${node.uid},"gid":${node.gid}` +
    optional('user', node.user) +
    optional('group', node.group) +
    optional('inode', node.inode) +
    optional('device_id', node.deviceId) +
    optional('size', node.sizeBytes) +
    optional('links', node.links) +
    linkFields(node.linkTarget) +
    attributeFields(node.extendedAttributes) +
    (generic === undefined ? '' : restFields({ generic_attributes: generic })) +
    optional('device', node.device) +
    contentField(node) +
    (node.subtree === undefined ? '' : `,"subtree":"${node.subtree}"`) +
    (error === undefined ? '' : restFields({ error })) +
    `${restFields(later)}}`
  );
}

/** Fields that are told apart by `===`; those that differ most often first. */
const plainFields = [
  ['name', 'type', 'mtime', 'ctime', 'inode', 'sizeBytes', 'mode', 'subtree', 'atime', 'uid', 'gid', 'user', 'group'],
  ['links', 'deviceId', 'linkTarget', 'device'],
].flat() as (keyof TreeNode)[];

/** Whether two nodes say the same. Fields that this program does not know count as a difference. */
export function isSameNode(left: TreeNode, right: TreeNode): boolean {
  const { content = [] } = left;
  const { content: other = [] } = right;
  return (
    plainFields.every((field) => left[field] === right[field]) &&
    content.length === other.length &&
    content.every((id, at) => id === other[at]) &&
    (left.content === undefined) === (right.content === undefined) &&
    attributeFields(left.extendedAttributes) === attributeFields(right.extendedAttributes) &&
    Object.keys(left.rest).length === 0 &&
    Object.keys(right.rest).length === 0
  );
}

/** The bytes of a tree blob. Sorts the nodes by their bytes; throws on duplicate names. */
export function encodeTree(nodes: readonly TreeNode[]): Buffer {
  const sorted = nodes.toSorted((left, right) => compareNames(left.name, right.name));
  for (let at = 1; at < sorted.length; at += 1) {
    if (sorted[at]?.name === sorted[at - 1]?.name)
      throw new Error(`the name '${sorted[at]?.name}' stands twice in a folder`);
  }
  return Buffer.from(`{"nodes":[${sorted.map(encodeNode).join(',')}]}\n`, 'utf8');
}

/** Numbers that a double can't hold become strings before JSON.parse sees them. */
const bigNumbers = /"(inode|device_id|device)":(\d{16,})/g;
const types = new Set<string>(['file', 'dir', 'symlink', 'dev', 'chardev', 'fifo', 'socket']);

/** Decodes a tree blob. Throws if it is not one; unknown fields are kept in `rest`. */
export function decodeTree(bytes: Buffer): TreeNode[] {
  const text = bytes.toString('utf8').replaceAll(bigNumbers, '"$1":"$2"');
  const parsed: unknown = JSON.parse(text);
  if (typeof parsed !== 'object' || parsed === null || !('nodes' in parsed)) throw new Error('not a tree');
  const { nodes } = parsed;
  if (nodes === null) return [];
  if (!Array.isArray(nodes)) throw new Error('the nodes of a tree are not a list');
  return nodes.map((node: unknown) => decodeNode(node));
}

const knownFields = new Set(
  [
    ['name', 'type', 'mode', 'mtime', 'atime', 'ctime', 'uid', 'gid', 'user', 'group', 'inode', 'device_id', 'size'],
    ['links', 'linktarget', 'linktarget_raw', 'extended_attributes', 'device', 'content', 'subtree'],
  ].flat(),
);
const nothing: Readonly<Record<string, unknown>> = {};

/** A rest pattern would copy every field of every node to find that nothing is left. */
function restOf(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const unknown = Object.keys(fields).filter((field) => !knownFields.has(field));
  return unknown.length === 0 ? nothing : Object.fromEntries(unknown.map((field) => [field, fields[field]]));
}

function decodeNode(json: unknown): TreeNode {
  if (typeof json !== 'object' || json === null) throw new Error('a node is not an object');
  const fields = json as Record<string, unknown>;
  const { name, type, device_id: deviceId, linktarget: linkTarget, linktarget_raw: linkTargetRaw } = fields;
  if (typeof name !== 'string' || name === '') throw new Error('a node has no name');
  if (typeof type !== 'string' || !types.has(type))
    throw new Error(`the node '${name}' has the unknown type '${String(type)}'`);
  return {
    name: unquoteName(name),
    type: type as FileType,
    mode: numberOf(fields['mode']),
    mtime: textOf(fields['mtime']),
    atime: textOf(fields['atime']),
    ctime: textOf(fields['ctime']),
    uid: numberOf(fields['uid']),
    gid: numberOf(fields['gid']),
    user: textOf(fields['user']),
    group: textOf(fields['group']),
    inode: integerOf(fields['inode']),
    deviceId: integerOf(deviceId),
    sizeBytes: numberOf(fields['size']),
    links: numberOf(fields['links']),
    linkTarget:
      typeof linkTargetRaw === 'string' ? nameFromBytes(Buffer.from(linkTargetRaw, 'base64')) : textOf(linkTarget),
    extendedAttributes: attributesOf(fields['extended_attributes']),
    device: integerOf(fields['device']),
    content: contentOf(fields['content'], name),
    subtree: idOf(fields['subtree'], name),
    rest: restOf(fields),
  };
}

const numberOf = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0);
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
const integerOf = (value: unknown): bigint =>
  (typeof value === 'number' && Number.isSafeInteger(value)) || (typeof value === 'string' && /^\d{1,20}$/.test(value))
    ? BigInt(value)
    : 0n;

function idOf(value: unknown, name: string): BlobId | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string' || !isId(value)) throw new Error(`the node '${name}' names a malformed blob`);
  return value as BlobId;
}

function contentOf(value: unknown, name: string): readonly BlobId[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value) || !value.every((id): id is BlobId => typeof id === 'string' && isId(id))) {
    throw new Error(`the node '${name}' has malformed content`);
  }
  return value;
}

function attributesOf(value: unknown): ExtendedAttribute[] {
  if (!Array.isArray(value)) return [];
  return value.map((attribute: { name?: unknown; value?: unknown }) => ({
    name: textOf(attribute.name),
    value: Buffer.from(textOf(attribute.value), 'base64'),
  }));
}
