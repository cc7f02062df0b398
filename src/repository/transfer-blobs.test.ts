import { beforeEach, expect, test } from 'vitest';
import { noSignal } from '../../test/support/repository.ts';
import { noise, sampleRepository, storeAgain, type SampleRepository } from '../../test/support/sample-repository.ts';
import { readBlob } from './blob-reader.ts';
import type { PackId } from './ids.ts';
import { fileName } from './layout.ts';
import { PackWriter } from './pack-writer.ts';
import { transferBlobs } from './transfer-blobs.ts';

let source: SampleRepository;
let target: SampleRepository;
let pack: PackId;

beforeEach(async () => {
  source = await sampleRepository();
  target = await sampleRepository();
  await source.save({ a: noise(1, 2000), b: noise(2, 2000), c: noise(3, 2000) });
  const { index } = await source.indexed();
  [pack] = index.packs as [PackId];
});

/** Moves the data blobs of the first pack to the target; returns how many of them open there. */
async function transfer(): Promise<number> {
  const from = await source.indexed();
  const to = await target.indexed();
  await using writer = new PackWriter(target.repository, to.index, {
    signal: noSignal,
    beforeIndex: () => Promise.resolve(),
  });
  const records = Array.from({ length: from.index.size }, (_, record) => record).filter((record) => {
    const place = from.index.at(record);
    return place.pack === pack && place.type === 'data';
  });
  const targetKeys = target.repository.keys;
  await transferBlobs(from, records, { writer, pool: source.workers, targetKeys, signal: noSignal });
  await writer.finish();
  for (const record of records) {
    const { type, id } = from.index.at(record);
    await readBlob(to, { type, id }, noSignal);
  }
  return records.length;
}

async function damageAll(): Promise<void> {
  const name = fileName('data', pack);
  const bytes = await source.store.get(name);
  for (let at = 3; at < bytes.length; at += 50) bytes[at] = (bytes[at] ?? 0) ^ 1;
  await source.store.put(name, [bytes]);
}

test('moved blobs open under the keys of the target', async () => {
  expect(await transfer()).toBeGreaterThan(1);
});

test.each(['damaged', 'missing'])('a blob whose pack is %s is taken from its other copy', async (fault) => {
  await storeAgain(source);
  if (fault === 'missing') await source.store.remove(fileName('data', pack));
  else await damageAll();
  expect(await transfer()).toBeGreaterThan(1);
});

test('without another copy it rejects and names the file', async () => {
  await damageAll();
  await expect(transfer()).rejects.toThrow(fileName('data', pack));
});
