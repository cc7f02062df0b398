// What stands between a recovery point and its target: looked at before anything is touched.
import type { Finding } from '../../../model/finding.ts';
import { messageOf, isAppError } from '../../../base/errors.ts';
import type { Connection } from '../connection.ts';
import { describeServer, type ServerAddress } from '../server-address.ts';
import type { ProgramFolder } from './programs.ts';
import { restoreProgram } from './programs.ts';
import type { RecoveryPoint } from './recovery-point.ts';
import { superuserFindings } from './left-out.ts';
import { ownershipFinding } from './ownership.ts';
import type { DatabaseEntry, ServerFacts } from '../server.ts';

export interface Preflight {
  readonly findings: readonly Finding[];
  readonly program: ProgramFolder | undefined;
  /** Flags for pg_restore where the target can't take everything. */
  readonly flags: readonly string[];
  readonly missingRoles: readonly string[];
}

export interface PreflightSubject {
  readonly point: RecoveryPoint;
  readonly server: ServerFacts;
  readonly address: ServerAddress;
  /** On the target. */
  readonly connection: Connection;
  readonly programFolders: readonly string[];
  /** Databases that give their names to restored ones. */
  readonly replaced: readonly DatabaseEntry[];
}

export async function preflight(subject: PreflightSubject, signal: AbortSignal): Promise<Preflight> {
  const { point, server, address } = subject;
  const message = `${describeServer(address)} answers to ${address.user}`;
  const findings: Finding[] = [{ aspect: 'connection', outcome: 'passed', message }, versionFinding(point, server)];
  const { program, finding } = await findProgram(subject, signal);
  const roles = roleFindings(subject);
  const tablespaces = tablespaceFinding(subject);
  findings.push(finding, rightFinding(server, address), ownershipFinding(server, subject.replaced));
  findings.push(...roles.findings, ...superuserFindings(point, server), tablespaces);
  findings.push(...(await extensionFindings(subject)), ...(await localeFindings(subject)), spaceFinding(point));
  const flags = [...roles.flags, ...(tablespaces.outcome === 'warning' ? ['--no-tablespaces'] : [])];
  return { findings, program, flags, missingRoles: roles.missing };
}

function versionFinding({ serverMajor }: RecoveryPoint, server: ServerFacts): Finding {
  const aspect = 'server version';
  const message = `the dump is of PostgreSQL ${serverMajor}, the target is ${server.version}`;
  if (server.isStandby) {
    return { aspect, outcome: 'failed', message: `${message}, a standby`, hint: 'Restore to the primary.' };
  }
  if (server.major >= serverMajor) return { aspect, outcome: 'passed', message };
  return { aspect, outcome: 'failed', message, hint: `Restore to a server of version ${serverMajor} or newer.` };
}

async function findProgram(
  { point, server, programFolders }: PreflightSubject,
  signal: AbortSignal,
): Promise<{ readonly program: ProgramFolder | undefined; readonly finding: Finding }> {
  const aspect = 'pg_restore';
  try {
    const majors = { archive: point.programMajor, server: server.major };
    const program = await restoreProgram(majors, programFolders, signal);
    return {
      program,
      finding: { aspect, outcome: 'passed', message: `version ${program.version} in ${program.folder}` },
    };
  } catch (error) {
    if (!isAppError(error, 'TOOL_MISSING')) throw error;
    return { program: undefined, finding: { aspect, outcome: 'failed', message: messageOf(error), hint: error.hint } };
  }
}

function rightFinding(server: ServerFacts, { user }: ServerAddress): Finding {
  const aspect = 'rights';
  if (server.mayCreateDatabases) return { aspect, outcome: 'passed', message: `${user} may create databases` };
  const hint = `Run as a superuser: ALTER ROLE "${user.replaceAll('"', '""')}" CREATEDB;`;
  return { aspect, outcome: 'failed', message: `${user} may not create databases`, hint };
}

interface Roles {
  readonly findings: readonly Finding[];
  readonly flags: readonly string[];
  /** Will be created. */
  readonly missing: readonly string[];
}

/** Owners that do not exist, or that the restoring role may not give objects to: these then stay its own. */
function roleFindings({ point, server }: PreflightSubject): Roles {
  const aspect = 'roles';
  const absent = point.globals.roles.filter((role) => !server.roles.includes(role));
  const missing = server.mayCreateRoles ? absent : [];
  const coming = new Set([...server.roles, ...missing]);
  const owners = [...new Set(point.databases.flatMap(({ toc }) => [...toc.owners]))].filter(isOfUsers);
  const lost = [...new Set([...owners, ...absent])].filter((role) => !coming.has(role));
  if (lost.length > 0) {
    const message = `no role ${lost.join(', ')} on the target: everything will belong to the restoring role, without grants`;
    const hint = 'Create the roles first, or restore with a role that may create them, to keep owners and grants.';
    return {
      findings: [{ aspect, outcome: 'warning', message, hint }],
      flags: ['--no-owner', '--no-privileges'],
      missing,
    };
  }
  const foreign = foreignOwners(point, server);
  if (foreign.length > 0) {
    const message = `${server.user} can't give objects to ${foreign.join(', ')}: everything will belong to itself`;
    const hint = 'Restore as a superuser to keep the owners.';
    return { findings: [{ aspect, outcome: 'warning', message, hint }], flags: ['--no-owner'], missing };
  }
  const message = missing.length === 0 ? 'all roles exist; none is changed' : `will be created: ${missing.join(', ')}`;
  return { findings: [{ aspect, outcome: 'passed', message }], flags: [], missing };
}

