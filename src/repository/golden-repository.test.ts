import { expect, test } from 'vitest';
import {
  goldenContent,
  goldenFiles,
  goldenKeys,
  goldenPassword,
  goldenTree,
} from '../../test/support/golden-repository.ts';
import { noSignal } from '../../test/support/repository.ts';
import { inlineWorkers } from '../../test/support/inline-workers.ts';
import { memoryStore } from '../storage/memory/store.ts';
import { readBlob, readTree } from './blob-reader.ts';
import type { BlobId } from './ids.ts';
import { loadIndex } from './load-index.ts';
import { openRepository } from './open-repository.ts';
import { rebuildIndex } from './rebuild-index.ts';
import { loadSnapshots } from './snapshot.ts';
import { encodeTree } from './tree.ts';
import { verifyRepository } from './verify.ts';

const open = () => openRepository(memoryStore(goldenFiles()), { password: goldenPassword, signal: noSignal });

test('the golden repository opens with its password and holds its keys', async () => {
  const { keys, config } = await open();
  expect(keys).toEqual(goldenKeys);
  expect(config).toMatchObject({ id: 'ab'.repeat(32), chunkerDefault: 'rabin' });
});

test('its snapshot, tree and file are read byte for byte', async () => {
  const repository = await open();
  const [snapshot] = await loadSnapshots(repository, noSignal);
  expect(snapshot).toMatchObject({ tree: goldenTree, paths: ['/x'], hostname: 'h' });
  const indexed = { repository, index: await loadIndex(repository, noSignal) };
  const nodes = await readTree(indexed, goldenTree as BlobId, noSignal);
  expect(encodeTree(nodes)).toEqual(await readBlob(indexed, { type: 'tree', id: goldenTree as BlobId }, noSignal));
  const [{ name, content } = { name: '', content: [] }] = nodes;
  const blobs = (content ?? []).map((id) => readBlob(indexed, { type: 'data', id }, noSignal));
  expect([name, Buffer.concat(await Promise.all(blobs)).toString()]).toEqual(['a<b', goldenContent]);
});

test('it verifies without a finding, also with its index rebuilt', async () => {
  const repository = await open();
  const verify = () =>
    verifyRepository(repository, { level: 'data', pool: inlineWorkers(repository), signal: noSignal });
  expect(await verify()).toMatchObject({
    findings: [],
    counts: {
      keys: 1,
      indexes: 1,
      packs: 2,
      blobs: 3,
      usedBlobs: 3,
      snapshots: 1,
      trees: 1,
      packsRead: 2,
      bytesRead: 665,
    },
  });
  expect(await rebuildIndex(repository, { signal: noSignal })).toMatchObject({ packs: 2, blobs: 3, unreadable: [] });
  expect((await verify()).findings).toEqual([]);
});
