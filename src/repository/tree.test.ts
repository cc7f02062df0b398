import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hashOf, type BlobId } from './ids.ts';
import { decodeTree, encodeTree, type TreeNode } from './tree.ts';

const node: TreeNode = {
  name: 'a<b',
  type: 'file',
  mode: 420,
  mtime: '2024-01-02T03:04:05.6Z',
  atime: '2024-01-02T03:04:05.6Z',
  ctime: '2024-01-02T03:04:05.6Z',
  uid: 1000,
  gid: 1000,
  user: '',
  group: '',
  inode: 0n,
  deviceId: 0n,
  sizeBytes: 15,
  links: 1,
  linkTarget: '',
  extendedAttributes: [],
  device: 0n,
  content: [
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad' as BlobId,
    'a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447' as BlobId,
  ],
  rest: {},
};

test("gives restic's ids to an empty tree and to a known one", () => {
  expect(hashOf(encodeTree([]))).toBe('ac08ce34ba4f8123618661bef2425f7028ffb9ac740578a3ee88684d2523fee8');
  expect(hashOf(encodeTree([node]))).toBe('8e50de1d0f5c87ce749fc4a8fbdf63b9a26a11be137d14e37f042ada623e554a');
});

test('keeps numbers beyond 2^53, unknown fields and raw link targets', () => {
  const odd: TreeNode = {
    ...node,
    type: 'symlink',
    inode: 18_446_744_073_709_551_615n,
    deviceId: 9_007_199_254_740_993n,
    linkTarget: 'to\udcff',
    content: undefined,
    rest: { generic_attributes: { 'windows.file_attributes': 32 }, error: 'x', later: [1, { a: 'b' }] },
    extendedAttributes: [{ name: 'user.x', value: Buffer.from('00ff', 'hex') }],
  };
  expect(decodeTree(encodeTree([odd]))).toEqual([odd]);
});

const names = (nodes: readonly TreeNode[]): string[] => decodeTree(encodeTree(nodes)).map(({ name }) => name);

test('sorts by bytes and refuses a name that stands twice', () => {
  expect(
    names([
      { ...node, name: '\u{1f600}' },
      { ...node, name: '\ufffd' },
    ]),
  ).toEqual(['\ufffd', '\u{1f600}']);
  expect(() => encodeTree([node, node])).toThrow('stands twice');
});

test('hostile nodes are refused or decoded to nodes with names', () => {
  const decodeOrNothing = (text: string): readonly TreeNode[] => {
    try {
      return decodeTree(Buffer.from(`{"nodes":[${text}]}`));
    } catch {
      return [];
    }
  };
  fc.assert(
    fc.property(fc.json(), (text) => {
      for (const { name } of decodeOrNothing(text)) expect(name).not.toBe('');
    }),
  );
});
