// What tests of physical backups do over and over: back up into a real repository, restore with stock restic, start the stock server.
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { compareFingerprints, fingerprintSchema, type FingerprintDifference } from '../../src/model/fingerprint.ts';
import { backup, type BackupOptions, type BackupResult } from '../../src/operations/backup/backup.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { physicalFactsSchema } from '../../src/sources/postgres/physical/facts.ts';
import { fingerprintCopy } from '../../src/sources/postgres/physical/physical-rows.ts';
import { serverAccount } from '../../src/sources/postgres/server-process.ts';
import type { Source } from '../../src/sources/source.ts';
import type { TestServer } from './postgres-server.ts';
import { noSignal, testPassword } from './repository.ts';
import { startRestored, type RestoredServer } from './restored-server.ts';
import { temporaryFolder, type TemporaryFolder } from './temporary-folder.ts';

/** A folder that the server's account may enter, too. */
export async function openFolder(): Promise<TemporaryFolder> {
  const folder = await temporaryFolder();
  chmodSync(folder.path, 0o755);
  return folder;
}

export function folderOfServer(parent: string, name: string): string {
  const path = join(parent, name);
  mkdirSync(path, { mode: 0o700 });
  const account = serverAccount();
  if (account !== undefined) chownSync(path, account.uid, account.gid);
  return path;
}

export function backUp(
  repository: Repository,
  source: Source,
  options: Partial<BackupOptions> = {},
): Promise<BackupResult> {
  return backup(repository, source, { component: 'database', programVersion: 'test', signal: noSignal, ...options });
}

/** What stock tools make of the newest snapshot. */
export function restoreByRestic(repository: Repository, folder: string): string {
  const target = join(folder, `restored-${readdirSync(folder).length}`);
  execFileSync(
    'restic',
    ['--repo', repository.store.properties.location, '--no-cache', 'restore', 'latest', '--target', target],
    { env: { ...process.env, RESTIC_PASSWORD: testPassword }, stdio: 'ignore' },
  );
  return target;
}

export function startCopy(server: TestServer, target: string): Promise<RestoredServer> {
  return startRestored(server.major, { dataFolder: join(target, 'pgdata'), workFolder: target });
}

/** What the copy holds otherwise than the fingerprint in its snapshot says. */
export async function differencesOf(
  copy: RestoredServer,
  target: string,
  { facts }: Pick<BackupResult, 'facts'>,
): Promise<FingerprintDifference[]> {
  const { fingerprint } = physicalFactsSchema.parse(facts);
  if (fingerprint === null) throw new Error('the backup has no fingerprint');
  const found = await fingerprintCopy(copy.address, fingerprint, noSignal);
  const stored: unknown = JSON.parse(readFileSync(join(target, '.lifeboat/fingerprint.json'), 'utf8'));
  return compareFingerprints(fingerprintSchema.parse(stored), found);
}
