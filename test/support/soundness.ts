// Whether a backup that went wrong left anything behind that it should not.
import { execFileSync } from 'node:child_process';
import { chownSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { readLocks } from '../../src/repository/lock.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { loadSnapshots } from '../../src/repository/snapshot.ts';
import { noSignal, testPassword } from './repository.ts';
import { findTool } from './tools.ts';
import { nobody } from './unprivileged.ts';

/** No lock, no snapshot but those expected, and whatever is there is sound, also to restic. */
export async function expectSound(repository: Repository, snapshots: number): Promise<void> {
  expect(await readLocks(repository, noSignal)).toEqual([]);
  expect(await loadSnapshots(repository, noSignal)).toHaveLength(snapshots);
  if (findTool('restic') === undefined) return;
  const { location } = repository.store.properties;
  const args = ['--repo', location, '--no-cache', '--no-lock', 'check', '--read-data'];
  const environment = { ...process.env, RESTIC_PASSWORD: testPassword };
  expect(execFileSync('restic', args, { encoding: 'utf8', env: environment })).toContain('no errors were found');
}

/** Nobody owns all of it, as if nobody had made it. */
export function giveToNobody(at: string): void {
  chownSync(at, nobody, nobody);
  if (!lstatSync(at).isDirectory()) return;
  for (const name of readdirSync(at)) giveToNobody(join(at, name));
}
