import { chown } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isAppError } from '../../src/base/errors.ts';
import { serverUserId } from '../../src/base/throw-away-folder.ts';
import { connectReplication } from '../../src/sources/postgres/protocol/connect-replication.ts';
import { replicationFailure } from '../../src/sources/postgres/protocol/replication-error.ts';
import { replicate, setAccessRules } from '../support/postgres-access.ts';
import { describeWithPostgres, startPostgres, type TestServer } from '../support/postgres-server.ts';
import { freePort } from '../support/redis-server.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

const { signal } = new AbortController();
const local = '127.0.0.1/32';

for (const major of [14, 15, 16, 17, 18]) {
  describeWithPostgres(major, `a login for replication at PostgreSQL ${major}`, () => {
    let server: TestServer;
    let folder: TemporaryFolder;
    beforeAll(async () => {
      folder = await temporaryFolder();
      if (process.getuid?.() === 0) await chown(folder.path, serverUserId, serverUserId);
      server = await startPostgres(major, [`unix_socket_directories=${folder.path}`, 'max_wal_senders=2']);
    });
    afterAll(async () => {
      await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    });

    test('takes a password by SCRAM, with characters of any kind', async () => {
      await setAccessRules(server, `host all scram ${local} scram-sha-256`);
      // Composed, compatible and forbidden characters, a space that is none, and none at all: the server hashes them by its own rules.
      const passwords = [
        'plain',
        'pa,ss=w"ord',
        'I\u00adX',
        '\u2168 \ufb01 \u00bd',
        'a\u0300\u00a0b',
        'x\u0007\u00bd',
        '\u{1f600}',
        '\u00ad',
      ];
      for (const password of passwords) {
        await server.sql('postgres', 'DROP ROLE IF EXISTS scram', "SET password_encryption = 'scram-sha-256'");
        await server.sql('postgres', `CREATE ROLE scram LOGIN REPLICATION PASSWORD '${password}'`);
        await using connection = await replicate(server, { user: 'scram', password });
        expect((await connection.identifySystem()).timeline).toBe(1);
      }
      await expect(replicate(server, { user: 'scram', password: 'other' })).rejects.toMatchObject({
        code: 'SOURCE_DENIED',
        message: expect.stringMatching(/^database postgres at .* as scram: password authentication failed/),
      });
      await expect(replicate(server, { user: 'scram', password: undefined })).rejects.toMatchObject({
        code: 'SOURCE_DENIED',
        hint: expect.stringMatching(/password file/),
      });
    });

    test('takes a password by MD5', async () => {
      await setAccessRules(server, `host all hashed ${local} md5`);
      const set = "SET password_encryption = 'md5'; CREATE ROLE hashed LOGIN REPLICATION PASSWORD 'sécret'";
      await server.sql('postgres', set);
      await using connection = await replicate(server, { user: 'hashed', password: 'sécret' });
      expect(connection.facts.database).toBe('postgres');
      await expect(replicate(server, { user: 'hashed', password: 'secret' })).rejects.toMatchObject({
        code: 'SOURCE_DENIED',
      });
    });

    test('does not send a password in clear without TLS', async () => {
      await setAccessRules(server, `host all lifeboat ${local} password`);
      await expect(replicate(server)).rejects.toMatchObject({
        code: 'SOURCE_DENIED',
        message: expect.stringContaining('in clear'),
        hint: expect.stringContaining('sslmode'),
      });
    });

    test('works over a unix socket', async () => {
      await setAccessRules(server, 'local all lifeboat scram-sha-256');
      await using connection = await replicate(server, { host: folder.path });
      expect((await connection.identifySystem()).systemIdentifier).toMatch(/^\d{15,}$/);
      await expect(replicate(server, { host: '/nowhere' })).rejects.toMatchObject({ code: 'SOURCE_UNREACHABLE' });
    });

    test('goes to another database, or to none, where the first lets nobody in', async () => {
      await server.sql('postgres', `CREATE ROLE narrow LOGIN REPLICATION PASSWORD 'x'`, 'CREATE DATABASE shop');
      await server.sql('postgres', 'REVOKE CONNECT ON DATABASE shop FROM PUBLIC');
      const narrow = { user: 'narrow', password: 'x' };
      await setAccessRules(server, `host all narrow ${local} trust`);
      await using other = await replicate(server, narrow, { databases: ['absent', 'shop', 'template0', 'template1'] });
      expect(other.facts.database).toBe('template1');
      await other[Symbol.asyncDispose]();

      await setAccessRules(server, `host replication narrow ${local} scram-sha-256`);
      await using none = await replicate(server, narrow);
      expect(none.facts.database).toBe(undefined);
      await expect(none.query('SELECT 1')).rejects.toMatchObject({ code: 'SOURCE_FAILED' });
      expect(await none.show('wal_level')).toBe('replica');
      expect(await none.show('nonsense.setting')).toBe(undefined);
      const read = await none.readSlot('absent').catch((error: unknown) => isAppError(error) && error.code);
      expect(read).toBe(major >= 15 ? undefined : 'SOURCE_UNSUPPORTED');
    });

    test('that is refused says what mends it', async () => {
      await server.sql('postgres', `CREATE ROLE "Web App" LOGIN PASSWORD 'x'`);
      await setAccessRules(server, `host all "Web App" ${local} trust`);
      const lacking = { user: 'Web App', password: 'x' };
      const failure = await replicate(server, lacking).catch((error: unknown) => error);
      expect(replicationFailure(failure)).toBe('no-replication-right');
      expect(failure).toMatchObject({
        code: 'SOURCE_DENIED',
        hint: 'Run as a superuser: ALTER ROLE "Web App" REPLICATION;',
      });
      await setAccessRules(server);
      const barred = await replicate(server, lacking).catch((error: unknown) => error);
      expect(replicationFailure(barred)).toBe('no-hba-line');
      expect(barred).toMatchObject({
        code: 'SOURCE_DENIED',
        hint: expect.stringContaining(`'host postgres "Web App" 127.0.0.1/32 scram-sha-256'`),
      });
      await setAccessRules(server, `host all "Web App" ${local} reject`);
      expect(replicationFailure(await replicate(server, lacking).catch((error: unknown) => error))).toBe('no-hba-line');
      await setAccessRules(server, `host all absent ${local} trust`);
      await expect(replicate(server, { user: 'absent' })).rejects.toMatchObject({ code: 'SOURCE_DENIED' });
    });

    test('that finds no wal sender free says how to get more', async () => {
      await using held = new AsyncDisposableStack();
      for (let number = 0; number < 2; number += 1) held.use(await replicate(server));
      const failure = await replicate(server).catch((error: unknown) => error);
      expect(replicationFailure(failure)).toBe('no-free-sender');
      expect(failure).toMatchObject({
        code: 'SOURCE_UNREACHABLE',
        message: expect.stringContaining('max_wal_senders'),
        hint: expect.stringContaining('ALTER SYSTEM SET max_wal_senders'),
      });
    });
  });
}

