// A process that restores and tells its parent of each step, to be killed in the middle.
import { restoreTo, reopen } from './repository.ts';
import { watchRepository } from './watched-store.ts';

const [folder = '', target = ''] = process.argv.slice(2);
const watched = watchRepository(await reopen(folder), {
  beforeGet: (name) => void (name.startsWith('data/') && process.send?.(name)),
});
await restoreTo(watched, { target });
process.disconnect?.();
