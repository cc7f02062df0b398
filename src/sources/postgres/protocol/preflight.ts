// Looks at everything that physical backups and the receiving of WAL need of a server, before the night it is needed in.
import { isAppError, type AppError } from '../../../base/errors.ts';
import type { Finding } from '../../../model/finding.ts';
import { connect } from '../connection.ts';
import { addressOf, type PostgresOptions } from '../options.ts';
import { describeServer, type ServerAddress } from '../server-address.ts';
import { applicationNameDefault, connectReplication } from './connect-replication.ts';
import { managedFinding, managedRoles, replicationFindings, type ReplicationState } from './preflight-findings.ts';
import { replicationFailure } from './replication-error.ts';

/** Never throws for what it looks at. */
export async function* checkReplication(options: PostgresOptions, signal: AbortSignal): AsyncGenerator<Finding> {
  const databases = [...options.databases, 'postgres', 'template1'];
  let refusal: AppError;
  let address: ServerAddress | undefined;
  try {
    address = await addressOf(options);
    yield* await lookByReplication(address, databases, signal);
    return;
  } catch (error) {
    signal.throwIfAborted();
    if (!isAppError(error)) throw error;
    refusal = error;
  }
  const aspect = replicationFailure(refusal) === 'no-replication-right' ? 'replication right' : 'replication';
  yield { aspect, outcome: 'failed', message: refusal.message, hint: refusal.hint };
  // Where SQL is let in, there is more to say: all that is missing at once, or that it can not be had at all.
  if (address !== undefined && replicationFailure(refusal) !== undefined)
    yield* await lookBySql(address, databases, signal);
}

async function lookByReplication(
  address: ServerAddress,
  databases: readonly string[],
  signal: AbortSignal,
): Promise<Finding[]> {
  await using connection = await connectReplication(address, { databases }, signal);
  const { facts } = connection;
  const place = facts.database === undefined ? 'for replication only' : `in database ${facts.database}`;
  const counts = facts.database === undefined ? undefined : (await connection.query(countsQuery))[0];
  const state = await readState({
    ...facts,
    isAskedBySender: true,
    counts,
    show: (name) => connection.show(name),
  });
  const message = `${describeServer(address)} lets ${address.user} replicate, ${place}`;
  return [{ aspect: 'replication', outcome: 'passed', message }, ...replicationFindings(state)];
}

async function lookBySql(
  address: ServerAddress,
  databases: readonly string[],
  signal: AbortSignal,
): Promise<Finding[]> {
  for (const database of databases) {
    try {
      await using connection = await connect(address, database, signal);
      const [first] = await connection.query<{ version: string; major: number; isStandby: boolean; roles: string[] }>(
        serverQuery,
        [managedRoles],
      );
      if (first === undefined) continue;
      const managed = managedFinding(first.roles);
      if (managed !== undefined) return [managed];
      const [counts] = await connection.query<Counts>(countsQuery);
      const show = async (name: string): Promise<string | undefined> => {
        const [row] = await connection.query<{ value: string | null }>(settingQuery, [name]);
        return row?.value ?? undefined;
      };
      return replicationFindings(await readState({ ...first, isAskedBySender: false, counts, show }));
    } catch (error) {
      signal.throwIfAborted();
      if (!isAppError(error)) throw error;
    }
  }
  return []; // SQL is refused, too; why replication is was said.
}

interface Counts {
  readonly senders?: string | undefined;
  readonly slots?: string | undefined;
}

const countsQuery = `SELECT (SELECT count(*)::text FROM pg_catalog.pg_stat_get_wal_senders()) AS senders,
                            (SELECT count(*)::text FROM pg_catalog.pg_replication_slots) AS slots`;

const serverQuery = `
  SELECT pg_catalog.current_setting('server_version') AS version,
         pg_catalog.current_setting('server_version_num')::int / 10000 AS major,
         pg_catalog.pg_is_in_recovery() AS "isStandby",
         ARRAY(SELECT rolname::text FROM pg_catalog.pg_roles WHERE rolname = ANY ($1::text[]) ORDER BY 1) AS roles`;

const settingQuery = 'SELECT pg_catalog.current_setting($1, true) AS value';

interface Asked {
  readonly version: string;
  readonly major: number;
  readonly isStandby: boolean;
  readonly isAskedBySender: boolean;
  readonly counts: Counts | undefined;
  readonly show: (name: string) => Promise<string | undefined>;
}

async function readState({
  version,
  major,
  isStandby,
  isAskedBySender,
  counts,
  show,
}: Asked): Promise<ReplicationState> {
  return {
    version,
    major,
    isStandby,
    walLevel: await show('wal_level'),
    sendersMax: numberOf(await show('max_wal_senders')),
    sendersInUse: numberOf(counts?.senders),
    isAskedBySender,
    slotsMax: numberOf(await show('max_replication_slots')),
    slotsInUse: numberOf(counts?.slots),
    slotLimit: await show('max_slot_wal_keep_size'),
    fullPageWrites: await show('full_page_writes'),
    dataChecksums: await show('data_checksums'),
    summarizeWal: major >= 17 ? await show('summarize_wal') : undefined,
    synchronousStandbyNames: await show('synchronous_standby_names'),
    applicationName: applicationNameDefault,
  };
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}
