// How a PostgreSQL component is described to its source.
import { readFile } from 'node:fs/promises';
import { AppError, messageOf } from '../../base/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { PhysicalSettings } from '../../model/component.ts';
import type { SentinelSettings } from '../../model/sentinel.ts';
import type { ServerAddress, SslSetting } from './server-address.ts';

export interface PostgresOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Absent: the user's own password file (`~/.pgpass`), or none needed. */
  readonly password?: string | undefined;
  /** For restores as another role than `user`; that of `user` if absent. */
  readonly passwordOfOthers?: string | undefined;
  /** Read anew for each backup, so that rotation needs no restart. */
  readonly passwordFile?: string | undefined;
  readonly ssl: SslSetting;
  /** All that are no templates and allow connections if empty. */
  readonly databases: readonly string[];
  /** Query whose first value is the schema's version, where no known migration tool keeps it. */
  readonly schemaVersionQuery?: string | undefined;
  /** How long the start of a backup waits for a schema change in progress. */
  readonly lockWaitMaxMs: number;
  /** Folders where programs are looked for after the known places: the PATH. */
  readonly programFolders: readonly string[];
  /** Where throw-away servers for proofs keep their data; the machine's temporary folder if absent. */
  readonly sandboxFolder?: string | undefined;
  /** `auto`: physical where the role may replicate and all databases are meant. */
  readonly method: 'auto' | 'physical' | 'logical';
  readonly physical: PhysicalSettings;
  /** Name of the replication slot that keeps the journal's changes at the server while nobody receives them. */
  readonly slot: string;
  /** Rows by which recoveries measure what they lost; none are written if absent. */
  readonly sentinel?: SentinelSettings | undefined;
  readonly clock: Clock;
}

export async function addressOf(options: PostgresOptions): Promise<ServerAddress> {
  const { host, port, user, ssl } = options;
  return { host, port, user, ssl, password: options.password ?? (await passwordFrom(options.passwordFile)) };
}

async function passwordFrom(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  try {
    return (await readFile(file, 'utf8')).replace(/\r?\n$/, '');
  } catch (error) {
    throw new AppError('CONFIG_INVALID', `the password file ${file} can't be read: ${messageOf(error)}`, {
      hint: 'Check the path and its permissions.',
      cause: error,
    });
  }
}
