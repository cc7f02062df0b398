// Users: people, with one role for each application, who log in with a password or through an OpenID provider.
import { randomUUIDv7 } from 'node:crypto';
import { AppError } from '../base/errors.ts';
import type { Catalog, Queries } from '../catalog/catalog.ts';
import { deleteSessionsOf } from '../catalog/sessions.ts';
import {
  allUsers,
  deleteUser,
  findUserRow,
  insertUser,
  updateDisabled,
  updatePasswordHash,
  type UserAccountRow,
} from '../catalog/user-accounts.ts';
import { grantsOf, replaceGrants } from '../catalog/user-grants.ts';
import { identitiesOf, insertIdentity } from '../catalog/user-identities.ts';
import { appendAudit, type Actor, type AuditLog, type AuditRecord } from './audit-log.ts';
import { hashPassword } from './passwords.ts';
import type { Grant, Principal } from './permissions.ts';
import { grantsSchema } from './schemas.ts';

export interface Identity {
  readonly issuer: string;
  readonly subject: string;
}

export interface User {
  readonly id: string;
  readonly name: string;
  readonly grants: readonly Grant[];
  readonly identities: readonly Identity[];
  readonly hasPassword: boolean;
  readonly createdAtMs: number;
  readonly disabledAtMs: number | undefined;
}

export interface UserWish {
  readonly name: string;
  readonly grants: readonly Grant[];
  readonly password?: string | undefined;
  readonly identity?: Identity | undefined;
}

export type UserKey = { readonly id: string } | { readonly name: string };

/** Rejects with `NAME_TAKEN` if the name or the identity is somebody else's. */
export async function createUser(log: AuditLog, wish: UserWish, actor: Actor): Promise<User> {
  const { name, grants, password, identity } = wish;
  const passwordHash = password === undefined ? null : await hashPassword(password);
  const id = randomUUIDv7();
  return log.catalog.transaction(async (trx) => {
    if (!(await insertUser(log.catalog, { id, name, passwordHash }, trx))) throw taken(`a user ${name}`);
    await replaceGrants(trx, id, grants);
    if (identity !== undefined && !(await insertIdentity(log.catalog, { ...identity, userId: id }, trx))) {
      throw taken(`a user with the identity ${identity.subject} of ${identity.issuer}`);
    }
    const details = { grants: plain(grants), identity: identity === undefined ? null : { ...identity } };
    await appendAudit(log, { actor, action: 'user.created', target: name, details }, trx);
    return userOf(trx, await rowOf(trx, { id }));
  });
}

function taken(what: string): AppError {
  return new AppError('NAME_TAKEN', `there is ${what} already`, { hint: 'Choose another one, or change that user.' });
}

export function changedMeanwhile(): AppError {
  return new AppError('UNAUTHENTICATED', 'the user was changed or removed meanwhile', {
    hint: 'Log in again, or ask an administrator.',
  });
}

const plain = (grants: readonly Grant[]) => grants.map(({ application, role }) => ({ application, role }));

async function rowOf(db: Queries, key: UserKey): Promise<UserAccountRow> {
  const row = await findUserRow(db, key);
  if (row !== undefined) return row;
  throw new AppError('NOT_FOUND', `there is no user ${'id' in key ? key.id : key.name}`, {
    hint: "See 'lifeboat user list' for those there are.",
  });
}

async function userOf(db: Queries, row: UserAccountRow): Promise<User> {
  const { id, name, passwordHash, createdAtMs, disabledAtMs } = row;
  return {
    id,
    name,
    grants: grantsSchema.parse(await grantsOf(db, id)),
    identities: await identitiesOf(db, id),
    hasPassword: passwordHash !== null,
    createdAtMs,
    disabledAtMs: disabledAtMs ?? undefined,
  };
}

export async function findUser({ db }: Catalog, key: UserKey): Promise<User | undefined> {
  const row = await findUserRow(db, key);
  return row && userOf(db, row);
}

export async function listUsers(catalog: Catalog): Promise<User[]> {
  const users: User[] = [];
  for (const row of await allUsers(catalog)) users.push(await userOf(catalog.db, row));
  return users;
}

/** One change of a user, with its entry in the audit log. Rejects with `NOT_FOUND`. */
async function change(
  log: AuditLog,
  key: UserKey,
  work: (row: UserAccountRow, trx: Queries) => Promise<Omit<AuditRecord, 'target'>>,
): Promise<void> {
  await log.catalog.transaction(async (trx) => {
    const row = await rowOf(trx, key);
    await appendAudit(log, { ...(await work(row, trx)), target: row.name }, trx);
  });
}

export async function setGrants(
  log: AuditLog,
  key: UserKey,
  { grants, actor }: { readonly grants: readonly Grant[]; readonly actor: Actor },
): Promise<void> {
  await change(log, key, async ({ id }, trx) => {
    const before = plain(grantsSchema.parse(await grantsOf(trx, id)));
    await replaceGrants(trx, id, grants);
    return { actor, action: 'user.roles-changed', details: { before, after: plain(grants) } };
  });
}

/** Ends all sessions: whoever knew the old one is out. */
export async function setPassword(
  log: AuditLog,
  key: UserKey,
  { password, actor }: { readonly password: string; readonly actor: Actor },
): Promise<void> {
  const hash = await hashPassword(password);
  await change(log, key, async ({ id }, trx) => {
    await updatePasswordHash(trx, id, hash);
    const sessions = await deleteSessionsOf(trx, id);
    return { actor, action: 'user.password-changed', details: { sessionsEnded: sessions } };
  });
}

/** A disabled user is out at once, and stays in the list. */
export async function setDisabled(
  log: AuditLog,
  key: UserKey,
  { isDisabled, actor }: { readonly isDisabled: boolean; readonly actor: Actor },
): Promise<void> {
  await change(log, key, async ({ id }, trx) => {
    await updateDisabled(log.catalog, id, { db: trx, isDisabled });
    const sessionsEnded = isDisabled ? await deleteSessionsOf(trx, id) : 0;
    return { actor, action: isDisabled ? 'user.disabled' : 'user.enabled', details: { sessionsEnded } };
  });
}

export async function removeUser(log: AuditLog, key: UserKey, actor: Actor): Promise<void> {
  await change(log, key, async ({ id }, trx) => {
    await deleteUser(trx, id);
    return { actor, action: 'user.removed' };
  });
}

export async function endSessionsOf(log: AuditLog, key: UserKey, actor: Actor): Promise<void> {
  await change(log, key, async ({ id }, trx) => {
    const sessionsEnded = await deleteSessionsOf(trx, id);
    return { actor, action: 'user.sessions-ended', details: { sessionsEnded } };
  });
}

export function principalOfUser({ id, name, grants }: Pick<User, 'id' | 'name' | 'grants'>): Principal {
  return { kind: 'user', id, name, grants };
}
