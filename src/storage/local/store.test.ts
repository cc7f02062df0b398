import { describeStore } from '../store-contract.ts';
import { temporaryFolder } from '../../../test/support/temporary-folder.ts';
import { localStore } from './store.ts';
import type { Store } from '../store.ts';
import { join } from 'node:path';

describeStore('the local store', async (): Promise<Store> => {
  const folder = await temporaryFolder();
  return {
    ...localStore(join(folder.path, 'new', 'repository')),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
});
