// Looks at every file of a base backup while it passes: are its pages whole, and is it what the manifest says was sent?
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { AppError } from '../../../base/errors.ts';
import type { Lsn } from '../wal/lsn.ts';
import type { ManifestFile } from './manifest.ts';
import { ManifestIndex } from './manifest-index.ts';
import { PageCheck, type PageCheckResult } from './page-check.ts';
import { pageBytes, relationFile, relationPath, type RelationFile } from './relation-file.ts';

export interface DamagedFile {
  /** From the data directory on. */
  readonly path: string;
  readonly relation: RelationFile;
  readonly pages: PageCheckResult;
}

export interface ReceivedFilesOptions {
  /** Where the backup begins: changes from there on are in the WAL. */
  readonly startLsn: Lsn;
  /** Whether the cluster's pages carry checksums. */
  readonly hasChecksums: boolean;
  /** Whether bytes might change on their way, so that they are compared with the manifest's SHA-256, not by size alone. */
  readonly isWayOpen: boolean;
}

export interface ChangedPagesCheck {
  /** Bytes and where they belong in the file; pages may come in pieces. */
  range(range: { readonly offset: number; readonly bytes: Uint8Array }): void;
  finish(): void;
}

/** Of these no list is kept, only their number. */
const damagedFilesMax = 1000;

export class ReceivedFiles {
  readonly #options: ReceivedFilesOptions;
  readonly #index = new ManifestIndex();
  #compared = 0;
  #damagedLeftOut = 0;
  /** Files with pages that no WAL will bring back. */
  readonly damaged: DamagedFile[] = [];
  /** Files with torn pages, and the latest change that one of them claims: behind the end of the backup it can't be. */
  readonly torn: DamagedFile[] = [];
  sizeBytes = 0;

  constructor(options: ReceivedFilesOptions) {
    this.#options = options;
  }

  get damagedLeftOut(): number {
    return this.#damagedLeftOut;
  }

  /** Hands the pieces on unchanged; rejects if there are not as many bytes as were announced. */
  async *watch(path: string, sizeBytes: number, content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    const relation = this.#options.hasChecksums ? relationFile(path) : undefined;
    const check =
      relation === undefined || relation.isIncremental
        ? undefined
        : new PageCheck({ segment: relation.segment, startLsn: this.#options.startLsn });
    const hash = this.#options.isWayOpen ? createHash('sha256') : undefined;
    let bytes = 0;
    for await (const piece of content) {
      bytes += piece.length;
      hash?.update(piece);
      check?.push(piece);
      yield piece;
    }
    assert.equal(bytes, sizeBytes, `${path} has another length than its header says`);
    this.sizeBytes += bytes;
    this.#index.set(path, { sizeBytes, checksum: hash?.digest('hex') });
    if (check !== undefined && relation !== undefined) this.#judge({ path, relation, pages: check.finish() });
  }

  /** For the changed pages that an incremental backup brings of a file. */
  checkChanged(relation: RelationFile): ChangedPagesCheck {
    if (!this.#options.hasChecksums) return { range: () => undefined, finish: () => undefined };
    const check = new PageCheck({ segment: relation.segment, startLsn: this.#options.startLsn });
    const whole = { ...relation, isIncremental: false };
    return {
      range: ({ offset, bytes }) => {
        if (offset % pageBytes === 0) check.seek(offset / pageBytes);
        check.push(bytes);
      },
      finish: () => this.#judge({ path: relationPath(whole), relation: whole, pages: check.finish() }),
    };
  }

  /** Rejects with what is wrong: what was sent did not arrive as it was sent. */
  compare(listed: ManifestFile): void {
    const received = this.#index.get(listed.path);
    if (received === undefined) throw differs(`${listed.path} is in its manifest, but did not come`);
    if (received.sizeBytes !== listed.sizeBytes) {
      throw differs(`${listed.path} came with ${received.sizeBytes} bytes in place of ${listed.sizeBytes}`);
    }
    if (received.checksum !== undefined && listed.algorithm === 'SHA256' && listed.checksum !== received.checksum) {
      throw differs(`${listed.path} came with other bytes than were sent`);
    }
    this.#compared += 1;
  }

  /** After the last line of the manifest. */
  finish(): void {
    const extra = this.#index.size - this.#compared;
    if (extra > 0) throw differs(`${extra} files came that its manifest does not list`);
  }

  #judge(file: DamagedFile): void {
    const { damagedPages, partialBytes, tornPages } = file.pages;
    if (damagedPages > 0 || partialBytes > 0) {
      if (this.damaged.length < damagedFilesMax) this.damaged.push(file);
      else this.#damagedLeftOut += 1;
    }
    if (tornPages > 0 && this.torn.length < damagedFilesMax) this.torn.push(file);
  }
}

function differs(what: string): AppError {
  return new AppError('SOURCE_FAILED', `the base backup is not what the server sent: ${what}`, {
    hint: 'Take the backup again; if it happens again, look at the network between here and the server.',
  });
}
