// Creates the database that a dump goes into, as its original was created, and gives it what a dump carries only together
// with the original's name: settings, rights, comment, connection limit.
import pg from 'pg';
import { isAppError, messageOf } from '../../../base/errors.ts';
import { connect, type Connection } from '../connection.ts';
import type { DatabaseFacts } from '../database-facts.ts';
import type { ServerAddress } from '../server-address.ts';
import type { ServerFacts } from '../server.ts';

const quote = pg.escapeIdentifier;
const text = pg.escapeLiteral;

export interface CreateOptions {
  /** Of the original; the server's own defaults if absent. */
  readonly facts: DatabaseFacts | undefined;
  readonly server: ServerFacts;
  /** Where the machine lacks the original's locale: sorts otherwise, holds the same rows. */
  readonly plainLocale?: boolean;
}

export async function createDatabase(connection: Connection, name: string, options: CreateOptions): Promise<void> {
  await connection.query(`CREATE DATABASE ${quote(name)} TEMPLATE template0${createClauses(options)}`);
}

function createClauses({ facts, server, plainLocale }: CreateOptions): string {
  if (facts === undefined) return '';
  const clauses = [`ENCODING ${text(facts.encoding)}`];
  // From the first moment: whoever owns the database may create in its schema public, and nobody else (15 on).
  if (server.rolesHeld.includes(facts.owner)) clauses.push(`OWNER ${quote(facts.owner)}`);
  if (plainLocale === true) {
    clauses.push("LC_COLLATE 'C' LC_CTYPE 'C'");
    if (server.major >= 15) clauses.push('LOCALE_PROVIDER libc');
  } else {
    clauses.push(`LC_COLLATE ${text(facts.collation)} LC_CTYPE ${text(facts.characterType)}`);
    if (server.major >= 15) clauses.push(providerClause(facts));
  }
  if (server.tablespaces.includes(facts.tablespace) && facts.tablespace !== 'pg_default') {
    clauses.push(`TABLESPACE ${quote(facts.tablespace)}`);
  }
  return ` ${clauses.join(' ')}`;
}

function providerClause({ localeProvider, locale }: DatabaseFacts): string {
  if (locale === null || localeProvider === 'c') return 'LOCALE_PROVIDER libc';
  return localeProvider === 'i'
    ? `LOCALE_PROVIDER icu ICU_LOCALE ${text(locale)}`
    : `LOCALE_PROVIDER builtin BUILTIN_LOCALE ${text(locale)}`;
}

export async function dropDatabase(connection: Connection, name: string, serverMajor: number): Promise<void> {
  if (serverMajor < 13) {
    await connection.query(
      'SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datname = $1',
      [name],
    );
  }
  await connection.query(`DROP DATABASE IF EXISTS ${quote(name)}${serverMajor < 13 ? '' : ' WITH (FORCE)'}`);
}

/**
 * No database goes while it subscribes to another server's changes. That server is not asked: its slot is the original's, which still
 * waits for it.
 */
export async function dropSubscriptions(
  maintenance: Connection,
  { address, name }: { readonly address: ServerAddress; readonly name: string },
  signal: AbortSignal,
): Promise<void> {
  const query = `SELECT s.subname::text AS subscription FROM pg_catalog.pg_subscription s
                   JOIN pg_catalog.pg_database d ON d.oid = s.subdbid WHERE d.datname = $1`;
  const found = await maintenance.query<{ readonly subscription: string }>(query, [name]);
  if (found.length === 0) return;
  await using inside = await connect(address, name, signal);
  for (const { subscription } of found) {
    await inside.query(`ALTER SUBSCRIPTION ${quote(subscription)} DISABLE`);
    await inside.query(`ALTER SUBSCRIPTION ${quote(subscription)} SET (slot_name = NONE)`);
    await inside.query(`DROP SUBSCRIPTION ${quote(subscription)}`);
  }
}

