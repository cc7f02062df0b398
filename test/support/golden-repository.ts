// A whole repository byte for byte, made outside of this program: fixed keys, fixed nonces, one file `a<b`. Stock restic
// checks and restores it. The names are hashes of all bytes, so a single difference shows.
import { hashOf } from '../../src/repository/ids.ts';
import { seal, type KeyTriple } from '../../src/repository/seal.ts';

const range = (from: number, count: number): Buffer => Buffer.from(Array.from({ length: count }, (_, at) => from + at));

export const goldenPassword = 'geheim';
export const goldenKeys: KeyTriple = {
  encrypt: range(0, 32),
  macK: range(0x20, 16),
  macR: Buffer.from('303132033435360738393a0b3c3d3e0f', 'hex'),
};
export const goldenTree = '8e50de1d0f5c87ce749fc4a8fbdf63b9a26a11be137d14e37f042ada623e554a';
export const goldenContent = 'abchello world\n';

const keyName = 'keys/6c3f008efcee69ae6ee5d8f17c7c73f52572e1d0d6ccd560e5d4e28efe319916';
const keyFile =
  '{"created":"2024-01-02T03:04:05Z","username":"u","hostname":"h","kdf":"scrypt","N":32768,"r":8,"p":1,"salt":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==","data":"AQEBAQEBAQEBAQEBAQEBAdk+U3RB3U4aeFDpJ26sez6A3gMC9nekZa0q4MJKEBknwDnlRFL/Vmze6IJi5F6c4ngoB8kt8NjrmrL9+8MCXV/75mN8I+pVqGOHUhQuFhrxMrIHLMvZ3icXhwF1IXbmy+jMe/IRVyV7sm7GFzZmJ7gvYD7EF0MbhwWSS7DG4dBdtN6BhsNcT8/ODdxnV5kJKw=="}';
const dataPack =
  '0303030303030303030303030303030386f98ffedebcfb5b3d1ec79b3a27646d4ca4ba' +
  '040404040404040404040404040404046c828fa49737661c22cbe6b7052aa312672e2375a5e58255f9fa27cce217ad1b1775b54a6c' +
  '05050505050505050505050505050505153169393f7272ce3a1e35a2494b5ff800b9369ae1732c586124737c900c49f298003cc56c86fa6dc5f3b1a392a8f733d99d47f5af7dd4f01af87d5d57835bd4311ee2979e1400be4f64510782fa288fb158a118c764a72bf21bb9ddc8eb' +
  '6e000000';
const dataPackId = '6c431bd02af67ccef3870a682bb366a6ff9057de09f5041af6b3428113aaced1';
const treePackId = '49f37566604028782572ded5832d8e44f13bcc8d7ca0d176176b4cb6f9750b31';
const indexId = '434b3f0b50570fea07f8ead122108547a1e8eeff554ff28b60fb1ca738a99bcf';
const snapshotId = '33f5ef158aa36ba8f99833cb535337921b7c98230a2f5c94afb3868d35c02c12';
const first = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
const second = 'a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447';
const time = '2024-01-02T03:04:05.6Z';

const treeJson = `{"nodes":[{"name":"a\\u003cb","type":"file","mode":420,"mtime":"${time}","atime":"${time}","ctime":"${time}","uid":1000,"gid":1000,"size":15,"links":1,"content":["${first}","${second}"]}]}\n`;
const indexJson =
  `{"packs":[{"id":"${dataPackId}","blobs":[{"id":"${first}","type":"data","offset":0,"length":35},` +
  `{"id":"${second}","type":"data","offset":35,"length":53,"uncompressed_length":12}]},` +
  `{"id":"${treePackId}","blobs":[{"id":"${goldenTree}","type":"tree","offset":0,"length":386,"uncompressed_length":344}]}]}\n`;
const snapshotJson = `{"time":"${time}","tree":"${goldenTree}","paths":["/x"],"hostname":"h","username":"u"}`;

/** zstd without compression: one raw block. */
function rawFrame(text: string): Buffer {
  const bytes = Buffer.from(text);
  const size = Buffer.alloc(bytes.length < 256 ? 1 : 2);
  if (bytes.length < 256) size.writeUInt8(bytes.length);
  else size.writeUInt16LE(bytes.length - 256);
  const block = Buffer.alloc(3);
  block.writeUIntLE(bytes.length * 8 + 1, 0, 3);
  return Buffer.concat([
    Buffer.from('28b52ffd', 'hex'),
    Buffer.of(bytes.length < 256 ? 0x20 : 0x60),
    size,
    block,
    bytes,
  ]);
}

const sealed = (plain: Buffer, nonce: number): Buffer => seal(goldenKeys, plain, Buffer.alloc(16, nonce));
const unpacked = (json: string, nonce: number): Buffer => sealed(Buffer.concat([Buffer.of(2), rawFrame(json)]), nonce);

function treePack(): Buffer {
  const entry = Buffer.alloc(41);
  entry.writeUInt8(3);
  entry.writeUInt32LE(386, 1);
  entry.writeUInt32LE(344, 5);
  entry.write(goldenTree, 9, 'hex');
  const header = sealed(entry, 7);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(header.length);
  return Buffer.concat([sealed(rawFrame(treeJson), 6), header, length]);
}

/** Names in a store, and their bytes. Throws if these are not the bytes that were published with the names. */
export function goldenFiles(): Map<string, Buffer> {
  const config = `{"version":2,"id":"${'ab'.repeat(32)}","chunker_polynomial":"3da3358b4dc173"}`;
  const files = new Map([
    [keyName, Buffer.from(keyFile)],
    ['config', sealed(Buffer.from(config), 2)],
    [`data/6c/${dataPackId}`, Buffer.from(dataPack, 'hex')],
    [`data/49/${treePackId}`, treePack()],
    [`index/${indexId}`, unpacked(indexJson, 8)],
    [`snapshots/${snapshotId}`, unpacked(snapshotJson, 9)],
  ]);
  const configHash = 'f52a8327a7687eec2f02128e22c952d91c33ca863f5a7b04585e61916f51bd78';
  for (const [name, bytes] of files) {
    const wanted = name === 'config' ? configHash : name.slice(name.lastIndexOf('/') + 1);
    if (hashOf(bytes) !== wanted) throw new Error(`the golden file ${name} has other bytes`);
  }
  return files;
}
