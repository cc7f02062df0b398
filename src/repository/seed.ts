// Makes an empty repository with the keys and parameters of another one, byte by byte: done twice, or by two at once, it is the same.
import { isThere } from '../storage/is-there.ts';
import type { Store } from '../storage/store.ts';
import { configName } from './layout.ts';

/** Tells whether there was none. Its configuration comes last: without it, it is none. */
export async function seedRepository(origin: Store, target: Store, signal: AbortSignal): Promise<boolean> {
  if (await hasRepository(target, signal)) return false;
  const config = await origin.get(configName, { signal });
  for await (const { name } of origin.list('keys/', { signal })) {
    await target.put(name, [await origin.get(name, { signal })], { signal });
  }
  await target.put(configName, [config], { signal });
  return true;
}

export const hasRepository = (store: Store, signal: AbortSignal): Promise<boolean> =>
  isThere(store, configName, signal);
