// Has the C library ask the system for each large buffer by itself, so that its memory is back there once it is freed. glibc does so
// until the first one is freed; from then on it takes buffers of that size from its heap, where holes between them stay.
import { quietFfi } from './ffi.ts';

const thresholdParameter = -3; // M_MMAP_THRESHOLD
const largeBytes = 1024 * 1024;

let isSet = false;

/** For the whole process, from now on. Does nothing where the C library is another. */
export function returnLargeMemory(): void {
  if (isSet || process.platform !== 'linux') return;
  isSet = true;
  try {
    // eslint-disable-next-line unicorn/no-null -- `null` is how dlopen names the process itself.
    const library = quietFfi()?.dlopen(null, { mallopt: { arguments: ['int32', 'int32'], return: 'int32' } });
    library?.functions.mallopt(thresholdParameter, largeBytes);
  } catch {
    // It has no such function: more memory is held, and nothing else is different.
  }
}
