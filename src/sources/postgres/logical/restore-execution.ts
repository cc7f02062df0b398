// Carries a restore out: beside what is there, compared, then swapped. Until the swap the original is not touched, and
// whatever fails takes with it all that was made on the way.
import { AppError, isAppError, messageOf } from '../../../base/errors.ts';
import { interruptedWith, type Leftover } from '../../../base/interrupted.ts';
import type { Fingerprint } from '../../../model/fingerprint.ts';
import type { RestoreOutcome, RestoreProgress } from '../../source.ts';
import { type Connection, connect } from '../connection.ts';
import { describeServer, type ServerAddress } from '../server-address.ts';
import { applyProperties, createDatabase, dropDatabase } from './database-creation.ts';
import { dropRoles, restoreRoles } from './globals.ts';
import type { ProgramFolder } from './programs.ts';
import type { RecoveryPoint, StoredDatabase } from './recovery-point.ts';
import { leftOut } from './left-out.ts';
import { feedDump, fingerprintRestored, isComparable, requireEqual } from './restore-dump.ts';
import { connectForMaintenance, type DatabaseEntry, readServerFacts, type ServerFacts } from '../server.ts';
import { swapDatabases } from './swap-databases.ts';
import pg from 'pg';

export interface Move {
  readonly stored: StoredDatabase;
  /** What it is to be called in the end. */
  readonly target: string;
  /** What it is called until it is proved. */
  readonly restored: string;
  /** What has the target's name now. */
  readonly existing: DatabaseEntry | undefined;
  /** What that will be called. */
  readonly before: string | undefined;
}

export interface RestoreWork {
  readonly point: RecoveryPoint;
  readonly moves: readonly Move[];
  readonly server: ServerFacts;
  readonly address: ServerAddress;
  readonly expected: Fingerprint | undefined;
  readonly flags: readonly string[];
  readonly missingRoles: readonly string[];
}

interface Litter {
  readonly databases: string[];
  readonly roles: string[];
}

export async function executeRestore(
  work: RestoreWork & { readonly program: ProgramFolder },
  progress: RestoreProgress,
  signal: AbortSignal,
): Promise<RestoreOutcome> {
  const litter: Litter = { databases: [], roles: [] };
  const avoid = work.moves.map(({ target }) => target);
  let isSwapping = false;
  try {
    await using maintenance = await connectForMaintenance(work.address, avoid, signal);
    const remarks = await bringRoles(work, { maintenance, progress, litter });
    const restored: string[] = [];
    for (const [index, move] of work.moves.entries()) {
      progress.step(1 + index);
      restored.push(await restoreOne(work, { move, maintenance, progress, litter, signal }));
    }
    progress.step(1 + work.moves.length);
    isSwapping = true;
    await swapDatabases(maintenance, work.moves, { address: work.address, signal });
    return { restored: [...restored, ...remarks], kept: keptOf(work) };
  } catch (error) {
    const left = isSwapping ? leftOfSwap(work) : untouched;
    await cleanUp(work, litter, interruptedWith(signal, left) ?? error);
    throw interruptedWith(signal, left) ?? error;
  }
}

const untouched: Leftover = { left: 'nothing was swapped, the live data is untouched', hint: 'Restore again.' };

/** Without an answer nobody knows whether all were renamed or none. */
function leftOfSwap({ moves }: RestoreWork): Leftover {
  const names = moves.map(({ before, target }) => before ?? target).join(', ');
  return {
    left: 'it had begun to swap, which happens to all databases or to none',
    hint: `Look whether there is ${names}: then the restored data is in place. Else restore again.`,
  };
}

interface Hands {
  readonly maintenance: Connection;
  readonly progress: RestoreProgress;
  readonly litter: Litter;
}

