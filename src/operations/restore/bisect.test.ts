import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { PastCommit } from '../../sources/explore.ts';
import { bisect, type BisectRequest } from './bisect.ts';

const noSignal = new AbortController().signal;
const commit = (at: number): PastCommit => ({ position: String(at), timeUs: at, xid: at });

/** Commits at even positions, each of length 1; `pick` says which of those between is offered. */
function request(count: number, heldUntil: number, pick: (many: number) => number): BisectRequest {
  return {
    commits: {
      between(from, before) {
        const all = Array.from({ length: count }, (_, at) => 2 * (at + 1));
        const some = all.filter((one) => one >= Number(from) && one < Number(before));
        const at = some[Math.min(some.length - 1, pick(some.length))];
        return Promise.resolve(at === undefined ? undefined : commit(at));
      },
    },
    from: '0',
    to: String(2 * count + 2),
    probe: ({ position }) =>
      Promise.resolve({ holds: Number(position) <= heldUntil, end: String(Number(position) + 1) }),
    probesMax: 64,
  };
}

test('names the two neighbours between which the condition changed, in as many probes as halving takes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 5_000 }), fc.nat(), async (count, seed) => {
      const last = seed % count; // How many commits it held with.
      const found = await bisect(
        request(count, 2 * last, (many) => Math.floor(many / 2)),
        noSignal,
      );
      expect(found).toMatchObject({
        lastHeld: last === 0 ? undefined : commit(2 * last),
        firstFailed: commit(2 * last + 2),
        isExact: true,
      });
      expect(found.probes).toBeLessThanOrEqual(Math.ceil(Math.log2(count + 1)));
    }),
  );
});

test('says that no commit changed it, and that it gave up, where that is so', async () => {
  const never = await bisect(
    request(9, Infinity, () => 0),
    noSignal,
  );
  expect(never).toMatchObject({ firstFailed: undefined, lastHeld: commit(18), isExact: true });
  const tired = await bisect({ ...request(100, 0, (many) => many - 1), probesMax: 5 }, noSignal);
  expect(tired).toMatchObject({ probes: 5, isExact: false, firstFailed: commit(192) });
});
