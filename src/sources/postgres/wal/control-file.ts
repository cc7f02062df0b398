// global/pg_control: what a data directory says of itself without a server. Who restores must know whose it is, whether its server
// was stopped, and where its WAL has to go on.
import { AppError } from '../../../base/errors.ts';
import { crc32c } from './crc32c.ts';
import type { Lsn } from './lsn.ts';
import { walPageBytes } from './page-header.ts';
import { isSegmentSize } from './segment-name.ts';
import { serverFileDamaged } from './wal-damage.ts';

/** Where it lies in a data directory. */
export const controlFilePath = 'global/pg_control';

export const clusterStates = [
  'starting up',
  'shut down',
  'shut down in recovery',
  'shutting down',
  'in crash recovery',
  'in archive recovery',
  'in production',
] as const;

export type ClusterState = (typeof clusterStates)[number];

export interface ControlFile {
  readonly systemIdentifier: bigint;
  readonly major: number;
  readonly state: ClusterState;
  /** Of the last change of this file, milliseconds since 1970. */
  readonly updatedMs: number;
  readonly checkpointLsn: Lsn;
  readonly redoLsn: Lsn;
  readonly timeline: number;
  readonly checkpointMs: number;
  /** Replay may not end before; 0 where no recovery is under way. */
  readonly minRecoveryLsn: Lsn;
  readonly backupStartLsn: Lsn;
  readonly segmentBytes: number;
  readonly hasChecksums: boolean;
  readonly tracksCommitTimes: boolean;
  readonly walLevel: 'minimal' | 'replica' | 'logical';
  /** What a hot standby must have at least. */
  readonly limits: ServerLimits;
}

export interface ServerLimits {
  readonly max_connections: number;
  readonly max_worker_processes: number;
  readonly max_wal_senders: number;
  readonly max_prepared_transactions: number;
  readonly max_locks_per_transaction: number;
}

/** The magic number of the catalogue's layout tells the majors apart where the version of this file does not. */
const majors = [
  { major: 14, controlVersion: 1300, catalogVersion: 202_107_181 },
  { major: 15, controlVersion: 1300, catalogVersion: 202_209_061 },
  { major: 16, controlVersion: 1300, catalogVersion: 202_307_071 },
  { major: 17, controlVersion: 1700, catalogVersion: 202_406_281 },
  { major: 18, controlVersion: 1800, catalogVersion: 202_506_291 },
];

const walLevels = ['minimal', 'replica', 'logical'] as const;

/** What all here that reads pages and files takes for granted; a server can be built otherwise. */
const pageBytes = 8192;
const pagesPerFile = 131_072;

/** Rejects what is cut short, altered, of a version that is not known or of a server that was built in another way. */
export function readControlFile(bytes: Buffer): ControlFile {
  if (bytes.length < 512) throw damaged(`only ${bytes.length} bytes`);
  const [controlVersion, catalogVersion] = [bytes.readUInt32LE(8), bytes.readUInt32LE(12)];
  const known = majors.find((one) => one.controlVersion === controlVersion && one.catalogVersion === catalogVersion);
  if (known === undefined) throw unsupported(`version ${controlVersion}, catalogue ${catalogVersion} is not known`);
  const crcAt = known.major >= 18 ? 292 : 288;
  if (crc32c(bytes.subarray(0, crcAt)) !== bytes.readUInt32LE(crcAt)) throw damaged('its checksum is wrong');
  checkBuild(bytes);
  const state = clusterStates[bytes.readUInt32LE(16)];
  const walLevel = walLevels[bytes.readUInt32LE(172)];
  if (state === undefined || walLevel === undefined) throw damaged('its state is not known');
  return {
    systemIdentifier: bytes.readBigUInt64LE(0),
    major: known.major,
    state,
    updatedMs: Number(bytes.readBigInt64LE(24)) * 1000,
    checkpointLsn: bytes.readBigUInt64LE(32),
    redoLsn: bytes.readBigUInt64LE(40),
    timeline: bytes.readUInt32LE(48),
    checkpointMs: Number(bytes.readBigInt64LE(104)) * 1000,
    minRecoveryLsn: bytes.readBigUInt64LE(136),
    backupStartLsn: bytes.readBigUInt64LE(152),
    segmentBytes: bytes.readUInt32LE(228),
    hasChecksums: bytes.readUInt32LE(252) !== 0,
    tracksCommitTimes: bytes.readUInt8(200) !== 0,
    walLevel,
    limits: {
      max_connections: bytes.readInt32LE(180),
      max_worker_processes: bytes.readInt32LE(184),
      max_wal_senders: bytes.readInt32LE(188),
      max_prepared_transactions: bytes.readInt32LE(192),
      max_locks_per_transaction: bytes.readInt32LE(196),
    },
  };
}

function checkBuild(bytes: Buffer): void {
  if (bytes.readUInt32LE(204) !== 8 || bytes.readDoubleLE(208) !== 1_234_567) {
    throw unsupported('its server ran on another kind of processor');
  }
  const [page, file, walPage] = [bytes.readUInt32LE(216), bytes.readUInt32LE(220), bytes.readUInt32LE(224)];
  if (page !== pageBytes || file !== pagesPerFile || walPage !== walPageBytes) {
    throw unsupported(`its server was built with pages of ${page}, files of ${file} pages and WAL pages of ${walPage}`);
  }
  const segmentBytes = bytes.readUInt32LE(228);
  if (!isSegmentSize(segmentBytes)) throw damaged(`WAL segments of ${segmentBytes} bytes`);
}

function damaged(what: string): Error {
  return serverFileDamaged(`${controlFilePath}: ${what}`);
}

function unsupported(what: string): AppError {
  return new AppError('SOURCE_UNSUPPORTED', `${controlFilePath}: ${what}`, {
    hint: 'Back this server up with the method logical, or update this program.',
  });
}
