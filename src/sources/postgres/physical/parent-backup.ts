// The backup that an incremental one builds on: what it says of itself, and how large its files are.
import type { RecoveryReader } from '../../source.ts';
import { dataFolder, manifestPath, tablespacesFolder } from './entries.ts';
import { isPhysical, physicalFactsSchema, type PhysicalFacts } from './facts.ts';
import { ManifestIndex } from './manifest-index.ts';

/** Undefined where there is nothing to build on; `unreadable` where another version of this program wrote it. */
export async function readParentFacts(
  parent: RecoveryReader | undefined,
  signal: AbortSignal,
): Promise<PhysicalFacts | 'unreadable' | undefined> {
  if (parent === undefined) return undefined;
  const facts = await parent.facts(signal);
  if (!isPhysical(facts)) return undefined;
  return physicalFactsSchema.safeParse(facts).data ?? 'unreadable';
}

export type FileSizes = (path: string) => number | undefined;

/** Of all files below the data directory and the tablespaces, by their paths in the snapshot. */
export async function readFileSizes(parent: RecoveryReader, signal: AbortSignal): Promise<FileSizes> {
  const index = new ManifestIndex();
  for await (const { path, metadata } of parent.entries(signal)) {
    const isData = path.startsWith(`${dataFolder}/`) || path.startsWith(`${tablespacesFolder}/`);
    if (isData && metadata.type === 'file') index.set(path, { sizeBytes: metadata.sizeBytes, checksum: undefined });
  }
  return (path) => index.get(path)?.sizeBytes;
}

/** As the server made it, byte for byte. */
export function readManifest(parent: RecoveryReader, signal: AbortSignal): AsyncIterable<Uint8Array> {
  return parent.read(manifestPath, signal);
}
