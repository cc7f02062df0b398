// Decides how a recovery point goes into a running server. Pure.
//
// Ways weighed: making the server a replica of ours for a moment is exact, but needs a way from the server to us,
// disturbs its replicas, and managed servers refuse it. Replacing its files needs a restart that is not ours to do, and
// with the append-only file on, Redis would ignore the dump. RESTORE per key works wherever commands do, and goes into
// the append-only file and to replicas like any write; the values come from the dump as they are, so no second server is
// needed. It is done beside: into databases that are empty, compared there, and swapped in at one instant (SWAPDB); the
// earlier keys stay in the other database until someone removes them. Only where there is no room for both is the
// earlier data deleted first, after the whole recovery point was read and checked.
import { count } from '../../base/count.ts';
import type { Finding } from '../../model/finding.ts';
import type { RecoveryPoint } from './recovery-point.ts';
import { findingsOf } from './redis-checks.ts';
import { keysByDatabase, productOf, type ServerInfo } from './server-facts.ts';

/** `beside` and swap; `replace` after deleting; `fill` what is empty. */
type ServerRestoreMode = 'beside' | 'replace' | 'fill';

export interface ServerDecision {
  readonly mode: ServerRestoreMode;
  /** Databases of the recovery point (or to be emptied) and where their keys are written first. */
  readonly databases: readonly { readonly index: number; readonly writtenTo: number; readonly keysBefore: number }[];
  readonly replaces: string | undefined;
  readonly findings: readonly Finding[];
}

export interface ServerRestoreInput {
  readonly point: RecoveryPoint;
  readonly info: ServerInfo;
  /** How many databases the server has; undefined if it doesn't say. */
  readonly databaseCount: number | undefined;
  /** Databases asked for; all if empty. */
  readonly include: readonly number[];
}

export function decideServerRestore(input: ServerRestoreInput): ServerDecision {
  const { point, info, include } = input;
  const present = keysByDatabase(info);
  const wanted = point.keys ?? new Map<number, number>();
  const affected = include.length > 0 ? [...new Set(include)] : [...new Set([...wanted.keys(), ...present.keys()])];
  affected.sort((left, right) => left - right);
  const replaced = affected.filter((index) => (present.get(index) ?? 0) > 0);
  const spare = spareDatabases(input, new Set([...wanted.keys(), ...present.keys(), ...affected]));
  const fitsBeside = spare.length >= affected.length && fitsInMemory(input, usedBytes(info));
  const mode = replaced.length === 0 ? 'fill' : fitsBeside ? 'beside' : 'replace';
  const databases = affected.map((index, place) => ({
    index,
    writtenTo: mode === 'beside' ? (spare[place] ?? index) : index,
    keysBefore: present.get(index) ?? 0,
  }));
  const replaces = replaced.map((index) => `db${index}: ${count(present.get(index) ?? 0, 'key')}`).join(', ');
  return {
    mode,
    databases,
    replaces: replaces === '' ? undefined : replaces,
    findings: [...targetFindings(input, affected), ...(mode === 'replace' ? [replaceWarning] : [])],
  };
}

function spareDatabases(input: ServerRestoreInput, taken: ReadonlySet<number>): number[] {
  if (input.info.get('cluster_enabled') === '1' || input.databaseCount === undefined) return [];
  const spare: number[] = [];
  // From the end: applications count from 0.
  for (let index = input.databaseCount - 1; index >= 0; index -= 1) if (!taken.has(index)) spare.push(index);
  return spare;
}

function usedBytes(info: ServerInfo): number {
  return Number(info.get('used_memory') ?? 0);
}

/** Whether the recovery point fits beside `besideBytes`; a limit that isn't known limits nothing. */
function fitsInMemory({ point, info }: ServerRestoreInput, besideBytes: number): boolean {
  const limitBytes = Number(info.get('maxmemory') ?? 0) || Number(info.get('total_system_memory') ?? 0) * 0.8;
  return limitBytes === 0 || besideBytes + point.usedMemoryBytes <= limitBytes;
}

