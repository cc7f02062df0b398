import { randomBytes } from 'node:crypto';
import { beforeEach, expect, test } from 'vitest';
import { namesIn, noise, sampleRepository, type SampleRepository } from '../../test/support/sample-repository.ts';
import { noSignal } from '../../test/support/repository.ts';
import { AppError, isAppError } from '../base/errors.ts';
import { seededRandom } from '../base/random.ts';
import { readOnlyStore } from '../storage/read-only.ts';
import { memoryStore } from '../storage/memory/store.ts';
import type { Store } from '../storage/store.ts';
import { packContent } from './blob-codec.ts';
import { hashOf, type BlobId, type IndexId } from './ids.ts';
import { encodeIndex } from './index-file.ts';
import { loadIndex, loadIndexFile } from './load-index.ts';
import { acquireLock } from './lock.ts';
import { notePurposes, writeNote } from './note.ts';
import { PackWriter } from './pack-writer.ts';
import { saveJson, type Repository } from './repository.ts';
import { seal } from './seal.ts';
import { saveSnapshot, withoutId, type StoredSnapshot } from './snapshot.ts';
import { verifyRepository, type VerifyOptions, type VerifyResult } from './verify.ts';

let sample: SampleRepository;
let snapshot: StoredSnapshot;

beforeEach(async () => {
  sample = await sampleRepository();
  snapshot = await sample.save({ small: 'abc', 'folder/large': noise(1, 9000), 'folder/same': 'abc', empty: '' });
});

const verifyIn = (disk: Store, options: Partial<VerifyOptions> = {}): Promise<VerifyResult> =>
  verifyRepository(
    { ...sample.repository, store: disk },
    { level: 'data', pool: sample.workers, signal: noSignal, ...options },
  );
const verify = (options: Partial<VerifyOptions> = {}): Promise<VerifyResult> => verifyIn(sample.store, options);

/** Stores a blob as any program could. */
async function store(type: 'data' | 'tree', content: string): Promise<BlobId> {
  const { repository } = sample;
  const id = hashOf(Buffer.from(content)) as BlobId;
  const writer = new PackWriter(repository, await loadIndex(repository, noSignal), {
    signal: noSignal,
    beforeIndex: () => Promise.resolve(),
  });
  const { bytes, plainLengthBytes } = packContent(Buffer.from(content), 1);
  const sealed = seal(repository.keys, bytes);
  await writer.add({ type, id, lengthBytes: sealed.length, plainLengthBytes }, sealed);
  await writer.finish();
  return id;
}

/** A snapshot whose root holds these nodes. */
async function saveTree(nodes: readonly Record<string, unknown>[]): Promise<void> {
  const time = '2024-01-02T03:04:05Z';
  const full = nodes.map((node) => ({
    type: 'file',
    mtime: time,
    atime: time,
    ctime: time,
    uid: 0,
    gid: 0,
    content: [],
    ...node,
  }));
  const tree = await store('tree', `${JSON.stringify({ nodes: full })}\n`);
  await saveSnapshot(sample.repository, { ...withoutId(snapshot), tree }, noSignal);
}

test('a sound repository has no findings, and everything is counted', async () => {
  const { findings, counts } = await verify();
  expect(findings).toEqual([]);
  // Root, /app, /app/folder.
  expect(counts).toMatchObject({ keys: 1, snapshots: 1, trees: 3, usedBlobs: 5, packsRead: counts.packs });
  expect(counts.packs).toBeGreaterThan(1);
});

