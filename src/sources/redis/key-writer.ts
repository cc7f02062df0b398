// Writes the keys of an RDB file into a running server, value by value as they stand in the file.
import type { Clock } from '../../base/clock.ts';
import { AppError, isAppError } from '../../base/errors.ts';
import type { RedisConnection } from './connection.ts';
import { Crc64 } from './crc64.ts';
import { RdbChecksum } from './rdb-checksum.ts';
import { rdbReader, type RdbKey } from './rdb-reader.ts';

export interface KeyWriterOptions {
  readonly connection: RedisConnection;
  readonly clock: Clock;
  /** Where keys of a database go; undefined leaves them out. */
  readonly databaseFor: (index: number) => number | undefined;
  /** Called with the number of bytes read. */
  readonly progress: (count: number) => void;
}

export interface WrittenKeys {
  /** By database of the file, then by type. */
  readonly keys: ReadonlyMap<number, ReadonlyMap<string, number>>;
  readonly functions: readonly Buffer[];
}

const inFlightBytesMax = 8 * 1024 * 1024;
const inFlightMax = 1000;

/** The payload of a RESTORE: value, version, checksum over both. */
export function restorePayload(serialized: readonly Buffer[], rdbVersion: number): Buffer {
  const version = Buffer.alloc(2);
  version.writeUInt16LE(rdbVersion);
  const checksum = new Crc64();
  for (const piece of [...serialized, version]) checksum.update(piece);
  return Buffer.concat([...serialized, version, checksum.digest()]);
}

export async function writeKeys(dump: AsyncIterable<Buffer>, options: KeyWriterOptions): Promise<WrittenKeys> {
  const rdb = rdbReader({ captures: true });
  const checksum = new RdbChecksum();
  const writer = new PipelinedWriter(options);
  const functions: Buffer[] = [];
  for await (const bytes of dump) {
    options.progress(bytes.length);
    checksum.push(bytes);
    for (const record of rdb.push(bytes)) {
      if (record.kind === 'header') writer.rdbVersion = record.version;
      else if (record.kind === 'function') functions.push(record.code);
      else if (record.kind === 'key') await writer.write(record);
    }
  }
  rdb.finish();
  await writer.flush();
  // What a comparison of rows would miss: a key that is about to expire anyway.
  checksum.finish();
  return { keys: writer.keys, functions };
}

class PipelinedWriter {
  readonly #options: KeyWriterOptions;
  #inFlight: Promise<unknown>[] = [];
  #inFlightBytes = 0;
  #selected: number | undefined;
  readonly keys = new Map<number, Map<string, number>>();
  rdbVersion = 0;

  constructor(options: KeyWriterOptions) {
    this.#options = options;
  }

  async write(record: RdbKey): Promise<void> {
    const { connection, clock, databaseFor } = this.#options;
    const database = databaseFor(record.database);
    const { serialized, expiresAtMs } = record;
    if (database === undefined || serialized === undefined) return;
    if (expiresAtMs !== undefined && expiresAtMs <= clock.now()) return; // It would be gone at once.
    if (database !== this.#selected) this.#send(connection.call('SELECT', database), 0);
    this.#selected = database;
    const payload = restorePayload(serialized, this.rdbVersion);
    // REPLACE: a step that is run again finds its own keys.
    const sent = connection.call('RESTORE', record.key, expiresAtMs ?? 0, payload, 'REPLACE', 'ABSTTL');
    this.#send(sent, payload.length + record.key.length);
    const types = this.keys.getOrInsertComputed(record.database, () => new Map<string, number>());
    types.set(record.type, (types.get(record.type) ?? 0) + 1);
    if (this.#inFlight.length >= inFlightMax || this.#inFlightBytes >= inFlightBytesMax) await this.flush();
  }

  async flush(): Promise<void> {
    const sent = this.#inFlight;
    this.#inFlight = [];
    this.#inFlightBytes = 0;
    try {
      await Promise.all(sent);
    } catch (error) {
      if (!isAppError(error, 'SOURCE_FAILED')) throw error;
      throw new AppError('RESTORE_FAILED', `a key was refused: ${error.message}`, {
        hint: 'Check memory, version and modules of the target.',
        cause: error,
      });
    }
  }

  #send(sent: Promise<unknown>, sizeBytes: number): void {
    sent.catch(() => undefined); // Reported by flush, which may come later than the rejection.
    this.#inFlight.push(sent);
    this.#inFlightBytes += sizeBytes;
  }
}
