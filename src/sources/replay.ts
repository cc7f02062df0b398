// What a source offers whose journal can be replayed on top of a backup: recovery to any instant. The engine gathers backups and
// journals and hands them in; where they lie, and how files are fetched ahead, is not the source's affair.
import type { JsonObject } from '../base/json.ts';
import type { RecoveryTarget, TimelineChoice } from '../model/recovery-target.ts';
import type { JournalPosition, JournalReader, JournalStretch } from './journal.ts';
import type { MovedPlace, RecoveryReader, RestoreDecision, Source } from './source.ts';

export interface ReplayableSource extends Source {
  readonly replay: ReplayRestore;
}

export function isReplayable(source: Source): source is ReplayableSource {
  return 'replay' in source;
}

/** What one repository keeps of one component. */
export interface ReplayPlace {
  readonly bases: readonly ReplayBase[];
  readonly journal: JournalReader;
  /** Told of each backup that is left out because what it says of itself can't be read. */
  readonly onUnreadable?: ((base: UnreadableBase) => void) | undefined;
}

export interface UnreadableBase {
  readonly id: ReplayBase['id'];
  readonly message: string;
}

/** A backup that may be where a replay starts. */
export interface ReplayBase {
  /** Of the engine; comes back in a choice. */
  readonly id: string;
  /** As its snapshot says; absent for backups by other methods. */
  readonly journal: JournalStretch | undefined;
  facts(signal: AbortSignal): Promise<JsonObject>;
}

export interface ReplayRestore {
  /** Stretches of instants that can be reached, newest last. */
  windows(place: ReplayPlace, signal: AbortSignal): Promise<readonly ReplayWindow[]>;
  /**
   * How far the newest branch can be followed from a backup, by listings and stored facts alone: quick, and nothing of backups or
   * changes is read. Undefined if no backup leads into a journal.
   */
  end(place: ReplayEndPlace, signal: AbortSignal): Promise<ReplayEnd | undefined>;
  /** Finds the way to an instant; rejects with `RECOVERY_TARGET_UNREACHABLE` and the reason. Reads the journal, touches nothing. */
  choose(place: ReplayPlace, request: ReplayRequest, signal: AbortSignal): Promise<ReplayChoice>;
}

export interface ReplayEndPlace {
  readonly bases: readonly Pick<ReplayBase, 'id' | 'journal'>[];
  readonly journal: JournalReader;
}

export interface ReplayEnd {
  /** For people: `timeline 2`. */
  readonly branch: string;
  readonly lineage: string;
  /** Behind the last byte that can be replayed, in the source's own notation as well. */
  readonly end: JournalPosition;
  readonly position: string;
  /** Of the newest change in it, by the server's clock, milliseconds since 1970; undefined if none is near. */
  readonly changedMs: number | undefined;
  /** Up to then nothing happened that is not in it. */
  readonly receivedMs: number | undefined;
  /** What is missing behind it although more is kept, for people. */
  readonly missing: string | undefined;
}

export interface ReplayRequest {
  readonly target: RecoveryTarget;
  readonly timeline: TimelineChoice;
}

/** Every instant in it can be reached. */
export interface ReplayWindow {
  /** For people: `timeline 2`. */
  readonly branch: string;
  readonly from: ReplayInstant;
  readonly to: ReplayInstant;
  /** Backups from which a replay can start in it. */
  readonly baseCount: number;
  /** What is missing behind it although more is kept, for people; absent at the end of all that is kept. */
  readonly missing?: string | undefined;
}

export interface ReplayInstant {
  /** In the source's own notation. */
  readonly position: string;
  /** By the server's clock, microseconds since 1970; absent where it is not known. */
  readonly timeUs?: number | undefined;
}

export interface ReplayChoice {
  /** Id of the backup to start from. */
  readonly base: string;
  /** What is reached, as far as it can be known beforehand. */
  readonly reaches: ReplayInstant;
  readonly branch: string;
  /** Bytes of journal to replay. */
  readonly replayBytes: number;
  readonly window: ReplayWindow;
  /** How the choice came about, one line each. */
  readonly reasons: readonly string[];
  /** Decides where it goes: looks at the target, touches nothing. */
  decide(reader: RecoveryReader, options: ReplayOptions, signal: AbortSignal): Promise<RestoreDecision>;
}

export interface ReplayOptions {
  /** A folder. */
  readonly to: string;
  /** What to do once the instant is reached. */
  readonly action: ReplayAction;
  /** At the end start a server on it, with its own configuration, and leave it running. */
  readonly isStarted: boolean;
  /** Prepare everything and start nothing. */
  readonly isOnlyPrepared: boolean;
  /** Where user data outside the folder goes: the original's place, and the place to use. */
  readonly places: readonly MovedPlace[];
  /** Whom the files are to belong to, where we may say so. */
  readonly owner?: string | undefined;
  readonly openFeed: OpenFeed;
  /** Asked once the instant is reached and the server waits there, for `pause`. */
  readonly inspect?: ((connection: string) => Promise<'promote' | 'shutdown'>) | undefined;
}

export type ReplayAction = 'promote' | 'pause' | 'shutdown';

/** A file that a recovering server will ask for by name. */
export interface ReplayFile {
  readonly name: string;
  readonly sizeBytes: number;
  /** Exactly `sizeBytes`, which are the caller's own; may be called again. */
  read(signal: AbortSignal): Promise<Uint8Array>;
}

export interface FeedRequest {
  /** In the order in which they will most likely be asked for. Whatever is not among them surely does not exist. */
  readonly files: readonly ReplayFile[];
  /** The feed makes a folder of its own in it. */
  readonly parentFolder: string;
  /** Who runs the server; ours if absent. */
  readonly account?: { readonly uid: number; readonly gid: number } | undefined;
}

/** Hands files to a server that asks for them with a command; closing it leaves nothing behind. */
export interface Feed extends AsyncDisposable {
  /** For sh, with `%f` for the name and `%p` for where to write. 0: written; 1: surely absent; above 128: can't be known. */
  readonly command: string;
  /** Aborted once a file that was asked for can't be given, with the reason. */
  readonly signal: AbortSignal;
}

export type OpenFeed = (request: FeedRequest, signal: AbortSignal) => Promise<Feed>;
