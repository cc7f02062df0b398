// Takes a whole database out of a server of the past: into a new database of the target, compared, and only then, if that is asked for,
// in the place of the one of its name. Why this is not the restore of databases-over-copy.ts: docs/decisions/service-restore.md.
import pg from 'pg';
import { formatByteSize } from '../../../base/byte-size.ts';
import { count } from '../../../base/count.ts';
import { AppError, asError } from '../../../base/errors.ts';
import type { Finding } from '../../../model/finding.ts';
import type { ExtractRequest } from '../../explore.ts';
import type { RestoreDecision } from '../../source.ts';
import { connect, onlyRow } from '../connection.ts';
import { type DatabaseFacts, readDatabaseFacts } from '../database-facts.ts';
import { fingerprintOf } from '../fingerprint.ts';
import { createDatabase, dropDatabase } from '../logical/database-creation.ts';
import { fingerprintRestored, requireEqual } from '../logical/restore-dump.ts';
import { ownershipFinding } from '../logical/ownership.ts';
import { namesWithEnding } from '../logical/restore-target.ts';
import { swapDatabases } from '../logical/swap-databases.ts';
import { lookUpSwap, sessionOf, type SwapState } from '../logical/swap-state.ts';
import type { PostgresOptions } from '../options.ts';
import { connectForMaintenance, readServerFacts, type ServerFacts } from '../server.ts';
import { describeServer } from '../server-address.ts';
import { type DumpPrograms, dumpAcross, type Ends, programsFinding, programsFor } from './dump-across.ts';

interface DatabaseWork {
  readonly ends: Ends;
  readonly facts: DatabaseFacts;
  readonly server: ServerFacts;
  /** What it is called in the end, and until it is compared. */
  readonly target: string;
  readonly restored: string;
  /** What the one that has the name now is called then. */
  readonly before: string | undefined;
  readonly programs: DumpPrograms;
}

export async function decideDatabase(
  options: PostgresOptions,
  { ends, request }: { readonly ends: Ends; readonly request: ExtractRequest },
  signal: AbortSignal,
): Promise<RestoreDecision> {
  const { source, stamp } = ends;
  const past = await factsOfPast(ends, signal);
  const server = await factsOfTarget(ends, signal);
  const wanted = ends.database ?? source;
  const isThere = (name: string): boolean => server.databases.some((one) => one.name === name);
  // Beside what is there, unless it is to make way.
  const target = request.as ?? (isThere(wanted) && !request.replaces ? ending(wanted, `_lifeboat_${stamp}`) : wanted);
  const existing = server.databases.find(({ name }) => name === target);
  const isReplacing = existing !== undefined && request.replaces;
  const programs = await programsFor({ from: past.major, to: server.major }, options, signal);
  const findings = [
    nameFinding(target, existing !== undefined, request.replaces),
    ...(isReplacing ? [ownershipFinding(server, [existing])] : []),
    rightsFinding(server),
    ...replicationFindings(past, server),
    programsFinding(programs),
  ];
  const restored = isReplacing ? ending(target, `_lifeboat_new_${stamp}`) : target;
  const before = isReplacing ? ending(target, `_before_${stamp}`) : undefined;
  const where = describeServer(ends.to);
  return {
    target: `database ${target} on ${where}`,
    ...(isReplacing ? { replaces: `database ${target} on ${where}` } : {}),
    steps: [
      `copy database ${source} (${formatByteSize(past.facts.sizeBytes)}) into a new database ${restored}`,
      'compare the rows with those of that instant',
      ...(before === undefined ? [] : [`rename: ${target} becomes ${before}, ${restored} becomes ${target}`]),
    ],
    findings,
    async execute(progress, executeSignal) {
      const work = { ends, facts: past.facts, server, target, restored, before, programs };
      return execute(work, progress, executeSignal);
    },
  };
}

const ending = (name: string, text: string): string => namesWithEnding([name], text)[0] ?? name;

interface Replication {
  readonly publications: readonly string[];
  readonly subscriptions: readonly string[];
}

interface PastFacts extends Replication {
  readonly major: number;
  readonly facts: DatabaseFacts;
}

const replicationQuery = `
  SELECT ARRAY(SELECT pubname::text FROM pg_catalog.pg_publication ORDER BY 1) AS publications,
         ARRAY(SELECT s.subname::text FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid
                WHERE d.datname = pg_catalog.current_database() ORDER BY 1) AS subscriptions`;

async function factsOfPast(ends: Ends, signal: AbortSignal): Promise<PastFacts> {
  await using connection = await connect(ends.from, ends.source, signal);
  const { major } = await readServerFacts(connection);
  const replication = onlyRow(await connection.query<Replication>(replicationQuery));
  return { major, facts: await readDatabaseFacts(connection, major), ...replication };
}

/** Publications wait for who subscribes; a subscription would fetch what the original is to get, and move its slot on. */
function replicationFindings({ publications, subscriptions }: Replication, { isSuperuser }: ServerFacts): Finding[] {
  const left = [
    ...(isSuperuser ? [] : publications.map((name) => `publication ${name}`)),
    ...subscriptions.map((name) => `subscription ${name}`),
  ];
  if (left.length === 0) return [];
  const hint = 'Make them again by hand once nothing else uses them.';
  return [{ aspect: 'replication', outcome: 'warning', message: `left behind: ${left.join(', ')}`, hint }];
}

export async function factsOfTarget({ to }: Pick<Ends, 'to'>, signal: AbortSignal): Promise<ServerFacts> {
  await using connection = await connectForMaintenance(to, [], signal);
  return await readServerFacts(connection);
}

