// A slice of the simulated journals with a fresh seed for every run of the tests.
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { freshSeed } from '../support/fresh-seed.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { noJournalCounts, runJournalHistory, type JournalCounts } from './spooled-journal-history.ts';

const histories = 40;
const budgetMs = 20_000;

test('whoever dies, stalls or fails: what was acknowledged is kept, every hole is told, and the spool stays small', async () => {
  await using home = await temporaryFolder();
  const seed = freshSeed('simulated journals');
  const startedMs = performance.now();
  const total = noJournalCounts();
  let count = 0;
  for (; count < histories && (count < 5 || performance.now() - startedMs < budgetMs); count += 1) {
    const counts = await runJournalHistory(seed + count, join(home.path, String(count)));
    for (const name of Object.keys(total) as (keyof JournalCounts)[]) total[name] += counts[name];
  }
  process.stdout.write(`simulated ${count} journals from seed ${seed}: ${JSON.stringify(total)}\n`);
  // A simulation in which nothing happens shows nothing.
  expect(total.checkedBytes).toBeGreaterThan(0);
  expect(total.deaths).toBeGreaterThan(0);
  expect(total.outages).toBeGreaterThan(0);
}, 120_000);
