// What a physical backup says of itself: where it stands in the WAL, and what a restore must know before it begins.
import { z } from 'zod';
import { AppError } from '../../../base/errors.ts';
import type { JsonObject } from '../../../base/json.ts';
import { databaseFactsJson } from '../database-facts.ts';
import { describeServer, type ServerAddress } from '../server-address.ts';
import { formatLsn, parseLsn } from '../wal/lsn.ts';
import type { ClusterFacts } from './cluster-facts.ts';
import type { Damage } from './damaged-pages.ts';
import type { BackupBegin, WalPlace } from './received-backup.ts';
import type { ServerState } from './server-state.ts';
import type { WalEnd } from './wal-tail.ts';

const lsn = z.string().refine((text) => parseLsn(text) !== undefined, 'is no LSN');

export const physicalFactsSchema = z.object({
  method: z.literal('physical'),
  methodReason: z.string(),
  type: z.enum(['full', 'incremental']),
  /** When the newest backup began that read all: this one, or the one that all since build on. */
  fullTime: z.string(),
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
  /** By the server's clock, microseconds since 1970: no commit before `consistentLsn` is later. */
  consistentTimeUs: z.int(),
  /** When the backup began. */
  snapshotTime: z.string(),
  /** Of the newest commit in the snapshot's WAL. */
  lastCommitTime: z.string().nullable(),
  walSegmentBytes: z.int(),
  hasChecksums: z.boolean(),
  sizeBytes: z.number(),
  /** Databases whose rows were fingerprinted, and items of it about which nothing certain is known at `consistentLsn`. */
  fingerprint: z.object({ databases: z.array(z.string()), leftOut: z.array(z.string()) }).nullable(),
  tablespaces: z.array(z.object({ oid: z.int(), name: z.string().nullable(), location: z.string() })),
  /** Of the server's roles the one that made it; absent where the backup could not ask. */
  superuser: z.string().optional(),
  roles: z.array(z.string()).optional(),
  settings: z.record(z.string(), z.string()).optional(),
  databases: z
    .array(
      z.looseObject({ name: z.string(), extensions: z.array(z.object({ name: z.string(), version: z.string() })) }),
    )
    .optional(),
  /** Files that the server reads from outside the data directory, and where they lie in the snapshot. */
  configuration: z.array(z.object({ path: z.string(), entry: z.string() })),
  /** Files of which pages were damaged at the server. */
  damaged: z.array(
    z.object({ file: z.string(), relation: z.string().nullable(), blocks: z.array(z.int()), count: z.int() }),
  ),
  /** What the backup had to say of itself. */
  notes: z.array(z.string()),
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
  readonly methodReason: string;
  readonly type: 'full' | 'incremental';
  /** Of the backup that this one builds on, if it is not full itself. */
  readonly fullTime: string | undefined;
  readonly consistentTimeUs: number;
  readonly cluster: ClusterFacts | undefined;
  readonly fingerprint: PhysicalFacts['fingerprint'];
  readonly configuration: PhysicalFacts['configuration'];
  readonly damaged: readonly Damage[];
  readonly notes: readonly string[];
}

export function physicalFacts(parts: FactsParts): JsonObject {
  const { address, server, begin, backupEnd, end, takenAtMs, cluster } = parts;
  return {
    method: 'physical',
    methodReason: parts.methodReason,
    type: parts.type,
    fullTime: parts.fullTime ?? new Date(takenAtMs).toISOString(),
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
    consistentTimeUs: parts.consistentTimeUs,
    snapshotTime: new Date(takenAtMs).toISOString(),
    lastCommitTime: end.lastCommitUs === undefined ? null : new Date(end.lastCommitUs / 1000).toISOString(),
    walSegmentBytes: server.walSegmentBytes,
    hasChecksums: server.hasChecksums,
    sizeBytes: begin.sizeBytes,
    fingerprint: parts.fingerprint === null ? null : { ...parts.fingerprint },
    tablespaces: begin.tablespaces.map(({ oid, location }) => ({
      oid,
      name: cluster?.tablespaceNames.get(oid) ?? null,
      location,
    })),
    ...(cluster === undefined ? {} : clusterPart(cluster)),
    configuration: parts.configuration.map((one) => ({ ...one })),
    damaged: parts.damaged.map(({ file, relation, blocks, count }) => ({ file, relation, blocks: [...blocks], count })),
    notes: [...parts.notes],
  };
}

function clusterPart({ superuser, roles, settings, databases }: ClusterFacts): JsonObject {
  return { superuser, roles: [...roles], settings: { ...settings }, databases: databases.map(databaseFactsJson) };
}
