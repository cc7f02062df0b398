// Damages packs of a repository on the local disk.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadIndex } from '../../src/repository/load-index.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { findNode } from '../../src/repository/walk.ts';
import { latestSnapshot, noSignal } from './repository.ts';

/** Names of packs that hold files, not trees. */
export async function dataPacks(repository: Repository): Promise<string[]> {
  const index = await loadIndex(repository, noSignal);
  const records = Array.from({ length: index.size }, (_, record) => index.at(record));
  return [...new Set(records.filter(({ type }) => type === 'data').map(({ pack }) => pack))];
}

/** Alters a byte in the middle of one file of the newest snapshot; resolves to the pack that holds it. */
export async function damageFile(repository: Repository, path: string): Promise<string> {
  const indexed = { repository, index: await loadIndex(repository, noSignal) };
  const node = await findNode(indexed, (await latestSnapshot(repository)).tree, { path, signal: noSignal });
  const [blob] = node?.content ?? [];
  const place = blob && indexed.index.find('data', blob);
  if (place === undefined) throw new Error(`the newest snapshot has no content of ${path}`);
  const at = place.offsetBytes + Math.floor(place.lengthBytes / 2);
  damagePacks(repository, [place.pack], (bytes) => ((bytes[at] = (bytes[at] ?? 0) ^ 1), bytes));
  return place.pack;
}

/** Writes what `damage` makes of each pack; removes it where that is nothing. */
export function damagePacks(
  repository: Repository,
  names: readonly string[],
  damage: (bytes: Buffer) => Buffer | undefined,
): void {
  for (const name of names) {
    const path = join(repository.store.properties.location, 'data', name.slice(0, 2), name);
    if (!existsSync(path)) continue;
    const bad = damage(readFileSync(path));
    rmSync(path);
    if (bad !== undefined) writeFileSync(path, bad);
  }
}
