// Brings the databases of a physical backup into a running server: a throw-away server is started on the backup, and what it holds
// is brought over as dumps are, beside what is there, then swapped. Why past/extract-database.ts is another way:
// docs/decisions/service-restore.md.
import { AppError, isAppError } from '../../../base/errors.ts';
import type { Finding } from '../../../model/finding.ts';
import type {
  BackupSession,
  Entry,
  RecoveryReader,
  RestoreDecision,
  RestoreOutcome,
  RestoreProgress,
  RestoreRequest,
} from '../../source.ts';
import { openBackup } from '../logical/backup-session.ts';
import { globalsPath } from '../logical/entry-paths.ts';
import { splitStatements } from '../logical/globals.ts';
import { dumpProgram } from '../logical/programs.ts';
import { decideRestore } from '../logical/restore-decision.ts';
import { restoreTarget } from '../logical/restore-target.ts';
import { addressOf, type PostgresOptions } from '../options.ts';
import { readPhysicalFacts } from '../physical/facts.ts';
import { startThrowAwayCopy } from '../physical/sandbox.ts';
import { describeServer, type ServerAddress } from '../server-address.ts';
import { findServer } from '../server-programs.ts';
import { connectForMaintenance, readServerFacts } from '../server.ts';

interface Parts {
  readonly options: PostgresOptions;
  readonly reader: RecoveryReader;
  readonly request: RestoreRequest;
}

export async function decideDatabases(parts: Parts, signal: AbortSignal): Promise<RestoreDecision> {
  const { options, reader, request } = parts;
  const facts = readPhysicalFacts(await reader.facts(signal));
  const { address, database } = restoreTarget(request.to, await addressOf(options), options.passwordOfOthers);
  const known = (facts.databases ?? []).map(({ name }) => name);
  const chosen = request.include.length > 0 ? [...new Set(request.include)] : known;
  const names = database === undefined ? chosen : [database];
  const findings = await look({ options, address, major: facts.serverMajor, chosen, known, database }, signal);
  const existing = await existingAt(address, names, signal);
  if (existing instanceof AppError) findings.push(failed('connection', existing));
  const there = existing instanceof AppError ? [] : existing;
  const what = `${names.length === 1 ? 'database' : 'databases'} ${names.join(', ')}`;
  return {
    target: `${what} on ${describeServer(address)}`,
    replaces:
      there.length === 0 ? undefined : `${there.join(', ')} on ${describeServer(address)}, kept under another name`,
    steps: [
      `start a throw-away PostgreSQL ${facts.serverMajor} on the backup`,
      `dump ${chosen.join(', ')} from it into ${describeServer(address)}, beside what is there, and swap the names`,
    ],
    findings,
    execute: (progress, executeSignal) => bringOver(parts, progress, executeSignal),
  };
}

interface Look {
  readonly options: PostgresOptions;
  readonly address: ServerAddress;
  readonly major: number;
  readonly chosen: readonly string[];
  readonly known: readonly string[];
  readonly database: string | undefined;
}

async function look({ options, major, chosen, known, database }: Look, signal: AbortSignal): Promise<Finding[]> {
  const findings: Finding[] = [];
  const folder = 'Or restore the data directory: name a folder with --to.';
  for (const [aspect, find] of [
    ['server programs', findServer],
    ['pg_dump', dumpProgram],
  ] as const) {
    try {
      const { version } = await find(major, options.programFolders, signal);
      findings.push({ aspect, outcome: 'passed', message: `${aspect} of PostgreSQL ${version}` });
    } catch (error) {
      if (!isAppError(error, 'TOOL_MISSING')) throw error;
      findings.push({ aspect, outcome: 'failed', message: error.message, hint: `${error.hint} ${folder}` });
    }
  }
  const unknown = chosen.filter((name) => known.length > 0 && !known.includes(name));
  const isTooMany = database !== undefined && chosen.length > 1;
  if (chosen.length === 0 || unknown.length > 0 || isTooMany) {
    const message =
      unknown.length > 0
        ? `the backup has no database ${unknown.join(', ')}`
        : isTooMany
          ? `${chosen.length} databases (${chosen.join(', ')}) can't all become ${database}`
          : 'which databases the backup holds is not noted in it';
    findings.push({ aspect: 'databases', outcome: 'failed', message, hint: 'Name those to restore with --include.' });
  }
  return findings;
}

function failed(aspect: string, { message, hint }: AppError): Finding {
  return { aspect, outcome: 'failed', message, hint };
}

async function existingAt(
  address: ServerAddress,
  names: readonly string[],
  signal: AbortSignal,
): Promise<string[] | AppError> {
  try {
    await using connection = await connectForMaintenance(address, names, signal);
    const { databases } = await readServerFacts(connection);
    return databases.map(({ name }) => name).filter((name) => names.includes(name));
  } catch (error) {
    signal.throwIfAborted();
    if (isAppError(error)) return error;
    throw error;
  }
}

async function bringOver(
  { options, reader, request }: Parts,
  progress: RestoreProgress,
  signal: AbortSignal,
): Promise<RestoreOutcome> {
  progress.step(0);
  await using copy = await startThrowAwayCopy(options, reader, signal);
  const { address } = copy;
  const ofCopy: PostgresOptions = { ...options, ...address, passwordFile: undefined, databases: [], method: 'logical' };
  const choice = { method: 'logical', reason: 'out of a physical backup' } as const;
  await using session = await openBackup(ofCopy, choice, signal);
  const dumps = await dumpReader(session, address.user, signal);
  progress.step(1);
  const decision = await decideRestore(options, { reader: dumps, request }, signal);
  const problem = decision.findings.find(({ outcome }) => outcome === 'failed');
  if (problem !== undefined) {
    throw new AppError('TARGET_UNSAFE', problem.message, { hint: problem.hint ?? 'Choose another target.' });
  }
  const inner: RestoreProgress = { step: () => undefined, bytes: (count) => progress.bytes(count) };
  return await decision.execute(inner, signal);
}

/** Dumps of a server that nobody changes: each is made when it is read, as often as it is read. */
async function dumpReader(session: BackupSession, superuser: string, signal: AbortSignal): Promise<RecoveryReader> {
  const entries: Entry[] = await Array.fromAsync(session.entries(signal));
  const read = async function* (path: string, readSignal: AbortSignal): AsyncGenerator<Buffer> {
    const entry = entries.find((one) => one.path === path);
    if (entry?.kind !== 'whole' || entry.content?.from !== 'stream') {
      throw new AppError('NOT_FOUND', `the copy has no ${path}`, { hint: 'Choose another recovery point.' });
    }
    for await (const chunk of entry.content.open(readSignal)) yield Buffer.from(chunk);
  };
  return {
    // eslint-disable-next-line typescript/require-await -- The contract wants an async iterable.
    async *entries() {
      yield* entries;
    },
    read: (path, readSignal) =>
      path === globalsPath ? withoutRole(read(path, readSignal), superuser) : read(path, readSignal),
    writeFolder: () => Promise.reject(new Error('dumps go into servers')),
    facts: () => session.facts(signal),
    // It would take reading all of it once more: rows were compared when the backup was proven.
    fingerprint: () => Promise.resolve(undefined),
  };
}

/** Who let us into the copy is nobody that any other server should let in. */
async function* withoutRole(globals: AsyncIterable<Buffer>, role: string): AsyncGenerator<Buffer> {
  const text = Buffer.concat(await Array.fromAsync(globals)).toString('utf8');
  const statements = splitStatements(text).filter((statement) => !statement.includes(role));
  yield Buffer.from(statements.map((statement) => `${statement};\n`).join(''));
}
