// Takes single tables, or one database, out of a server of the past into a server that lives on: beside what is there, compared row by
// row of their fingerprints. Those that are asked to take the place of what is there do so then, and that is kept.
import pg from 'pg';
import { formatByteSize } from '../../../base/byte-size.ts';
import { count } from '../../../base/count.ts';
import { AppError, isAppError } from '../../../base/errors.ts';
import type { Finding } from '../../../model/finding.ts';
import type { ExtractRequest, PastServer } from '../../explore.ts';
import type { RestoreDecision } from '../../source.ts';
import { type Connection, connect, onlyRow } from '../connection.ts';
import { pinnedSettings, tableItem } from '../fingerprint.ts';
import { nameStamp, restoreTarget } from '../logical/restore-target.ts';
import { addressOf, type PostgresOptions } from '../options.ts';
import { describeServer, type ServerAddress } from '../server-address.ts';
import { type DumpPrograms, dumpAcross, type Ends, programsFinding, programsFor } from './dump-across.ts';
import { decideDatabase, factsOfTarget, rightsFinding } from './extract-database.ts';
import { copyRows, requireAlike } from './copy-rows.ts';
import { pastDatabase } from './past-database.ts';
import { replaceFindings, replaceTables, wasReplaced } from './replace-tables.ts';
import { findTables, isolateTables, type PastTable, requireDistinct } from './past-tables.ts';

export interface Extracting {
  readonly server: PastServer;
  readonly request: ExtractRequest;
}

export async function decideExtract(
  options: PostgresOptions,
  { server, request }: Extracting,
  signal: AbortSignal,
): Promise<RestoreDecision> {
  const from: ServerAddress = { ...server.access, ssl: { mode: 'disable' } };
  const target = restoreTarget(request.to, await addressOf(options), options.passwordOfOthers);
  const source = pastDatabase(server, request.database, options);
  const stamp = nameStamp(options.clock.now());
  const ends: Ends = { from, source, to: target.address, database: target.database, stamp };
  if (request.tables.length === 0) return decideDatabase(options, { ends, request }, signal);
  return decideTables(options, { ends, request }, signal);
}

/** What can be known of the target without a server of the past. */
export async function requireTarget(
  options: PostgresOptions,
  request: ExtractRequest,
  signal: AbortSignal,
): Promise<void> {
  const { address, database } = restoreTarget(request.to, await addressOf(options), options.passwordOfOthers);
  const [only, ...others] = options.databases;
  const wanted = database ?? request.database ?? (others.length === 0 ? only : undefined);
  const finding =
    request.tables.length === 0 || wanted === undefined
      ? await databaseRights(address, request, signal)
      : await schemaRights(address, wanted, signal);
  if (finding?.outcome !== 'failed') return;
  throw new AppError('TARGET_UNSAFE', finding.message, { hint: finding.hint ?? 'Choose another target.' });
}

/** Tables go into a database that is only known when the server of the past is up: at least its server is there. */
async function databaseRights(to: ServerAddress, request: ExtractRequest, signal: AbortSignal) {
  const facts = await factsOfTarget({ to }, signal);
  return request.tables.length === 0 ? rightsFinding(facts) : undefined;
}

async function schemaRights(address: ServerAddress, database: string, signal: AbortSignal) {
  await using live = await connect(address, database, signal);
  return await creationFinding(live);
}

