// What tests need of a real server's write-ahead log: its folder, its segments, whose they are.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseWalFileName } from '../../src/sources/postgres/wal/segment-name.ts';
import type { TestServer } from './postgres-server.ts';

export const walSegmentBytes = 16 * 2 ** 20;

export async function dataFolder(server: TestServer): Promise<string> {
  const [row] = await server.sql('postgres', 'SHOW data_directory');
  return String(row?.['data_directory']);
}

export async function systemIdentifier(server: TestServer): Promise<bigint> {
  const [row] = await server.sql('postgres', 'SELECT system_identifier::text AS id FROM pg_control_system()');
  return BigInt(String(row?.['id']));
}

export interface SegmentFile {
  readonly timeline: number;
  readonly segment: number;
  readonly bytes: Buffer;
}

/** All segments in `pg_wal`, in order; the newest may be one that is prepared for later use. */
export async function readSegments(folder: string): Promise<SegmentFile[]> {
  const segments: SegmentFile[] = [];
  for (const name of (await readdir(join(folder, 'pg_wal'))).toSorted()) {
    const parsed = parseWalFileName(name, walSegmentBytes);
    if (parsed?.kind !== 'segment') continue;
    segments.push({ ...parsed, bytes: await readFile(join(folder, 'pg_wal', name)) });
  }
  return segments;
}
