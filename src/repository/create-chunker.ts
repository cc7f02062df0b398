// Picks the chunker by the name that a snapshot records.
import { gearChunker } from './chunker-gear.ts';
import { pageChunkBytes, pageChunkers, pagesChunker } from './chunker-pages.ts';
import { rabinChunker } from './chunker-rabin.ts';
import type { Chunker } from './chunker.ts';

export const chunkerNames = ['gear', 'rabin', ...pageChunkers] as const;
export type ChunkerName = (typeof chunkerNames)[number];

/** What the chunkers take from a repository's configuration. */
export interface ChunkerParameters {
  /** Hex, degree 53, irreducible. */
  readonly polynomial: string;
  /** 32 bytes from which the gear table derives, so that a known file's cuts can't be computed without the key. */
  readonly gearSecret: Uint8Array;
}

export function createChunker(name: ChunkerName, parameters: ChunkerParameters): Chunker {
  const chunkBytes = pageChunkBytes(name);
  if (chunkBytes !== undefined) return pagesChunker(chunkBytes);
  return name === 'rabin' ? rabinChunker(BigInt(`0x${parameters.polynomial}`)) : gearChunker(parameters.gearSecret);
}
