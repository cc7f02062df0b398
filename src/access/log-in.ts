// Logging in: with a password, under a lock-out that counts each attempt before it is looked at; or as whom an OpenID provider says.
import { AppError } from '../base/errors.ts';
import type { Catalog } from '../catalog/catalog.ts';
import {
  clearLoginFailures,
  countLoginFailure,
  loginFailuresOf,
  uncountLoginFailure,
} from '../catalog/login-failures.ts';
import { findUserRow, replacePasswordHash } from '../catalog/user-accounts.ts';
import { userIdOfIdentity } from '../catalog/user-identities.ts';
import { appendAudit, type AuditLog } from './audit-log.ts';
import { accountRule, addressRule, lockedUntilMs, networkOf, type LockOutRule } from './lock-out.ts';
import { checkPassword, hashPassword } from './passwords.ts';
import type { Grant } from './permissions.ts';
import { userNameSchema } from './schemas.ts';
import { sha256 } from './secrets.ts';
import { changedMeanwhile, createUser, findUser, type Identity, type User } from './users.ts';

/** Says how long to wait, for the header of the answer. */
export class TooManyFailures extends AppError {
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number) {
    const seconds = Math.ceil(retryAfterMs / 1000);
    super('RATE_LIMITED', `too many logins failed: the next is looked at in ${seconds} s`, {
      hint: 'Wait, and then look twice at name and password.',
    });
    this.retryAfterMs = retryAfterMs;
  }
}

interface Counted {
  readonly subject: string;
  readonly rule: LockOutRule;
}

/** Somebody whose password was right. */
export interface LoggedIn extends User {
  /** Of that password, as it is stored now: whoever begins a session sees by it that nobody has changed it meanwhile. */
  readonly provenHash: string;
}

/** Rejects with `UNAUTHENTICATED`, or with `RATE_LIMITED` without a look at the password. */
export async function logIn(
  log: AuditLog,
  { name, password, address }: { readonly name: string; readonly password: string; readonly address: string },
): Promise<LoggedIn> {
  const { catalog } = log;
  // People type passwords where names belong.
  const account = { subject: `account ${sha256(name)}`, rule: accountRule };
  const network = { subject: `address ${networkOf(address)}`, rule: addressRule };
  for (const counted of [network, account]) await countAttempt(catalog, counted);
  const row = await findUserRow(catalog.db, { name });
  const { isRight, isOutdated } = await checkPassword(password, row?.passwordHash ?? undefined);
  const known = row?.passwordHash ?? undefined;
  if (row === undefined || known === undefined || !isRight || row.disabledAtMs !== null) {
    const actor = { kind: 'nobody', id: '', name: '', address } as const;
    const target = row?.name ?? 'no such user';
    await appendAudit(log, { actor, action: 'session.started', target, outcome: 'refused' });
    throw new AppError('UNAUTHENTICATED', 'the name or the password is wrong, or the user is disabled', {
      hint: 'Try again; an administrator can set another password.',
    });
  }
  await clearLoginFailures(catalog, account.subject);
  await uncountLoginFailure(catalog, network.subject);
  const provenHash = isOutdated ? await hashPassword(password) : known;
  if (isOutdated) await replacePasswordHash(catalog.db, row.id, { before: known, after: provenHash });
  return { ...(await knownUser(catalog, row.id)), provenHash };
}

async function countAttempt(catalog: Catalog, { subject, rule }: Counted): Promise<void> {
  const before = (await loginFailuresOf(catalog, subject)) ?? { failures: 0, lastAtMs: 0 };
  const nowMs = await catalog.nowMs();
  const untilMs = lockedUntilMs(before, rule) ?? 0;
  if (untilMs > nowMs) throw new TooManyFailures(untilMs - nowMs);
  // Another attempt came between: what was seen before is not what counts.
  const failures = (await countLoginFailure(catalog, subject)) - 1;
  const now = lockedUntilMs({ failures, lastAtMs: nowMs }, rule);
  if (failures > before.failures && now !== undefined) throw new TooManyFailures(now - nowMs);
}

async function knownUser(catalog: Catalog, id: string): Promise<User> {
  const user = await findUser(catalog, { id });
  if (user !== undefined) return user;
  throw changedMeanwhile();
}

/** What an OpenID provider vouches for. */
export interface Vouched extends Identity {
  /** How the provider calls them; not a proof of anything. */
  readonly preferredName: string | undefined;
}

/** The user that is linked to it; where there is none, and `newUserGrants` are given, a new one with these. Rejects with `UNAUTHENTICATED`. */
export async function logInAs(
  log: AuditLog,
  { issuer, subject, preferredName }: Vouched,
  { newUserGrants, address }: { readonly newUserGrants: readonly Grant[] | undefined; readonly address: string },
): Promise<User> {
  const { catalog } = log;
  const id = await userIdOfIdentity(catalog.db, { issuer, subject });
  const user = id === undefined ? undefined : await findUser(catalog, { id });
  if (user !== undefined && user.disabledAtMs === undefined) return user;
  const actor = { kind: 'nobody', id: '', name: '', address } as const;
  if (user === undefined && newUserGrants !== undefined) {
    const wanted = userNameSchema.safeParse(preferredName ?? subject).data;
    const isFree = wanted !== undefined && (await findUserRow(catalog.db, { name: wanted })) === undefined;
    const name = isFree ? wanted : `openid-${sha256(`${issuer} ${subject}`).slice(0, 12)}`;
    return createUser(log, { name, grants: newUserGrants, identity: { issuer, subject } }, actor);
  }
  const target = user?.name ?? 'no such user';
  await appendAudit(log, { actor, action: 'session.started', target, outcome: 'refused' });
  const fact = user === undefined ? 'nobody here is linked to that identity' : `user ${user.name} is disabled`;
  throw new AppError('UNAUTHENTICATED', fact, { hint: 'Ask an administrator of Lifeboat to change that.' });
}
