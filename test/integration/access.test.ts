// Tokens, users, logins, sessions and the audit log on both kinds of catalog.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { auditKeyId } from '../../src/access/audit-key.ts';
import {
  appendAudit,
  auditLogOf,
  pruneAudit,
  systemActor,
  verifyAudit,
  type AuditLog,
} from '../../src/access/audit-log.ts';
import { logIn, logInAs } from '../../src/access/log-in.ts';
import { may } from '../../src/access/permissions.ts';
import { endSession, isCsrfToken, principalOfSession, startSession } from '../../src/access/sessions.ts';
import { createToken, listTokens, principalOfToken, revokeToken } from '../../src/access/tokens.ts';
import {
  createUser,
  findUser,
  listUsers,
  removeUser,
  setDisabled,
  setGrants,
  setPassword,
} from '../../src/access/users.ts';
import { allAuditKeys } from '../../src/catalog/audit-checkpoints.ts';
import { auditEntries, auditHead } from '../../src/catalog/audit-entries.ts';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { freeIdempotencyKey, keepAnswer, takeIdempotencyKey } from '../../src/catalog/idempotency-keys.ts';
import { countLoginFailure, subjectsMax } from '../../src/catalog/login-failures.ts';
import { describeWithCatalogs, openTestCatalog, type TestCatalog } from '../support/catalogs.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

const actor = { kind: 'machine', id: 'root@test', name: 'root', address: '' } as const;
const password = 'correct horse battery';
const address = '192.0.2.7';

