// A throw-away server on a copy of a physical recovery point. The copy is production: its roles, its settings, its connections to
// other systems. So nothing of its configuration is read, it has no way out, and it lets in one superuser made for this proof.
import { randomBytes } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../../base/errors.ts';
import type { RecoveryReader, Sandbox } from '../../source.ts';
import { contentValue } from '../content-value.ts';
import { type LocalServer, makeServerPlace, type ServerPlace, startInPlace } from '../local-server.ts';
import type { PostgresOptions } from '../options.ts';
import { sentinelOfCopy } from '../sentinel/read-sentinels.ts';
import { describeServer, type ServerAddress } from '../server-address.ts';
import { findServer } from '../server-programs.ts';
import { giveAway } from '../server-process.ts';
import { checkCopy, describeChecks, type CopyChecks } from './copy-checks.ts';
import { dataFolder, tablespacesFolder } from './entries.ts';
import { minWalSize } from '../wal/segment-name.ts';
import { readPhysicalFacts, type PhysicalFacts } from './facts.ts';
import { fingerprintCopy } from './physical-rows.ts';
import { requireWritten } from './require-written.ts';
import { createSuperuser } from './throw-away-superuser.ts';

/** All WAL of the snapshot is replayed before the server answers. */
const replayWaitMaxMs = 6 * 3_600_000;

export async function openPhysicalSandbox(
  options: PostgresOptions,
  reader: RecoveryReader,
  signal: AbortSignal,
): Promise<Sandbox> {
  const facts = readPhysicalFacts(await reader.facts(signal));
  const programs = await findServer(facts.serverMajor, options.programFolders, signal);
  const place = await makeServerPlace(programs, options.sandboxFolder);
  let running: RunningCopy | undefined;
  const copy = (): RunningCopy => {
    if (running !== undefined) return running;
    throw new AppError('USAGE', 'nothing was restored into the sandbox yet', { hint: 'Restore into it first.' });
  };
  const names = facts.fingerprint?.databases ?? [];
  return {
    get description() {
      const where = running === undefined ? '' : ` at ${describeServer(running.server.address)}`;
      return `PostgreSQL ${programs.version}${where}${running === undefined ? '' : describeChecks(running.checks)}`;
    },
    async restore(again, restoreSignal) {
      await running?.server[Symbol.asyncDispose]();
      running = await startCopy(place, { reader: again, facts }, restoreSignal);
    },
    async fingerprint(readSignal) {
      if (facts.fingerprint === null) {
        throw new AppError('INCONCLUSIVE', 'the backup was taken without a fingerprint', {
          hint: 'See the notes of the backup for the reason.',
        });
      }
      return fingerprintCopy(copy().server.address, facts.fingerprint, readSignal);
    },
    async newestSentinel(readSignal) {
      const writtenMs = await sentinelOfCopy(copy().server.address, readSignal);
      return writtenMs === undefined ? undefined : { writtenMs, instantMs: facts.consistentTimeUs / 1000 };
    },
    valueOf: (check, checkSignal) => contentValue(copy().server.address, { check, names }, checkSignal),
    async [Symbol.asyncDispose]() {
      await running?.server[Symbol.asyncDispose]();
      running = undefined;
      await place[Symbol.asyncDispose]();
    },
  };
}

export interface ThrowAwayCopy extends AsyncDisposable {
  /** Of its one superuser, whom the original does not have. */
  readonly address: ServerAddress;
}

