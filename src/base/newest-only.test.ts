import { expect, test } from 'vitest';
import { NewestOnly } from './newest-only.ts';

test('while one hangs only the newest of those behind it waits, and what comes after all are done is worked on too', async () => {
  const begun: number[] = [];
  let hanging = Promise.withResolvers<void>();
  const writes = new NewestOnly<number>(async (item) => {
    begun.push(item);
    await hanging.promise;
  });
  for (let item = 0; item < 1000; item += 1) writes.hand(item);
  expect(begun).toEqual([0]);
  hanging.resolve();
  await writes.settled();
  expect(begun).toEqual([0, 999]);
  hanging = Promise.withResolvers();
  writes.hand(1000);
  hanging.resolve();
  await writes.settled();
  expect(begun).toEqual([0, 999, 1000]);
});
