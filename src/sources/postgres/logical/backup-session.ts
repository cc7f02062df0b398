// One logical backup: the roles, then one dump per database, each from a snapshot that was taken for all at the start.
import assert from 'node:assert/strict';
import type { JsonObject } from '../../../base/json.ts';
import type { FileMetadata, FileType } from '../../../base/file-type.ts';
import type { FingerprintItem } from '../../../model/fingerprint.ts';
import { AppError, isAppError } from '../../../base/errors.ts';
import type { BackupSession, Entry, EntryProblem } from '../../source.ts';
import { describeServer, type ServerAddress } from '../server-address.ts';
import { type DatabaseSession, openDatabaseSession } from './database-session.ts';
import { dumpsFolder, dumpPath, globalsPath } from './entry-paths.ts';
import { tocReader } from './dump-toc.ts';
import { databaseFactsJson } from '../database-facts.ts';
import { fingerprintDatabase, fingerprintOf } from '../fingerprint.ts';
import { methodNotes, type MethodChoice } from '../method.ts';
import { addressOf, type PostgresOptions } from '../options.ts';
import { dumpProgram, type ProgramFolder } from './programs.ts';
import { connectionString, programFailure, programOutput, ProgramError } from '../run-program.ts';
import { readServer, type ServerFacts } from '../server.ts';

interface Backup {
  readonly address: ServerAddress;
  readonly server: ServerFacts;
  readonly program: ProgramFolder;
  readonly databases: readonly DatabaseSession[];
  readonly takenAtMs: number;
  readonly lockWaitMaxMs: number;
  readonly problems: EntryProblem[];
  readonly notes: EntryProblem[];
  readonly choice: MethodChoice;
}

export async function openBackup(
  options: PostgresOptions,
  choice: MethodChoice,
  signal: AbortSignal,
): Promise<BackupSession> {
  const address = await addressOf(options);
  const { server, chosen } = await readServer(address, options.databases, signal);
  const program = await dumpProgram(server.major, options.programFolders, signal);
  await using opened = new AsyncDisposableStack();
  const databases: DatabaseSession[] = [];
  const { lockWaitMaxMs, schemaVersionQuery } = options;
  for (const database of chosen) {
    const session = { database, serverMajor: server.major, lockWaitMaxMs, schemaVersionQuery };
    databases.push(opened.use(await openDatabaseSession(address, session, signal)));
  }
  const problems = databases.flatMap(({ name, schemaVersionProblem }) =>
    schemaVersionProblem === undefined ? [] : [{ path: dumpPath(name), message: schemaVersionProblem }],
  );
  const takenAtMs = options.clock.now();
  const held = opened.move();
  const notes = methodNotes(choice);
  return sessionOf({ address, server, program, databases, takenAtMs, lockWaitMaxMs, problems, notes, choice }, held);
}

function sessionOf(backup: Backup, held: AsyncDisposableStack): BackupSession {
  const closed = new AbortController();
  return {
    paths: [globalsPath, dumpsFolder],
    problems: backup.problems,
    notes: backup.notes,
    entries: (signal) => entries(backup, AbortSignal.any([signal, closed.signal])),
    facts: () => Promise.resolve(factsOf(backup)),
    async fingerprint() {
      const items: FingerprintItem[] = [];
      for (const { name, connection, schema, toc } of backup.databases) {
        assert.ok(toc !== undefined, `the dump of ${name} was not read to its end`);
        items.push(...(await fingerprintDatabase({ name, connection, schema, sequences: toc.sequences })));
      }
      return fingerprintOf(items);
    },
    async [Symbol.asyncDispose]() {
      closed.abort(new AppError('INTERRUPTED', 'the backup was closed', { hint: 'Start it again.' }));
      await held.disposeAsync();
    },
  };
}

async function* entries(backup: Backup, signal: AbortSignal): AsyncGenerator<Entry> {
  const { takenAtMs } = backup;
  signal.throwIfAborted();
  yield whole(globalsPath, takenAtMs, (inner) => globals(backup, AbortSignal.any([signal, inner])));
  signal.throwIfAborted();
  yield { kind: 'whole', path: dumpsFolder, metadata: metadataOf('dir', takenAtMs) };
  for (const database of sortedByPath(backup.databases)) {
    signal.throwIfAborted();
    yield whole(dumpPath(database.name), takenAtMs, (inner) =>
      dump(backup, database, AbortSignal.any([signal, inner])),
    );
  }
  signal.throwIfAborted();
}

