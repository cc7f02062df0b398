// Chunks of one fixed size, a multiple of every database's page: pages change in place, so cuts need not move, and a file of
// which only some pages changed can be told from the parent's without reading the rest.
import type { Chunker } from './chunker.ts';

/** Of the sizes to choose from, KiB. Small chunks make small increments, large ones a small index. */
export const pageChunkers = ['pages-64', 'pages-128', 'pages-256', 'pages-512'] as const;
export type PageChunkerName = (typeof pageChunkers)[number];

const gibibyte = 2 ** 30;
/** How large the data may be for each size: so many chunks that the index of one backup stays below half a gigabyte. */
const dataMaxBytes: Readonly<Record<PageChunkerName, number>> = {
  'pages-64': 16 * gibibyte,
  'pages-128': 512 * gibibyte,
  'pages-256': 2048 * gibibyte,
  'pages-512': Infinity,
};

export function pageChunkerFor(dataBytes: number): PageChunkerName {
  return pageChunkers.find((name) => dataBytes <= dataMaxBytes[name]) ?? 'pages-512';
}

/** The size of its chunks; undefined for a chunker that cuts by content. */
export function pageChunkBytes(name: string): number | undefined {
  return isPageChunker(name) ? Number(name.slice('pages-'.length)) * 1024 : undefined;
}

export function isPageChunker(name: string): name is PageChunkerName {
  return (pageChunkers as readonly string[]).includes(name);
}

export function pagesChunker(chunkBytes: number): Chunker {
  return { nextCut: (_bytes, from, to) => (to - from >= chunkBytes ? from + chunkBytes : 0) };
}
