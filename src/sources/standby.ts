// What a source offers that can keep a warm copy of a component: a server that replays the journal as it arrives in a repository, is
// compared with the fingerprints of backups on its way, and takes over in an emergency. The engine looks after the repository.
import type { ContentCheck } from '../model/content-check.ts';
import type { Finding } from '../model/finding.ts';
import type { Fingerprint } from '../model/fingerprint.ts';
import type { JournalReader } from './journal.ts';
import type { Feed, ReplayBase, ReplayableSource, ReplayInstant } from './replay.ts';
import type { RecoveryReader } from './source.ts';

export interface StandbySource extends ReplayableSource {
  readonly standby: StandbyKeeping;
}

export function isStandbySource(source: object): source is StandbySource {
  return 'standby' in source;
}

export interface StandbyKeeping {
  /**
   * Keeps one until it is aborted or promoted: goes on from what is in the folder, or writes it anew where that leads nowhere. Rejects
   * only with what a person must mend; a repository that is away is waited for.
   */
  keep(request: StandbyRequest, signal: AbortSignal): Promise<StandbyEnd>;
}

export interface StandbyRequest {
  /** Its own; it stays. */
  readonly folder: string;
  /** Whom the files are to belong to, where we may say so. */
  readonly owner: string | undefined;
  /** How often the repository is asked for more. */
  readonly intervalMs: number;
  readonly repository: StandbyRepository;
  readonly openFeed: OpenFollowingFeed;
  readonly events: StandbyEvents;
  /** Called while it stands exactly where a backup has its fingerprint, or with the rows it had there. */
  prove(claim: StandbyClaim, signal: AbortSignal): Promise<void>;
  /** Aborted once it is to take over. */
  readonly promotion: AbortSignal;
}

/** Of one component. */
export interface StandbyRepository {
  readonly journal: JournalReader;
  /** As of now. Their ids stay the same for as long as they are kept. */
  bases(signal: AbortSignal): Promise<readonly ReplayBase[]>;
  /** Nothing of a backup is removed while `work` reads it. */
  reading<T>(
    base: ReplayBase['id'],
    work: (reader: RecoveryReader, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T>;
}

export interface StandbyClaim {
  /** The backup that was restored. */
  readonly origin: ReplayBase['id'];
  /** The backup whose fingerprint is compared: the same, or a later one whose instant the journal led to. */
  readonly compared: ReplayBase['id'];
  readonly stand: StandbyStand;
}

export interface StandbyStand {
  readonly description: string;
  readonly position: string;
  /** Bytes of the backup that it took to get there, and of the journal. */
  readonly restoredBytes: number;
  readonly replayedBytes: number;
  /** Rejects with `SOURCE_UNREACHABLE` if the server is gone. */
  fingerprint(signal: AbortSignal): Promise<Fingerprint>;
  /** The value a check asks for; absent where it stands there no more. */
  readonly answer?: ((check: ContentCheck, signal: AbortSignal) => Promise<unknown>) | undefined;
}

export interface StandbyEvents {
  /** A lower-case fact for people. */
  note(message: string): void;
  warn(finding: Finding): void;
  figures(figures: StandbyFigures): void;
  /** Called with bytes of a backup that were written since the last call. */
  restored(bytes: number): void;
}

export type StandbyPhase =
  /** The backup is being written. */
  | 'restoring'
  /** The server starts, or starts again. */
  | 'starting'
  /** It replays what comes. */
  | 'following'
  /** It stands still while its rows are compared. */
  | 'comparing'
  /** What comes next can't be had; a new backup lets it go on. */
  | 'waiting';

export interface StandbyFigures {
  readonly phase: StandbyPhase;
  /** The newest change that was replayed. */
  readonly replayed: ReplayInstant | undefined;
  /** The newest that is in the repository. */
  readonly journal: ReplayInstant | undefined;
  readonly lagBytes: number | undefined;
  /** How old what it shows is: up to then it has all that happened. */
  readonly ageMs: number | undefined;
  /** How it can be read, by whoever may enter the folder of its socket. */
  readonly connection: string | undefined;
  /** What keeps it from going on. */
  readonly problem: string | undefined;
}

export type StandbyEnd =
  | { readonly kind: 'stopped' }
  | {
      readonly kind: 'promoted';
      readonly description: string;
      readonly reached: ReplayInstant;
      /** Of the server that runs now. */
      readonly connection: string;
      readonly dataFolder: string;
      /** Where its configuration and its log are. */
      readonly settingsFolder: string;
      /** What else there is to know and to do, one line each. */
      readonly notes: readonly string[];
    };

export interface FollowingRequest {
  /** What a file is now; undefined if it is surely not there, or holds no more than the last time. Waits a while before it says so. */
  find(name: string, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** The feed makes a folder of its own in it. */
  readonly parentFolder: string;
  /** Who runs the server; ours if absent. */
  readonly account?: { readonly uid: number; readonly gid: number } | undefined;
}

/** A feed of which nobody knows the end. What fails is tried again for as long as the server waits. */
export type OpenFollowingFeed = (request: FollowingRequest) => Promise<Feed>;
