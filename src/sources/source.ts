// The source contract: what the code for one kind of component (database, cache, folder …) offers to the engine.
// A source yields entries with a name, metadata and bytes; it knows nothing of repositories.
import type { ErrorCode } from '../base/errors.ts';
import type { FileMetadata } from '../base/file-type.ts';
import type { JsonObject } from '../base/json.ts';
import type { ContentCheck } from '../model/content-check.ts';
import type { Finding } from '../model/finding.ts';
import type { Fingerprint } from '../model/fingerprint.ts';
import type { ItemUnit } from '../model/proof-content.ts';
import type { JournalSource, JournalStretch } from './journal.ts';

export interface Source {
  /** What it backs up: `files`, `postgres`, `redis`, `config`. */
  readonly kind: string;
  /** Looks at connection, rights, versions and tools; yields one finding per aspect, never throws for what it looks at. */
  check(signal: AbortSignal): AsyncIterable<Finding>;
  /** Opens one backup. Everything the session yields belongs to one instant as far as the source can promise that. */
  open(signal: AbortSignal, request?: BackupRequest): Promise<BackupSession>;
  /** How `open` would take a backup now: asks the server and begins nothing. Absent where there is but one way. */
  decideBackup?(request: BackupRequest, signal: AbortSignal): Promise<BackupForm>;
  /** How its recovery points come back. */
  readonly restore: TreeRestore | ServiceRestore;
  /** Present where its changes can be received as they happen. */
  readonly journal?: JournalSource | undefined;
}

/** How a backup is wanted. A source that always yields everything whole need not look. */
export interface BackupRequest {
  /** The newest backup of the same component in the same repository; patched entries refer to its files. */
  readonly parent?: RecoveryReader | undefined;
  /** `full` does not refer to the parent; `incremental` does where that is possible, which the source decides if absent. */
  readonly type?: BackupType | undefined;
}

export type BackupType = 'full' | 'incremental';

export interface BackupForm {
  /** `physical`, `logical`. */
  readonly method: string;
  readonly type: BackupType;
  /** Why not incremental; absent where it is. */
  readonly reason?: string | undefined;
  /** What the method depends on could not be found out: it may be another one next time. */
  readonly isUnknown?: true | undefined;
}

/** One backup in progress. Closing it frees what it holds at the source, whether or not all was read. */
export interface BackupSession extends AsyncDisposable {
  /** Absolute paths as the snapshot's `paths`; together with the host they group snapshots of one component. */
  readonly paths: readonly string[];
  /**
   * All entries, directories before what they hold, each sub-tree without a break in between. Called once.
   * An entry that can't be read goes to `problems`; a rejection means that the whole backup failed.
   */
  entries(signal: AbortSignal): AsyncIterable<Entry>;
  /** What was backed up: versions, sizes, names. Complete once `entries` has ended. Empty if there is nothing to say. */
  facts(signal: AbortSignal): Promise<JsonObject>;
  /** Of the very data that `entries` yielded; absent where the tree itself says it all. Called after `entries` has ended. */
  fingerprint(signal: AbortSignal): Promise<Fingerprint | undefined>;
  /** What was left out or changed while it was read, so far: this backup is less than it was to be. */
  readonly problems: readonly EntryProblem[];
  /**
   * What the source can't give by its rights or settings, and `check` warns of: so it is each time, until somebody changes
   * that. Told with each backup, but no reason to call it incomplete; absent if there is nothing of the kind.
   */
  readonly notes?: readonly EntryProblem[] | undefined;
  /**
   * Bytes of data at the source, where its files are made of pages that change in place: they are cut at fixed places, in
   * chunks whose size depends on it.
   */
  readonly pagedBytes?: number | undefined;
  /** The stretch of a journal that the entries need to be consistent. Complete once `entries` has ended. */
  readonly journal?: (() => JournalStretch | undefined) | undefined;
}

export interface EntryProblem {
  readonly path: string;
  /** A lower-case fact: `permission denied`, `vanished while it was read`. */
  readonly message: string;
}

