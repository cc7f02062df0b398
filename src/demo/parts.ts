// What the demonstration needs from outside, handed in by the composition root: servers to start, and the commands' view of
// the folder it works in. The demonstration itself names no driver and reads no environment.
import type { CommandContext } from '../cli/context.ts';

export interface DemoParts {
  /** Multiple of the usual amount of data. */
  readonly scale: number;
  readonly workingFolder: string;
  readonly isRoot: boolean;
  /** For temporary data: the servers' folders. */
  readonly temporaryFolder: string;
  /** How to call this program from a folder, for people: `../bin/lifeboat.js`. */
  programSeenFrom(folder: string): string;
  /** Rejects with `TOOL_MISSING` if the machine lacks a server, or a pg_dump that can back one up. */
  startDatabase(parentFolder: string, signal: AbortSignal): Promise<DemoDatabase>;
  /** Rejects with `TOOL_MISSING` if there is no server program. */
  startCache(parentFolder: string, signal: AbortSignal): Promise<DemoCache>;
  /** The commands as they would run in `folder`, with nothing of the user's own settings but the output options. */
  contextIn(folder: string, variables: Readonly<Record<string, string>>): CommandContext;
}

export interface DemoDatabase extends AsyncDisposable {
  readonly pid: number;
  readonly version: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
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
