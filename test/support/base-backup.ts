// A whole base backup of a test's server, held in memory: what the readers of archives and manifests are tried on.
import { connectReplication } from '../../src/sources/postgres/protocol/connect-replication.ts';
import type { BaseBackupOptions } from '../../src/sources/postgres/protocol/commands.ts';
import { TarReader, type TarMember } from '../../src/sources/postgres/physical/tar-reader.ts';
import type { Lsn } from '../../src/sources/postgres/wal/lsn.ts';
import type { TestServer } from './postgres-server.ts';

export interface ReceivedBackup {
  /** In the order they came; that of the data directory is the last. */
  readonly archives: readonly ReceivedArchive[];
  readonly manifest: Buffer;
  readonly startLsn: Lsn;
  readonly endLsn: Lsn;
}

export interface ReceivedArchive {
  /** Of the tablespace; undefined for the data directory. */
  readonly tablespaceOid: number | undefined;
  readonly pieces: readonly Uint8Array[];
}

export interface ReceivedFile extends TarMember {
  readonly content: Buffer;
}

interface Received {
  readonly archives: { tablespaceOid: number | undefined; pieces: Uint8Array[] }[];
  readonly manifest: Uint8Array[];
  startLsn: Lsn;
  endLsn: Lsn;
}

/** `parentManifest` is that of an earlier backup, to get only what changed since. */
export async function takeBaseBackup(
  server: TestServer,
  options: Omit<BaseBackupOptions, 'label'> = {},
  parentManifest?: Buffer,
): Promise<ReceivedBackup> {
  const signal = new AbortController().signal;
  await using connection = await connectReplication(server.address, {}, signal);
  if (parentManifest !== undefined) await connection.uploadManifest([parentManifest]);
  const received: Received = { archives: [], manifest: [], startLsn: 0n, endLsn: 0n };
  const isIncremental = parentManifest !== undefined;
  const asked = { label: 'try', manifestChecksums: 'SHA256', ...options, isIncremental } as const;
  for await (const event of connection.baseBackup(asked)) {
    if (event.kind === 'start') received.startLsn = event.lsn;
    else if (event.kind === 'end') received.endLsn = event.lsn;
    else if (event.kind === 'archive') {
      received.archives.push({ tablespaceOid: event.tablespace?.oid, pieces: [] });
    } else if (event.kind === 'data') received.archives.at(-1)?.pieces.push(Buffer.from(event.bytes));
    else if (event.kind === 'manifest-data') received.manifest.push(Buffer.from(event.bytes));
  }
  return { ...received, manifest: Buffer.concat(received.manifest) };
}

/** Everything in an archive, by the names that the manifest uses: those of a tablespace lie below its link. */
export function readArchive({ tablespaceOid, pieces }: ReceivedArchive): ReceivedFile[] {
  const reader = new TarReader();
  const files: { member: TarMember; content: Uint8Array[] }[] = [];
  for (const event of pieces.flatMap((piece) => [...reader.push(piece)])) {
    if (event.kind === 'member') files.push({ member: event.member, content: [] });
    else if (event.kind === 'content') files.at(-1)?.content.push(Buffer.from(event.bytes));
  }
  reader.finish();
  const folder = tablespaceOid === undefined ? '' : `pg_tblspc/${tablespaceOid}/`;
  return files.map(({ member, content }) => ({
    ...member,
    path: folder + member.path,
    content: Buffer.concat(content),
  }));
}

export function readArchives(backup: ReceivedBackup): Map<string, ReceivedFile> {
  return new Map(backup.archives.flatMap(readArchive).map((file) => [file.path, file]));
}

export function contentOf(files: ReadonlyMap<string, ReceivedFile>, path: string): Buffer {
  const file = files.get(path);
  if (file === undefined) throw new Error(`the backup has no ${path}`);
  return file.content;
}
