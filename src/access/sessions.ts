// Sessions of people in a browser: a secret in a cookie, its hash in a table, so that one can be ended. A second secret that derives from it
// must come in a header: no other site can know it.
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Catalog } from '../catalog/catalog.ts';
import {
  deleteOldSessions,
  deleteSession,
  findValidSession,
  insertSession,
  touchSession,
  type SessionAges,
} from '../catalog/sessions.ts';
import { holdUser } from '../catalog/user-accounts.ts';
import { appendAudit, type Actor, type AuditLog } from './audit-log.ts';
import type { Principal } from './permissions.ts';
import { newSecret, sha256 } from './secrets.ts';
import { changedMeanwhile, findUser, principalOfUser, type User } from './users.ts';

const hourMs = 3_600_000;
/** OWASP Session Management Cheat Sheet: absolute and idle limits; a working day, and a long lunch. */
export const sessionAges: SessionAges = { idleMaxMs: 2 * hourMs, ageMaxMs: 12 * hourMs };
const sessionsOfUserMax = 20;
const touchEveryMs = 60_000;

export interface StartedSession {
  /** For the cookie. */
  readonly secret: string;
  readonly csrfToken: string;
}

/** Rejects with `UNAUTHENTICATED` if the user was changed since the login was looked at. */
export async function startSession(
  log: AuditLog,
  { id: userId, name, provenHash }: Pick<User, 'id' | 'name'> & { readonly provenHash?: string },
  { address, through }: { readonly address: string; readonly through: 'password' | 'openid' },
): Promise<StartedSession> {
  const secret = newSecret();
  const actor: Actor = { kind: 'user', id: userId, name, address };
  await log.catalog.transaction(async (trx) => {
    if (!(await holdUser(trx, userId, provenHash))) throw changedMeanwhile();
    await insertSession(log.catalog, { hash: sha256(secret), userId, address }, trx);
    await deleteOldSessions(log.catalog, { ...sessionAges, userId, keptMax: sessionsOfUserMax }, trx);
    await appendAudit(log, { actor, action: 'session.started', target: name, details: { through } }, trx);
  });
  return { secret, csrfToken: csrfTokenOf(secret) };
}

/** Whose session it is; undefined if it is none (any more). */
export async function principalOfSession(catalog: Catalog, secret: string): Promise<Principal | undefined> {
  const hash = sha256(secret);
  const session = await findValidSession(catalog, hash, sessionAges);
  if (session === undefined) return undefined;
  const user = await findUser(catalog, { id: session.userId });
  if (user === undefined || user.disabledAtMs !== undefined) return undefined;
  if (session.readAtMs - session.seenAtMs > touchEveryMs) await touchSession(catalog, hash);
  return principalOfUser(user);
}

export async function endSession(log: AuditLog, secret: string, actor: Actor): Promise<void> {
  await log.catalog.transaction(async (trx) => {
    await deleteSession(trx, sha256(secret));
    await appendAudit(log, { actor, action: 'session.ended', target: actor.name }, trx);
  });
}

export function csrfTokenOf(secret: string): string {
  return createHmac('sha256', secret).update('lifeboat csrf').digest('base64url');
}

export function isCsrfToken(secret: string, given: string): boolean {
  const [wanted, found] = [Buffer.from(csrfTokenOf(secret)), Buffer.from(given)];
  return wanted.length === found.length && timingSafeEqual(wanted, found);
}