function sortedByPath(databases: readonly DatabaseSession[]): DatabaseSession[] {
  return databases.toSorted((left, right) => (dumpPath(left.name) < dumpPath(right.name) ? -1 : 1));
}

function whole(path: string, timeMs: number, open: (signal: AbortSignal) => AsyncIterable<Uint8Array>): Entry {
  return { kind: 'whole', path, metadata: metadataOf('file', timeMs), content: { from: 'stream', open } };
}

/** Whoever restores the tree alone gets files that only root reads: they hold everything. */
function metadataOf(type: FileType, timeMs: number): FileMetadata {
  const timeNs = BigInt(timeMs) * 1_000_000n;
  return {
    type,
    mode: type === 'dir' ? 0o700 : 0o600,
    mtimeNs: timeNs,
    atimeNs: timeNs,
    ctimeNs: timeNs,
    uid: 0,
    gid: 0,
    user: '',
    group: '',
    inode: 0n,
    deviceId: 0n,
    links: 1,
    sizeBytes: 0,
    deviceNumber: 0n,
    extendedAttributes: [], // How large a dump gets is known at its end.
  };
}

async function* globals(backup: Backup, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const first = backup.databases[0]?.name ?? 'postgres';
  const base = ['--globals-only', '--no-password', '--database', connectionString(first)];
  const run = { folder: backup.program.folder, program: 'pg_dumpall', address: backup.address } as const;
  const what = `the roles of ${describeServer(backup.address)}`;
  try {
    yield* await wholeOutput(programOutput({ ...run, arguments: base }, signal));
  } catch (error) {
    const isDenied =
      error instanceof ProgramError && /permission denied for (?:table|relation) pg_authid/.test(error.stderr);
    if (!isDenied) throw programFailure(error, { what, code: 'SOURCE_FAILED' });
    const message = `roles without their passwords: ${backup.address.user} may not read pg_authid`;
    backup.notes.push({ path: globalsPath, message });
    try {
      yield* await wholeOutput(programOutput({ ...run, arguments: [...base, '--no-role-passwords'] }, signal));
    } catch (second) {
      throw programFailure(second, { what, code: 'SOURCE_FAILED' });
    }
  }
}

const globalsMaxBytes = 256 * 2 ** 20;

/** Nothing of a first attempt may be stored when the second one follows, so it is held back until it succeeded. */
async function wholeOutput(output: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of output) {
    chunks.push(chunk);
    sizeBytes += chunk.length;
    assert.ok(sizeBytes <= globalsMaxBytes, 'more roles than a server can hold');
  }
  return chunks;
}

/** Uncompressed: equal rows give equal bytes in the next dump, which is what deduplication lives on. */
async function* dump(backup: Backup, database: DatabaseSession, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const what = `the dump of database ${database.name}`;
  const reader = tocReader();
  const run = {
    ...({ folder: backup.program.folder, program: 'pg_dump', address: backup.address } as const),
    arguments: [
      '--format',
      'custom',
      '--compress',
      '0',
      '--no-password',
      '--snapshot',
      database.snapshot,
      '--lock-wait-timeout',
      String(Math.ceil(backup.lockWaitMaxMs)),
      ...(backup.server.isStandby ? ['--no-unlogged-table-data'] : []),
      '--dbname',
      connectionString(database.name),
    ],
  };
  try {
    for await (const chunk of programOutput(run, signal)) {
      reader.push(chunk);
      yield chunk;
    }
  } catch (error) {
    if (isAppError(error)) throw error;
    throw programFailure(error, { what, code: 'SOURCE_FAILED' });
  }
  if (reader.toc === undefined) {
    throw new AppError('SOURCE_FAILED', `${what} ended in its table of contents`, { hint: 'Try again.' });
  }
  database.toc = reader.toc;
}

function factsOf({ server, program, databases, takenAtMs, address, notes, choice }: Backup): JsonObject {
  return {
    method: 'logical',
    methodReason: choice.reason,
    server: describeServer(address),
    serverVersion: server.version,
    serverMajor: server.major,
    isStandby: server.isStandby,
    snapshotTime: new Date(takenAtMs).toISOString(),
    pgDumpVersion: program.version,
    roles: server.roles,
    tablespaces: server.tablespaces,
    notes: notes.map(({ message }) => message),
    databases: databases.map(({ facts, schemaVersions }) => ({
      ...databaseFactsJson(facts),
      schemaVersions: schemaVersions.map((one) => ({ ...one })),
    })),
  };
}
