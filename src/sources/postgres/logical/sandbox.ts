// A throw-away server of the recovery point's own major, into which it is restored for a proof.
import { AppError } from '../../../base/errors.ts';
import type { Fingerprint, FingerprintItem } from '../../../model/fingerprint.ts';
import type { RecoveryReader, Sandbox } from '../../source.ts';
import { type Connection, connect } from '../connection.ts';
import { contentValue } from '../content-value.ts';
import { describeServer } from '../server-address.ts';
import { applyProperties, createDatabase, dropDatabase } from './database-creation.ts';
import { fingerprintOf } from '../fingerprint.ts';
import { restoreRoles } from './globals.ts';
import { type LocalServer, startLocalServer } from '../local-server.ts';
import type { PostgresOptions } from '../options.ts';
import { restoreProgram } from './programs.ts';
import { readRecoveryPoint, type RecoveryPoint, type StoredDatabase } from './recovery-point.ts';
import { feedDump, fingerprintRestored } from './restore-dump.ts';
import { missingExtensions } from './restore-preflight.ts';
import { newestSentinel } from '../sentinel/read-sentinels.ts';
import { sqlStateOf } from '../server-errors.ts';
import { readServerFacts, type ServerFacts } from '../server.ts';
import { findServer } from '../server-programs.ts';

export async function openSandbox(
  options: PostgresOptions,
  reader: RecoveryReader,
  signal: AbortSignal,
): Promise<Sandbox> {
  const point = await readRecoveryPoint(reader, [], signal);
  if (point.databases.length === 0) {
    throw new AppError('INCONCLUSIVE', 'the recovery point holds no database', {
      hint: 'Prove another recovery point.',
    });
  }
  const programs = await findServer(point.serverMajor, options.programFolders, signal);
  const majors = { archive: point.programMajor, server: point.serverMajor };
  const restore = await restoreProgram(majors, options.programFolders, signal);
  const server = await startLocalServer(programs, { parentFolder: options.sandboxFolder }, signal);
  const names = point.databases.map(({ name }) => name);
  return {
    description: `PostgreSQL ${server.version} at ${describeServer(server.address)}`,
    restore: (again, restoreSignal) =>
      restoreAll({ server, point: { ...point, reader: again }, program: restore }, restoreSignal),
    fingerprint: (fingerprintSignal) => fingerprintAll(server, names, fingerprintSignal),
    async newestSentinel(readSignal) {
      const { snapshotTime } = await reader.facts(readSignal);
      const writtenMs = await newestSentinel(server.address, names, readSignal);
      if (writtenMs === undefined || typeof snapshotTime !== 'string') return undefined;
      return { writtenMs, instantMs: Date.parse(snapshotTime) };
    },
    valueOf: (check, checkSignal) => contentValue(server.address, { check, names }, checkSignal),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

interface Work {
  readonly server: LocalServer;
  readonly point: RecoveryPoint;
  readonly program: Awaited<ReturnType<typeof restoreProgram>>;
}

async function restoreAll({ server, point, program }: Work, signal: AbortSignal): Promise<void> {
  await using connection = await connect(server.address, 'template1', signal);
  await requireExtensions(connection, point);
  const before = await readServerFacts(connection);
  const missing = new Set(point.globals.roles.filter((role) => !before.roles.includes(role)));
  await restoreRoles(connection, { globals: point.globals, missing }, () => undefined);
  const facts = await readServerFacts(connection);
  const flags = flagsFor(point, facts);
  for (const stored of point.databases) {
    await dropDatabase(connection, stored.name, server.major);
    await createAlike(connection, stored, facts);
    const feed = { address: server.address, program, flags, into: stored.name, onBytes: () => undefined, signal };
    await feedDump(point.reader, stored, feed);
    await applyProperties(connection, stored.name, { facts: stored.facts, roles: new Set(facts.roles) });
  }
}

async function requireExtensions(connection: Connection, { databases }: RecoveryPoint): Promise<void> {
  const wanted = new Set(databases.flatMap(({ toc }) => [...toc.extensions]));
  const missing = await missingExtensions(connection, wanted);
  if (missing.length === 0) return;
  throw new AppError('INCONCLUSIVE', `the server for proofs lacks the extensions ${missing.join(', ')}`, {
    hint: 'Install their packages on this machine, for the same major as the server that is backed up.',
  });
}

/** The copy must not begin to pull changes from production, and has one disk only. */
function flagsFor({ databases }: RecoveryPoint, { roles }: ServerFacts): string[] {
  const existing = new Set(roles);
  const hasAllOwners = databases.every(({ toc }) =>
    [...toc.owners].every((owner) => existing.has(owner) || owner.startsWith('pg_')),
  );
  return ['--no-subscriptions', '--no-tablespaces', ...(hasAllOwners ? [] : ['--no-owner', '--no-privileges'])];
}

/** Where this machine lacks the locale, rows still come back the same; only their order would differ. */
async function createAlike(
  connection: Connection,
  { name, facts }: StoredDatabase,
  server: ServerFacts,
): Promise<void> {
  try {
    await createDatabase(connection, name, { facts, server });
  } catch (error) {
    const isUnknownLocale = ['42809', '22023'].includes(sqlStateOf(error) ?? '');
    if (!isUnknownLocale || facts === undefined) throw error;
    await createDatabase(connection, name, { facts, server, plainLocale: true });
  }
}

async function fingerprintAll(
  server: LocalServer,
  names: readonly string[],
  signal: AbortSignal,
): Promise<Fingerprint> {
  const items: FingerprintItem[] = [];
  for (const name of names) {
    items.push(...(await fingerprintRestored(server.address, { original: name, current: name }, signal)));
  }
  return fingerprintOf(items);
}