/** A running copy to take data from. */
export async function startThrowAwayCopy(
  options: PostgresOptions,
  reader: RecoveryReader,
  signal: AbortSignal,
): Promise<ThrowAwayCopy> {
  const facts = readPhysicalFacts(await reader.facts(signal));
  const programs = await findServer(facts.serverMajor, options.programFolders, signal);
  await using opened = new AsyncDisposableStack();
  const place = opened.use(await makeServerPlace(programs, options.sandboxFolder));
  const { server } = await startCopy(place, { reader, facts }, signal);
  opened.use(server);
  const held = opened.move();
  return { address: server.address, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

interface RunningCopy {
  readonly server: LocalServer;
  readonly checks: CopyChecks;
}

interface CopyRequest {
  readonly reader: RecoveryReader;
  readonly facts: PhysicalFacts;
}

async function startCopy(
  place: ServerPlace,
  { reader, facts }: CopyRequest,
  signal: AbortSignal,
): Promise<RunningCopy> {
  const copy = join(place.folder, 'copy');
  const data = join(copy, 'pgdata');
  await rm(copy, { recursive: true, force: true });
  await mkdir(copy, { mode: 0o700 });
  await mkdir(data, { mode: 0o700 });
  const temporary = { isTemporary: true } as const;
  const parts = [{ from: dataFolder, to: data, ...temporary }];
  if (facts.tablespaces.length > 0)
    parts.push({ from: tablespacesFolder, to: join(copy, 'tablespaces'), ...temporary });
  for (const part of parts) requireWritten((await reader.writeFolder(part, signal)).problems);
  const configuration = join(place.folder, 'configuration');
  const user = `lifeboat_${randomBytes(6).toString('hex')}`;
  await writeConfiguration({ data, configuration, user });
  if (place.account !== undefined) {
    for (const folder of [copy, configuration]) await giveAway(place.account, folder, signal);
  }
  const settings = ownSettings(configuration, facts);
  const password = randomBytes(24).toString('base64url');
  await createSuperuser(place, { dataFolder: data, settings, user, password }, signal);
  const database = facts.fingerprint?.databases[0] ?? 'postgres';
  const login = { user, password, database };
  const server = await startInPlace(
    place,
    { dataFolder: data, settings, login, readyWaitMaxMs: replayWaitMaxMs },
    signal,
  );
  try {
    const checks = await checkCopy(server.address, facts.fingerprint?.databases ?? [], signal);
    return { server, checks };
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

/** The copy's own files of settings are not read, except the one that can't be named elsewhere: it is emptied. */
async function writeConfiguration(parts: {
  readonly data: string;
  readonly configuration: string;
  readonly user: string;
}): Promise<void> {
  const { data, configuration, user } = parts;
  await rm(configuration, { recursive: true, force: true });
  await mkdir(configuration, { mode: 0o700 });
  await writeFile(join(configuration, 'postgresql.conf'), '');
  await writeFile(join(configuration, 'pg_ident.conf'), '');
  await writeFile(join(configuration, 'pg_hba.conf'), `host all ${user} 127.0.0.1/32 scram-sha-256\n`);
  await writeFile(join(data, 'postgresql.auto.conf'), '');
  for (const name of ['standby.signal', 'recovery.signal']) await rm(join(data, name), { force: true });
}

function ownSettings(configuration: string, { serverMajor, walSegmentBytes }: PhysicalFacts): string[] {
  return [
    `config_file=${join(configuration, 'postgresql.conf')}`,
    `hba_file=${join(configuration, 'pg_hba.conf')}`,
    `ident_file=${join(configuration, 'pg_ident.conf')}`,
    // It must not act: no archive of its own, no subscriptions, no jobs of extensions, nothing that changes it while it is looked at.
    'archive_mode=off',
    'max_logical_replication_workers=0',
    'max_wal_senders=0',
    'shared_preload_libraries=',
    'session_preload_libraries=',
    'local_preload_libraries=',
    'autovacuum=off',
    ...(serverMajor >= 17 ? ['event_triggers=off'] : []),
    `min_wal_size=${minWalSize(walSegmentBytes)}`,
    'max_wal_size=4GB',
    // Transactions prepared at the original are there again; they need as much room as any server gives them.
    'max_prepared_transactions=1000',
    'max_locks_per_transaction=256',
  ];
}
