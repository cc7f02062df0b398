// Carries a restore out: beside what is there, compared, then swapped. Until the swap the original is not touched, and
// whatever fails takes with it all that was made on the way.
import { count } from '../../../base/count.ts';
import { AppError, asError, isAppError, messageOf, restoreFailureCode } from '../../../base/errors.ts';
import { interruptedWith, type Leftover } from '../../../base/interrupted.ts';
import type { Fingerprint } from '../../../model/fingerprint.ts';
import type { RestoreOutcome, RestoreProgress } from '../../source.ts';
import { type Connection, connect } from '../connection.ts';
import { describeServer, type ServerAddress } from '../server-address.ts';
import { applyProperties, createDatabase, dropDatabase, dropSubscriptions } from './database-creation.ts';
import { dropRoles, restoreRoles } from './globals.ts';
import type { ProgramFolder } from './programs.ts';
import type { RecoveryPoint, StoredDatabase } from './recovery-point.ts';
import { leftOut } from './left-out.ts';
import { feedDump, fingerprintRestored, isComparable, requireEqual } from './restore-dump.ts';
import { connectForMaintenance, type DatabaseEntry, readServerFacts, type ServerFacts } from '../server.ts';
import { swapDatabases } from './swap-databases.ts';
import { lookUpSwap, sessionOf, type SwapState } from './swap-state.ts';
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
  const { address, moves } = work;
  const avoid = moves.map(({ target }) => target);
  const restored: string[] = [];
  let session: number | undefined;
  try {
    await using maintenance = await connectForMaintenance(address, avoid, signal);
    const remarks = await bringRoles(work, { maintenance, progress, litter });
    for (const [index, move] of moves.entries()) {
      progress.step(1 + index);
      restored.push(await restoreOne(work, { move, maintenance, progress, litter, signal }));
    }
    restored.push(...remarks);
    progress.step(1 + moves.length);
    session = await sessionOf(maintenance);
    await swapDatabases(maintenance, moves, { address, signal });
  } catch (error) {
    // The answer to a swap may be lost with the connection, or by an interruption, when it is done.
    const state = session === undefined ? 'unchanged' : await lookUpSwap(moves, { address, session });
    const failure = failureOf(work, { error, state, signal });
    if (state === 'unchanged') await cleanUp(work, litter, failure);
    if (failure !== undefined) throw failure;
  }
  return { restored, kept: keptOf(work) };
}

/** Undefined if what failed was the answer alone and nobody wanted to stop. */
function failureOf(
  work: RestoreWork,
  { error, state, signal }: { readonly error: unknown; readonly state: SwapState; readonly signal: AbortSignal },
): Error | undefined {
  const left = { unchanged: untouched, swapped: inPlace(work), unknown: unknownSwap(work) }[state];
  const interruption = interruptedWith(signal, left);
  if (interruption !== undefined || state === 'swapped') return interruption;
  if (state === 'unchanged') return asError(error);
  return new AppError(restoreFailureCode(error), `${messageOf(error)}: ${left.left}`, {
    hint: left.hint,
    cause: error,
  });
}

const untouched: Leftover = { left: 'nothing was swapped, the live data is untouched', hint: 'Restore again.' };

function inPlace(work: RestoreWork): Leftover {
  const kept = keptOf(work);
  return {
    left: 'the swap was done, the restored data is in place',
    hint: kept === undefined ? 'There is nothing left to do.' : `There is nothing left to do; kept: ${kept}`,
  };
}

/** Without an answer nobody knows whether all were renamed or none, and nothing may be tidied up. */
function unknownSwap({ moves }: RestoreWork): Leftover {
  const names = moves.map(({ before, target }) => before ?? target).join(', ');
  const beside = moves.map(({ restored }) => restored).join(', ');
  return {
    left: 'it had begun to swap, which happens to all databases or to none, and the server does not say which',
    hint: `Look whether there is ${names} and no ${beside}: then the restored data is in place. Else drop ${beside} and restore again.`,
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
  const onBytes = (sizeBytes: number): void => progress.bytes(sizeBytes);
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
  return `database ${move.target}: ${count(stored.toc.tables, 'table')}, ${count(rows, 'row')}, ${proved}${remarks}`;
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
    const signal = AbortSignal.timeout(cleanUpMaxMs);
    await using connection = await connectForMaintenance(address, avoid, signal);
    for (const name of litter.databases) {
      await dropSubscriptions(connection, { address, name }, signal);
      await dropDatabase(connection, name, server.major);
    }
    await dropRoles(connection, litter.roles);
  } catch (error) {
    const left = [...litter.databases, ...litter.roles].join(', ');
    const code = isAppError(cause, 'INTERRUPTED') ? cause.code : restoreFailureCode(cause);
    throw new AppError(code, `${messageOf(cause)}; and could not be tidied up: ${messageOf(error)}`, {
      hint: `What was there before is untouched; drop by hand what is left of: ${left}.`,
      cause: code === 'INTERRUPTED' && cause instanceof AppError ? cause.cause : cause,
    });
  }
}
