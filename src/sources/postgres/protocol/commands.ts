// Replication commands in the spelling that each major understands. Pure.
import { formatLsn, type Lsn } from '../wal/lsn.ts';

export interface BaseBackupOptions {
  /** Lands in backup_label; without line breaks. */
  readonly label: string;
  /** `spread` may take minutes before the first byte. */
  readonly checkpoint?: 'fast' | 'spread' | undefined;
  /** Algorithm of the manifest's checksums; no manifest if absent. */
  readonly manifestChecksums?: 'NONE' | 'CRC32C' | 'SHA224' | 'SHA256' | 'SHA384' | 'SHA512' | undefined;
  /** At most so many kB each second. */
  readonly maxRateKilobytes?: number | undefined;
  /** Needs 17 and a manifest uploaded before on this connection. */
  readonly isIncremental?: boolean | undefined;
}

/** Always with sizes and a tablespace map; never waits for the archiver, never has the server check pages. */
export function baseBackupCommand(options: BaseBackupOptions, major: number): string {
  return major >= 15 ? baseBackupInParentheses(options) : baseBackupInWords(options);
}

function baseBackupInParentheses(options: BaseBackupOptions): string {
  const { label, checkpoint = 'fast', manifestChecksums, maxRateKilobytes, isIncremental = false } = options;
  const parts = [
    `LABEL ${quoteText(label)}`,
    'PROGRESS',
    `CHECKPOINT '${checkpoint}'`,
    'WAIT false',
    'TABLESPACE_MAP',
    'VERIFY_CHECKSUMS false',
    ...(manifestChecksums === undefined ? [] : [`MANIFEST 'yes'`, `MANIFEST_CHECKSUMS '${manifestChecksums}'`]),
    ...(maxRateKilobytes === undefined ? [] : [`MAX_RATE ${maxRateKilobytes}`]),
    ...(isIncremental ? ['INCREMENTAL'] : []),
  ];
  return `BASE_BACKUP (${parts.join(', ')})`;
}

function baseBackupInWords(options: BaseBackupOptions): string {
  const { label, checkpoint = 'fast', manifestChecksums, maxRateKilobytes } = options;
  const parts = [
    `LABEL ${quoteText(label)}`,
    'PROGRESS',
    ...(checkpoint === 'fast' ? ['FAST'] : []),
    'NOWAIT',
    ...(maxRateKilobytes === undefined ? [] : [`MAX_RATE ${maxRateKilobytes}`]),
    'TABLESPACE_MAP',
    'NOVERIFY_CHECKSUMS',
    ...(manifestChecksums === undefined ? [] : [`MANIFEST 'yes'`, `MANIFEST_CHECKSUMS '${manifestChecksums}'`]),
  ];
  return `BASE_BACKUP ${parts.join(' ')}`;
}

export interface WalRequest {
  /** Undefined: without a slot, the server may remove what is not yet fetched. */
  readonly slot?: string | undefined;
  readonly start: Lsn;
  readonly timeline: number;
}

export function startReplicationCommand({ slot, start, timeline }: WalRequest): string {
  const named = slot === undefined ? '' : `SLOT ${quoteName(slot)} `;
  return `START_REPLICATION ${named}PHYSICAL ${formatLsn(start)} TIMELINE ${timeline}`;
}

export interface SlotOptions {
  /** Vanishes with the connection. */
  readonly isTemporary?: boolean | undefined;
  /** Keeps WAL from the newest checkpoint on; else from the first report of what was flushed. */
  readonly reservesWal?: boolean | undefined;
}

export function createSlotCommand(name: string, options: SlotOptions, major: number): string {
  const temporary = options.isTemporary === true ? ' TEMPORARY' : '';
  const reserve = options.reservesWal === true ? (major >= 15 ? ' (RESERVE_WAL)' : ' RESERVE_WAL') : '';
  return `CREATE_REPLICATION_SLOT ${quoteName(name)}${temporary} PHYSICAL${reserve}`;
}

export function dropSlotCommand(name: string, { waits }: { readonly waits: boolean }): string {
  return `DROP_REPLICATION_SLOT ${quoteName(name)}${waits ? ' WAIT' : ''}`;
}

export function readSlotCommand(name: string): string {
  return `READ_REPLICATION_SLOT ${quoteName(name)}`;
}

function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Replication commands know no escapes by backslash. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
