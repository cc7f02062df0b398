// Damages packs of a repository on the local disk.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadIndex } from '../../src/repository/load-index.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { noSignal } from './repository.ts';

/** Names of packs that hold files, not trees. */
export async function dataPacks(repository: Repository): Promise<string[]> {
  const index = await loadIndex(repository, noSignal);
  const records = Array.from({ length: index.size }, (_, record) => index.at(record));
  return [...new Set(records.filter(({ type }) => type === 'data').map(({ pack }) => pack))];
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
