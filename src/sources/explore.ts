// What a source offers whose past can be looked at: throw-away servers that stand at an instant, and what is done with them.
import type { JsonObject } from '../base/json.ts';
import type { Fingerprint } from '../model/fingerprint.ts';
import type { OpenFeed, ReplayBase, ReplayChoice, ReplayInstant, ReplayPlace, ReplayableSource } from './replay.ts';
import type { RecoveryReader, RestoreDecision } from './source.ts';

export interface ExplorableSource extends ReplayableSource {
  readonly explore: Explore;
}

export function isExplorable(source: object): source is ExplorableSource {
  return 'explore' in source;
}

export interface Explore {
  /** The instant of a backup itself, without any of the journal behind it. */
  chooseBase(place: ReplayPlace, base: ReplayBase['id'], signal: AbortSignal): Promise<ReplayChoice>;
  /**
   * The same instant, to the change, reached from an older backup through the journal. Rejects with `RECOVERY_TARGET_UNREACHABLE`
   * and the reason if none leads there.
   */
  chooseThrough(place: ReplayPlace, base: ReplayBase['id'], signal: AbortSignal): Promise<ReplayChoice>;
  /** Of a writable server that stands at the instant of a backup, made as that backup's own was; `facts` are that backup's. */
  fingerprint(server: PastServer, facts: JsonObject, signal: AbortSignal): Promise<Fingerprint>;
  /** When the newest sentinel that is there was written, milliseconds since 1970; undefined if there is none. */
  newestSentinel(server: PastServer, signal: AbortSignal): Promise<number | undefined>;
  /** A place for one server after the other. Nothing is there yet; closing it leaves nothing behind. */
  makePlace(wish: PastWish): Promise<PastPlace>;
  /**
   * Rejects with `TARGET_UNSAFE` if nothing can get into the target of a request: known before a server of the past is brought up, which
   * may take long.
   */
  requireTarget(request: ExtractRequest, signal: AbortSignal): Promise<void>;
  /** Decides how tables or a database get out of a writable server of the past into a server that lives on: beside what is there. */
  extract(server: PastServer, request: ExtractRequest, signal: AbortSignal): Promise<RestoreDecision>;
  /** What differs between two of them, table by table and row by row. */
  compare(
    servers: { readonly first: PastServer; readonly second: PastServer },
    request: CompareRequest,
    signal: AbortSignal,
  ): Promise<PastDifference>;
  /** On the way to the instant of a choice. */
  commits(choice: ReplayChoice, signal: AbortSignal): Promise<PastCommits>;
  /** Whether a condition holds there: no answer if what it speaks of is not there. */
  ask(server: PastServer, question: PastQuestion, signal: AbortSignal): Promise<boolean | undefined>;
}

export interface PastWish {
  readonly openFeed: OpenFeed;
  /** Told what is done, and how many bytes of the backup and the journal were read since the last call. */
  readonly onBytes: (count: number) => void;
}

export interface PastPlace extends AsyncDisposable {
  /**
   * Brings a server up at the instant of a choice; the one before must be closed. Where it stood before on the way to that
   * instant, the replay goes on from there; else what differs from the backup is written anew. Reads nothing of the backup or the
   * journal any more once it resolves.
   */
  open(choice: ReplayChoice, point: PastPoint, signal: AbortSignal): Promise<PastServer>;
}

export interface PastPoint {
  readonly reader: RecoveryReader;
  /** It left the recovery and takes changes, which nobody will ever see; else it can only be read. */
  readonly isWritable?: boolean | undefined;
}

/** A throw-away server that stands at an instant. Closing it stops it. */
export interface PastServer extends AsyncDisposable {
  /** `PostgreSQL 15.18`. */
  readonly description: string;
  /** What was really reached, by the server's own word. */
  readonly reached: ReplayInstant;
  readonly databases: readonly string[];
  /** How this program gets in; nobody else can. */
  readonly access: PastAccess;
  /** Aborted with the reason if it ends by itself. */
  readonly signal: AbortSignal;
  /** Lets other programs of this machine in that know the password. */
  listen(): Promise<PastDoor>;
}

export interface PastAccess {
  readonly host: string;
  readonly port: number;
  readonly user: string;
}

export interface PastDoor extends PastAccess, AsyncDisposable {
  /** Holds the password, for the server's own programs; nobody else may read it. */
  readonly passwordFile: string;
}

export interface ExtractRequest {
  /** A server in the source's own notation; where the data came from if absent. */
  readonly to: string | undefined;
  readonly database: string | undefined;
  /** All of the database if empty. */
  readonly tables: readonly string[];
  /** The schema for tables (or for those that make way), the name for a whole database; a name with the time in it if absent. */
  readonly as: string | undefined;
  /** Tables, or a whole database, take the place of those of their names, which are kept. */
  readonly replaces: boolean;
}

export interface CompareRequest {
  readonly database: string | undefined;
  /** Whose rows are shown; all others are only counted. */
  readonly tables: readonly string[];
  /** Rows shown of each. */
  readonly rowsMax: number;
}

export interface PastDifference {
  readonly database: string;
  readonly tables: readonly TableDifference[];
  /** Kinds of things whose definitions differ: `indexes`. */
  readonly structure: readonly string[];
}

export interface TableDifference {
  readonly table: string;
  readonly state: 'equal' | 'differs' | 'only in first' | 'only in second';
  readonly rowsFirst: number;
  readonly rowsSecond: number;
  readonly onlyInFirst: number;
  readonly onlyInSecond: number;
  /** Same key, other content. Without a key a changed row is one on either side. */
  readonly changed: number;
  readonly key: readonly string[];
  /** Columns that only one side has are not compared. */
  readonly columnsOnlyInFirst: readonly string[];
  readonly columnsOnlyInSecond: readonly string[];
  /** Some of them. */
  readonly rows: readonly RowDifference[];
}

export interface RowDifference {
  /** By column, as text. */
  readonly first: Readonly<Record<string, string | null>> | undefined;
  readonly second: Readonly<Record<string, string | null>> | undefined;
}

export interface PastCommit {
  readonly position: string;
  readonly timeUs: number;
  readonly xid: number;
}

/** The commits on the way to an instant. */
export interface PastCommits {
  /** Where the way begins: the oldest instant from which one gets there without a gap. */
  readonly start: ReplayInstant;
  /** One about in the middle of those that begin at `from` or behind it, and before `before`; undefined if there is none. */
  between(from: string, before: string, signal: AbortSignal): Promise<PastCommit | undefined>;
}

export interface PastQuestion {
  readonly database: string | undefined;
  /** A condition, or a query whose first value is one. */
  readonly condition: string;
}
