// API tokens: keys for programs, with one role, for some applications or all, for some actions or all that the role allows.
import { randomUUIDv7 } from 'node:crypto';
import { AppError } from '../base/errors.ts';
import {
  allApiTokens,
  findApiToken,
  findValidApiToken,
  insertApiToken,
  revokeApiToken,
  touchApiToken,
  type ApiTokenRow,
} from '../catalog/api-tokens.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { appendAudit, type Actor, type AuditLog } from './audit-log.ts';
import type { Role } from '../model/role.ts';
import { everywhere, type Action, type Principal } from './permissions.ts';
import { applicationsSchema, roleSchema, scopesSchema } from './schemas.ts';
import { isToken, newToken, sha256 } from './secrets.ts';

export interface TokenWish {
  readonly name: string;
  readonly role: Role;
  /** Names, or `*` alone. */
  readonly applications: readonly string[];
  readonly scopes?: readonly Action[] | undefined;
  readonly expiresAtMs?: number | undefined;
}

export interface TokenRecord extends TokenWish {
  readonly id: string;
  readonly createdBy: string;
  readonly createdAtMs: number;
  readonly lastUsedAtMs: number | undefined;
  readonly revokedAtMs: number | undefined;
}

/** How often a token's use is noted, at most: a write for each request would make all wait for all. */
const touchEveryMs = 60_000;

/** The token itself is returned here and never again. */
export async function createToken(
  log: AuditLog,
  { name, role, applications, scopes, expiresAtMs }: TokenWish,
  actor: Actor,
): Promise<{ readonly token: string; readonly record: TokenRecord }> {
  const token = newToken();
  const id = randomUUIDv7();
  const row = {
    id,
    hash: sha256(token),
    name,
    role,
    applications: JSON.stringify(applications),
    scopes: scopes === undefined ? null : JSON.stringify(scopes),
    createdBy: actor.name,
    expiresAtMs: expiresAtMs ?? null,
  };
  const stored = await log.catalog.transaction(async (trx) => {
    await insertApiToken(log.catalog, row, trx);
    const details = { name, role, applications, scopes: scopes ?? null, expiresAtMs: expiresAtMs ?? null };
    await appendAudit(log, { actor, action: 'token.created', ...about(id, applications), details }, trx);
    return findApiToken(trx, id);
  });
  if (stored === undefined) throw notFound(id);
  return { token, record: recordOf(stored) };
}

/** An entry about one application is for those who may see that one. */
function about(target: string, applications: readonly string[]): { target: string; application: string | undefined } {
  const [only] = applications;
  return { target, application: applications.length === 1 && only !== everywhere ? only : undefined };
}

function recordOf(row: ApiTokenRow): TokenRecord {
  return {
    id: row.id,
    name: row.name,
    createdBy: row.createdBy,
    createdAtMs: row.createdAtMs,
    role: roleSchema.parse(row.role),
    applications: applicationsSchema.parse(JSON.parse(row.applications)),
    scopes: row.scopes === null ? undefined : scopesSchema.parse(JSON.parse(row.scopes)),
    expiresAtMs: row.expiresAtMs ?? undefined,
    lastUsedAtMs: row.lastUsedAtMs ?? undefined,
    revokedAtMs: row.revokedAtMs ?? undefined,
  };
}

/** Newest last. */
export async function listTokens(catalog: Catalog): Promise<TokenRecord[]> {
  return (await allApiTokens(catalog)).map(recordOf);
}

export async function findToken({ db }: Catalog, id: string): Promise<TokenRecord | undefined> {
  const row = await findApiToken(db, id);
  return row && recordOf(row);
}

/** Rejects with `NOT_FOUND`. One that is revoked already stays so. */
export async function revokeToken(log: AuditLog, id: string, actor: Actor): Promise<void> {
  await log.catalog.transaction(async (trx) => {
    const row = await findApiToken(trx, id);
    if (row === undefined) throw notFound(id);
    const { name, applications } = recordOf(row);
    if (!(await revokeApiToken(log.catalog, id, trx))) return;
    await appendAudit(log, { actor, action: 'token.revoked', ...about(id, applications), details: { name } }, trx);
  });
}

function notFound(id: string): AppError {
  return new AppError('NOT_FOUND', `there is no token ${id}`, {
    hint: "See 'lifeboat token list' for those there are.",
  });
}

/** Whom a token stands for; undefined if it stands for nobody (any more). */
export async function principalOfToken(catalog: Catalog, token: string): Promise<Principal | undefined> {
  if (!isToken(token)) return undefined;
  const row = await findValidApiToken(catalog, sha256(token));
  if (row === undefined) return undefined;
  if (row.readAtMs - (row.lastUsedAtMs ?? 0) > touchEveryMs) await touchApiToken(catalog, row.id);
  const { id, name, role, applications, scopes, expiresAtMs: endsAtMs } = recordOf(row);
  const grants = applications.map((application) => ({ application, role }));
  return { kind: 'token', id, name, grants, scopes, endsAtMs };
}
