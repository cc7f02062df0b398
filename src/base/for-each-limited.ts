// Bounded concurrency over a sequence.

/** Runs `work` over items, a few at a time, in no promised order; the first rejection ends it. */
export async function forEachLimited<Item>(
  items: Iterable<Item>,
  limit: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const iterator = Iterator.from(items);
  let isBroken = false;
  const lane = async (): Promise<void> => {
    for (let next = iterator.next(); next.done !== true && !isBroken; next = iterator.next()) {
      try {
        await work(next.value);
      } catch (error) {
        isBroken = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, limit) }, lane));
}
