// The journal contracts: what a source that streams its changes (WAL, binlog, command stream) offers and is offered.
// The source knows positions and bytes; where they are kept, how often they are shipped and by whom is not its affair.
import type { JsonObject } from '../base/json.ts';
import type { Finding } from '../model/finding.ts';

/** A place in a journal. Segments follow one another without a hole; an offset counts bytes within its segment. */
export interface JournalPosition {
  readonly segment: number;
  readonly offset: number;
}

/** A part of one journal. */
export interface JournalStretch {
  readonly lineage: string;
  readonly from: JournalPosition;
  readonly to: JournalPosition;
}

/** What a journal lacks, for ever, and why, for people. */
export interface JournalGap {
  readonly from: JournalPosition;
  readonly to: JournalPosition;
  readonly reason: string;
}

/** One unbroken line of changes: a server's timeline, say. A copy that goes its own way gets a lineage of its own. */
export interface JournalBranch {
  /** Unique among all servers and branches: `postgresql/7394…/00000001`. At most 512 characters. */
  readonly lineage: string;
  /** Bytes of a full segment; what is shorter is open or was cut by the end of the branch. */
  readonly segmentBytes: number;
  /**
   * What is needed to use it, such as the history of a timeline; never changes for a lineage. Small. `ancestors` in it is a list of
   * `JournalAncestor`, empty for a branch that grew out of none: where it is absent, repositories never remove anything of the branch.
   */
  readonly about: JsonObject;
}

/** A branch that another one grew out of. Oldest first and all of them: who knows one branch knows the way to it. */
export interface JournalAncestor {
  readonly lineage: string;
  /** Where the next branch left it. Positions are counted on: what came before lies before it in either. */
  readonly at: JournalPosition;
}

/** Takes in one branch. Calls are made one at a time, in order. */
export interface JournalSink extends AsyncDisposable {
  readonly branch: JournalBranch;
  /**
   * Where to go on: the end of what is safely kept without a hole, or undefined if nothing is. A source that can only begin at a
   * segment's start begins at the start of this segment; bytes that come again must be what is already kept.
   */
  resumeAt(): JournalPosition | undefined;
  /**
   * Takes the bytes at `position`, within one segment; waits while too much is under way. Bytes that were taken before are
   * compared and passed over; rejects with `JOURNAL_FORKED` if they differ. A `position` beyond the end is a bug of the caller (assertion).
   * The caller may use the memory of `bytes` again once it resolves. Rejects with `JOURNAL_FENCED` once another receiver took over.
   */
  append(position: JournalPosition, bytes: Uint8Array, signal: AbortSignal): Promise<void>;
  /**
   * Makes durable what was appended. Resolves with the position up to which the server may forget: the end of what is safe in
   * every place that was promised; undefined if nothing is yet.
   */
  sync(signal: AbortSignal): Promise<JournalPosition | undefined>;
  /** A segment is complete (the branch goes on in the next) or the branch ends in it. `facts` can be read without its bytes. */
  seal(segment: number, facts: JsonObject, signal: AbortSignal): Promise<void>;
  /**
   * What is known so far of the open segment, sent along with its parts. It holds once the segment has `sizeBytes`: given before
   * the append that brings them there, bytes and what is known of them become durable together. At once if absent.
   */
  describe(segment: number, facts: JsonObject, sizeBytes?: number): void;
  /** These bytes can't be had any more. The next append may begin at the end of the gap. */
  gap(gap: JournalGap, signal: AbortSignal): Promise<void>;
  /** Aborted once this receiver may not go on: another took over, or the spool's disk failed. */
  readonly signal: AbortSignal;
}

/** Where a source's journal goes. */
export interface JournalTarget {
  /** Branches that are kept already, with where each ends; newest last. */
  branches(signal: AbortSignal): Promise<readonly KeptBranch[]>;
  /** Opens a branch for writing; the earlier one, if any, must be closed. */
  open(branch: JournalBranch, signal: AbortSignal): Promise<JournalSink>;
}

export interface KeptBranch extends JournalBranch {
  /** Start of the oldest segment that is kept. */
  readonly start: JournalPosition;
  /** End of the newest byte that is kept. */
  readonly end: JournalPosition;
}

