// Turns the members of a base backup's archives into entries: tablespaces beside the data directory, which points to them by relative
// links, so that whoever restores the tree alone gets a copy that stays within itself.
import assert from 'node:assert/strict';
import { posix } from 'node:path';
import { AppError } from '../../../base/errors.ts';
import type { FileMetadata } from '../../../base/file-type.ts';
import type { Entry } from '../../source.ts';
import type { Tablespace } from '../protocol/base-backup-decoder.ts';
import { labelOfFull } from './backup-label.ts';
import type { IncrementalMerge } from './incremental-merge.ts';
import { folderMetadata, fileMetadata, linkMetadata, metadataOfMember, type FileForm } from './member-metadata.ts';
import type { ReceivedFiles } from './received-files.ts';
import { relationFile } from './relation-file.ts';
import type { TarMember } from './tar-reader.ts';

export const dataFolder = '/pgdata';
export const tablespacesFolder = '/tablespaces';
export const manifestPath = '/backup_manifest';
export const walFolder = `${dataFolder}/pg_wal`;

/** Files up to this size come with their bytes; the engine takes no larger ones so. */
const bytesMax = 512 * 1024;
const controlPath = 'global/pg_control';
const labelPath = 'backup_label';
const controlBytes = 8192;

/**
 * Not in the snapshot: the map would have a server attach the original's tablespaces, and a signal file would have it connect to
 * the original's primary or run its restore_command.
 */
const leftOut = new Set(['tablespace_map', 'standby.signal', 'recovery.signal']);

export interface ArchiveEntriesOptions {
  readonly tablespaces: readonly Tablespace[];
  readonly files: ReceivedFiles;
  /** Present if the backup brings changes only. */
  readonly merge?: IncrementalMerge | undefined;
  /** Of folders that come in no archive; the owner is that of the first member. */
  readonly form: Pick<FileForm, 'folderMode' | 'fileMode' | 'timeNs'>;
}

/** Follows the archives in their order. Folders and files of `pg_wal` are held back for the end. */
export class ArchiveEntries {
  readonly #options: ArchiveEntriesOptions;
  readonly #control = Promise.withResolvers<Uint8Array>();
  readonly #scratch = Buffer.allocUnsafeSlow(bytesMax);
  readonly #walFolders: Entry[] = [];
  #tablespace: Tablespace | undefined;
  #hasTablespaces = false;
  /** Folders to be announced as soon as a member tells whose they are. */
  #due: string[] = [];
  #form: FileForm;

  constructor(options: ArchiveEntriesOptions) {
    this.#options = options;
    const [userId, groupId] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
    this.#form = { ...options.form, userId, groupId };
    this.#control.promise.catch(() => undefined); // Whoever waits for it hears of it; nobody may.
  }

  /** How files of the data directory are made that come in no archive. */
  get form(): FileForm {
    return this.#form;
  }

