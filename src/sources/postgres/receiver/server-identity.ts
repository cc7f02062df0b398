// Who the server is and which way its timelines went, asked on a replication connection.
import { replicationFailure } from '../protocol/replication-error.ts';
import type { ReplicationConnection } from '../protocol/replication-connection.ts';
import { protocolError } from '../protocol/protocol-error.ts';
import { ancestorHistory, type TimelineFacts } from '../lineage.ts';
import type { Lsn } from '../wal/lsn.ts';
import { isSegmentSize } from '../wal/segment-name.ts';

export interface ServerIdentity extends TimelineFacts {
  /** How far its WAL reaches. */
  readonly lsn: Lsn;
  readonly isStandby: boolean;
}

export async function identifyServer(connection: ReplicationConnection): Promise<ServerIdentity> {
  const { systemIdentifier, timeline, lsn } = await connection.identifySystem();
  const segmentBytes = segmentSize((await connection.show('wal_segment_size')) ?? '');
  const { isStandby, major } = connection.facts;
  const history = timeline === 1 ? undefined : (await connection.timelineHistory(timeline)).content;
  return { systemIdentifier, timeline, history, lsn, isStandby, major, segmentBytes };
}

/** The same server, as it was on an ancestor of its timeline. */
export async function identifyAncestor(
  connection: ReplicationConnection,
  server: ServerIdentity,
  timeline: number,
): Promise<TimelineFacts> {
  if (timeline === server.timeline) return server;
  return { ...server, timeline, history: await historyOfAncestor(connection, server, timeline) };
}

async function historyOfAncestor(
  connection: ReplicationConnection,
  server: ServerIdentity,
  timeline: number,
): Promise<Buffer | undefined> {
  if (timeline === 1) return undefined;
  try {
    return (await connection.timelineHistory(timeline)).content;
  } catch (error) {
    if (replicationFailure(error) !== 'no-timeline-history') throw error;
    return ancestorHistory(server.history ?? Buffer.alloc(0), timeline);
  }
}

/** `16MB`, as SHOW says it. */
function segmentSize(text: string): number {
  const match = /^(\d+)(MB|GB)$/.exec(text);
  const bytes = Number(match?.[1]) * (match?.[2] === 'GB' ? 2 ** 30 : 2 ** 20);
  if (!isSegmentSize(bytes)) throw protocolError(`a wal_segment_size of '${text}'`);
  return bytes;
}
