// Tokens, users and audit entries as people and programs are shown them, by command line and API alike.
import type { AuditEntryRow } from '../catalog/audit-entries.ts';
import type { TokenRecord } from './tokens.ts';
import type { User } from './users.ts';

const timeOf = (ms: number): string => new Date(ms).toISOString();
const maybeTimeOf = (ms: number | undefined): string | undefined => (ms === undefined ? undefined : timeOf(ms));

export type TokenState = 'valid' | 'expired' | 'revoked';

export function tokenView(record: TokenRecord, nowMs: number) {
  const { id, name, role, applications, scopes, createdBy, createdAtMs, expiresAtMs, lastUsedAtMs, revokedAtMs } =
    record;
  const isExpired = expiresAtMs !== undefined && expiresAtMs <= nowMs;
  const state: TokenState = revokedAtMs !== undefined ? 'revoked' : isExpired ? 'expired' : 'valid';
  return {
    id,
    name,
    state,
    role,
    applications,
    scopes,
    createdBy,
    createdAt: timeOf(createdAtMs),
    expiresAt: maybeTimeOf(expiresAtMs),
    lastUsedAt: maybeTimeOf(lastUsedAtMs),
    revokedAt: maybeTimeOf(revokedAtMs),
  };
}

export function userView({ id, name, grants, identities, hasPassword, createdAtMs, disabledAtMs }: User) {
  return {
    id,
    name,
    grants,
    identities,
    hasPassword,
    createdAt: timeOf(createdAtMs),
    disabledAt: maybeTimeOf(disabledAtMs),
  };
}

export function auditView({ actorKind, actorId, actorName, atMs, details, ...row }: AuditEntryRow) {
  return {
    number: row.number,
    at: timeOf(atMs),
    actor: { kind: actorKind, id: actorId, name: actorName },
    address: row.address === '' ? undefined : row.address,
    action: row.action,
    outcome: row.outcome,
    application: row.application ?? undefined,
    target: row.target ?? undefined,
    details: JSON.parse(details) as Readonly<Record<string, unknown>>,
    hash: row.hash,
  };
}

export type TokenView = ReturnType<typeof tokenView>;
export type UserView = ReturnType<typeof userView>;
export type AuditView = ReturnType<typeof auditView>;
