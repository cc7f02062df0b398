// What a server answers on a replication connection, as a fact with a code and the statement that mends it. What is no affair of
// replication is read as for any other connection.
import pg from 'pg';
import { AppError, asError, isAppError, type ErrorCode } from '../../../base/errors.ts';
import type { ServerAddress } from '../server-address.ts';
import { sourceError } from '../server-errors.ts';
import { ServerError } from './server-notice.ts';

/** For code that goes on differently for each; `replicationFailure` tells it of an error. */
export type ReplicationFailure =
  | 'no-replication-right'
  | 'no-hba-line'
  | 'no-free-sender'
  | 'no-free-slot'
  | 'slot-active'
  | 'slot-exists'
  | 'slot-missing'
  | 'slot-lost'
  | 'wal-removed'
  | 'ahead-of-server'
  | 'timeline-unknown'
  | 'no-timeline-history'
  | 'server-stops';

interface Rule {
  readonly failure: ReplicationFailure;
  /** SQLSTATE; undefined where it depends on how the server found out. */
  readonly state: string | undefined;
  /** Names of settings and functions stay what they are in every language; else there are only the English words. */
  readonly sign: RegExp;
  readonly code: ErrorCode;
  readonly hint: (place: Place, error: Error) => string;
}

interface Place {
  readonly address: ServerAddress;
  readonly database: string | undefined;
}

const rules: readonly Rule[] = [
  {
    failure: 'no-replication-right',
    state: '42501',
    sign: /replication role|start WAL sender|REPLICATION/,
    code: 'SOURCE_DENIED',
    hint: ({ address }) => `Run as a superuser: ALTER ROLE ${pg.escapeIdentifier(address.user)} REPLICATION;`,
  },
  {
    failure: 'no-hba-line',
    state: '28000',
    sign: /pg_hba\.conf/,
    code: 'SOURCE_DENIED',
    hint: ({ address, database }, { message }) =>
      `Add to pg_hba.conf before what applies now: '${hbaLine(address, database, clientIn(message))}', then run SELECT pg_reload_conf();`,
  },
  {
    failure: 'no-free-sender',
    state: '53300',
    sign: /max_wal_senders/,
    code: 'SOURCE_UNREACHABLE',
    hint: () =>
      'Run as a superuser: ALTER SYSTEM SET max_wal_senders = 10; (wal_level must be replica or logical), then restart the server; or end one that is not needed (pg_stat_replication).',
  },
  {
    failure: 'no-free-slot',
    state: '53400',
    sign: /replication slots|ReplicationSlotCreate/,
    code: 'SOURCE_FAILED',
    hint: () =>
      "Drop a slot that nobody needs (SELECT pg_drop_replication_slot('name'); pg_replication_slots lists them), or run ALTER SYSTEM SET max_replication_slots = 10; and restart the server.",
  },
  {
    failure: 'slot-active',
    state: '55006',
    sign: /slot/i,
    code: 'SOURCE_FAILED',
    hint: () =>
      'Stop the other receiver; if it is gone already, the server finds out after wal_sender_timeout, or run SELECT pg_terminate_backend(pid).',
  },
  {
    failure: 'slot-exists',
    state: '42710',
    sign: /slot/i,
    code: 'SOURCE_FAILED',
    hint: () => 'Choose another name for the slot.',
  },
  {
    failure: 'slot-missing',
    state: '42704',
    sign: /slot/i,
    code: 'SOURCE_FAILED',
    hint: () => 'Create the slot again and take a full backup: what was written meanwhile may be missing.',
  },
  {
    failure: 'slot-lost',
    state: '55000',
    sign: /slot/i,
    code: 'JOURNAL_GAP',
    hint: () =>
      'Take a full backup now; then raise max_slot_wal_keep_size, or find out why the receiver was away for so long.',
  },
  {
    failure: 'wal-removed',
    state: undefined,
    sign: /requested WAL segment .* already been removed|CheckXLogRemoved|WalSndSegmentOpen/,
    code: 'JOURNAL_GAP',
    hint: () => 'Take a full backup now; use a replication slot, so that the server keeps what is not yet fetched.',
  },
  {
    failure: 'no-timeline-history',
    state: '58P01',
    sign: /\.history/,
    code: 'SOURCE_FAILED',
    hint: () => 'Look for the file in pg_wal of the server and in its archive.',
  },
  {
    failure: 'timeline-unknown',
    state: 'XX000',
    sign: /timeline/i,
    code: 'JOURNAL_FORKED',
    hint: () => 'Check that this is the server whose journal is kept, and not a copy that went its own way.',
  },
  {
    failure: 'ahead-of-server',
    state: 'XX000',
    sign: /ahead of the WAL flush position/,
    code: 'JOURNAL_FORKED',
    hint: () =>
      'Check that the server was not put back to an earlier state, and that it is the one whose journal is kept.',
  },
  {
    failure: 'server-stops',
    state: '57P01',
    sign: /./,
    code: 'SOURCE_UNREACHABLE',
    hint: () => 'Wait until the server runs again: somebody stopped it or ended the connection.',
  },
];

const known = new WeakMap<AppError, ReplicationFailure>();

/** What kind of failure an error of a replication connection is, if it is one that calls for something special. */
export function replicationFailure(error: unknown): ReplicationFailure | undefined {
  return isAppError(error) ? known.get(error) : undefined;
}

export function replicationError(error: unknown, address: ServerAddress, database: string | undefined): AppError {
  const general = sourceError(error, address, database ?? 'replication');
  const rule = rules.find(({ state, sign }) => error instanceof Error && fits(error, state, sign));
  if (rule === undefined) return general;
  const hint = rule.hint({ address, database }, asError(error));
  const special = new AppError(rule.code, general.message, { hint, cause: error });
  known.set(special, rule.failure);
  return special;
}

function fits(error: Error, state: string | undefined, sign: RegExp): boolean {
  if (!('code' in error) || (state !== undefined && error.code !== state)) return false;
  return sign.test(error.message) || (error instanceof ServerError && sign.test(error.routine));
}

/** The line that lets this role in from an address that the server sees; `database` undefined stands for `replication=true`. */
export function hbaLine({ host, user, ssl }: ServerAddress, database: string | undefined, client: string): string {
  const name = database === undefined ? 'replication' : hbaName(database);
  if (host.startsWith('/')) return `local ${name} ${hbaName(user)} scram-sha-256`;
  const type = ssl.mode === 'disable' || ssl.mode === 'prefer' ? 'host' : 'hostssl';
  return `${type} ${name} ${hbaName(user)} ${client}/${client.includes(':') ? 128 : 32} scram-sha-256`;
}

function hbaName(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** Our address as the server sees it: the first thing in quotes of a refusal that names it. */
function clientIn(message: string): string {
  return /["«„]([0-9a-f.:]*[0-9a-f])(?:%[^"]*)?["»“]/.exec(message)?.[1] ?? '<address of this machine>';
}