const replaceWarning: Finding = {
  aspect: 'earlier data',
  outcome: 'warning',
  message: 'there is no room beside the present keys (databases or memory), so they are deleted before the restore',
  hint: 'Take a backup of the server now, or restore into an empty server.',
};

/** First Redis version that reads an RDB version; Valkey took over 11 and went its own way at 80. */
const versionsByRdb = [
  [9, '5.0'],
  [10, '7.0'],
  [11, '7.2'],
  [12, '7.4'],
] as const;

function* targetFindings(input: ServerRestoreInput, affected: readonly number[]): Iterable<Finding> {
  const { point, info } = input;
  // Version and role matter as they do for a backup; the rest is about the backup's own worth.
  yield* [...findingsOf(info)].filter(({ aspect }) => aspect === 'server version');
  yield contentFinding(point);
  if (info.get('role') === 'slave') {
    yield {
      aspect: 'role',
      outcome: 'failed',
      message: 'the target is a replica; what is written there is lost at its next synchronisation',
      hint: 'Name its master as the target.',
    };
  }
  if (info.get('cluster_enabled') === '1') {
    yield {
      aspect: 'cluster',
      outcome: 'failed',
      message: 'the target is a node of a cluster, which takes only the keys of its own slots',
      hint: 'Restore into a stopped node by its folder, or into a server that is no cluster.',
    };
  }
  if (!fitsInMemory(input, 0)) {
    yield {
      aspect: 'memory',
      outcome: 'failed',
      message: `the data took ${point.usedMemoryBytes} bytes of memory, more than the target may use`,
      hint: 'Raise maxmemory of the target.',
    };
  }
  const highest = affected.at(-1) ?? 0;
  if (input.databaseCount !== undefined && highest >= input.databaseCount) {
    yield {
      aspect: 'databases',
      outcome: 'failed',
      message: `the target has ${input.databaseCount} databases, the data needs ${highest + 1}`,
      hint: "Raise 'databases' in the target's configuration.",
    };
  }
  const missing = input.include.filter((index) => point.keys?.has(index) === false);
  if (missing.length > 0) {
    yield {
      aspect: 'databases asked for',
      outcome: 'failed',
      message: `the recovery point has no ${missing.map((index) => `db${index}`).join(', ')}`,
      hint: 'Name databases that it has, or none for all.',
    };
  }
  yield versionFinding(point, info);
}

function contentFinding(point: RecoveryPoint): Finding {
  if (point.keys !== undefined)
    return { aspect: 'content', outcome: 'passed', message: 'the data is readable key by key' };
  return {
    aspect: 'content',
    outcome: 'failed',
    message: 'the recovery point has no fingerprint: its data is of a version this program does not know',
    hint: 'Restore into the folder of a stopped server instead.',
  };
}

function versionFinding(point: RecoveryPoint, info: ServerInfo): Finding {
  const aspect = 'data version';
  const version = info.get('redis_version') ?? '0';
  const needed = versionsByRdb.find(([rdb]) => rdb >= point.rdbVersion)?.[1];
  if (needed === undefined) {
    return {
      aspect,
      outcome: 'inconclusive',
      message: `whether ${productOf(info)} reads data of version ${point.rdbVersion} is not known`,
      hint: 'Restore into a server of the version backed up.',
    };
  }
  if (version.localeCompare(needed, 'en', { numeric: true }) >= 0) {
    return { aspect, outcome: 'passed', message: `${productOf(info)} reads data of version ${point.rdbVersion}` };
  }
  return {
    aspect,
    outcome: 'failed',
    message: `${productOf(info)} can't read data of version ${point.rdbVersion}, which needs ${needed}`,
    hint: `Restore into Redis ${needed} or newer.`,
  };
}