export type Entry = WholeEntry | PatchedEntry;

interface EntryCommon {
  /** Absolute, `/`-separated, no `.` or `..`; a byte name (`base/byte-name.ts`). */
  readonly path: string;
  readonly metadata: FileMetadata;
}

/** An entry whose content, if it is a file, comes whole. */
export interface WholeEntry extends EntryCommon {
  readonly kind: 'whole';
  /** Of files only. */
  readonly content?: Content | undefined;
}

export type Content =
  /** A small file, at most 512 KiB, whose bytes came with it. The engine copies them before it asks for the next entry. */
  | { readonly from: 'bytes'; readonly bytes: Uint8Array }
  /** A small file, at most 512 KiB, whose bytes come after entries that follow it. A rejection fails the backup. */
  | { readonly from: 'later'; readonly bytes: Promise<Uint8Array> }
  /** A file of this machine, read by the engine's own threads. Unchanged ones (size, mtime, ctime, inode) are not read. */
  | { readonly from: 'file'; readonly path: string }
  /**
   * Bytes from elsewhere, pulled with back-pressure: each piece may be used until the next one is asked for. `open` is called at most
   * once; a rejection fails the backup.
   */
  | { readonly from: 'stream'; open(signal: AbortSignal): AsyncIterable<Uint8Array> };

/** A file of which only changed ranges come; all else is as in the parent snapshot's file of the same path. */
export interface PatchedEntry extends EntryCommon {
  readonly kind: 'patched';
  /**
   * Where ranges will come, so that the parent's chunks around them can be fetched ahead. Ascending, not overlapping, within
   * `metadata.sizeBytes`. What lies beyond the parent's end must be covered.
   */
  readonly spans: readonly Span[];
  /** Fills the spans, one after the other; each in as many pieces as come. */
  ranges(
    parent: ParentReader,
    signal: AbortSignal,
  ): AsyncIterable<{ readonly offset: number; readonly bytes: Uint8Array }>;
}

export interface Span {
  readonly offset: number;
  readonly length: number;
}

/** The parent snapshot's version of one file. */
export interface ParentReader {
  readonly sizeBytes: number;
  read(offset: number, length: number): Promise<Buffer>;
}

/** The recovery point is a tree of files; the engine writes it to a folder. */
export interface TreeRestore {
  readonly kind: 'tree';
}

/** What a recovery point is, as far as it must be read to be known. */
interface FolderPoint {
  /** Whether it begins a stretch of a journal; undefined if its snapshot does not say. */
  readonly hasJournal: boolean | undefined;
  facts(): Promise<JsonObject>;
}

/** The recovery point is fed to a server. */
export interface ServiceRestore {
  readonly kind: 'service';
  /** Whether a folder as target is the source's own affair: that of a stopped server. If not, the files go there as they are. */
  takesFolders?(point: FolderPoint): boolean | Promise<boolean>;
  /** What the rows of an item of its fingerprints are, by the item's name. */
  unitOf(name: string): ItemUnit;
  /** Decides: looks at the target, touches nothing. Problems that forbid the restore are failed findings, not errors. */
  decide(reader: RecoveryReader, request: RestoreRequest, signal: AbortSignal): Promise<RestoreDecision>;
  /** Brings up a throw-away server that fits the recovery point; closing it leaves nothing behind. */
  sandbox(reader: RecoveryReader, signal: AbortSignal): Promise<Sandbox>;
}

export interface RestoreRequest {
  /** A target in the source's own notation (a URL, a database name); where the data came from if absent. */
  readonly to?: string | undefined;
  /** Parts to restore (databases); all if empty. */
  readonly include: readonly string[];
  /** For a folder: where data outside of it goes, by its place at the original. */
  readonly places?: readonly MovedPlace[] | undefined;
  /** For a folder: whom the files are to belong to. */
  readonly owner?: string | undefined;
}

export interface MovedPlace {
  readonly from: string;
  readonly to: string;
}