/**
 * Without a superuser, objects can be given to the database's owner only, by a member of it: all others may not create in
 * the schemas, and the rights to do so come at the end of a dump.
 */
function foreignOwners({ databases }: RecoveryPoint, { isSuperuser, rolesHeld, user }: ServerFacts): string[] {
  if (isSuperuser) return [];
  const foreign = databases.flatMap(({ toc, facts }) => {
    const owner = facts !== undefined && rolesHeld.includes(facts.owner) ? facts.owner : user;
    return [...toc.ownersToSet].filter((one) => one !== owner && one !== user && isOfUsers(one));
  });
  return [...new Set(foreign)];
}

/** The server's own roles are everywhere. */
function isOfUsers(role: string): boolean {
  return !role.startsWith('pg_');
}

function tablespaceFinding({ point, server }: PreflightSubject): Finding {
  const aspect = 'tablespaces';
  const wanted = new Set(point.databases.flatMap(({ toc }) => [...toc.tablespaces]));
  const missing = [...wanted].filter((name) => !server.tablespaces.includes(name));
  if (missing.length === 0)
    return { aspect, outcome: 'passed', message: wanted.size === 0 ? 'none needed' : 'all exist' };
  const message = `no tablespace ${missing.join(', ')} on the target: everything goes to the default one`;
  return { aspect, outcome: 'warning', message, hint: 'Create the tablespaces first to keep the layout.' };
}

async function extensionFindings({ point, connection, server }: PreflightSubject): Promise<Finding[]> {
  const wanted = new Set(point.databases.flatMap(({ toc }) => [...toc.extensions]));
  if (wanted.size === 0) return [];
  const missing = await missingExtensions(connection, wanted);
  const aspect = 'extensions';
  const untrusted = server.isSuperuser ? [] : await untrustedExtensions(connection, { wanted, major: server.major });
  if (missing.length === 0 && untrusted.length > 0) {
    const message = `only a superuser may create the extensions ${untrusted.join(', ')}`;
    return [{ aspect, outcome: 'warning', message, hint: 'Restore as a superuser.' }];
  }
  if (missing.length === 0) return [{ aspect, outcome: 'passed', message: `available: ${[...wanted].join(', ')}` }];
  const hint = 'Install the package that brings them (postgresql-contrib, postgis …) on the target server.';
  return [{ aspect, outcome: 'failed', message: `not available on the target: ${missing.join(', ')}`, hint }];
}

export async function missingExtensions(connection: Connection, wanted: Iterable<string>): Promise<string[]> {
  const rows = await connection.query<{ readonly name: string }>(
    `SELECT name FROM unnest($1::text[]) AS u(name)
      WHERE name NOT IN (SELECT a.name::text FROM pg_catalog.pg_available_extensions a)`,
    [[...wanted]],
  );
  return rows.map(({ name }) => name);
}

/** A warning only: managed services let more roles create more of them than the catalog says. */
async function untrustedExtensions(
  connection: Connection,
  { wanted, major }: { readonly wanted: Iterable<string>; readonly major: number },
): Promise<string[]> {
  const isTrusted = major >= 13 ? 'v.trusted' : 'false';
  const rows = await connection.query<{ readonly name: string }>(
    `SELECT name FROM unnest($1::text[]) AS u(name)
      WHERE (SELECT bool_and(v.superuser AND NOT ${isTrusted}) FROM pg_catalog.pg_available_extension_versions v WHERE v.name = u.name)`,
    [[...wanted]],
  );
  return rows.map(({ name }) => name);
}

/** The server knows the locales that its machine had at initdb; one installed later works too. */
async function localeFindings({ point, connection }: PreflightSubject): Promise<Finding[]> {
  const wanted = new Set(
    point.databases.flatMap(({ facts }) => (facts === undefined ? [] : [facts.collation, facts.characterType])),
  );
  const rows = await connection.query<{ readonly name: string }>(
    `SELECT name FROM unnest($1::text[]) AS u(name)
      WHERE name NOT IN ('C', 'POSIX')
        AND name NOT IN (SELECT collcollate::text FROM pg_catalog.pg_collation WHERE collcollate IS NOT NULL
                          UNION SELECT datcollate::text FROM pg_catalog.pg_database
                          UNION SELECT datctype::text FROM pg_catalog.pg_database)`,
    [[...wanted]],
  );
  if (rows.length === 0) return [];
  const message = `the target may not know the locale ${rows.map(({ name }) => name).join(', ')}`;
  const hint = "Check `locale -a` on the server's machine.";
  return [{ aspect: 'locale', outcome: 'warning', message, hint }];
}

function spaceFinding({ databases }: RecoveryPoint): Finding {
  const neededBytes = databases.reduce((sum, { facts }) => sum + (facts?.sizeBytes ?? 0), 0);
  const message = `needs about ${Math.ceil(neededBytes / 2 ** 20)} MiB; how much the server has can't be asked over SQL`;
  return {
    aspect: 'disk space',
    outcome: 'inconclusive',
    message,
    hint: "Check the free space of the server's data directory.",
  };
}
