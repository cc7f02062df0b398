// What a replication slot keeps at the server, and when that is a reason to worry. The judgement is pure.
import { formatByteSize } from '../../../base/byte-size.ts';
import type { Finding } from '../../../model/finding.ts';

export interface SlotUse {
  readonly walStatus: string | undefined;
  /** Bytes of WAL that are there for the slot. */
  readonly keptBytes: number;
  /** Undefined: nothing limits it but the disk. */
  readonly limitBytes: number | undefined;
  /** Of the limit, bytes that may still be written; undefined without a limit. */
  readonly safeBytes: number | undefined;
  /** `async`, `sync`, `quorum`, `potential`; undefined while nobody receives, or if the role may not see it. */
  readonly syncState: string | undefined;
  /** Value of synchronous_standby_names. */
  readonly synchronousNames: string | undefined;
  readonly activePid: number | undefined;
}

/** $1 is the name of the slot. Works on standbys. */
export const slotUseQuery = `
  SELECT s.wal_status, s.safe_wal_size::text AS safe, s.active_pid, r.sync_state,
         (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'synchronous_standby_names') AS synchronous_names,
         pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_receive_lsn()
           ELSE pg_catalog.pg_current_wal_lsn() END, s.restart_lsn)::text AS kept,
         (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'max_slot_wal_keep_size') AS limit_megabytes
    FROM pg_catalog.pg_replication_slots s LEFT JOIN pg_catalog.pg_stat_replication r ON r.pid = s.active_pid
   WHERE s.slot_name = `;

export interface SlotUseRow {
  readonly wal_status: string | null;
  readonly safe: string | null;
  readonly active_pid: number | null;
  readonly sync_state: string | null;
  readonly synchronous_names: string | null;
  readonly kept: string | null;
  readonly limit_megabytes: string | null;
}

export function slotUseOf(row: SlotUseRow): SlotUse {
  const limit = Number(row.limit_megabytes ?? -1);
  return {
    walStatus: row.wal_status ?? undefined,
    keptBytes: Math.max(0, Number(row.kept ?? 0)),
    limitBytes: limit < 0 ? undefined : limit * 2 ** 20,
    safeBytes: row.safe === null ? undefined : Number(row.safe),
    syncState: row.sync_state ?? undefined,
    synchronousNames: row.synchronous_names ?? undefined,
    activePid: row.active_pid ?? undefined,
  };
}

/** In rising order. */
export type SlotLevel = 'fine' | 'half' | 'most' | 'beyond' | 'lost';
const levels: readonly SlotLevel[] = ['fine', 'half', 'most', 'beyond', 'lost'];
export const isWorse = (left: SlotLevel, right: SlotLevel): boolean => levels.indexOf(left) > levels.indexOf(right);

const halfShare = 0.5;
const mostShare = 0.8;
/** What a disk of unknown size may be unhappy with. */
const unlimitedHalfBytes = 10 * 2 ** 30;
const unlimitedMostBytes = 50 * 2 ** 30;

export function slotLevel({ walStatus, keptBytes, limitBytes, safeBytes }: SlotUse): SlotLevel {
  if (walStatus === 'lost') return 'lost';
  if (walStatus === 'unreserved') return 'beyond';
  if (limitBytes === undefined) {
    return keptBytes >= unlimitedMostBytes ? 'most' : keptBytes >= unlimitedHalfBytes ? 'half' : 'fine';
  }
  const used = limitBytes === 0 ? 0 : safeBytes === undefined ? keptBytes / limitBytes : 1 - safeBytes / limitBytes;
  return used >= mostShare ? 'most' : used >= halfShare ? 'half' : 'fine';
}

export function describeSlotUse({ keptBytes, limitBytes }: SlotUse): string {
  const limit = limitBytes === undefined ? 'without a limit' : `of at most ${formatByteSize(limitBytes)}`;
  return `keeps ${formatByteSize(keptBytes)} of WAL ${limit}`;
}

/** Undefined if it is fine. */
export function slotFindingOf(name: string, use: SlotUse): Finding | undefined {
  const level = slotLevel(use);
  if (level === 'fine') return undefined;
  const aspect = 'replication slot';
  const what = `slot ${name} ${describeSlotUse(use)}`;
  const catchUp = 'Find out why the receiver is slow or stopped (`journal status`), and look at the disk of pg_wal';
  if (level === 'lost') {
    const hint = 'Start `journal run`, which makes it again, and take a full backup.';
    return { aspect, outcome: 'failed', message: `the server has given up slot ${name}: WAL is missing`, hint };
  }
  if (level === 'beyond') {
    const hint = `${catchUp}; or raise max_slot_wal_keep_size at once.`;
    return { aspect, outcome: 'failed', message: `${what}: the next checkpoint may remove what is not received`, hint };
  }
  const hint = use.limitBytes === undefined ? `${catchUp}: nothing limits what it fills.` : `${catchUp}.`;
  return { aspect, outcome: 'warning', message: what, hint };
}