/** Gives database `name` what its original had. What the server refuses is answered as facts: no row depends on it. */
export async function applyProperties(
  connection: Connection,
  name: string,
  { facts, roles }: { readonly facts: DatabaseFacts | undefined; readonly roles: ReadonlySet<string> },
): Promise<string[]> {
  const refused: string[] = [];
  if (facts === undefined) return refused;
  for (const { what, statement } of propertyStatements(name, facts, roles)) {
    try {
      await connection.query(statement);
    } catch (error) {
      // Which server said so is known here; of which property it said so is not.
      refused.push(`${what} (${messageOf(isAppError(error) ? (error.cause ?? error) : error)})`);
    }
  }
  return [...new Set(refused)];
}

/** `what` says for people what a statement brings back; values may be secret. */
interface PropertyStatement {
  readonly what: string;
  readonly statement: string;
}

function propertyStatements(name: string, facts: DatabaseFacts, roles: ReadonlySet<string>): PropertyStatement[] {
  const database = quote(name);
  const statements: PropertyStatement[] = [];
  const add = (what: string, statement: string): number => statements.push({ what, statement });
  if (roles.has(facts.owner))
    add(`its owner ${facts.owner}`, `ALTER DATABASE ${database} OWNER TO ${quote(facts.owner)}`);
  if (facts.comment !== null) add('its comment', `COMMENT ON DATABASE ${database} IS ${text(facts.comment)}`);
  for (const { role, setting } of facts.settings) {
    if (role !== null && !roles.has(role)) continue;
    const subject = role === null ? `ALTER DATABASE ${database}` : `ALTER ROLE ${quote(role)} IN DATABASE ${database}`;
    add(`its setting ${setting.split('=', 1).join('')}`, `${subject} SET ${settingClause(setting)}`);
  }
  if (facts.rights !== null) {
    for (const statement of rightStatements(database, { ...facts, rights: facts.rights }, roles))
      add('its rights', statement);
  }
  if (facts.connectionsMax >= 0)
    add('its limit of connections', `ALTER DATABASE ${database} CONNECTION LIMIT ${facts.connectionsMax}`);
  return statements;
}

function rightStatements(
  database: string,
  { owner, rights }: { readonly owner: string; readonly rights: NonNullable<DatabaseFacts['rights']> },
  roles: ReadonlySet<string>,
): string[] {
  const statements = [`REVOKE ALL ON DATABASE ${database} FROM PUBLIC`];
  if (roles.has(owner)) statements.push(`REVOKE ALL ON DATABASE ${database} FROM ${quote(owner)}`);
  for (const { grantee, privilege, mayGrant } of rights) {
    if ((grantee !== null && !roles.has(grantee)) || !/^[A-Z]+$/.test(privilege)) continue;
    const to = grantee === null ? 'PUBLIC' : quote(grantee);
    statements.push(`GRANT ${privilege} ON DATABASE ${database} TO ${to}${mayGrant ? ' WITH GRANT OPTION' : ''}`);
  }
  return statements;
}

/** Settings whose value is a list of names: stored with the quotes that its parts need. */
const listSettings = new Set([
  'search_path',
  'temp_tablespaces',
  'session_preload_libraries',
  'local_preload_libraries',
  'shared_preload_libraries',
  'unix_socket_directories',
  'createrole_self_grant',
]);

function settingClause(setting: string): string {
  const at = setting.indexOf('=');
  const name = setting.slice(0, at);
  const value = setting.slice(at + 1);
  const quotedName = name.split('.').map(quote).join('.');
  return `${quotedName} TO ${listSettings.has(name) ? listElements(value).map(text).join(', ') : text(value)}`;
}

/** `"$user", public` → `$user` and `public`. */
function listElements(value: string): string[] {
  const elements = [...value.matchAll(/"((?:[^"]|"")*)"|[^\s,"]+/g)].map(([whole, quoted]) =>
    quoted === undefined ? whole : quoted.replaceAll('""', '"'),
  );
  return elements.length === 0 ? [''] : elements;
}
