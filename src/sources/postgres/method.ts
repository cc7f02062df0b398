// Physical or logical: which way a server is backed up where the configuration leaves the choice.
import { count } from '../../base/count.ts';
import { isAppError } from '../../base/errors.ts';
import type { Finding } from '../../model/finding.ts';
import type { EntryProblem } from '../source.ts';
import { addressOf, type PostgresOptions } from './options.ts';
import { connectReplication } from './protocol/connect-replication.ts';
import { replicationFailure, type ReplicationFailure } from './protocol/replication-error.ts';
import { readServer } from './server.ts';

export interface MethodChoice {
  readonly method: 'physical' | 'logical';
  /** For people: why this one. */
  readonly reason: string;
  /** What somebody may mend to get the other one; absent where it is as was asked for. */
  readonly hint?: string | undefined;
  /** What the choice depends on could not be found out: it may be another one next time. */
  readonly isUnknown?: true;
}

/** What the choice depends on. */
export interface MethodFacts {
  readonly configured: PostgresOptions['method'];
  /** Named in the configuration; all are meant if empty. */
  readonly listed: readonly string[];
  /** Those of the server that are no templates; undefined if it did not say, or lacks one that is listed. */
  readonly existing: readonly string[] | undefined;
  readonly replication:
    | { readonly isGranted: true; readonly major: number; readonly walLevel: string | undefined }
    | { readonly isGranted: false; readonly message: string; readonly hint: string }
    /** The server was not reached, or did not let us in for another reason. */
    | { readonly isGranted: 'unknown'; readonly message: string; readonly hint: string };
}

const [oldestMajor, newestMajor] = [14, 18];

/** Whether a server can be backed up as it lies on its disk. */
export const isPhysicalMajor = (major: number): boolean => major >= oldestMajor && major <= newestMajor;

export function chooseMethod({ configured, listed, existing, replication }: MethodFacts): MethodChoice {
  if (configured !== 'auto') return { method: configured, reason: 'as configured' };
  if (listed.length > 0 && existing === undefined) {
    return {
      method: 'logical',
      reason: 'it could not be found out whether the server has more databases than are listed',
      hint: 'Mend the connection, and check the names of the databases.',
      isUnknown: true,
    };
  }
  const leftOut = listed.length === 0 ? [] : (existing ?? []).filter((name) => !listed.includes(name));
  if (leftOut.length > 0) {
    // Not their names: they may be those of other customers, and who may see this one's backups may see this.
    const reason = `the databases of the configuration leave out ${count(leftOut.length, 'other')} of the server, and a physical backup holds all; method: physical takes them along`;
    return { method: 'logical', reason };
  }
  if (replication.isGranted === 'unknown') {
    const reason = `it could not be found out whether the server lets the role replicate: ${replication.message}`;
    return { method: 'logical', reason, hint: replication.hint, isUnknown: true };
  }
  if (!replication.isGranted) {
    const hint = `For physical backups: ${replication.hint}`;
    return { method: 'logical', reason: `the server does not let the role replicate: ${replication.message}`, hint };
  }
  const { major, walLevel } = replication;
  if (!isPhysicalMajor(major)) {
    return {
      method: 'logical',
      reason: `physical backups are of PostgreSQL ${oldestMajor} to ${newestMajor}, not ${major}`,
    };
  }
  if (walLevel === 'minimal') {
    const hint =
      'For physical backups run as a superuser: ALTER SYSTEM SET wal_level = replica; and restart the server.';
    return { method: 'logical', reason: 'wal_level is minimal', hint };
  }
  return { method: 'physical', reason: 'the role may replicate and all databases are meant' };
}

export async function decideMethod(options: PostgresOptions, signal: AbortSignal): Promise<MethodChoice> {
  const { method: configured, databases: listed } = options;
  if (configured !== 'auto') return { method: configured, reason: 'as configured' };
  const existing = await existingDatabases(options, signal);
  return chooseMethod({ configured, listed, existing, replication: await tryReplication(options, signal) });
}

/** Either is a good way: what the other one would take is only told. But nothing is good that is not known. */
export function methodFinding({ method, reason, hint, isUnknown }: MethodChoice): Finding {
  if (isUnknown) return { aspect: 'method', outcome: 'inconclusive', message: reason, hint };
  const message = `${method}: ${reason}`;
  return { aspect: 'method', outcome: 'passed', message: hint === undefined ? message : `${message}. ${hint}` };
}

/** With each backup, as long as somebody could change it. */
export function methodNotes({ method, reason, hint }: MethodChoice): EntryProblem[] {
  return hint === undefined ? [] : [{ path: '/', message: `${method}, because ${reason}` }];
}

async function existingDatabases(options: PostgresOptions, signal: AbortSignal): Promise<string[] | undefined> {
  try {
    const { server } = await readServer(await addressOf(options), options.databases, signal);
    return server.databases.filter((one) => !one.isTemplate && one.allowsConnections).map(({ name }) => name);
  } catch (error) {
    signal.throwIfAborted();
    if (!isAppError(error)) throw error;
    return undefined; // Whoever opens the backup or checks hears of it.
  }
}

/** What the server itself says of replication; all else says nothing about it. */
const refusals: ReadonlySet<ReplicationFailure | undefined> = new Set<ReplicationFailure | undefined>([
  'no-replication-right',
  'no-hba-line',
  'no-free-sender',
]);

async function tryReplication(options: PostgresOptions, signal: AbortSignal): Promise<MethodFacts['replication']> {
  try {
    const databases = [...options.databases, 'postgres', 'template1'];
    await using connection = await connectReplication(await addressOf(options), { databases }, signal);
    const walLevel = await connection.show('wal_level');
    return { isGranted: true, major: connection.facts.major, walLevel };
  } catch (error) {
    signal.throwIfAborted();
    if (!isAppError(error)) throw error;
    const isRefused = refusals.has(replicationFailure(error));
    return { isGranted: isRefused ? false : 'unknown', message: error.message, hint: error.hint };
  }
}