describeWithCatalogs('access', (make) => {
  let place: TestCatalog;
  let state: TemporaryFolder;
  let catalog: Catalog;
  let log: AuditLog;
  beforeAll(async () => {
    place = await make();
    state = await temporaryFolder();
    catalog = await openTestCatalog(place);
    log = auditLogOf(catalog, state.path);
  });
  afterAll(async () => {
    await catalog[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
    await state[Symbol.asyncDispose]();
  });

  /** Raw statements, as somebody with a database tool would type them. */
  const tamper = async (statement: string): Promise<void> => {
    const named =
      catalog.kind === 'postgres'
        ? statement.replaceAll(/\b(audit_|session|api_token|login_)/g, 'lifeboat.$1')
        : statement;
    await sql.raw(named).execute(catalog.db);
  };
  const problems = async () => (await verifyAudit(log)).problems;

  test('a token stands for its role and scopes until it is revoked or too old, and is stored nowhere', async () => {
    const wish = { name: 'deploy', role: 'operator', applications: ['shop'], scopes: ['run.start', 'read'] } as const;
    const { token, record } = await createToken(log, wish, actor);
    expect(token).toMatch(/^lb_[\w-]{43}$/);
    const principal = await principalOfToken(catalog, token);
    expect(principal).toMatchObject({ kind: 'token', id: record.id, name: 'deploy' });
    if (principal === undefined) return;
    expect([
      may(principal, 'run.start', 'shop'),
      may(principal, 'run.cancel', 'shop'),
      may(principal, 'read', 'forum'),
    ]).toEqual([true, false, false]);
    expect((await listTokens(catalog)).find(({ id }) => id === record.id)?.lastUsedAtMs).toBeTypeOf('number');
    expect(await principalOfToken(catalog, `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`)).toBeUndefined();
    expect(await principalOfToken(catalog, '')).toBeUndefined();
    const rows = await sql
      .raw(`select * from ${catalog.kind === 'postgres' ? 'lifeboat.' : ''}api_token`)
      .execute(catalog.db);
    expect(JSON.stringify([rows.rows, await auditEntries(catalog, { limit: 1000 })])).not.toContain(token.slice(3));
    await revokeToken(log, record.id, actor);
    await revokeToken(log, record.id, actor);
    expect(await principalOfToken(catalog, token)).toBeUndefined();
    const short = await createToken(log, { ...wish, expiresAtMs: (await catalog.nowMs()) - 1 }, actor);
    expect(await principalOfToken(catalog, short.token)).toBeUndefined();
    await expect(revokeToken(log, 'none', actor)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const revoked = await auditEntries(catalog, { action: 'token.revoked', limit: 9 });
    expect(revoked.map(({ application, target }) => [application, target])).toEqual([['shop', record.id]]);
  });

  test('a user logs in with the password, has sessions, and is out when disabled or removed', async () => {
    const grants = [{ application: '*', role: 'admin' }] as const;
    const user = await createUser(log, { name: 'alice', grants, password }, actor);
    await expect(createUser(log, { name: 'alice', grants }, actor)).rejects.toMatchObject({ code: 'NAME_TAKEN' });
    expect((await logIn(log, { name: 'alice', password, address })).id).toBe(user.id);
    const one = await startSession(log, user, { address, through: 'password' });
    expect(await principalOfSession(catalog, one.secret)).toEqual({ kind: 'user', id: user.id, name: 'alice', grants });
    expect([
      isCsrfToken(one.secret, one.csrfToken),
      isCsrfToken(one.secret, 'x'),
      isCsrfToken('y', one.csrfToken),
    ]).toEqual([true, false, false]);
    await setGrants(log, { name: 'alice' }, { grants: [{ application: 'shop', role: 'viewer' }], actor });
    expect(await principalOfSession(catalog, one.secret)).toMatchObject({
      grants: [{ application: 'shop', role: 'viewer' }],
    });
    await endSession(log, one.secret, actor);
    expect(await principalOfSession(catalog, one.secret)).toBeUndefined();

    const two = await startSession(log, user, { address, through: 'password' });
    // A login that is on its way with the old password when it is changed comes to nothing.
    const late = await logIn(log, { name: 'alice', password, address });
    await setPassword(log, { id: user.id }, { password: `${password} staple`, actor });
    const refused = { code: 'UNAUTHENTICATED' };
    await expect(startSession(log, late, { address, through: 'password' })).rejects.toMatchObject(refused);
    expect(await principalOfSession(catalog, two.secret)).toBeUndefined();
    await expect(logIn(log, { name: 'alice', password, address })).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    const three = await startSession(log, user, { address, through: 'password' });
    await setDisabled(log, { name: 'alice' }, { isDisabled: true, actor });
    expect(await principalOfSession(catalog, three.secret)).toBeUndefined();
    await expect(startSession(log, user, { address, through: 'openid' })).rejects.toMatchObject(refused);
    await expect(logIn(log, { name: 'alice', password: `${password} staple`, address })).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
    });
    await setDisabled(log, { name: 'alice' }, { isDisabled: false, actor });
    await removeUser(log, { name: 'alice' }, actor);
    expect(await findUser(catalog, { name: 'alice' })).toBeUndefined();
    await expect(removeUser(log, { name: 'alice' }, actor)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('a session ends when it is idle, and when it is old however busy', async () => {
    const user = await createUser(log, { name: 'idle', grants: [] }, actor);
    const [idle, old, live] = await Promise.all(
      [1, 2, 3].map(() => startSession(log, user, { address, through: 'openid' })),
    );
    const [first, second] = await sessionHashes(catalog);
    expect([idle, old, live].every((session) => session !== undefined)).toBe(true);
    await tamper(`update session set seen_at_ms = seen_at_ms - 7200001 where hash = '${first}'`);
    await tamper(`update session set created_at_ms = created_at_ms - 43200001 where hash = '${second}'`);
    const found = await Promise.all([idle, old, live].map((one) => principalOfSession(catalog, one?.secret ?? '')));
    expect(found.filter((principal) => principal !== undefined)).toHaveLength(1);
    // The next one clears the table of those that open nothing, and of too many.
    for (let at = 0; at < 21; at += 1) await startSession(log, user, { address, through: 'openid' });
    expect(await sessionHashes(catalog)).toHaveLength(20);
  });

  test('who guesses a password is locked out by account and by address, also with many guesses at once', async () => {
    await createUser(log, { name: 'bob', grants: [], password }, actor);
    const guess = (name: string, from: string, guessed = 'wrong password'): Promise<string> =>
      logIn(log, { name, password: guessed, address: from }).then(
        () => 'in',
        (error: { code: string }) => error.code,
      );
    const together = await Promise.all(Array.from({ length: 8 }, (_, at) => guess('bob', `198.51.100.${at}`)));
    expect(together.filter((code) => code === 'UNAUTHENTICATED').length).toBeLessThanOrEqual(6);
    expect(await guess('bob', '203.0.113.1', password)).toBe('RATE_LIMITED'); // Though it is right.
    await expect(logIn(log, { name: 'bob', password, address: '203.0.113.1' })).rejects.toMatchObject({
      retryAfterMs: expect.any(Number) as number,
    });
    await tamper(`update login_failure set last_at_ms = last_at_ms - 86400001`);
    expect(await guess('bob', '203.0.113.1', password)).toBe('in');
    const one = '2001:db8::';
    await guess('nobody-1', `${one}1`);
    for (let at = 0; at < 20; at += 1) await countLoginFailure(catalog, 'address 2001:db8:0:0::/64');
    expect(await guess('somebody-else', `${one}ffff`)).toBe('RATE_LIMITED');
    const refused = await auditEntries(catalog, { action: 'session.started', target: 'no such user', limit: 99 });
    expect(refused.every(({ outcome }) => outcome === 'refused')).toBe(true);
    expect(JSON.stringify(refused)).not.toContain('nobody-1');
  });

  test('failures of strangers fill a bounded table', async () => {
    const rows = Array.from({ length: subjectsMax }, (_, at) => `('address 10.${at}', 1, ${at})`);
    for (let at = 0; at < rows.length; at += 1000) {
      await tamper(
        `insert into login_failure (subject, failures, last_at_ms) values ${rows.slice(at, at + 1000).join(', ')}`,
      );
    }
    await tamper(`update login_failure set last_at_ms = ${await catalog.nowMs()} where subject like 'address 10.%'`);
    await countLoginFailure(catalog, 'address one more');
    const { count } = await catalog.db
      .selectFrom('loginFailure')
      .select((select) => select.fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow();
    expect(count).toBe(subjectsMax);
  });

  test('an OpenID identity is its linked user, and a new one only where that is wanted', async () => {
    const identity = { issuer: 'https://login.example.com', subject: '8f14e45f' };
    const options = { newUserGrants: undefined, address };
    const stranger = { ...identity, preferredName: 'carol' };
    await expect(logInAs(log, stranger, options)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    const carol = await createUser(log, { name: 'carol', grants: [], identity }, actor);
    expect((await logInAs(log, stranger, options)).id).toBe(carol.id);
    await expect(createUser(log, { name: 'mallory', grants: [], identity }, actor)).rejects.toMatchObject({
      code: 'NAME_TAKEN',
    });
    const newUserGrants = [{ application: 'shop', role: 'viewer' }] as const;
    const another = { issuer: identity.issuer, subject: 'other', preferredName: 'Carol' };
    const named = await logInAs(log, another, { newUserGrants, address });
    expect([named.id === carol.id, named.name]).toEqual([false, expect.stringMatching(/^openid-/)]); // Never somebody else's.
    expect(named.grants).toEqual(newUserGrants);
    await setDisabled(log, { id: named.id }, { isDisabled: true, actor });
    await expect(logInAs(log, another, { newUserGrants, address })).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect((await listUsers(catalog)).map(({ name }) => name)).not.toContain('mallory');
  });

  test('an idempotency key is had once, keeps its answer, and is free again after a failure', async () => {
    const key = { principal: 'token 1', key: 'k1', requestHash: 'a' };
    const taken = await Promise.all([1, 2, 3].map(() => takeIdempotencyKey(catalog, key)));
    expect(taken.filter((before) => before === undefined)).toHaveLength(1);
    await keepAnswer(catalog, { ...key, status: 201, answer: '{"a":1}' });
    expect(await takeIdempotencyKey(catalog, { ...key, requestHash: 'b' })).toMatchObject({
      requestHash: 'a',
      status: 201,
      answer: '{"a":1}',
    });
    expect(await takeIdempotencyKey(catalog, { ...key, principal: 'token 2' })).toBeUndefined();
    await freeIdempotencyKey(catalog, key);
    expect(await takeIdempotencyKey(catalog, key)).toBeUndefined();
  });

  test('the audit log is one chain however many append to it at once', async () => {
    await using second = catalog.kind === 'postgres' ? await openTestCatalog(place) : undefined;
    await using otherState = await temporaryFolder();
    const other = second === undefined ? log : auditLogOf(second, otherState.path);
    const before = (await auditHead(catalog)).number;
    const appended = Array.from({ length: 120 }, (_, at) =>
      appendAudit(at % 2 === 0 ? log : other, { actor: systemActor, action: 'test.appended', target: String(at) }),
    );
    await Promise.all(appended);
    const verification = await verifyAudit(log);
    expect(verification).toMatchObject({ problems: [], first: 1, head: { number: before + 120 } });
    expect(verification.checkpoints).toBeGreaterThan(1);
  });

  test('an entry and what it tells of are there together or not at all', async () => {
    const before = await auditHead(catalog);
    const failing = catalog.transaction(async (trx) => {
      await appendAudit(log, { actor, action: 'test.undone' }, trx);
      throw new Error('later');
    });
    await expect(failing).rejects.toThrow('later');
    expect(await auditHead(catalog)).toEqual(before);
    expect(await problems()).toEqual([]);
  });

  test('what somebody changes in the database is found, and named', async () => {
    await tamper(`update audit_entry set actor_name = 'mallory' where number = 2`);
    expect(await problems()).toEqual([{ number: 2, problem: expect.stringContaining('changed') as string }]);
    const [entry] = await auditEntries(catalog, { beforeNumber: 3, limit: 1 });
    await tamper(`update audit_entry set actor_name = 'root' where number = 2`);
    expect(entry?.actorName).toBe('mallory');
    expect(await problems()).toEqual([]);
    await tamper(`update audit_entry set number = 999999 where number = 5`);
    expect(await problems()).toEqual([{ number: 5, problem: 'is missing' }]);
    await tamper(`update audit_entry set number = 5 where number = 999999`);
    expect(await problems()).toEqual([]);
  });

  test('what is pruned goes up to a checkpoint, and the rest can still be verified', async () => {
    const head = await auditHead(catalog);
    expect(await pruneAudit(log)).toBe(0);
    const removed = await pruneAudit(log, -1);
    expect(removed).toBeGreaterThan(90);
    const verification = await verifyAudit(log);
    expect(verification).toMatchObject({ problems: [], first: removed + 1, head: { number: head.number + 1 } });
    // Another one who removes more than was pruned is found.
    await tamper(`delete from audit_entry where number = ${removed + 1}`);
    expect((await problems())[0]).toMatchObject({ number: removed + 1, problem: 'is missing' });
  });

  test('the key that signs is for its owner alone, and in no catalog', async () => {
    expect(await readdir(state.path)).toEqual(['audit-key.pem']);
    const pem = await readFile(join(state.path, 'audit-key.pem'), 'utf8');
    const keys = await allAuditKeys(catalog);
    expect(keys.length).toBeGreaterThan(0);
    expect(keys.every(({ id, publicKey }) => id === auditKeyId(publicKey))).toBe(true);
    expect(JSON.stringify(keys)).not.toContain(pem.split('\n')[1] ?? '');
  });
});

async function sessionHashes({ db }: Catalog): Promise<string[]> {
  const rows = await db.selectFrom('session').select('hash').orderBy('createdAtMs').execute();
  return rows.map(({ hash }) => hash);
}
