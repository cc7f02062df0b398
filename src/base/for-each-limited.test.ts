import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { forEachLimited } from './for-each-limited.ts';

test('works on no more items at once than allowed, and on each once', async () => {
  let running = 0;
  let most = 0;
  const done: number[] = [];
  await forEachLimited([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
    running += 1;
    most = Math.max(most, running);
    await sleep(1);
    running -= 1;
    done.push(item);
  });
  expect(most).toBe(3);
  expect(new Set(done)).toEqual(new Set([1, 2, 3, 4, 5, 6, 7]));
  expect(done).toHaveLength(7);
});

test('rejects with the first failure, when all work that was under way has ended', async () => {
  const slow = Promise.withResolvers<void>();
  const begun: number[] = [];
  let isSlowDone = false;
  let isOver = false;
  const all = forEachLimited([1, 2, 3, 4], 2, async (item) => {
    begun.push(item);
    if (item === 2) throw new Error('the first');
    await slow.promise;
    isSlowDone = true;
    throw new Error('a later one');
  });
  const ended = all.catch((error: unknown) => error).finally(() => (isOver = true));
  await sleep(5);
  expect(isOver).toBe(false);
  slow.resolve();
  expect(await ended).toMatchObject({ message: 'the first' });
  expect(isSlowDone).toBe(true);
  expect(begun).toEqual([1, 2]);
});
