// What the demonstration needs from outside, handed in by the composition root: servers to start, and the commands' view of
// the folder it works in. The demonstration itself names no driver and reads no environment.
import type { CommandContext } from '../cli/context.ts';
import type { Style } from '../cli/style.ts';
import type { Launcher } from '../service/job-process.ts';

export interface DemoParts {
  /** Multiple of the usual amount of data. */
  readonly scale: number;
  readonly workingFolder: string;
  /** For temporary data: the servers' folders. */
  readonly temporaryFolder: string;
  /** How to call this program from a folder, for people: `../bin/lifeboat.js`. */
  programSeenFrom(folder: string): string;
  /** Whether the account that runs a server here may enter it. */
  isOpenToServers(folder: string): Promise<boolean>;
  /** Rejects with `TOOL_MISSING` if the machine lacks a server that can be backed up as it is. */
  startDatabase(parentFolder: string, signal: AbortSignal): Promise<DemoDatabase>;
  /** Rejects with `TOOL_MISSING` if there is no server program. */
  startCache(parentFolder: string, signal: AbortSignal): Promise<DemoCache>;
  /** The commands as they would run in `folder`, with nothing of the user's own settings but the output options. */
  contextIn(folder: string): CommandContext;
  /** The same as processes of their own. */
  launcherIn(folder: string): Launcher;
  /** How the standard output shows text. */
  readonly style: Style;
}

export interface DemoDatabase extends AsyncDisposable {
  /** Another one after each start. */
  readonly pid: number;
  readonly version: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** Where the server keeps its data. */
  readonly dataFolder: string;
  /** Not there yet: where a server may be restored to, beside the data folder. */
  readonly restoreFolder: string;
  stop(): Promise<void>;
  /** Starts the stopped server on what was restored, at the same port. The old data folder stays as it is. */
  startRestored(signal: AbortSignal): Promise<void>;
  connect(database: string, signal: AbortSignal): Promise<SqlSession>;
}

export interface SqlSession extends AsyncDisposable {
  query<Row extends object>(text: string): Promise<Row[]>;
}

export interface DemoCache extends AsyncDisposable {
  readonly pid: number;
  readonly version: string;
  readonly socketPath: string;
  connect(signal: AbortSignal): Promise<CacheSession>;
}

export interface CacheSession extends AsyncDisposable {
  call(command: string, ...parts: readonly (string | number | Buffer)[]): Promise<unknown>;
}
