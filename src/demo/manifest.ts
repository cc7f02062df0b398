// What files look like, by our own reading and nobody else's: the comparison after the restore must not rest on the code
// that backed up and restored.
import { createHash } from 'node:crypto';
import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../base/errors.ts';

/** Hash of the content, mode and modification time by path. */
export type Manifest = ReadonlyMap<string, string>;

/** Of all files at and below `paths`; a path that is not there has none. */
export async function manifestOf(paths: readonly string[], signal: AbortSignal): Promise<Manifest> {
  const manifest = new Map<string, string>();
  for (const path of paths) await addTo(manifest, path, signal);
  return manifest;
}

async function addTo(manifest: Map<string, string>, path: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  let stats;
  try {
    stats = await lstat(path, { bigint: true });
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw error;
  }
  if (stats.isDirectory()) {
    for (const name of await readdir(path)) await addTo(manifest, join(path, name), signal);
    return;
  }
  const hash = createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
  manifest.set(path, `${hash} ${stats.mode.toString(8)} ${stats.mtimeNs}`);
}

export interface ManifestDifference {
  readonly path: string;
  readonly kind: 'missing' | 'changed' | 'added';
}

export function compareManifests(expected: Manifest, found: Manifest): ManifestDifference[] {
  const differences: ManifestDifference[] = [];
  for (const [path, entry] of expected) {
    const other = found.get(path);
    if (other !== entry) differences.push({ path, kind: other === undefined ? 'missing' : 'changed' });
  }
  for (const path of found.keys()) if (!expected.has(path)) differences.push({ path, kind: 'added' });
  return differences;
}
