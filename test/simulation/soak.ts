// Many simulated histories: `npm run soak -- --count 2000 --seed 1`. Prints each violation with its seed, and a summary.
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { noCounts, runHistory, type HistoryCounts } from './history.ts';

const { values } = parseArgs({ options: { count: { type: 'string' }, seed: { type: 'string' } } });
const count = Number(values.count ?? 2000);
const first = values.seed === undefined ? randomBytes(4).readUInt32LE() : Number(values.seed);
const total = noCounts();
const names = Object.keys(total) as (keyof HistoryCounts)[];
let violations = 0;
const startedMs = performance.now();
for (let number = 0; number < count; number += 1) {
  try {
    const counts = await runHistory(first + number);
    for (const name of names) total[name] += counts[name];
  } catch (error) {
    violations += 1;
    console.error(error instanceof Error ? error.message : error);
  }
  if ((number + 1) % 100 === 0) console.error(`${number + 1} histories, ${violations} violations`);
}
const seconds = Math.round((performance.now() - startedMs) / 1000);
const summary = names.map((name) => `${total[name]} ${name}`).join(', ');
console.log(
  `${count} histories from seed ${first} in ${seconds} s: ${violations} violations; operations: ${summary} snapshots`,
);
process.exitCode = violations === 0 ? 0 : 1;
