// What is known of a replication slot, from SQL or from READ_REPLICATION_SLOT, which tells less. Pure.
import { quoteText } from './commands.ts';
import type { Row } from './rows.ts';
import { serverLsn } from './server-lsn.ts';
import type { Lsn } from '../wal/lsn.ts';

export interface SlotState {
  readonly type: 'physical' | 'logical';
  /** From here on WAL is kept; undefined if none ever was, or if it is lost. */
  readonly restartLsn: Lsn | undefined;
  /** Undefined where only the command could be asked, and for a slot that never kept any. */
  readonly walStatus: 'reserved' | 'extended' | 'unreserved' | 'lost' | undefined;
  readonly activePid: number | undefined;
  /** Bytes that may be written until WAL is in danger; undefined if nothing limits what the slot keeps. */
  readonly safeWalBytes: number | undefined;
}

export function readSlotQuery(name: string): string {
  return `SELECT slot_type, restart_lsn, wal_status, active_pid, safe_wal_size
            FROM pg_catalog.pg_replication_slots WHERE slot_name = ${quoteText(name)}`;
}

export function slotOf(row: Row): SlotState {
  const { slot_type: type, restart_lsn: restart, wal_status: status, active_pid: pid, safe_wal_size: safe } = row;
  return {
    type: type === 'logical' ? 'logical' : 'physical',
    restartLsn: restart === undefined ? undefined : serverLsn(restart),
    walStatus: status as SlotState['walStatus'],
    activePid: pid === undefined ? undefined : Number(pid),
    safeWalBytes: safe === undefined ? undefined : Number(safe),
  };
}
