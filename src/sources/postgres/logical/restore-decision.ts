// Decides a restore into a running server: what goes where, what that replaces, what speaks against it.
import assert from 'node:assert/strict';
import pg from 'pg';
import { type AppError, isAppError, messageOf } from '../../../base/errors.ts';
import type { Finding } from '../../../model/finding.ts';
import type { RecoveryReader, RestoreDecision, RestoreRequest } from '../../source.ts';
import { describeServer, type ServerAddress } from '../server-address.ts';
import { addressOf, type PostgresOptions } from '../options.ts';
import { readRecoveryPoint, type RecoveryPoint, type StoredDatabase } from './recovery-point.ts';
import { executeRestore, type Move, type RestoreWork } from './restore-execution.ts';
import { preflight } from './restore-preflight.ts';
import { nameStamp, namesWithEnding, restoreTarget } from './restore-target.ts';
import { connectForMaintenance, type DatabaseEntry, readServerFacts, type ServerFacts } from '../server.ts';

export async function decideRestore(
  options: PostgresOptions,
  { reader, request }: { readonly reader: RecoveryReader; readonly request: RestoreRequest },
  signal: AbortSignal,
): Promise<RestoreDecision> {
  const target = restoreTarget(request.to, await addressOf(options), options.passwordOfOthers);
  const point = await readRecoveryPoint(reader, request.include, signal);
  const names = point.databases.map(({ name }) => target.database ?? name);
  const described = `${names.length === 1 ? 'database' : 'databases'} ${names.join(', ')} on ${describeServer(target.address)}`;
  if (names.length === 0 || new Set(names).size < names.length) {
    return forbidden(described, scopeFinding(point, target.database));
  }
  let server: ServerFacts;
  let looked: Awaited<ReturnType<typeof preflight>>;
  try {
    await using connection = await connectForMaintenance(target.address, names, signal);
    server = await readServerFacts(connection);
    const { programFolders } = options;
    const existing = server.databases.filter(({ name }) => names.includes(name));
    const subject = { point, server, connection, programFolders, replaced: existing, address: target.address };
    looked = await preflight(subject, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (!isAppError(error)) throw error;
    return forbidden(described, findingOf('connection', error));
  }
  const moves = movesOf(point.databases, { names, server, stamp: freeStamp(server, options.clock.now()) });
  const findings = [...looked.findings, ...sessionFindings(moves), ...leftOverFindings(server)];
  const expected = await reader.fingerprint(signal);
  const work: RestoreWork = {
    point,
    moves,
    server,
    expected,
    address: target.address,
    flags: looked.flags,
    missingRoles: looked.missingRoles,
  };
  const { program } = looked;
  return {
    target: described,
    replaces: replaced(moves, target.address),
    steps: stepsOf(work),
    findings,
    execute(progress, executeSignal) {
      const failed = findings.find(({ outcome }) => outcome === 'failed');
      if (failed !== undefined || program === undefined)
        return Promise.reject(new Error(`the preflight failed: ${failed?.message ?? ''}`));
      return executeRestore({ ...work, program }, progress, executeSignal);
    },
  };
}

function findingOf(aspect: string, error: AppError): Finding {
  return { aspect, outcome: 'failed', message: messageOf(error), hint: error.hint };
}

function forbidden(target: string, finding: Finding): RestoreDecision {
  return {
    target,
    steps: [],
    findings: [finding],
    execute: () => Promise.reject(new Error(`the preflight failed: ${finding.message}`)),
  };
}

function scopeFinding({ databases }: RecoveryPoint, target: string | undefined): Finding {
  const aspect = 'databases';
  if (databases.length === 0) {
    const hint = 'Choose another recovery point.';
    return { aspect, outcome: 'failed', message: 'the recovery point holds no database', hint };
  }
  const message = `${databases.length} databases (${databases.map(({ name }) => name).join(', ')}) can't all become ${target ?? ''}`;
  return { aspect, outcome: 'failed', message, hint: 'Name one database to restore.' };
}

/** Of now, or of the next second that no kept database carries: two restores may fall into one. */
function freeStamp({ databases }: ServerFacts, nowMs: number): string {
  let stamp = nameStamp(nowMs);
  for (let later = 1; databases.some(({ name }) => name.endsWith(stamp)); later += 1) {
    stamp = nameStamp(nowMs + later * 1000);
  }
  return stamp;
}

const newEnding = '_lifeboat_new_';
const leftOverPattern = /_lifeboat_new_\d{8}t\d{6}$/;

function movesOf(
  databases: readonly StoredDatabase[],
  { names, server, stamp }: { readonly names: readonly string[]; readonly server: ServerFacts; readonly stamp: string },
): Move[] {
  const newNames = namesWithEnding(names, `${newEnding}${stamp}`);
  const oldNames = namesWithEnding(names, `_before_${stamp}`);
  return databases.map((stored, index) => {
    const [target, restored] = [names[index], newNames[index]];
    assert.ok(target !== undefined && restored !== undefined);
    const existing = server.databases.find((one) => one.name === target);
    return { stored, target, restored, existing, before: existing && oldNames[index] };
  });
}

function describeEntry({ name, sizeBytes, sessions }: DatabaseEntry): string {
  const size = sizeBytes === null ? '' : `${Math.ceil(sizeBytes / 2 ** 20)} MiB, `;
  return `${name} (${size}${sessions} ${sessions === 1 ? 'session' : 'sessions'})`;
}

function replaced(moves: readonly Move[], address: ServerAddress): string | undefined {
  const existing = moves.flatMap((move) => (move.existing === undefined ? [] : [describeEntry(move.existing)]));
  if (existing.length === 0) return undefined;
  return `${existing.length === 1 ? 'database' : 'databases'} ${existing.join(', ')} on ${describeServer(address)}`;
}

function sessionFindings(moves: readonly Move[]): Finding[] {
  const busy = moves.flatMap(({ existing }) => (existing !== undefined && existing.sessions > 0 ? [existing] : []));
  if (busy.length === 0) return [];
  const message = `in use: ${busy.map(describeEntry).join(', ')}; the sessions are ended at the swap`;
  return [
    {
      aspect: 'sessions',
      outcome: 'warning',
      message,
      hint: 'Stop the application first: what it writes until the swap is in the kept copy only.',
    },
  ];
}

/** A process that was killed in the middle of a restore could not tidy up. */
function leftOverFindings({ databases }: ServerFacts): Finding[] {
  const leftOver = databases.filter(({ name }) => leftOverPattern.test(name)).map(({ name }) => name);
  if (leftOver.length === 0) return [];
  const statements = leftOver.map((name) => `DROP DATABASE ${pg.escapeIdentifier(name)};`);
  const message = `of another restore, running or broken off: ${leftOver.join(', ')}`;
  return [{ aspect: 'left-overs', outcome: 'warning', message, hint: `If none is running: ${statements.join(' ')}` }];
}

function stepsOf({ moves, missingRoles }: RestoreWork): string[] {
  const roles = missingRoles.length === 0 ? 'leave roles as they are' : `create roles ${missingRoles.join(', ')}`;
  const swaps = moves.map(({ restored, target, before }) =>
    before === undefined
      ? `${restored} becomes ${target}`
      : `${target} becomes ${before}, ${restored} becomes ${target}`,
  );
  return [
    roles,
    ...moves.map(({ stored, restored }) => `restore ${stored.name} as ${restored} and compare its rows`),
    `rename: ${swaps.join('; ')}`,
  ];
}