function nameFinding(target: string, isThere: boolean, replaces: boolean): Finding {
  const aspect = 'database';
  if (!isThere) return { aspect, outcome: 'passed', message: `${target} is new` };
  if (replaces) return { aspect, outcome: 'passed', message: `${target} is kept under another name` };
  const hint = 'Name another with --as, or let it take the place of the old one with --replace.';
  return { aspect, outcome: 'failed', message: `there is a database ${target}`, hint };
}

export function rightsFinding({ user, mayCreateDatabases, isSuperuser }: ServerFacts): Finding {
  const aspect = 'rights';
  if (!mayCreateDatabases) {
    const hint = `Run as a superuser: ALTER ROLE ${pg.escapeIdentifier(user)} CREATEDB, or name another role in --to.`;
    return { aspect, outcome: 'failed', message: `${user} may not create databases`, hint };
  }
  if (isSuperuser)
    return { aspect, outcome: 'passed', message: 'owners and rights come back as far as the roles exist' };
  const message = `${user} will own everything: giving objects to others takes a superuser`;
  return { aspect, outcome: 'warning', message, hint: 'Name a superuser in --to where owners matter.' };
}

type Execute = RestoreDecision['execute'];

async function execute(work: DatabaseWork, ...[progress, signal]: Parameters<Execute>): ReturnType<Execute> {
  const { ends, server, target, restored, before } = work;
  await using maintenance = await connectForMaintenance(ends.to, [target], signal);
  progress.step(0);
  await createDatabase(maintenance, restored, { facts: work.facts, server });
  let state: SwapState = 'unchanged';
  try {
    const hasOwners = await copyDatabase(work, (bytes) => progress.bytes(bytes), signal);
    progress.step(1);
    const rows = await compare(work, signal);
    const owners = hasOwners ? '' : `; everything belongs to ${server.user}`;
    const told = [`database ${target}: ${rows} as they were${owners}`];
    if (before === undefined) return { restored: told, kept: `all other databases; remove it with ${drop(restored)}` };
    progress.step(2);
    const moves = [{ restored, target, before }];
    const session = await sessionOf(maintenance);
    await swapDatabases(maintenance, moves, { address: ends.to, signal }).catch(async (error: unknown) => {
      // The answer to a swap may be lost when it is done.
      state = await lookUpSwap(moves, { address: ends.to, session });
      if (state !== 'swapped') throw error;
    });
    return { restored: told, kept: `the earlier ${target} is ${before}; remove it with ${drop(before)}` };
  } catch (error) {
    if (state === 'unchanged') await remove(work, error);
    throw error;
  }
}

const drop = (name: string): string => `DROP DATABASE ${pg.escapeIdentifier(name)};`;

/** The signal may be what failed: tidying up has one of its own. */
async function remove({ ends, restored, target, server }: DatabaseWork, error: unknown): Promise<void> {
  const signal = AbortSignal.timeout(60_000);
  try {
    await using maintenance = await connectForMaintenance(ends.to, [target, restored], signal);
    await dropDatabase(maintenance, restored, server.major);
  } catch (failure) {
    throw new AppError(
      'RESTORE_FAILED',
      `${asError(error).message}; database ${restored} is left: ${asError(failure).message}`,
      {
        hint: `Remove it with ${drop(restored)}`,
        cause: error,
      },
    );
  }
}

/** Whether owners and rights came along. */
async function copyDatabase(
  { ends, server, restored, programs }: DatabaseWork,
  onBytes: (count: number) => void,
  signal: AbortSignal,
): Promise<boolean> {
  const roles = await rolesNeeded(ends, signal);
  const hasOwners = server.isSuperuser && roles.every((name) => server.roles.includes(name));
  const plain = hasOwners ? [] : ['--no-owner', '--no-privileges'];
  const passive = server.isSuperuser ? [] : ['--no-publications'];
  const flags = ['--no-subscriptions', ...passive, '--no-security-labels', '--no-tablespaces', ...plain];
  await dumpAcross(
    {
      programs,
      what: `database ${ends.source}`,
      onBytes,
      from: { address: ends.from, database: ends.source, flags },
      to: { address: ends.to, database: restored, flags },
    },
    signal,
  );
  return hasOwners;
}

/** All of the past but the server's own: whose rights are named where is not worth telling apart. */
async function rolesNeeded({ from, source }: Ends, signal: AbortSignal): Promise<string[]> {
  await using connection = await connect(from, source, signal);
  const query = `SELECT DISTINCT pg_catalog.pg_get_userbyid(refobjid)::text AS name FROM pg_catalog.pg_shdepend
                  WHERE refclassid = 'pg_catalog.pg_authid'::regclass AND deptype IN ('o', 'a', 'r')
                    AND dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())`;
  return (await connection.query<{ readonly name: string }>(query))
    .map(({ name }) => name)
    .filter((name) => !name.startsWith('pg_'));
}

async function compare({ ends, restored }: DatabaseWork, signal: AbortSignal): Promise<string> {
  const original = ends.source;
  const expected = await fingerprintRestored(ends.from, { original, current: original }, signal);
  const found = await fingerprintRestored(ends.to, { original, current: restored }, signal);
  // Subscriptions and owners may stay behind on purpose, so what the structure consists of is not compared.
  requireEqual({ expected: fingerprintOf(expected), database: original, found, isSameMajor: false });
  const rows = expected.filter(({ name }) => !name.endsWith(')')).reduce((sum, one) => sum + one.rows, 0);
  return count(rows, 'row');
}
