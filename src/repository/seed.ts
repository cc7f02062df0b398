// Makes an empty repository with the keys and parameters of another one, byte by byte: done twice, or by two at once, it is the same.
import type { Store } from '../storage/store.ts';
import { configName } from './layout.ts';
import { isMissing } from './repository.ts';

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

export async function hasRepository(store: Store, signal: AbortSignal): Promise<boolean> {
  try {
    await store.stat(configName, { signal });
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