/** What is happening while a journal is received, for status lines and logs. */
export interface JournalEvents {
  /** A lower-case fact for people: `connected to …`, `timeline 2 begins at 0/3000060`. */
  note(message: string): void;
  /** Something that needs attention, with what to do. */
  warn(finding: Finding): void;
  /** What was lost makes recovery to later instants impossible until there is a new base: `reason` says what. */
  needsBase(reason: string): void;
  /** How far the server is, and how old its newest byte that is durable here, where known. */
  progress(progress: JournalProgress): void;
}

export interface JournalProgress {
  readonly lineage: string;
  readonly serverEnd: JournalPosition;
  readonly receivedEnd: JournalPosition;
  /** By the server's clock, milliseconds since 1970: when the newest received bytes were sent. */
  readonly serverTimeMs: number;
  /** When the server last said that it had nothing behind `position`, by its clock; absent where that can't be known. */
  readonly complete?: { readonly position: JournalPosition; readonly timeMs: number } | undefined;
}

export interface ReceiveRequest {
  readonly target: JournalTarget;
  readonly events: JournalEvents;
  /** Another server than the one that is known is welcome: it was made anew on purpose. */
  readonly acceptsNewServer?: boolean | undefined;
}

/** A source whose changes can be received as they happen. */
export interface JournalSource {
  /** What is missing for it, with the statement that mends it. Never throws for what it looks at. */
  check(signal: AbortSignal): AsyncIterable<Finding>;
  /**
   * Receives until aborted: connects, reconnects, follows timeline switches. Rejects only with what a person must mend;
   * an abort lets the server go cleanly and resolves.
   */
  receive(request: ReceiveRequest, signal: AbortSignal): Promise<void>;
  /** A place as people who know the source write it: `0/3000060 on timeline 2`. */
  describePlace(branch: JournalBranch, position: JournalPosition): string;
  /** What the facts of a segment say of time, in milliseconds since 1970. */
  timesOf(facts: JsonObject): JournalTimes;
  /** Present where a server hands over its journal file by file, by a command that it runs. */
  readonly handover?: JournalHandover | undefined;
  /** Present where rows are to be written while changes are received, by which a recovery measures what it lost. */
  readonly sentinels?: SentinelWriter | undefined;
}

export interface SentinelWriter {
  /** Until aborted; what keeps it from writing is told, and tried again. */
  write(events: Pick<JournalEvents, 'note' | 'warn'>, signal: AbortSignal): Promise<void>;
}

export interface JournalTimes {
  /** Of the changes in it. */
  readonly earliestMs?: number | undefined;
  readonly latestMs?: number | undefined;
  /** Up to then, by the clock of the server, nothing happened that is not in it or before. */
  readonly receivedMs?: number | undefined;
}

/** A folder between the command that a server runs and the receiver, who may be another user and need not run. */
export interface JournalHandover {
  /** As `JournalSource.check`, of what this way needs. */
  check(folder: string, signal: AbortSignal): AsyncIterable<Finding>;
  /** Takes a file that the server offers; resolves once it is durable in the folder. `known`: the same bytes came before. */
  accept(path: string, folder: string): Promise<'kept' | 'known'>;
  /** As `JournalSource.receive`, from the folder. */
  receive(request: ReceiveRequest & { readonly folder: string }, signal: AbortSignal): Promise<void>;
}

/** Reads what is kept of journals in one repository. */
export interface JournalReader {
  /** Oldest first. */
  branches(signal: AbortSignal): Promise<readonly KeptBranch[]>;
  /** All segments of a branch in order, the open one last; holes show as missing numbers. */
  segments(lineage: string, signal: AbortSignal): Promise<readonly KeptSegment[]>;
  /** Facts of a segment as they were given when it was sealed or last described. */
  facts(lineage: string, segment: number, signal: AbortSignal): Promise<JsonObject>;
  /** The bytes of a segment, checked; rejects with `NOT_FOUND` if it is not kept, `REPOSITORY_DAMAGED` if it can't be trusted. */
  read(lineage: string, segment: number, signal: AbortSignal): Promise<Buffer>;
  /**
   * As `read`, for whoever has its beginning from an earlier read: only what came since is fetched. Where something else is kept by
   * now, that is what resolves, and it does not begin with `known`.
   */
  readOn(place: GrowingSegment, signal: AbortSignal): Promise<Buffer>;
}

export interface GrowingSegment {
  readonly lineage: string;
  readonly segment: number;
  readonly known: Buffer;
}

export interface KeptSegment {
  readonly segment: number;
  readonly sizeBytes: number;
  /** False for the open segment, of which only a beginning is kept. */
  readonly isSealed: boolean;
}
