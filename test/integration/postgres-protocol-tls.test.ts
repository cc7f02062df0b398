import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isAppError } from '../../src/base/errors.ts';
import { connect } from '../../src/sources/postgres/connection.ts';
import { findProgram } from '../../src/sources/postgres/logical/programs.ts';
import { connectionString, programOutput } from '../../src/sources/postgres/run-program.ts';
import { openSocket } from '../../src/sources/postgres/protocol/open-socket.ts';
import { ReplicationConnection } from '../../src/sources/postgres/protocol/replication-connection.ts';
import { replicationFailure } from '../../src/sources/postgres/protocol/replication-error.ts';
import {
  makeCertificate,
  replicate,
  setAccessRules,
  switchTlsOn,
  trustClients,
  type Certificate,
} from '../support/postgres-access.ts';
import { describeWithPostgres, startPostgres, type TestServer } from '../support/postgres-server.ts';
import { noSignal } from '../support/repository.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';
import { describeWith } from '../support/tools.ts';

const local = '127.0.0.1/32';
const require = { ssl: { mode: 'require' } } as const;
const direct = { ssl: { mode: 'require', negotiation: 'direct' } } as const;
const prefer = { ssl: { mode: 'prefer' } } as const;

const newest = 18;
const kinds: readonly (readonly [string, readonly string[] | undefined])[] = [
  ['of elliptic curves', undefined],
  ['of RSA with SHA-384', ['-newkey', 'rsa:2048', '-sha384']],
  ['of RSA with SHA-1', ['-newkey', 'rsa:2048', '-sha1']],
];

