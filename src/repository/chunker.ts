// Content-defined chunking: where a file is cut depends on its bytes alone, so that an insertion moves few cuts.
// Two ways: restic's Rabin fingerprint, to deduplicate against what restic wrote, and a gear hash, several times faster.

/** A file below it is one chunk for every chunker; an empty file has none. */
export const chunkMinBytes = 512 * 1024;
export const chunkMaxBytes = 8 * 1024 * 1024;

export interface Chunker {
  /**
   * The end of the chunk that begins at `from`, or 0 if it does not end before `to`. A chunk that reaches
   * `chunkMaxBytes` ends there. At the end of a file the caller takes what is left as the last chunk.
   */
  nextCut(bytes: Uint8Array, from: number, to: number): number;
}
