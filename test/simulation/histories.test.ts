// A slice of the simulation with a fresh seed for every run of the tests; `npm run soak` runs many more.
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { noCounts, runHistory, type HistoryCounts } from './history.ts';

const histories = 60;
/** On a busy machine fewer histories are run rather than the others kept waiting. */
const budgetMs = 45_000;

test('whoever crashes, stalls or fails: what was acknowledged is there, restores byte for byte, and garbage can go', async () => {
  const seed = randomBytes(4).readUInt32LE();
  const startedMs = performance.now();
  const total = noCounts();
  let count = 0;
  for (; count < histories && (count < 5 || performance.now() - startedMs < budgetMs); count += 1) {
    const counts = await runHistory(seed + count);
    for (const name of Object.keys(total) as (keyof HistoryCounts)[]) total[name] += counts[name];
  }
  process.stdout.write(`simulated ${count} histories from seed ${seed}: ${JSON.stringify(total)}\n`);
  // A simulation in which nothing succeeds or nothing goes wrong shows nothing.
  expect(total.succeeded).toBeGreaterThan(count);
  expect(total.restored).toBeGreaterThan(0);
  expect(total.crashed + total.failed).toBeGreaterThan(0);
}, 180_000);
