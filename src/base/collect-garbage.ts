// Buffers of a megabyte count for nothing in V8's young generation: dozens of them pile up, per thread, before it looks.
// Whoever has just dropped some asks for a small collection (well under a millisecond) itself.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (options: { readonly type: 'minor' }) => void;

let collect: Collect | undefined;

function load(): Collect {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as Collect;
}

/** Frees what was dropped lately in this thread. Costs nothing but the time it takes. */
export function collectGarbage(): void {
  collect ??= load();
  collect({ type: 'minor' });
}