async function bringRoles(
  { point, missingRoles }: RestoreWork,
  { maintenance, progress, litter }: Hands,
): Promise<string[]> {
  progress.step(0);
  if (missingRoles.length === 0) return [];
  const roles = { globals: point.globals, missing: new Set(missingRoles) };
  const { created, refused } = await restoreRoles(maintenance, roles, (role) => litter.roles.push(role));
  const remarks = created.length === 0 ? [] : [`roles created: ${created.join(', ')}`];
  return [...remarks, ...refused.map((one) => `not restored: ${one}`)];
}

async function restoreOne(
  work: RestoreWork & { readonly program: ProgramFolder },
  hands: Hands & { readonly move: Move; readonly signal: AbortSignal },
): Promise<string> {
  const { point, server, address, program, flags, expected } = work;
  const { maintenance, progress, litter, move, signal } = hands;
  const { stored, restored } = move;
  // Roles may have come since the preflight.
  const now = await readServerFacts(maintenance);
  await createDatabase(maintenance, restored, { facts: stored.facts, server: now });
  litter.databases.push(restored);
  const onBytes = (count: number): void => progress.bytes(count);
  const without = leftOut(stored.toc, now);
  const feed = { address, program, flags, leftOut: without, into: restored, onBytes, signal };
  await feedDump(point.reader, stored, feed);
  const refused = await applyProperties(maintenance, restored, { facts: stored.facts, roles: new Set(now.roles) });
  await analyze(address, restored, signal);
  const found = await fingerprintRestored(address, { original: stored.name, current: restored }, signal);
  const isCompared = isComparable(expected);
  if (isCompared) {
    const isSameMajor = stored.toc.serverMajor === server.major;
    requireEqual({ expected, found, database: stored.name, isSameMajor });
  }
  const rows = found.filter(({ name }) => !name.endsWith(')')).reduce((sum, item) => sum + item.rows, 0);
  const proved = isCompared ? 'all rows equal' : 'not compared: the recovery point has no fingerprint';
  const remarks = refused.map((one) => `; not restored: ${one}`).join('');
  return `database ${move.target}: ${stored.toc.tables} tables, ${rows} rows, ${proved}${remarks}`;
}

/** A dump carries no statistics; without them the first queries would crawl. */
async function analyze(address: ServerAddress, database: string, signal: AbortSignal): Promise<void> {
  await using connection = await connect(address, database, signal);
  await connection.query('ANALYZE');
}

function keptOf({ moves, address }: RestoreWork): string | undefined {
  const kept = moves.flatMap(({ before, target }) => (before === undefined ? [] : [{ before, target }]));
  if (kept.length === 0) return undefined;
  const statements = kept.map(({ before }) => `DROP DATABASE ${pg.escapeIdentifier(before)};`);
  const names = kept.map(({ before, target }) => `${target} as it was is now ${before}`).join(', ');
  return `${names} on ${describeServer(address)}; remove with: ${statements.join(' ')}`;
}

const cleanUpMaxMs = 60_000;

/** With a signal of its own: an interrupted restore must not leave its half behind either. */
async function cleanUp({ address, server, moves }: RestoreWork, litter: Litter, cause: unknown): Promise<void> {
  if (litter.databases.length + litter.roles.length === 0) return;
  try {
    const avoid = moves.map(({ target }) => target);
    await using connection = await connectForMaintenance(address, avoid, AbortSignal.timeout(cleanUpMaxMs));
    for (const name of litter.databases) await dropDatabase(connection, name, server.major);
    await dropRoles(connection, litter.roles);
  } catch (error) {
    const left = [...litter.databases, ...litter.roles].join(', ');
    const code = isAppError(cause, 'INTERRUPTED') ? cause.code : 'RESTORE_FAILED';
    throw new AppError(code, `${messageOf(cause)}; and could not be tidied up: ${messageOf(error)}`, {
      hint: `What was there before is untouched; drop by hand what is left of: ${left}.`,
      cause: code === 'INTERRUPTED' && cause instanceof AppError ? cause.cause : cause,
    });
  }
}