describeWith(['openssl'], 'with TLS', () => {
  for (const major of [14, 15, 16, 17, 18]) {
    describeWithPostgres(major, `PostgreSQL ${major}`, () => {
      let server: TestServer;
      let folder: TemporaryFolder;
      let certificate: Certificate;
      beforeAll(async () => {
        [server, folder] = [await startPostgres(major), await temporaryFolder()];
        certificate = makeCertificate(folder.path, 'server');
      });
      afterAll(async () => {
        await server[Symbol.asyncDispose]();
        await folder[Symbol.asyncDispose]();
      });

      test('is used as sslmode says', async () => {
        await setAccessRules(server, `host all lifeboat ${local} scram-sha-256`);
        await using plain = await replicate(server, prefer);
        expect(plain.facts.isEncrypted).toBe(false);
        await expect(replicate(server, require)).rejects.toMatchObject({ code: 'SOURCE_UNREACHABLE' });

        await switchTlsOn(server, certificate);
        for (const mode of ['prefer', 'require'] as const) {
          await using connection = await replicate(server, { ssl: { mode } });
          expect(connection.facts.isEncrypted).toBe(true);
          const query = 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()';
          expect(await connection.query(query)).toEqual([{ ssl: 't' }]);
        }
        const rootCertificateFile = certificate.certificateFile;
        for (const mode of ['verify-ca', 'verify-full'] as const) {
          await using connection = await replicate(server, { ssl: { mode, rootCertificateFile } });
          expect(connection.facts.isEncrypted).toBe(true);
        }
        const other = makeCertificate(folder.path, 'other').certificateFile;
        for (const mode of ['verify-ca', 'verify-full'] as const) {
          const distrusted = replicate(server, { ssl: { mode, rootCertificateFile: other } });
          await expect(distrusted).rejects.toMatchObject({
            code: 'SOURCE_DENIED',
            hint: expect.stringContaining('certificate'),
          });
        }
        const missing = replicate(server, { ssl: { mode: 'verify-full', rootCertificateFile: '/nowhere' } });
        await expect(missing).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
      });

      test('by a certificate for another host is refused by verify-full alone', async () => {
        await setAccessRules(server, `host all lifeboat ${local} scram-sha-256`);
        const elsewhere = makeCertificate(folder.path, 'elsewhere', { names: 'DNS:elsewhere.example' });
        await switchTlsOn(server, elsewhere);
        const rootCertificateFile = elsewhere.certificateFile;
        await using connection = await replicate(server, { ssl: { mode: 'verify-ca', rootCertificateFile } });
        expect(connection.facts.isEncrypted).toBe(true);
        const full = replicate(server, { ssl: { mode: 'verify-full', rootCertificateFile } });
        await expect(full).rejects.toMatchObject({ code: 'SOURCE_DENIED', hint: expect.stringContaining('host name') });
      });

      test('lets a password pass in clear, and falls back where only plain connections are let in', async () => {
        await setAccessRules(server, `hostssl all lifeboat ${local} password`);
        await using clear = await replicate(server, require);
        expect(clear.facts.isEncrypted).toBe(true);
        await server.sql('postgres', `CREATE ROLE bare LOGIN REPLICATION PASSWORD 'x'`);
        await setAccessRules(server, `hostnossl all bare ${local} scram-sha-256`);
        const bare = { user: 'bare', password: 'x' };
        await using plain = await replicate(server, { ...bare, ...prefer });
        expect(plain.facts.isEncrypted).toBe(false);
        const failure = await replicate(server, { ...bare, ...require }).catch((error: unknown) => error);
        expect(replicationFailure(failure)).toBe('no-hba-line');
        expect(failure).toMatchObject({ hint: expect.stringContaining(`'hostssl postgres bare 127.0.0.1/32`) });
      });

      test('begins at once where the server can', async () => {
        await setAccessRules(server);
        const opened = await replicate(server, direct).catch((error: unknown) => error);
        const isEncrypted = opened instanceof ReplicationConnection && opened.facts.isEncrypted;
        const isRefused = isAppError(opened, 'SOURCE_FAILED', 'SOURCE_UNREACHABLE', 'SOURCE_UNSUPPORTED');
        if (opened instanceof ReplicationConnection) await opened[Symbol.asyncDispose]();
        expect({ isEncrypted, isRefused }).toEqual({ isEncrypted: major >= 17, isRefused: major < 17 });
        for (const mode of ['disable', 'prefer'] as const) {
          const plain = replicate(server, { ssl: { mode, negotiation: 'direct' } });
          await expect(plain).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
        }
      });

      test('lets in whom a certificate of a trusted authority names, by all ways, and nobody without one', async () => {
        const authority = makeCertificate(folder.path, 'authority', { commonName: 'the authority' });
        await switchTlsOn(server, makeCertificate(folder.path, 'signed', { authority }));
        await trustClients(server, authority);
        await setAccessRules(server, `hostssl all lifeboat ${local} cert`);
        const keyPassword = "ge heim='";
        const { certificateFile, keyFile } = makeCertificate(folder.path, 'client', {
          authority,
          commonName: 'lifeboat',
          keyPassword,
        });
        const client = { certificateFile, keyFile, keyPassword };
        const negotiation = major >= 17 ? 'direct' : 'postgres';
        const ssl = {
          mode: 'verify-full',
          rootCertificateFile: authority.certificateFile,
          negotiation,
          client,
        } as const;
        const address = { ...server.address, password: undefined, ssl };
        await using connection = await replicate(server, { password: undefined, ssl });
        expect(connection.facts.isEncrypted).toBe(true);
        await using sql = await connect(address, 'postgres', noSignal);
        expect(await sql.query('SELECT ssl, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()')).toEqual([
          { ssl: true, client_dn: '/CN=lifeboat' },
        ]);
        // Of those that this machine has the next newer one; for the newest servers there may be none.
        const [program] = (await findProgram('pg_dump', [], noSignal)).filter((one) => one.major >= major);
        const dump = { program: 'pg_dump', arguments: ['--dbname', connectionString('postgres')], address } as const;
        const dumped =
          program === undefined ? [] : await Array.fromAsync(programOutput({ ...dump, ...program }, noSignal));
        const end = program === undefined ? '' : 'database dump complete';
        expect(Buffer.concat(dumped).toString()).toContain(end);

        const without = { ...address, ssl: { ...ssl, client: undefined } };
        const denied = { code: 'SOURCE_DENIED', hint: expect.stringContaining('sslcert') };
        await expect(connect(without, 'postgres', noSignal)).rejects.toMatchObject(denied);
        await expect(replicate(server, without)).rejects.toMatchObject(denied);
        const closed = { ...address, ssl: { ...ssl, client: { ...client, keyPassword: 'hushed' } } };
        const shut = connect(closed, 'postgres', noSignal);
        await expect(shut).rejects.toMatchObject({
          code: 'CONFIG_INVALID',
          hint: expect.stringContaining('sslpassword'),
        });
      });

      test.each(major === newest ? kinds : kinds.slice(0, 1))(
        'binds a login to the certificate %s',
        async (_, kind) => {
          await setAccessRules(server, `host all lifeboat ${local} scram-sha-256`);
          await switchTlsOn(server, makeCertificate(folder.path, 'bound', { kind }));
          await using connection = await replicate(server, require);
          expect((await connection.identifySystem()).timeline).toBe(1);
          // Somebody between passes on what both say. Nothing but what is bound can tell.
          await using thief = await relayBetween(server, makeCertificate(folder.path, 'thief', { kind }));
          const robbed = replicate(server, { ...require, port: thief.port });
          await expect(robbed).rejects.toMatchObject({ message: expect.stringMatching(/channel binding/i) });
        },
      );

      test('logs in by a certificate that can not be bound to, as if there were no binding', async () => {
        await setAccessRules(server, `host all lifeboat ${local} scram-sha-256`);
        const unbound = makeCertificate(folder.path, 'unbound', { kind: ['-newkey', 'ed25519'] });
        await switchTlsOn(server, unbound);
        await using connection = await replicate(server, require);
        expect((await connection.identifySystem()).timeline).toBe(1);
        await using thief = await relayBetween(server, unbound);
        await using robbed = await replicate(server, { ...require, port: thief.port });
        expect(robbed.facts.isEncrypted).toBe(true);
      });
    });
  }
});

/** Ends TLS with a certificate of its own and speaks TLS with the server in turn. */
async function relayBetween(server: TestServer, { certificateFile, keyFile }: Certificate) {
  const secureContext = createSecureContext({ cert: readFileSync(certificateFile), key: readFileSync(keyFile) });
  const sockets: Socket[] = [];
  const relay = createServer((client) => {
    client.once('data', () => {
      client.write('S');
      const inner = new TLSSocket(client, { isServer: true, secureContext });
      sockets.push(inner);
      inner.on('error', () => undefined);
      const pass = async () => {
        const { socket } = await openSocket({ ...server.address, ...require }, new AbortController().signal);
        sockets.push(socket);
        inner.pipe(socket).pipe(inner);
      };
      void pass();
    });
  }).listen(0, '127.0.0.1');
  await once(relay, 'listening');
  return {
    port: (relay.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      relay.close();
      await once(relay, 'close');
    },
  };
}
