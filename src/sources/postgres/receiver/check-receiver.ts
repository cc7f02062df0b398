// Looks at all that receiving a journal needs, and says which statement mends what is missing.
import pg from 'pg';
import { isAppError } from '../../../base/errors.ts';
import type { Finding } from '../../../model/finding.ts';
import { addressOf, type PostgresOptions } from '../options.ts';
import { applicationNameDefault, connectReplication } from '../protocol/connect-replication.ts';
import { slotLimitFinding, synchronousFinding } from '../protocol/preflight-findings.ts';
import type { ReplicationConnection } from '../protocol/replication-connection.ts';
import { describeServer, type ServerAddress } from '../server-address.ts';
import { walMagic } from '../wal/page-header.ts';
import { describeSlotUse, slotFindingOf, slotUseOf, slotUseQuery, type SlotUse } from './slot-state.ts';

export async function* checkReceiver(options: PostgresOptions, signal: AbortSignal): AsyncGenerator<Finding> {
  const looked: Finding[] = [];
  try {
    const address = await addressOf(options);
    const databases = [...options.databases, 'postgres', 'template1'];
    await using connection = await connectReplication(address, { databases, clock: options.clock }, signal);
    looked.push(connectionFinding(connection, address));
    looked.push(await slotFinding(connection, options.slot));
    looked.push(slotLimitFinding(await connection.show('max_slot_wal_keep_size')));
    looked.push(await standbyFinding(connection));
  } catch (error) {
    signal.throwIfAborted();
    if (!isAppError(error)) throw error;
    looked.push({ aspect: 'journal', outcome: 'failed', message: error.message, hint: error.hint });
  }
  yield* looked;
}

function connectionFinding({ facts }: ReplicationConnection, address: ServerAddress): Finding {
  walMagic(facts.major); // Rejects what is not known.
  const place = facts.database === undefined ? 'for replication only' : `in database ${facts.database}`;
  const server = `${describeServer(address)}${facts.isStandby ? ', a standby,' : ''}`;
  return {
    aspect: 'journal connection',
    outcome: 'passed',
    message: `${server} hands out its WAL to ${address.user}, ${place}`,
  };
}

async function slotFinding(connection: ReplicationConnection, name: string): Promise<Finding> {
  const aspect = 'replication slot';
  const slot = await connection.readSlot(name);
  if (slot?.type === 'logical') {
    const hint = 'Give the journal of this component another `slot` in lifeboat.yaml.';
    return { aspect, outcome: 'failed', message: `${name} is a logical slot, of somebody else`, hint };
  }
  if (slot !== undefined) {
    const use = await slotUse(connection, name);
    const finding = use && slotFindingOf(name, use);
    if (finding !== undefined) return finding;
    const user = slot.activePid === undefined ? 'nobody receives from it now' : `in use by process ${slot.activePid}`;
    const kept = use === undefined ? '' : `; it ${describeSlotUse(use)}`;
    return { aspect, outcome: 'passed', message: `${name}: ${user}${kept}` };
  }
  const slotsMax = Number((await connection.show('max_replication_slots')) ?? 0);
  const used = await usedSlots(connection);
  if (used === undefined || used < slotsMax) {
    return { aspect, outcome: 'passed', message: `${name} will be made; ${used ?? 'some'} of ${slotsMax} are in use` };
  }
  const hint = `Run as a superuser: ALTER SYSTEM SET max_replication_slots = ${slotsMax + 5}; and restart the server, or drop one that is not needed.`;
  return { aspect, outcome: 'failed', message: `all ${slotsMax} replication slots are in use`, hint };
}

async function slotUse(connection: ReplicationConnection, name: string): Promise<SlotUse | undefined> {
  if (connection.facts.database === undefined) return undefined;
  const [row] = await connection.query(slotUseQuery + pg.escapeLiteral(name));
  if (row === undefined) return undefined;
  const text = (key: string): string | null => row[key] ?? null;
  const pid = text('active_pid');
  return slotUseOf({
    wal_status: text('wal_status'),
    safe: text('safe'),
    active_pid: pid === null ? null : Number(pid),
    sync_state: text('sync_state'),
    synchronous_names: text('synchronous_names'),
    kept: text('kept'),
    limit_megabytes: text('limit_megabytes'),
  });
}

async function usedSlots(connection: ReplicationConnection): Promise<number | undefined> {
  if (connection.facts.database === undefined) return undefined;
  const [row] = await connection.query('SELECT count(*) AS count FROM pg_catalog.pg_replication_slots');
  return Number(row?.['count']);
}

async function standbyFinding(connection: ReplicationConnection): Promise<Finding> {
  const names = await connection.show('synchronous_standby_names');
  return synchronousFinding(names, applicationNameDefault);
}
