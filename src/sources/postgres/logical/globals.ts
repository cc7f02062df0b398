// Brings roles back from `globals.sql`, as pg_dumpall wrote it: only those that are missing. A role that is there keeps
// its password, whatever the backup says.
import pg from 'pg';
import { messageOf } from '../../../base/errors.ts';
import type { Connection } from '../connection.ts';

/** Statements of the file, without their semicolons. Lines of psql's own (`\restrict`) and comments are left out. */
export function splitStatements(text: string): string[] {
  const statements: string[] = [];
  let current = '';
  for (let at = 0; at < text.length;) {
    const rest = text.slice(at, at + 2);
    const isBetween = current.trim() === '';
    if (rest === '--' || (isBetween && rest.startsWith('\\'))) {
      at = endOfLine(text, at);
      continue;
    }
    const character = text.charAt(at);
    if (character === ';') {
      statements.push(current.trim());
      current = '';
      at += 1;
      continue;
    }
    const end = character === "'" || character === '"' ? endOfQuoted(text, at) : at + 1;
    current += text.slice(at, end);
    at = end;
  }
  return statements.filter((statement) => statement !== '');
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  return end < 0 ? text.length : end + 1;
}

/** Behind the closing quote. In `E'…'` a backslash takes the next character with it. */
function endOfQuoted(text: string, start: number): number {
  const quote = text.charAt(start);
  const hasEscapes = quote === "'" && /(?:^|[^\w$"])[eE]$/.test(text.slice(Math.max(0, start - 2), start));
  for (let at = start + 1; at < text.length; at += 1) {
    if (hasEscapes && text.charAt(at) === '\\') at += 1;
    else if (text.charAt(at) === quote) {
      if (text.charAt(at + 1) !== quote) return at + 1;
      at += 1;
    }
  }
  return text.length;
}

const identifier = String.raw`("(?:[^"]|"")+"|[^\s;"]+)`;
const rolePattern = new RegExp(`^(?:CREATE ROLE|ALTER ROLE|COMMENT ON ROLE) ${identifier}`);
const memberPattern = new RegExp(`^GRANT ${identifier} TO ${identifier}(?=\\s|$)`);

function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}

export interface RoleStatements {
  /** In the order of the file. */
  readonly roles: readonly string[];
  /** What brings these roles back, and their memberships. */
  statementsFor(missing: ReadonlySet<string>): string[];
}

export function readGlobals(text: string): RoleStatements {
  const statements = splitStatements(text).map((statement) => ({ statement, subjects: subjectsOf(statement) }));
  const created = statements.filter(({ statement }) => statement.startsWith('CREATE ROLE '));
  return {
    roles: created.flatMap(({ subjects }) => subjects),
    statementsFor: (missing) =>
      statements.filter(({ subjects }) => subjects.some((role) => missing.has(role))).map(({ statement }) => statement),
  };
}

/** The roles that a statement is about; none for all other statements (tablespaces, settings). */
function subjectsOf(statement: string): string[] {
  const [, role] = rolePattern.exec(statement) ?? [];
  if (role !== undefined) return [unquoted(role)];
  const [, granted, member] = memberPattern.exec(statement) ?? [];
  return granted === undefined || member === undefined ? [] : [unquoted(granted), unquoted(member)];
}

export interface RolesRestored {
  readonly created: readonly string[];
  /** Statements that the server refused, as facts. */
  readonly refused: readonly string[];
}

/** Creates what is missing. A refused attribute (a managed service grants no SUPERUSER) costs that statement, no more. */
export async function restoreRoles(
  connection: Connection,
  { globals, missing }: { readonly globals: RoleStatements; readonly missing: ReadonlySet<string> },
  onCreated: (role: string) => void,
): Promise<RolesRestored> {
  const created: string[] = [];
  const refused: string[] = [];
  for (const statement of globals.statementsFor(missing)) {
    try {
      await connection.query(statement);
      if (!statement.startsWith('CREATE ROLE ')) continue;
      created.push(...subjectsOf(statement));
      for (const role of subjectsOf(statement)) onCreated(role);
    } catch (error) {
      // The statement itself may hold a password: only its beginning is told.
      refused.push(`${statement.split(' ', 3).join(' ')}: ${messageOf(error)}`);
    }
  }
  return { created, refused };
}

export async function dropRoles(connection: Connection, roles: readonly string[]): Promise<void> {
  for (const role of roles.toReversed()) await connection.query(`DROP ROLE IF EXISTS ${pg.escapeIdentifier(role)}`);
}
