// Looks at an RDB file while it streams by: is it whole, does its checksum fit, what is in it.
// Checksum and content are looked at apart: a file of a newer server, whose content this program can't read, is still
// backed up and known to be whole; it only has no fingerprint.
import { isAppError, type AppError } from '../../base/errors.ts';
import type { Fingerprint } from '../../model/fingerprint.ts';
import { KeyspaceFingerprint } from './keyspace-fingerprint.ts';
import { RdbChecksum } from './rdb-checksum.ts';
import { rdbDamaged } from './rdb-damage.ts';
import { rdbReader } from './rdb-reader.ts';

export interface RdbSummary {
  readonly version: number;
  readonly sizeBytes: number;
  /** `none`: the server has `rdbchecksum no`. */
  readonly checksum: 'verified' | 'none';
  readonly counts: Record<string, Record<string, number>>;
  readonly moduleKeys: number;
  /** Absent if the content could not be read; `unread` says why. */
  readonly fingerprint: Fingerprint | undefined;
  readonly unread: string | undefined;
}

export class RdbCheck {
  readonly #checksum = new RdbChecksum();
  #sizeBytes = 0;
  readonly #reader = rdbReader({ captures: false });
  readonly #keyspace: KeyspaceFingerprint;
  #version: number | undefined;
  #unread: AppError | undefined;

  constructor(like?: Fingerprint) {
    this.#keyspace = new KeyspaceFingerprint(like);
  }

  /** Throws if this is no RDB file at all. */
  push(bytes: Buffer): void {
    this.#sizeBytes += bytes.length;
    this.#checksum.push(bytes);
    this.#parse(() => {
      for (const record of this.#reader.push(bytes)) {
        if (record.kind === 'header') this.#version = record.version;
        else this.#keyspace.add(record);
      }
    });
  }

  /** Throws if the file is cut short or altered. */
  finish(): RdbSummary {
    if (this.#version === undefined) throw rdbDamaged(`it ends after ${this.#sizeBytes} bytes`);
    const hasChecksum = this.#checksum.finish();
    this.#parse(() => this.#reader.finish());
    if (!hasChecksum && isAppError(this.#unread, 'SOURCE_FAILED')) throw this.#unread;
    return {
      version: this.#version,
      sizeBytes: this.#sizeBytes,
      checksum: hasChecksum ? 'verified' : 'none',
      counts: this.#unread === undefined ? this.#keyspace.counts() : {},
      moduleKeys: this.#keyspace.moduleKeys,
      fingerprint: this.#unread === undefined ? this.#keyspace.result() : undefined,
      unread: this.#unread?.message,
    };
  }

  /** A header must be there; what can't be read after it is noted and no more is tried. */
  #parse(read: () => void): void {
    if (this.#unread !== undefined) return;
    try {
      read();
    } catch (error) {
      if (this.#version === undefined || !isAppError(error)) throw error;
      this.#unread = error;
    }
  }
}
