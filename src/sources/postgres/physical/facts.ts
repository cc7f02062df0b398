// What a physical backup says of itself: where it stands in the WAL, and what a restore must know before it begins.
import { z } from 'zod';
import { AppError } from '../../../base/errors.ts';
import type { JsonObject } from '../../../base/json.ts';
import { describeServer, type ServerAddress } from '../server-address.ts';
import { formatLsn, parseLsn } from '../wal/lsn.ts';
import type { BackupBegin, WalPlace } from './received-backup.ts';
import type { ServerState } from './server-state.ts';
import type { WalEnd } from './wal-tail.ts';

const lsn = z.string().refine((text) => parseLsn(text) !== undefined, 'is no LSN');

export const physicalFactsSchema = z.object({
  method: z.literal('physical'),
  type: z.enum(['full', 'incremental']),
  /** Of the server that was backed up. */
  server: z.string(),
  serverVersion: z.string(),
  serverMajor: z.int(),
  isStandby: z.boolean(),
  /** A 64-bit number. */
  systemIdentifier: z.string(),
  /** At `consistentLsn`. */
  timeline: z.int().min(1),
  startTimeline: z.int().min(1),
  startLsn: lsn,
  endLsn: lsn,
  /** Where the WAL in the snapshot ends: what a plain start of the copy recovers to. */
  consistentLsn: lsn,
  /** When the backup began. */
  snapshotTime: z.string(),
  /** Of the newest commit in the snapshot's WAL. */
  lastCommitTime: z.string().nullable(),
  walSegmentBytes: z.int(),
  hasChecksums: z.boolean(),
  sizeBytes: z.number(),
  /** Databases whose rows were fingerprinted, and items of it about which nothing certain is known at `consistentLsn`. */
  fingerprint: z.object({ databases: z.array(z.string()), leftOut: z.array(z.string()) }).nullable(),
  tablespaces: z.array(z.object({ oid: z.int(), location: z.string() })),
});

export type PhysicalFacts = z.infer<typeof physicalFactsSchema>;

export function isPhysical(facts: JsonObject): boolean {
  return facts['method'] === 'physical';
}

/** Rejects facts that no backup of this program has. */
export function readPhysicalFacts(facts: JsonObject): PhysicalFacts {
  const outcome = physicalFactsSchema.safeParse(facts);
  if (outcome.success) return outcome.data;
  throw new AppError('REPOSITORY_DAMAGED', 'the facts of the physical backup are not what they should be', {
    hint: 'Use the version of this program that took the backup, or another recovery point.',
    cause: outcome.error,
  });
}

export interface FactsParts {
  readonly address: ServerAddress;
  readonly server: ServerState;
  readonly begin: BackupBegin;
  readonly backupEnd: WalPlace;
  readonly end: WalEnd;
  readonly takenAtMs: number;
  readonly fingerprint: PhysicalFacts['fingerprint'];
}

export function physicalFacts(parts: FactsParts): PhysicalFacts {
  const { address, server, begin, backupEnd, end, takenAtMs } = parts;
  return {
    method: 'physical',
    type: 'full',
    server: describeServer(address),
    serverVersion: server.version,
    serverMajor: server.major,
    isStandby: server.isStandby,
    systemIdentifier: server.systemIdentifier,
    timeline: end.timeline,
    startTimeline: begin.start.timeline,
    startLsn: formatLsn(begin.start.lsn),
    endLsn: formatLsn(backupEnd.lsn),
    consistentLsn: formatLsn(end.lsn),
    snapshotTime: new Date(takenAtMs).toISOString(),
    lastCommitTime: end.lastCommitUs === undefined ? null : new Date(end.lastCommitUs / 1000).toISOString(),
    walSegmentBytes: server.walSegmentBytes,
    hasChecksums: server.hasChecksums,
    sizeBytes: begin.sizeBytes,
    fingerprint: parts.fingerprint,
    tablespaces: begin.tablespaces.map(({ oid, location }) => ({ oid, location })),
  };
}
