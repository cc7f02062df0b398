// global/pg_control: what a data directory says of itself without a server. Who restores must know whose it is, whether its server
// was stopped, and where its WAL has to go on.
import { crc32c } from './crc32c.ts';
import type { Lsn } from './lsn.ts';
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

/** Rejects what is cut short, altered or of a version that is not known; byte order as on all machines of today. */
export function readControlFile(bytes: Buffer): ControlFile {
  const damaged = (what: string): Error => serverFileDamaged(`${controlFilePath}: ${what}`);
  if (bytes.length < 512) throw damaged(`only ${bytes.length} bytes`);
  const [controlVersion, catalogVersion] = [bytes.readUInt32LE(8), bytes.readUInt32LE(12)];
  const known = majors.find((one) => one.controlVersion === controlVersion && one.catalogVersion === catalogVersion);
  if (known === undefined) throw damaged(`version ${controlVersion}, catalogue ${catalogVersion} is not known`);
  const crcAt = known.major >= 18 ? 292 : 288;
  if (crc32c(bytes.subarray(0, crcAt)) !== bytes.readUInt32LE(crcAt)) throw damaged('its checksum is wrong');
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
