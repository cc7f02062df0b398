// Memory that direct input and output accept: it begins at a block boundary.
import { quietFfi } from './ffi.ts';

/** Sector size of every disk in use, and the page size of the processor. */
export const blockBytes = 4096;

let addressOf: ((bytes: Uint8Array) => bigint) | undefined;
let isAsked = false;

function load(): typeof addressOf {
  if (!isAsked) addressOf = quietFfi()?.getRawPointer;
  isAsked = true;
  return addressOf;
}

/** Memory of its own, with any content; where addresses can't be known it begins anywhere. */
export function alignedBytes(sizeBytes: number): Buffer {
  const memory = Buffer.allocUnsafeSlow(sizeBytes + blockBytes);
  const past = Number((load()?.(memory) ?? 0n) % BigInt(blockBytes));
  const from = past === 0 ? 0 : blockBytes - past;
  return memory.subarray(from, from + sizeBytes);
}

/** False where it is not or can't be known. */
export function isAligned(bytes: Uint8Array): boolean {
  const address = bytes.length === 0 ? undefined : load()?.(bytes);
  return address !== undefined && address % BigInt(blockBytes) === 0n;
}
