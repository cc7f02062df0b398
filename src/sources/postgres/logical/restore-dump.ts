// Feeds one dump to a new, empty database and looks whether the very rows came back.
import { AppError } from '../../../base/errors.ts';
import { compareFingerprints, type Fingerprint, type FingerprintItem } from '../../../model/fingerprint.ts';
import type { RecoveryReader } from '../../source.ts';
import { connect } from '../connection.ts';
import type { DelicateEntry } from './dump-toc.ts';
import { openList } from './left-out.ts';
import type { ServerAddress } from '../server-address.ts';
import { fingerprintDatabase, fingerprintMethod, fingerprintOf, pinnedSettings } from '../fingerprint.ts';
import { itemName } from '../item-name.ts';
import type { ProgramFolder } from './programs.ts';
import type { StoredDatabase } from './recovery-point.ts';
import { connectionString, feedProgram, programFailure } from '../run-program.ts';
import { isSchemaItem } from './schema-items.ts';

export interface FeedOptions {
  readonly address: ServerAddress;
  readonly program: ProgramFolder;
  /** The name of the new database. */
  readonly into: string;
  /** More pg_restore flags. */
  readonly flags: readonly string[];
  /** Entries of the dump that are not restored. */
  readonly leftOut?: readonly DelicateEntry[];
  readonly onBytes: (count: number) => void;
}

export async function feedDump(
  reader: RecoveryReader,
  { path, name, toc }: StoredDatabase,
  options: FeedOptions & { readonly signal: AbortSignal },
): Promise<void> {
  const { address, program, into, flags, leftOut = [], onBytes, signal } = options;
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of reader.read(path, signal)) {
      onBytes(chunk.length);
      yield chunk;
    }
  };
  await using list = leftOut.length === 0 ? undefined : await openList(toc, leftOut);
  const listFlags = list === undefined ? [] : ['--use-list', '/dev/fd/3'];
  const run = {
    ...({ folder: program.folder, program: 'pg_restore', address } as const),
    arguments: ['--exit-on-error', '--no-password', ...flags, ...listFlags, '--dbname', connectionString(into)],
    fileDescriptor: list?.fd,
  };
  try {
    await feedProgram(run, counted(), signal);
  } catch (error) {
    signal.throwIfAborted();
    throw programFailure(error, { what: `the restore of database ${name}`, code: 'RESTORE_FAILED' });
  }
}

/** By the same method as at backup time: items carry the original name, whatever the database is called now. */
export async function fingerprintRestored(
  address: ServerAddress,
  { original, current }: { readonly original: string; readonly current: string },
  signal: AbortSignal,
): Promise<FingerprintItem[]> {
  await using connection = await connect(address, current, signal);
  await connection.query(pinnedSettings);
  return await fingerprintDatabase({ name: original, connection }); // Awaited: the connection closes at the brace.
}

export interface Comparison {
  readonly expected: Fingerprint;
  readonly database: string;
  readonly found: readonly FingerprintItem[];
  /** Majors describe structure differently. */
  readonly isSameMajor: boolean;
}

const namedMax = 5;

/** Rejects with `VERIFICATION_FAILED` where a row is lost, changed or added. */
export function requireEqual({ expected, database, found, isSameMajor }: Comparison): void {
  const isCompared = (item: FingerprintItem): boolean => isOf(item, database) && (isSameMajor || !isSchemaItem(item));
  const differences = compareFingerprints(
    fingerprintOf(expected.items.filter(isCompared)),
    fingerprintOf(found.filter(isCompared)),
  );
  if (differences.length === 0) return;
  const named = differences
    .slice(0, namedMax)
    .map((one) => `${one.name} ${one.kind} (${one.rowsExpected} rows expected, ${one.rowsFound} found)`);
  const more = differences.length > namedMax ? ` and ${differences.length - namedMax} more` : '';
  throw new AppError('VERIFICATION_FAILED', `database ${database} came back different: ${named.join(', ')}${more}`, {
    hint: 'Restore another recovery point, or restore this one to a new name and compare by hand.',
  });
}

export function isComparable(fingerprint: Fingerprint | undefined): fingerprint is Fingerprint {
  return fingerprint?.method === fingerprintMethod;
}

function isOf({ name }: FingerprintItem, database: string): boolean {
  const prefix = itemName(database);
  return name.startsWith(`${prefix}.`) || name.startsWith(`${prefix} (`);
}
