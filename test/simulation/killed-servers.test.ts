// A slice of `npm run soak -- --what servers`: one server with its state in SQLite, killed at three moments.
import { expect, test } from 'vitest';
import { freshSeed } from '../support/fresh-seed.ts';
import { killServers } from './killed-servers.ts';

test(
  'a server that is killed again and again loses nothing, and does nothing twice',
  { timeout: 120_000 },
  async () => {
    const seed = freshSeed('killed servers');
    const counts = await killServers({ seed, kills: 3, place: undefined, processes: ['server'], isWhole: false });
    expect(counts).toMatchObject({ kills: 3, restored: expect.any(Number) as number });
    expect(counts.restored).toBeGreaterThan(0);
  },
);
