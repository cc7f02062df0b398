// The one place that reads the process: variables, folders. All else receives this snapshot.
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { parseEnv } from 'node:util';
import { errnoOf } from '../base/errors.ts';

export interface Environment {
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly workingFolder: string;
  readonly homeFolder: string;
  /** Texts of configuration files by their path, as whoever started this process read them: what lies there by now may be half written. */
  readonly configurations?: ReadonlyMap<string, string>;
}

export function readEnvironment(): Environment {
  return { variables: { ...process.env }, workingFolder: process.cwd(), homeFolder: homedir() };
}

/** Folders of the PATH. */
export function programFolders(environment: Environment): string[] {
  return (variable(environment, 'PATH') ?? '').split(delimiter).filter((folder) => folder !== '');
}

const envFileSizeMaxBytes = 1 << 20;

/** What the .env file of a folder would set; nothing without a file that this user may read. */
export function readEnvFile(folder: string): Environment['variables'] {
  try {
    const bytes = readFileSync(join(folder, '.env'));
    return bytes.length > envFileSizeMaxBytes ? {} : parseEnv(bytes.toString('utf8'));
  } catch (error) {
    if (errnoOf(error) !== undefined) return {};
    throw error;
  }
}

/** A variable's value; one that is set to nothing counts as not set, as compose files often leave them. */
export function variable(environment: Environment, name: string): string | undefined {
  const value = environment.variables[name];
  return value === '' ? undefined : value;
}

/** Set by the service for its jobs: so long its worker may be silent. Undefined for everybody else. */
export function tetherSilenceMs(environment: Environment): number | undefined {
  return milliseconds(environment, 'LIFEBOAT_TETHER_MS');
}

/** Below it nobody can show in time that they live. */
const leaseMinMs = 1000;

/** For tests that let leases run out: how long the service keeps what it has without being heard of. */
export function serviceLeaseMs(environment: Environment): number | undefined {
  const leaseMs = milliseconds(environment, 'LIFEBOAT_LEASE_MS');
  return leaseMs === undefined || leaseMs < leaseMinMs ? undefined : leaseMs;
}

function milliseconds(environment: Environment, name: string): number | undefined {
  const text = variable(environment, name);
  return text === undefined || !/^\d{1,9}$/.test(text) ? undefined : Number(text);
}
