// Whether a store has an object. What else goes wrong is no answer, and is told.
import { isAppError } from '../base/errors.ts';
import type { Store } from './store.ts';

export async function isThere(store: Store, name: string, signal: AbortSignal): Promise<boolean> {
  try {
    await store.stat(name, { signal });
    return true;
  } catch (error) {
    if (isAppError(error, 'OBJECT_MISSING')) return false;
    throw error;
  }
}
