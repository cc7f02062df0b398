// A base backup as a server sends it, taken with the plain driver: what the readers of archives and manifests are tried on.
import pg from 'pg';
import type { TestServer } from './postgres-server.ts';

export interface ReceivedBackup {
  /** Archives in the order they came; the last one is that of the data directory. */
  readonly archives: readonly { readonly name: string; readonly pieces: readonly Buffer[] }[];
  readonly manifest: readonly Buffer[];
  readonly startLsn: string;
  readonly endLsn: string;
}

export interface BackupRequest {
  readonly checksums?: string;
  readonly manifestMode?: 'yes' | 'force-encode';
  /** The manifest of an earlier backup, to get what changed since (17 and later). */
  readonly parentManifest?: Buffer;
}

/** What the driver hands on of a replication command; it knows nothing of the stream inside. */
interface Listener {
  readonly upload: Buffer;
  row(fields: readonly (string | null)[]): void;
  archiveBegins(): void;
  data(bytes: Buffer): void;
}

export async function takeBaseBackup(server: TestServer, request: BackupRequest = {}): Promise<ReceivedBackup> {
  const { checksums = 'SHA256', manifestMode = 'yes', parentManifest } = request;
  const client = new pg.Client({
    ...server.address,
    ssl: false,
    database: 'postgres',
    replication: 'database',
  } as pg.ClientConfig);
  await client.connect();
  try {
    if (parentManifest !== undefined) await run(client, 'UPLOAD_MANIFEST', { upload: parentManifest });
    const archives: { name: string; pieces: Buffer[] }[] = [];
    const manifest: Buffer[] = [];
    const rows: (readonly (string | null)[])[] = [];
    const isOld = server.major < 15;
    let target: Buffer[] | undefined;
    await run(client, isOld ? oldCommand(checksums) : newCommand(request, checksums, manifestMode), {
      row: (fields) => rows.push(fields),
      archiveBegins() {
        if (!isOld) return;
        // One copy per archive, named by the rows before, and one more for the manifest.
        const tablespaces = rows.slice(1).map(([oid]) => oid);
        const name = tablespaces[archives.length];
        target = archives.length === tablespaces.length ? manifest : [];
        if (target !== manifest) archives.push({ name: name === null ? 'base.tar' : `${name}.tar`, pieces: target });
      },
      data(bytes) {
        if (isOld) target?.push(bytes);
        else if (bytes[0] === 0x6d) target = manifest;
        else if (bytes[0] === 0x64) target?.push(bytes.subarray(1));
        else if (bytes[0] === 0x6e) {
          target = [];
          archives.push({ name: bytes.toString('utf8', 1, bytes.indexOf(0)), pieces: target });
        }
      },
    });
    return { archives, manifest, startLsn: String(rows[0]?.[0]), endLsn: String(rows.at(-1)?.[0]) };
  } finally {
    await client.end();
  }
}

function oldCommand(checksums: string): string {
  return `BASE_BACKUP LABEL 'try' FAST NOWAIT TABLESPACE_MAP NOVERIFY_CHECKSUMS MANIFEST 'yes' MANIFEST_CHECKSUMS '${checksums}'`;
}

function newCommand({ parentManifest }: BackupRequest, checksums: string, manifestMode: string): string {
  const options = [
    "LABEL 'try', CHECKPOINT 'fast', WAIT false, TABLESPACE_MAP, VERIFY_CHECKSUMS false",
    `MANIFEST '${manifestMode}', MANIFEST_CHECKSUMS '${checksums}'`,
    ...(parentManifest === undefined ? [] : ['INCREMENTAL']),
  ];
  return `BASE_BACKUP (${options.join(', ')})`;
}

/** The part of the driver's connection that its types leave out. */
interface DriverConnection {
  query(text: string): void;
  sendCopyFromChunk(bytes: Buffer): void;
  endCopyFrom(): void;
  on(event: 'copyOutResponse', listener: () => void): void;
  removeListener(event: 'copyOutResponse', listener: () => void): void;
}

function run(client: pg.Client, text: string, listener: Partial<Listener>): Promise<void> {
  return new Promise((resolve, reject) => {
    let failure: Error | undefined;
    const begins = (): void => listener.archiveBegins?.();
    const command = {
      submit(connection: DriverConnection) {
        connection.on('copyOutResponse', begins);
        connection.query(text);
      },
      handleRowDescription: () => undefined,
      handleDataRow: ({ fields }: { fields: (string | null)[] }) => listener.row?.(fields),
      handleCommandComplete: () => undefined,
      handleCopyData: ({ chunk }: { chunk: Buffer }) => listener.data?.(Buffer.from(chunk)),
      handleCopyInResponse(connection: DriverConnection) {
        connection.sendCopyFromChunk(listener.upload ?? Buffer.alloc(0));
        connection.endCopyFrom();
      },
      handleError: (error: Error) => (failure = error),
      handleReadyForQuery(connection: DriverConnection) {
        connection.removeListener('copyOutResponse', begins);
        if (failure === undefined) resolve();
        else reject(failure);
      },
    };
    client.query(command as unknown as pg.Submittable);
  });
}