test('any byte flipped in any file, and any file cut short or removed, is reported with the name of the file', async () => {
  const seed = randomBytes(4).readUInt32LE();
  process.stdout.write(`verify: bytes flipped with seed ${seed}\n`);
  const random = seededRandom(seed);
  for (const purpose of notePurposes)
    await writeNote(sample.repository, { purpose, subject: snapshot.tree, json: { passed: true } }, noSignal);
  for (const name of await namesIn(sample.store)) {
    const bytes = await sample.store.get(name);
    const some = Array.from({ length: 12 }, () => Math.floor(random() * bytes.length));
    const positions = new Set([0, 1, 16, bytes.length - 17, bytes.length - 5, bytes.length - 1, ...some]);
    const damages: Uint8Array[] = [...positions].map((at) => {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << Math.floor(random() * 8));
      return flipped;
    });
    damages.push(bytes.subarray(0, bytes.length - 1), bytes.subarray(0, Math.floor(random() * bytes.length)));
    damages.push(Buffer.alloc(0), Buffer.concat([bytes, Buffer.of(0)]));
    for (const damaged of damages) {
      const disk = sample.store.clone();
      await disk.put(name, [damaged]);
      const { findings } = await verifyIn(disk);
      const telling = findings.filter(
        ({ where, message, severity }) => severity === 'error' && `${where} ${message}`.includes(name),
      );
      expect(telling, `${name} with ${damaged.length} of ${bytes.length} bytes`).not.toEqual([]);
    }
  }
});

test('whatever is flipped, reading yields the true bytes or an error, never others', async () => {
  const seed = randomBytes(4).readUInt32LE();
  process.stdout.write(`reads: bytes flipped with seed ${seed}\n`);
  const random = seededRandom(seed);
  const truth = await sample.restore(snapshot);
  const original = sample.store.clone();
  let refused = 0;
  const names = await namesIn(sample.store);
  for (let round = 0; round < 150; round += 1) {
    const name = names[Math.floor(random() * names.length)] ?? '';
    const bytes = await original.get(name);
    const at = Math.floor(random() * bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8));
    await sample.store.put(name, [bytes]);
    const outcome = await sample.restore(snapshot).catch((error: unknown) => error);
    if (isAppError(outcome, 'REPOSITORY_DAMAGED')) refused += 1;
    expect([truth, 'REPOSITORY_DAMAGED']).toContainEqual(isAppError(outcome) ? outcome.code : outcome);
    await sample.store.put(name, [await original.get(name)]);
  }
  expect(refused).toBeGreaterThan(20);
});

test('the parts of a sample together read every pack once', async () => {
  const all = await verify();
  let packsRead = 0;
  for (let part = 1; part <= 3; part += 1) packsRead += (await verify({ sample: { part, of: 3 } })).counts.packsRead;
  expect(packsRead).toBe(all.counts.packsRead);
  await expect(verify({ sample: { part: 4, of: 3 } })).rejects.toMatchObject({ code: 'USAGE' });
});

test('the structure is verified without reading file data', async () => {
  const { counts, errors } = await verify({ level: 'structure' });
  expect({ errors, packsRead: counts.packsRead, trees: counts.trees }).toEqual({ errors: 0, packsRead: 0, trees: 3 });
});

test.each([
  ['../evil', 'is not a plain name'],
  ['a/b', 'is not a plain name'],
  ['..', 'is not a plain name'],
])("the name '%s' is an error", async (name, message) => {
  await saveTree([{ name }]);
  expect(await verify()).toMatchObject({ errors: 1, findings: [{ message: expect.stringContaining(message) }] });
});

const zeros = '0'.repeat(64);
test.each([
  ['a name that stands twice', [{ name: 'a' }, { name: 'a' }], 'stands twice'],
  ['names out of order', [{ name: 'b' }, { name: 'a' }], 'not in order'],
  ['a folder without a tree', [{ name: 'a', type: 'dir', content: null }], 'has no tree'],
  [
    'a folder whose tree is missing',
    [{ name: 'a', type: 'dir', content: null, subtree: zeros.replace('0', '1') }],
    'in no index',
  ],
  ['a file without content', [{ name: 'a', content: null }], 'no list of blobs'],
  ['a blob of zeros', [{ name: 'a', content: [zeros] }], 'an id of zeros'],
  ['a blob in no index', [{ name: 'a', content: [zeros.replace('0', '1')] }], 'in no index'],
  ['a type that does not exist', [{ name: 'a', type: 'door' }], 'unknown type'],
  ['an empty name', [{ name: '' }], 'has no name'],
])('%s is an error', async (_, nodes, message) => {
  await saveTree(nodes);
  expect(await verify()).toMatchObject({ errors: 1, findings: [{ message: expect.stringContaining(message) }] });
});