export interface RestoreDecision {
  /** For people: `database shop on db.example:5432`. */
  readonly target: string;
  /** Existing data that the restore replaces, for people; absent if nothing is replaced, so nothing needs confirming. */
  readonly replaces?: string | undefined;
  /** What `execute` will do, one line each, in order. */
  readonly steps: readonly string[];
  /** The preflight. A failed one forbids `execute`. */
  readonly findings: readonly Finding[];
  execute(progress: RestoreProgress, signal: AbortSignal): Promise<RestoreOutcome>;
}

export interface RestoreProgress {
  /** Called as each of the decision's steps begins, by its index. */
  step(index: number): void;
  /** Called with the number of bytes fed since the last call. */
  bytes(count: number): void;
}

export interface RestoreOutcome {
  /** What came back, one line each: `database shop: 12 tables, 200 000 rows`. */
  readonly restored: readonly string[];
  /** What was kept of the earlier state and how to remove it, for people; absent if nothing was. */
  readonly kept?: string | undefined;
  /** When the newest sentinel that came back was written; absent if there is none. */
  readonly sentinelMs?: number | undefined;
}

/** Reads one recovery point; every byte it yields was checked against its hash. */
export interface RecoveryReader {
  /** All entries, depth first, directories before what they hold. */
  entries(signal: AbortSignal): AsyncIterable<{ readonly path: string; readonly metadata: FileMetadata }>;
  /** Content of one file; rejects with `NOT_FOUND`. */
  read(path: string, signal: AbortSignal): AsyncIterable<Buffer>;
  /** Writes what lies below a folder of the recovery point into a folder of this machine, several files at once. */
  writeFolder(request: FolderRequest, signal: AbortSignal): Promise<WrittenFolder>;
  /** As the session gave them at backup time. */
  facts(signal: AbortSignal): Promise<JsonObject>;
  fingerprint(signal: AbortSignal): Promise<Fingerprint | undefined>;
}

export interface FolderRequest {
  /** A folder of the recovery point; `/` for all of it. */
  readonly from: string;
  /** Becomes that folder; made if it is not there. Files in it that are not in the recovery point stay. */
  readonly to: string;
  /** Paths of the recovery point that are left out, with what lies below them. */
  readonly exclude?: readonly string[] | undefined;
  /** Rewrite only differing stretches of files that are there already, in place. */
  readonly isDelta?: boolean | undefined;
  /** What is written need not survive a power cut: it will be thrown away. */
  readonly isTemporary?: boolean | undefined;
  /** Called with bytes that were written or found right since the last call. */
  readonly onBytes?: ((count: number) => void) | undefined;
}

export interface WrittenFolder {
  readonly files: number;
  readonly bytes: number;
  /** Less than `bytes` where content was right already. */
  readonly writtenBytes: number;
  /** What did not come back as it was; an owner that only root may set is not among it. */
  readonly problems: readonly WriteProblem[];
}

export interface WriteProblem extends EntryProblem {
  /** Where it is not the target's affair: `REPOSITORY_DAMAGED`. */
  readonly code?: ErrorCode;
}

export interface FoundSentinel {
  readonly writtenMs: number;
  readonly instantMs: number;
}

/** A throw-away server for one proof. */
export interface Sandbox extends AsyncDisposable {
  /** For people: `PostgreSQL 15.18 at 127.0.0.1:40123`. */
  readonly description: string;
  restore(reader: RecoveryReader, signal: AbortSignal): Promise<void>;
  /** By the same method as at backup time. */
  fingerprint(signal: AbortSignal): Promise<Fingerprint>;
  /** The newest sentinel that came back, and the instant at which the recovery point stands, by the server's clock. */
  newestSentinel?(signal: AbortSignal): Promise<FoundSentinel | undefined>;
  /** The value a check asks for; rejects with `USAGE` if the check is not for this kind of source. */
  valueOf(check: ContentCheck, signal: AbortSignal): Promise<unknown>;
}
