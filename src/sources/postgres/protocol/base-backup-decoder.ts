// From the copy data of a base backup to its events, for both conversations: that of 15 and later (one copy with typed messages)
// and that of 14 (one copy for each archive). Pure.
import assert from 'node:assert/strict';
import { BodyReader } from './body-reader.ts';
import type { CopyFrame } from './backend-decoder.ts';
import { protocolError } from './protocol-error.ts';
import type { Lsn } from '../wal/lsn.ts';

export type BaseBackupEvent =
  /** The first event: the WAL from here on is needed. */
  | { readonly kind: 'start'; readonly lsn: Lsn; readonly timeline: number }
  /** The second: user tablespaces in the order of their archives, which come before that of the data directory. */
  | { readonly kind: 'tablespaces'; readonly tablespaces: readonly Tablespace[]; readonly baseSizeBytes?: number }
  | { readonly kind: 'archive'; readonly name: string; readonly tablespace?: Tablespace | undefined }
  /** The next bytes of the archive: a view of what was received, any length, until the next event is asked for. */
  | { readonly kind: 'data'; readonly bytes: Buffer }
  | { readonly kind: 'archive-end' }
  | { readonly kind: 'manifest' }
  | { readonly kind: 'manifest-data'; readonly bytes: Buffer }
  | { readonly kind: 'manifest-end' }
  /** Bytes of all archives that the server has produced so far. */
  | { readonly kind: 'progress'; readonly doneBytes: number }
  /** The last event: the backup is usable once the WAL up to here is kept. */
  | { readonly kind: 'end'; readonly lsn: Lsn; readonly timeline: number };

export interface Tablespace {
  readonly oid: number;
  readonly location: string;
  /** An estimate; only if asked for progress. */
  readonly sizeBytes?: number | undefined;
}

/** The conversation of 15 and later. */
export class TypedArchiveDecoder {
  readonly #tablespaces: readonly Tablespace[];
  #open: 'nothing' | 'archive' | 'manifest' = 'nothing';
  /** Whether the pieces of the current message are data. */
  #isInData = false;

  constructor(tablespaces: readonly Tablespace[]) {
    this.#tablespaces = tablespaces;
  }

  decode(frame: CopyFrame): BaseBackupEvent[] {
    if (!frame.isStart) return this.#data(frame.bytes);
    const kind = String.fromCharCode(frame.bytes[0] ?? 0);
    this.#isInData = kind === 'd';
    if (kind === 'd') return this.#data(frame.bytes.subarray(1));
    if (!frame.isEnd) throw protocolError(`a message '${kind}' in a base backup that is too long`);
    const reader = new BodyReader(frame.bytes.subarray(1), 'message in a base backup');
    switch (kind) {
      case 'n': {
        const name = reader.text();
        const location = reader.text();
        return [...this.#begin('archive'), { kind: 'archive', name, tablespace: this.#tablespaceOf(name, location) }];
      }
      case 'm':
        return [...this.#begin('manifest'), { kind: 'manifest' }];
      case 'p':
        return [{ kind: 'progress', doneBytes: Number(reader.uint64()) }];
      default:
        throw protocolError(`a message '${kind}' in a base backup`);
    }
  }

  /** The copy has ended. */
  finish(): BaseBackupEvent[] {
    return this.#begin('nothing');
  }

  #data(bytes: Buffer): BaseBackupEvent[] {
    if (!this.#isInData || this.#open === 'nothing') throw protocolError('data of a base backup outside an archive');
    if (bytes.length === 0) return [];
    return [{ kind: this.#open === 'archive' ? 'data' : 'manifest-data', bytes }];
  }

  #begin(next: 'nothing' | 'archive' | 'manifest'): BaseBackupEvent[] {
    const ended = this.#open;
    this.#open = next;
    return ended === 'nothing' ? [] : [{ kind: ended === 'archive' ? 'archive-end' : 'manifest-end' }];
  }

  #tablespaceOf(name: string, location: string): Tablespace | undefined {
    if (location === '') return undefined;
    const digits = /^\d+/.exec(name)?.[0];
    if (digits === undefined) throw protocolError(`the archive '${name}' of a tablespace`);
    const oid = Number(digits);
    return this.#tablespaces.find((one) => one.oid === oid) ?? { oid, location };
  }
}

/** The conversation of 14: a copy for each tablespace, one for the data directory, and one for the manifest. */
export class PlainArchiveDecoder {
  readonly #archives: readonly (Tablespace | 'base')[];
  readonly #copies: number;
  #begun = 0;
  #doneBytes = 0;

  constructor(tablespaces: readonly Tablespace[], hasManifest: boolean) {
    this.#archives = [...tablespaces, 'base'];
    this.#copies = this.#archives.length + (hasManifest ? 1 : 0);
  }

  /** Whether all copies have come. */
  get isComplete(): boolean {
    return this.#begun === this.#copies;
  }

  begin(): BaseBackupEvent {
    const archive = this.#archives[this.#begun];
    this.#begun += 1;
    if (this.#begun > this.#copies) throw protocolError('more archives than there are tablespaces');
    if (archive === undefined) return { kind: 'manifest' };
    if (archive === 'base') return { kind: 'archive', name: 'base.tar' };
    return { kind: 'archive', name: `${archive.oid}.tar`, tablespace: archive };
  }

  decode({ bytes }: CopyFrame): BaseBackupEvent[] {
    assert.ok(this.#begun > 0);
    if (bytes.length === 0) return [];
    if (this.#isInManifest) return [{ kind: 'manifest-data', bytes }];
    this.#doneBytes += bytes.length;
    return [{ kind: 'data', bytes }];
  }

  /** This server tells no progress by itself: what came is what it has done. */
  finish(): BaseBackupEvent[] {
    if (this.#isInManifest) return [{ kind: 'manifest-end' }];
    return [{ kind: 'archive-end' }, { kind: 'progress', doneBytes: this.#doneBytes }];
  }

  get #isInManifest(): boolean {
    return this.#begun > this.#archives.length;
  }
}
