// A slice of the faults that `npm run soak -- --what postgres-faults` goes through, with a fresh seed.
import { expect, test } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { runFaults } from '../simulation/postgres-faults.ts';
import { freshSeed } from '../support/fresh-seed.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';

const seed = freshSeed('faults');
const majors = [14, 15, 16, 17, 18] as const;
const major = majors[Math.floor(seededRandom(seed)() * majors.length)] ?? 15;

describeWithPostgres(major, `around a PostgreSQL ${major} that is protected, whatever goes wrong`, () => {
  test('ends in a stream that goes on or a hole that is named, and each reachable instant comes back to the row', async () => {
    const counts = await runFaults({ major, seed, count: 3, recoveries: 1 });
    process.stdout.write(`faults with seed ${seed}: ${JSON.stringify(counts)}\n`);
    expect(counts.faults).toBe(3);
    expect(counts.refused).toBeGreaterThan(0);
  }, 300_000);
});
