// Tokens, users and audit entries as people and programs are shown them, by command line and API alike.
import { isoTime, maybeIsoTime } from '../base/iso-time.ts';
import type { AuditEntryRow } from '../catalog/audit-entries.ts';
import type { TokenRecord } from './tokens.ts';
import type { User } from './users.ts';

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
    createdAt: isoTime(createdAtMs),
    expiresAt: maybeIsoTime(expiresAtMs),
    lastUsedAt: maybeIsoTime(lastUsedAtMs),
    revokedAt: maybeIsoTime(revokedAtMs),
  };
}

export function userView({ id, name, grants, identities, hasPassword, createdAtMs, disabledAtMs }: User) {
  return {
    id,
    name,
    grants,
    identities,
    hasPassword,
    createdAt: isoTime(createdAtMs),
    disabledAt: maybeIsoTime(disabledAtMs),
  };
}

export function auditView({ actorKind, actorId, actorName, atMs, details, ...row }: AuditEntryRow) {
  return {
    number: row.number,
    at: isoTime(atMs),
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
