// A slice of the disasters that `npm run soak -- --what postgres-recoveries` goes through, with a fresh seed: servers of several versions are
// lost under load, and come back at random instants, row for row.
import { expect, test } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { runDisaster } from '../simulation/postgres-recovery.ts';
import { freshSeed } from '../support/fresh-seed.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import { describeWithS3, startS3Server } from '../support/s3-server.ts';

const seed = freshSeed('disasters');
const timeoutMs = 240_000;
const others = [14, 16, 17] as const;
const other = others[Math.floor(seededRandom(seed)() * others.length)] ?? 17;

describeWithPostgres(15, 'a PostgreSQL 15 that is lost with its receiver', () => {
  test(
    'comes back at any instant, and so does the copy that went on from there, on both timelines',
    async () => {
      const counts = await runDisaster({ major: 15, seed, recoveries: 1, goesOn: true, isLossTimed: false });
      expect(counts).toMatchObject({ recoveries: 7 });
      expect(counts.transactions).toBeGreaterThan(300);
    },
    timeoutMs,
  );
});

describeWithPostgres(other, `a PostgreSQL ${other} that is lost with its receiver`, () => {
  test(
    'comes back at any instant',
    async () => {
      const counts = await runDisaster({ major: other, seed, recoveries: 1, goesOn: false, isLossTimed: false });
      expect(counts).toMatchObject({ recoveries: 2 });
    },
    timeoutMs,
  );
});

await describeWithS3('with the repository in a bucket', () => {
  describeWithPostgres(18, 'a PostgreSQL 18 that is lost with its receiver', () => {
    test(
      'comes back at any instant',
      async () => {
        await using s3 = await startS3Server();
        const options = { major: 18, seed, recoveries: 1, goesOn: false, isLossTimed: false };
        expect(await runDisaster({ ...options, s3 })).toMatchObject({ recoveries: 2 });
      },
      timeoutMs,
    );
  });
});
