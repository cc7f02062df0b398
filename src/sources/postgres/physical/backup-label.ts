// backup_label: where recovery of a backup must begin. Without it a server would begin at the wrong place and corrupt the data
// in silence, so it is kept byte for byte, but for the two lines that a server refuses to start from.
import { type Lsn, parseLsn } from '../wal/lsn.ts';
import { serverFileDamaged } from '../wal/wal-damage.ts';

export interface BackupLabel {
  /** Where replay begins. */
  readonly startLsn: Lsn;
  readonly startSegmentName: string;
  readonly checkpointLsn: Lsn;
  readonly timeline: number;
  readonly takenFrom: 'primary' | 'standby';
  /** By the server's clock and in its own time zone and words. */
  readonly startTime: string;
  readonly label: string;
  /** Of incremental backups: the start of the backup they build on. */
  readonly incrementalFrom: { readonly lsn: Lsn; readonly timeline: number } | undefined;
}

const sizeBytesMax = 16_384;
const incrementalLine = /^INCREMENTAL FROM (?:LSN|TLI): /;

export function parseBackupLabel(bytes: Buffer): BackupLabel {
  if (bytes.length > sizeBytesMax) throw damaged(`${bytes.length} bytes are too many`);
  const fields = new Map<string, string>();
  for (const line of bytes.toString('utf8').split('\n')) {
    const [, name, value = ''] = /^([A-Z ]+): (.*)$/.exec(line) ?? [];
    if (name !== undefined && !fields.has(name)) fields.set(name, value);
  }
  const [, start = '', startSegmentName] =
    /^(\S+) \(file ([0-9A-F]{24})\)$/.exec(needed(fields, 'START WAL LOCATION')) ?? [];
  if (startSegmentName === undefined) throw damaged('START WAL LOCATION names no segment');
  const takenFrom = needed(fields, 'BACKUP FROM');
  if (takenFrom !== 'primary' && takenFrom !== 'standby') throw damaged('BACKUP FROM is neither primary nor standby');
  return {
    startLsn: toLsn(start, 'START WAL LOCATION'),
    startSegmentName,
    checkpointLsn: toLsn(needed(fields, 'CHECKPOINT LOCATION'), 'CHECKPOINT LOCATION'),
    timeline: toTimeline(needed(fields, 'START TIMELINE'), 'START TIMELINE'),
    takenFrom,
    startTime: fields.get('START TIME') ?? '',
    label: fields.get('LABEL') ?? '',
    incrementalFrom: incrementalFrom(fields),
  };
}

/** The label for a tree that was made whole: a server refuses to start from an incremental backup's own. */
export function labelOfFull(bytes: Buffer): Buffer {
  const lines = bytes.toString('latin1').split('\n');
  return Buffer.from(lines.filter((line) => !incrementalLine.test(line)).join('\n'), 'latin1');
}

function incrementalFrom(fields: ReadonlyMap<string, string>): BackupLabel['incrementalFrom'] {
  const lsn = fields.get('INCREMENTAL FROM LSN');
  if (lsn === undefined) return undefined;
  const timeline = needed(fields, 'INCREMENTAL FROM TLI');
  return { lsn: toLsn(lsn, 'INCREMENTAL FROM LSN'), timeline: toTimeline(timeline, 'INCREMENTAL FROM TLI') };
}

function needed(fields: ReadonlyMap<string, string>, name: string): string {
  const value = fields.get(name);
  if (value === undefined) throw damaged(`it lacks ${name}`);
  return value;
}

function toLsn(text: string, name: string): Lsn {
  const lsn = parseLsn(text);
  if (lsn === undefined) throw damaged(`${name} is no position`);
  return lsn;
}

function toTimeline(text: string, name: string): number {
  const timeline = /^\d{1,10}$/.test(text) ? Number(text) : 0;
  if (timeline === 0) throw damaged(`${name} is no timeline`);
  return timeline;
}

function damaged(what: string): Error {
  return serverFileDamaged(`backup_label: ${what}`);
}
