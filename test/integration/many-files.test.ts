// Numbers: trees of tens of thousands of nodes, and batches, queues and tables that only many files fill.
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { fillWithSmall } from '../support/random-tree.ts';
import { freshSeed } from '../support/fresh-seed.ts';
import { useScenes } from '../support/scene.ts';

const together = 70_000;
const entries = together + 3_000;

const scene = useScenes();

test('70,000 small entries of one folder, and more below it, come back with their names, contents and metadata, to the nanosecond', async () => {
  fillWithSmall(scene.data, seededRandom(freshSeed('70,000 entries')), { entries, together });
  expect(readdirSync(scene.data, { encoding: 'buffer' }).length).toBeGreaterThanOrEqual(together);
  expect(readdirSync(scene.data, { recursive: true, encoding: 'buffer' })).toHaveLength(entries);
  const someNames = readdirSync(scene.data)
    .filter((name) => name.startsWith('file-'))
    .slice(0, 1000);
  const hasNanoseconds = (name: string) => lstatSync(join(scene.data, name), { bigint: true }).mtimeNs % 1000n !== 0n;
  expect(someNames.some(hasNanoseconds)).toBe(true);

  expect((await scene.backUp()).problems).toEqual([]);
  expect((await scene.restore()).problems).toEqual([]);
  scene.expectAllBack();
}, 180_000);
