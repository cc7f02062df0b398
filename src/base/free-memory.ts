// Gives the memory of a buffer back at once. Buffers that pass by one after another pile up until they are collected, and each that
// piles up brings a collection nearer. What is read of one by mistake afterwards is empty, so it can't be taken for data.

/** Below, the collector is quicker. */
const freedMinBytes = 16 * 1024;
/** Smaller ones may be a part of memory that others share, unless they are all of theirs. */
const ownMinBytes = 512 * 1024;

export function freeMemory({ buffer, byteLength }: Uint8Array): void {
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength < freedMinBytes) return;
  if (buffer.byteLength === byteLength || buffer.byteLength >= ownMinBytes) buffer.transfer(0);
}