test('a size that is not that of the content is a note: the content comes back whole', async () => {
  await saveTree([{ name: 'a', size: 7 }]);
  expect(await verify()).toMatchObject({
    errors: 0,
    findings: [{ severity: 'note', message: expect.stringContaining('7') }],
  });
});

test('one damaged file does not hide another', async () => {
  const names = await namesIn(sample.store, 'data/');
  for (const name of names) await sample.store.put(name, [Buffer.from('rubbish')]);
  const { findings } = await verify();
  for (const name of names) expect(findings.map(({ where }) => where)).toContain(name);
});

test('leftovers and packs that two index files list are notes', async () => {
  await sample.store.put(`data/ab/ab${zeros.slice(2)}`, [Buffer.from('leftover')]);
  const [name = ''] = await namesIn(sample.store, 'index/');
  const packs = await loadIndexFile(sample.repository, name.slice('index/'.length) as IndexId, noSignal);
  await saveJson(sample.repository, { kind: 'index', json: encodeIndex(packs) }, noSignal);
  const result = await verify();
  expect(result).toMatchObject({ errors: 0, notes: 1 + packs.length });
});

test('two index files that tell different things of a pack are an error', async () => {
  const { index } = await sample.indexed();
  const [pack] = index.packs;
  const json = JSON.stringify({ packs: [{ id: pack, blobs: [{ id: zeros, type: 'data', offset: 0, length: 35 }] }] });
  await saveJson(sample.repository, { kind: 'index', json }, noSignal);
  const { findings } = await verify({ level: 'structure' });
  expect(findings.map(({ message }) => message).join()).toMatch(
    /two index files list it differently|instead of|should have/,
  );
});

test('an exclusive lock of another keeps it out; a damaged lock file is reported and keeps nobody out', async () => {
  {
    await using _ = await acquireLock(sample.repository, { isExclusive: true, signal: noSignal });
    await expect(verify()).rejects.toMatchObject({ code: 'REPOSITORY_LOCKED' });
  }
  await sample.store.put(`locks/${zeros}`, [Buffer.from('short')]);
  const { errors, findings } = await verify();
  expect({ errors, where: findings[0]?.where }).toEqual({ errors: 1, where: `locks/${zeros}` });
});

test('a store that can only be read is verified without a lock, and that is told', async () => {
  const result = await verifyIn(readOnlyStore(sample.store));
  expect(result).toMatchObject({ errors: 0, notes: 1, findings: [{ where: 'locks/' }] });
});

test('a store that stops answering ends it: nothing is known then', async () => {
  const inner = sample.store;
  const broken: Store = {
    ...memoryStore(),
    list: (prefix, options) => inner.list(prefix, options),
    put: (name, parts, options) => inner.put(name, parts, options),
    remove: (name, options) => inner.remove(name, options),
    stat: (name, options) => inner.stat(name, options),
    get: (name, options) =>
      name.startsWith('data/')
        ? Promise.reject(new AppError('STORE_UNREACHABLE', 'gone', { hint: 'Wait.' }))
        : inner.get(name, options),
  };
  await expect(verifyIn(broken)).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' });
});

test('a repository of another key is not taken for this one', async () => {
  const other = await sampleRepository();
  const mixed: Repository = { ...sample.repository, store: sample.store.clone() };
  await mixed.store.put('config', [await other.store.get('config')]);
  const { findings } = await verifyIn(mixed.store);
  expect(findings.map(({ where }) => where)).toContain('config');
});