async function decideTables(
  options: PostgresOptions,
  { ends, request }: { readonly ends: Ends; readonly request: ExtractRequest },
  signal: AbortSignal,
): Promise<RestoreDecision> {
  const database = ends.database ?? ends.source;
  const { replaces } = request;
  const schema = replaces ? `lifeboat_new_${ends.stamp}` : (request.as ?? `lifeboat_${ends.stamp}`);
  const kept = replaces ? (request.as ?? `before_${ends.stamp}`) : undefined;
  await using past = await connect(ends.from, ends.source, signal);
  const tables = await findTables(past, request.tables);
  requireDistinct(tables);
  await using live = await connect(ends.to, database, signal);
  const fromMajor = await majorOf(past);
  const toMajor = await majorOf(live);
  const programs = await programsFor({ from: fromMajor, to: toMajor }, options, signal).catch(
    async (error: unknown) => {
      if (!isAppError(error, 'TOOL_MISSING') || replaces) throw error;
      await requireAlike({ past, live }, tables, error);
      return error;
    },
  );
  const findings = [
    await schemaFinding(past, live, kept ?? schema),
    wayFinding(programs),
    ...(replaces ? await replaceFindings(live, tables) : []),
  ];
  const names = tables.map((one) => `${one.schema}.${one.name}`).join(', ');
  const size = formatByteSize(tables.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  return {
    target: `${replaces ? names : `schema ${schema}`} in database ${database} on ${describeServer(ends.to)}`,
    ...(replaces ? { replaces: `${names} in database ${database}` } : {}),
    steps: [
      `copy ${count(tables.length, 'table')} (${size}) with rows, indexes and own constraints into a new schema ${schema}: ${names}`,
      'compare the rows with those of that instant',
      ...(kept === undefined
        ? []
        : [`move those that are there into a new schema ${kept}, and these into their place`]),
    ],
    findings,
    async execute(progress, executeSignal) {
      progress.step(0);
      const work = { ends, database, schema, tables, programs };
      await copyTables(work, (bytes) => progress.bytes(bytes), executeSignal);
      progress.step(1);
      // Until it is compared it is not theirs; what made it fail may be the signal.
      const rows = await compareTables(work, executeSignal).catch(async (error: unknown) => {
        await removeCopy(work, AbortSignal.timeout(60_000));
        throw error;
      });
      if (kept !== undefined) {
        progress.step(2);
        await replace(work, kept, executeSignal);
      }
      return {
        restored: tables.map(
          (one, at) => `${kept === undefined ? schema : one.schema}.${one.name}: ${rows[at] ?? 'partitioned'}`,
        ),
        kept:
          kept === undefined
            ? `all that was in database ${database}; remove the copy with ${dropSchema(schema)}`
            : `the earlier ones are in schema ${kept}; remove them with ${dropSchema(kept)}`,
      };
    },
  };
}

const dropSchema = (schema: string): string => `DROP SCHEMA ${pg.escapeIdentifier(schema)} CASCADE`;

async function replace(work: TablesWork, kept: string, signal: AbortSignal): Promise<void> {
  const { ends, database, schema, tables } = work;
  const replacing = { address: ends.to, database, tables, copied: schema, kept };
  try {
    await replaceTables(replacing, signal);
  } catch (error) {
    // The answer may be lost when it is done; and what made it fail may be the signal.
    const late = AbortSignal.timeout(60_000);
    if (await wasReplaced(replacing, late)) return;
    await removeCopy(work, late);
    throw error;
  }
}

async function majorOf(connection: Connection): Promise<number> {
  const query = "SELECT current_setting('server_version_num')::int / 10000 AS major";
  return onlyRow(await connection.query<{ readonly major: number }>(query)).major;
}

function wayFinding(programs: DumpPrograms | AppError): Finding {
  if (!(programs instanceof AppError)) return programsFinding(programs);
  return {
    aspect: 'programs',
    outcome: 'warning',
    message: `${programs.message}: the tables are made like those that are there now, and only rows come from that instant`,
    hint: programs.hint,
  };
}

/** Undefined where nothing is in the way. */
async function creationFinding(live: Connection): Promise<Finding | undefined> {
  const query = `SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') AS "mayCreate",
                        current_user::text AS role`;
  const { mayCreate, role } = onlyRow(await live.query<{ mayCreate: boolean; role: string }>(query));
  if (mayCreate) return undefined;
  const hint = `Run as a superuser: GRANT CREATE ON DATABASE ${pg.escapeIdentifier(live.database)} TO ${pg.escapeIdentifier(role)}; or name another role in --to.`;
  return { aspect: 'schema', outcome: 'failed', message: `${role} may not create schemas in ${live.database}`, hint };
}

async function schemaFinding(past: Connection, live: Connection, schema: string): Promise<Finding> {
  const aspect = 'schema';
  const refused = await creationFinding(live);
  if (refused !== undefined) return refused;
  for (const one of [live, past]) {
    const query = 'SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1) AS "isThere"';
    const { isThere } = onlyRow(await one.query<{ isThere: boolean }>(query, [schema]));
    if (!isThere && !schema.startsWith('pg_')) continue;
    const where = one === live ? `database ${live.database}` : 'the database of that instant';
    const message = isThere ? `${where} has a schema ${schema}` : `${schema} is a name for the server's own schemas`;
    return { aspect, outcome: 'failed', message, hint: 'Name another with --as.' };
  }
  return { aspect, outcome: 'passed', message: `${schema} is new` };
}

interface TablesWork {
  readonly ends: Ends;
  readonly database: string;
  readonly schema: string;
  readonly tables: readonly PastTable[];
  /** Why there are none. */
  readonly programs: DumpPrograms | AppError;
}

async function copyTables(work: TablesWork, onBytes: (count: number) => void, signal: AbortSignal): Promise<void> {
  const { ends, database, schema, tables, programs } = work;
  {
    await using past = await connect(ends.from, ends.source, signal);
    await isolateTables(past, schema, tables);
  }
  const end = { from: { address: ends.from, database: ends.source }, to: { address: ends.to, database } };
  if (programs instanceof AppError) return copyRows({ ...end, schema, tables, onBytes }, signal);
  // A pattern: in quotes nothing in it means anything else.
  const pattern = `--schema="${schema.replaceAll('"', '""')}"`;
  const plain = ['--no-owner', '--no-privileges', '--no-publications', '--no-security-labels', '--no-tablespaces'];
  await dumpAcross(
    {
      programs,
      what: count(tables.length, 'table'),
      onBytes,
      from: { ...end.from, flags: [pattern, ...plain] },
      // All or nothing: what fails half way leaves nothing behind.
      to: { ...end.to, flags: ['--single-transaction', ...plain] },
    },
    signal,
  );
}

async function removeCopy({ ends, database, schema }: TablesWork, signal: AbortSignal): Promise<void> {
  await using live = await connect(ends.to, database, signal);
  await live.query(dropSchema(schema));
}

/** Rows of each table for people; rejects where one is not as it was. */
async function compareTables(work: TablesWork, signal: AbortSignal): Promise<(string | undefined)[]> {
  const { ends, database, schema, tables } = work;
  await using past = await connect(ends.from, ends.source, signal);
  await using live = await connect(ends.to, database, signal);
  for (const one of [past, live]) await one.query(pinnedSettings);
  const rows: (string | undefined)[] = [];
  for (const table of tables) {
    const item = (connection: Connection) => tableItem({ connection, name: '' }, { ...table, schema });
    const [expected, found] = table.hasRows ? [await item(past), await item(live)] : [undefined, undefined];
    if (expected?.rows !== found?.rows || expected?.sum !== found?.sum) {
      throw new AppError(
        'VERIFICATION_FAILED',
        `table ${table.schema}.${table.name} came out different: ${expected?.rows} rows expected, ${found?.rows} found`,
        { hint: 'Open the instant with lifeboat postgres open, and compare by hand.' },
      );
    }
    rows.push(found && count(found.rows, 'row'));
  }
  return rows;
}
