// Bounded concurrency over a sequence.

/**
 * Runs `work` over items, a few at a time, in no promised order. After a rejection nothing new begins; it is passed on
 * when all that was under way has ended, so that nothing goes on behind the back of whoever lets go of a lock.
 */
export async function forEachLimited<Item>(
  items: Iterable<Item>,
  limit: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const iterator = Iterator.from(items);
  const failures: unknown[] = [];
  const lane = async (): Promise<void> => {
    try {
      for (let next = iterator.next(); next.done !== true && failures.length === 0; next = iterator.next())
        await work(next.value);
    } catch (error) {
      failures.push(error);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, limit) }, lane));
  if (failures.length > 0) throw failures[0];
}