test('a port without a listener, another protocol, and silence are told apart', async () => {
  const address = { host: '127.0.0.1', user: 'me', password: 'x', ssl: { mode: 'disable' } } as const;
  const refused = connectReplication({ ...address, port: await freePort() }, {}, signal);
  await expect(refused).rejects.toMatchObject({ code: 'SOURCE_UNREACHABLE' });

  let answer: string | undefined = 'HTTP/1.1 400 Bad Request\r\n\r\n';
  const other = createServer((socket) => {
    socket.on('error', () => undefined);
    if (answer !== undefined) socket.end(answer);
  }).listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  for (const mode of ['disable', 'prefer'] as const) {
    const web = connectReplication({ ...address, port, ssl: { mode } }, {}, signal);
    await expect(web).rejects.toMatchObject({
      code: 'SOURCE_FAILED',
      hint: expect.stringContaining('PostgreSQL server'),
    });
  }
  answer = undefined;
  for (const mode of ['disable', 'require'] as const) {
    const silent = connectReplication({ ...address, port, ssl: { mode } }, { connectWaitMaxMs: 300 }, signal);
    await expect(silent).rejects.toMatchObject({
      code: 'SOURCE_UNREACHABLE',
      message: expect.stringContaining('timed out'),
    });
    const reason = new Error('enough');
    const abort = new AbortController();
    const aborted = connectReplication({ ...address, port, ssl: { mode } }, {}, abort.signal);
    setTimeout(() => abort.abort(reason), 50);
    await expect(aborted).rejects.toBe(reason);
  }
  other.close();
});
