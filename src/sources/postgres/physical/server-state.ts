// What a server says of itself on a replication connection, before a base backup begins.
import { AppError } from '../../../base/errors.ts';
import type { ReplicationConnection } from '../protocol/replication-connection.ts';

export interface ServerState {
  readonly version: string;
  readonly major: number;
  readonly isStandby: boolean;
  readonly systemIdentifier: string;
  readonly hasChecksums: boolean;
  readonly walSegmentBytes: number;
  /** Of the data directory: 0700, or 0750 where a group may read it. */
  readonly folderMode: number;
}

const unitsBytes: Readonly<Record<string, number>> = { B: 1, kB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30 };

export async function readServerState(connection: ReplicationConnection): Promise<ServerState> {
  const { version, major, isStandby } = connection.facts;
  const { systemIdentifier } = await connection.identifySystem();
  const hasChecksums = (await connection.show('data_checksums')) === 'on';
  const segmentText = (await connection.show('wal_segment_size')) ?? '';
  const [, digits, unit = ''] = /^(\d+)(B|kB|MB|GB)$/.exec(segmentText) ?? [];
  if (digits === undefined) {
    throw new AppError('SOURCE_FAILED', `the server says that its WAL segments have the size '${segmentText}'`, {
      hint: 'Check that the address is that of a PostgreSQL server.',
    });
  }
  const modeText = (await connection.show('data_directory_mode')) ?? '0700';
  return {
    version,
    major,
    isStandby,
    systemIdentifier,
    hasChecksums,
    walSegmentBytes: Number(digits) * (unitsBytes[unit] ?? 1),
    folderMode: Number.parseInt(modeText, 8),
  };
}
