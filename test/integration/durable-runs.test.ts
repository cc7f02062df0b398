// A slice of what `npm run soak -- --what runs` goes through, with a fresh seed: workers die at random moments, and no run is lost.
import { expect, test } from 'vitest';
import { runDurableRuns } from '../simulation/durable-runs.ts';
import { describeWithCatalogs } from '../support/catalogs.ts';
import { freshSeed } from '../support/fresh-seed.ts';

const seed = freshSeed('durable runs');

describeWithCatalogs('runs', (make) => {
  test('come to their end, each step once, whatever is killed', { timeout: 120_000 }, async () => {
    await using place = await make();
    const workers = place.location.url === undefined ? 1 : 3;
    const counts = await runDurableRuns({ place, seed, kills: 12, workers });
    expect(counts.runs).toBeGreaterThan(10);
    expect(counts.takenOver).toBeGreaterThan(0);
  });
});