  /** What follows belongs to this tablespace, or to the data directory if undefined. */
  archive(tablespace: Tablespace | undefined): void {
    this.#tablespace = tablespace;
    if (tablespace === undefined) this.#due.push(dataFolder);
    else {
      if (!this.#hasTablespaces) this.#due.push(tablespacesFolder);
      this.#hasTablespaces = true;
      this.#due.push(`${tablespacesFolder}/${tablespace.oid}`);
    }
  }

  async *member(member: TarMember, content: AsyncIterable<Uint8Array>): AsyncGenerator<Entry, void> {
    this.#form = { ...this.#form, userId: member.userId, groupId: member.groupId };
    const tablespace = this.#tablespace;
    const base = tablespace === undefined ? dataFolder : `${tablespacesFolder}/${tablespace.oid}`;
    // The control file belongs into a folder that was left long ago.
    const isControl = tablespace === undefined && member.path === controlPath;
    if (!isControl)
      yield* this.#enter(`${base}/${member.type === 'folder' ? member.path : posix.dirname(member.path)}`);
    yield* this.#dueFolders();
    if (tablespace !== undefined) {
      const dataPath = `pg_tblspc/${tablespace.oid}/${member.path}`;
      yield* this.#entry({ member, content, path: `${base}/${member.path}`, dataPath });
      return;
    }
    const path = `${base}/${member.path}`;
    if (path === walFolder || path.startsWith(`${walFolder}/`)) {
      if (member.type === 'folder') {
        this.#walFolders.push({ kind: 'whole', path, metadata: metadataOfMember(member) });
      }
      return;
    }
    if (member.path.startsWith('pg_tblspc/')) return; // Our own links are there already.
    if (isControl) this.#control.resolve(await this.#smallFile(member, content));
    else yield* this.#entry({ member, content, path, dataPath: member.path });
    if (member.type !== 'folder') return;
    if (member.path === 'pg_tblspc') yield* this.#links();
    if (member.path === 'global') yield this.#controlEntry();
  }

  /** After the last archive: `pg_wal` and its folders, still without WAL. */
  *walFolders(): Generator<Entry, void> {
    assert.ok(this.#walFolders.length > 0, 'the data directory came without pg_wal');
    yield* this.#enter(walFolder);
    yield* this.#walFolders;
  }

  /** Rejects if the archives held no control file. */
  async controlFile(): Promise<Uint8Array> {
    this.close(
      new AppError('SOURCE_FAILED', 'the base backup came without global/pg_control', {
        hint: 'Take the backup again.',
      }),
    );
    return this.#control.promise;
  }

  /** Whoever still waits for the control file will not get it. */
  close(reason: Error): void {
    this.#control.reject(reason);
  }

  *#enter(folder: string): Generator<Entry, void> {
    if (this.#options.merge !== undefined) yield* this.#options.merge.enter(folder);
  }

  *#dueFolders(): Generator<Entry, void> {
    for (const path of this.#due) yield { kind: 'whole', path, metadata: folderMetadata(this.#form) };
    this.#due = [];
  }

  *#links(): Generator<Entry, void> {
    for (const { oid } of this.#options.tablespaces) {
      const metadata = linkMetadata(this.#form, `../..${tablespacesFolder}/${oid}`);
      yield { kind: 'whole', path: `${dataFolder}/pg_tblspc/${oid}`, metadata };
    }
  }

  /** It comes last of all, and belongs into a folder that came long before. */
  #controlEntry(): Entry {
    return {
      kind: 'whole',
      path: `${dataFolder}/${controlPath}`,
      metadata: fileMetadata(this.#form, controlBytes),
      content: { from: 'later', bytes: this.#control.promise },
    };
  }

  /** All files of the tree are whole, so the label must not call it incremental. */
  #labelEntry(path: string, metadata: FileMetadata, original: Uint8Array): Entry {
    const bytes = labelOfFull(Buffer.from(original));
    return {
      kind: 'whole',
      path,
      metadata: { ...metadata, sizeBytes: bytes.length },
      content: { from: 'bytes', bytes },
    };
  }

  async *#entry(placed: PlacedMember): AsyncGenerator<Entry, void> {
    const { member, path, dataPath } = placed;
    const metadata = metadataOfMember(member);
    if (member.type !== 'file') {
      yield { kind: 'whole', path, metadata };
      return;
    }
    const relation = this.#options.merge === undefined ? undefined : relationFile(dataPath);
    if (relation?.isIncremental === true) {
      yield* this.#options.merge!.member({ relation, content: placed.content, metadata, path, dataPath });
      return;
    }
    if (relation !== undefined) this.#options.merge?.noteWhole(relation, member.sizeBytes);
    if (member.sizeBytes <= bytesMax) {
      const bytes = await this.#smallFile(member, placed.content, dataPath);
      if (dataPath === labelPath) yield this.#labelEntry(path, metadata, bytes);
      else if (!leftOut.has(dataPath)) yield { kind: 'whole', path, metadata, content: { from: 'bytes', bytes } };
      return;
    }
    const watched = this.#options.files.watch(dataPath, member.sizeBytes, placed.content);
    yield { kind: 'whole', path, metadata, content: { from: 'stream', open: () => watched } };
    while ((await watched.next()).done !== true); // Whatever of it nobody read.
  }

  /** In memory that the next file will use again. */
  async #smallFile(member: TarMember, content: AsyncIterable<Uint8Array>, dataPath = member.path): Promise<Uint8Array> {
    assert.ok(member.sizeBytes <= bytesMax, `${dataPath} is larger than such a file can be`);
    const target = dataPath === controlPath ? Buffer.alloc(member.sizeBytes) : this.#scratch;
    let filled = 0;
    for await (const piece of this.#options.files.watch(dataPath, member.sizeBytes, content)) {
      target.set(piece, filled);
      filled += piece.length;
    }
    return target.subarray(0, filled);
  }
}

interface PlacedMember {
  readonly member: TarMember;
  readonly content: AsyncIterable<Uint8Array>;
  /** In the snapshot. */
  readonly path: string;
  /** As the manifest has it. */
  readonly dataPath: string;
}
