// Looks at a Redis server: can it be backed up, with which rights, and what of its settings matters.
import { isAppError, messageOf } from '../../base/errors.ts';
import type { Finding } from '../../model/finding.ts';
import { refusedCommand, rightsHint } from './access-rights.ts';
import { addressText, connectRedis, type RedisAddress, type RedisConnection } from './connection.ts';
import { majorVersion, productOf, serverInfo, type ServerInfo } from './server-facts.ts';

const versionMin = 6;

export async function* checkRedis(address: RedisAddress, signal: AbortSignal): AsyncIterable<Finding> {
  let connection: RedisConnection;
  try {
    connection = await connectRedis(address, signal);
  } catch (error) {
    if (!isAppError(error)) throw error;
    yield { aspect: 'connection', outcome: 'failed', message: error.message, hint: error.hint };
    return;
  }
  await using open = connection;
  yield { aspect: 'connection', outcome: 'passed', message: `redis at ${addressText(address)} answers` };
  let info: ServerInfo;
  try {
    info = await serverInfo(open);
  } catch (error) {
    if (!isAppError(error)) throw error;
    yield { aspect: 'access rights', outcome: 'failed', message: error.message, hint: error.hint };
    return;
  }
  yield* findingsOf(info);
  yield* rightsFindings(open, { address, info });
}

/** Pure: what INFO tells. */
export function* findingsOf(info: ServerInfo): Iterable<Finding> {
  yield versionFinding(info);
  yield roleFinding(info);
  yield persistenceFinding(info);
  if (info.get('cluster_enabled') === '1') {
    yield {
      aspect: 'cluster',
      outcome: 'warning',
      message: 'the server is one node of a cluster and holds a part of its keys',
      hint: 'Add a component for each master of the cluster.',
    };
  }
  const policy = info.get('maxmemory_policy') ?? 'noeviction';
  if (Number(info.get('maxmemory') ?? 0) > 0 && policy !== 'noeviction') {
    yield {
      aspect: 'eviction',
      outcome: 'warning',
      message: `the server drops keys when memory is full (${policy}), so backups hold what was left at their time`,
      hint: 'Set maxmemory-policy noeviction if keys must not be lost.',
    };
  }
}

function versionFinding(info: ServerInfo): Finding {
  const product = productOf(info);
  if (majorVersion(info) >= versionMin) return { aspect: 'server version', outcome: 'passed', message: product };
  return {
    aspect: 'server version',
    outcome: 'failed',
    message: `${product} is older than ${versionMin}`,
    hint: `Update the server to Redis ${versionMin} or newer, or to Valkey.`,
  };
}

function roleFinding(info: ServerInfo): Finding {
  if (info.get('role') !== 'slave') return { aspect: 'role', outcome: 'passed', message: 'the server is a master' };
  if (info.get('master_link_status') === 'up') {
    return { aspect: 'role', outcome: 'passed', message: 'the server is a replica and connected to its master' };
  }
  return {
    aspect: 'role',
    outcome: 'failed',
    message: 'the server is a replica without a connection to its master',
    hint: 'Restore the replication, or name the master in the component.',
  };
}

function persistenceFinding(info: ServerInfo): Finding {
  const aspect = 'persistence';
  if (info.get('rdb_last_bgsave_status') === 'err') {
    return {
      aspect,
      outcome: 'warning',
      message: 'the last save of the server failed',
      hint: "Look into the server's log: memory for the fork, or disk space, may be missing.",
    };
  }
  if (info.get('aof_enabled') === '1') {
    return { aspect, outcome: 'passed', message: 'append-only file is on: at a start it wins over dump.rdb' };
  }
  return { aspect, outcome: 'passed', message: 'append-only file is off: at a start dump.rdb is loaded' };
}

/** Asks the server instead of trying: a tried PSYNC would make it fork. */
async function* rightsFindings(
  connection: RedisConnection,
  { address, info }: { readonly address: RedisAddress; readonly info: ServerInfo },
): AsyncIterable<Finding> {
  const aspect = 'access rights';
  const who = address.username ?? 'default';
  const hint = rightsHint(who, majorVersion(info));
  try {
    const known = await connection.call('COMMAND', 'INFO', 'psync');
    if (!Array.isArray(known) || known[0] === null) {
      const message = 'the server offers no replication (PSYNC)';
      yield { aspect, outcome: 'failed', message, hint: "Use the provider's own backups of this server." };
      return;
    }
    const refused = await refusedCommand(connection, who, 'backup');
    yield refused === undefined
      ? { aspect, outcome: 'passed', message: `user ${who} may replicate` }
      : { aspect, outcome: 'failed', message: `user ${who} may not ${refused}`, hint };
    const missing = await refusedCommand(connection, who, 'restore');
    const message =
      missing === undefined
        ? `user ${who} may restore`
        : `user ${who} is for backups: it may not ${missing}, so restore as another user`;
    yield { aspect: 'restore rights', outcome: 'passed', message };
  } catch (error) {
    if (!isAppError(error)) throw error;
    // Redis 6 knows no dry run, and a user of few rights may not ask for one.
    const message = `whether user ${who} may replicate can't be asked: ${messageOf(error)}`;
    yield { aspect, outcome: 'inconclusive', message, hint: `${hint} A first backup shows whether that suffices.` };
  }
}
