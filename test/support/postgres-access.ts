// Who may connect to a throw-away PostgreSQL server, and how: its pg_hba.conf, its certificate, more of its addresses.
import { execFileSync } from 'node:child_process';
import { chown, copyFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../src/sources/postgres/connection.ts';
import {
  connectReplication,
  type ReplicationOptions,
} from '../../src/sources/postgres/protocol/connect-replication.ts';
import type { ServerAddress } from '../../src/sources/postgres/server-address.ts';
import type { TestServer } from './postgres-server.ts';

const { signal } = new AbortController();

/** The rule by which tests themselves get in. */
const ownRule = 'host all lifeboat 127.0.0.1/32 scram-sha-256';

/** Lets in by these rules, and by no others but the test's own SQL. They apply from the next connection on. */
export async function setAccessRules(server: TestServer, ...rules: readonly string[]): Promise<void> {
  const [row] = await server.sql('postgres', `SELECT current_setting('hba_file') AS path`);
  // `database=postgres` with `replication=database` is matched by `all`, too: the test's own rule comes last.
  await writeFile(String(row?.['path']), `${[...rules, ownRule].join('\n')}\n`);
  await reload(server);
}

/** Settings that a running server can take. */
export async function setSettings(server: TestServer, settings: Readonly<Record<string, string>>): Promise<void> {
  const statements = Object.entries(settings).map(([name, value]) => `ALTER SYSTEM SET ${name} = '${value}'`);
  await server.sql('postgres', ...statements);
  await reload(server);
}

/** Waits until a new connection sees the new configuration. */
async function reload(server: TestServer): Promise<void> {
  await using connection = await connect(server.address, 'postgres', signal);
  const query = 'SELECT pg_conf_load_time()::text AS time';
  const [before] = await connection.query<{ readonly time: string }>(query);
  await connection.query('SELECT pg_reload_conf()');
  for (let tries = 0; tries < 250; tries += 1) {
    await sleep(20);
    const [row] = await connection.query<{ readonly time: string }>(query);
    if (row?.time !== before?.time) return;
  }
  throw new Error('the server did not read its configuration anew');
}

export interface Certificate {
  readonly certificateFile: string;
  readonly keyFile: string;
}

interface CertificateOptions {
  /** Arguments of openssl that choose the key and the hash. */
  readonly kind?: readonly string[] | undefined;
  readonly names?: string;
  /** Who signs; itself if absent. */
  readonly authority?: Certificate | undefined;
  readonly commonName?: string;
  /** Of the key; none if absent. */
  readonly keyPassword?: string | undefined;
}

const ellipticCurve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];

/** A certificate that signs itself, or that another one signs. */
export function makeCertificate(folder: string, name: string, options: CertificateOptions = {}): Certificate {
  const { kind = ellipticCurve, names = 'IP:127.0.0.1,DNS:localhost', commonName = 'test' } = options;
  const { authority, keyPassword } = options;
  const [keyFile, certificateFile] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)];
  const subject = ['-subj', `/CN=${commonName}`, '-addext', `subjectAltName=${names}`];
  const files = ['-keyout', keyFile, '-out', certificateFile];
  const secret = keyPassword === undefined ? ['-nodes'] : ['-passout', `pass:${keyPassword}`];
  const signer = authority === undefined ? [] : ['-CA', authority.certificateFile, '-CAkey', authority.keyFile];
  const end = signer.length === 0 ? [] : ['-addext', 'basicConstraints=critical,CA:FALSE'];
  const all = ['req', '-x509', '-days', '2', ...secret, ...signer, ...end, ...kind, ...files, ...subject];
  execFileSync('openssl', all, { stdio: 'ignore' });
  return { certificateFile, keyFile };
}

/** Has the server ask for certificates that this one signed, where pg_hba.conf says so. */
export async function trustClients(server: TestServer, authority: Certificate): Promise<void> {
  const [row] = await server.sql('postgres', `SELECT current_setting('data_directory') AS path`);
  const folder = String(row?.['path']);
  const file = join(folder, 'clients.crt');
  const { uid, gid } = await stat(folder);
  await copyFile(authority.certificateFile, file);
  await chown(file, uid, gid);
  await setSettings(server, { ssl_ca_file: 'clients.crt' });
}

/** Has the server use TLS with this certificate. */
export async function switchTlsOn(server: TestServer, certificate: Certificate): Promise<void> {
  const [row] = await server.sql('postgres', `SELECT current_setting('data_directory') AS path`);
  const folder = String(row?.['path']);
  const { uid, gid } = await stat(folder);
  const [certificateFile, keyFile] = [join(folder, 'server.crt'), join(folder, 'server.key')];
  await copyFile(certificate.certificateFile, certificateFile);
  await copyFile(certificate.keyFile, keyFile);
  for (const file of [certificateFile, keyFile]) await chown(file, uid, gid);
  await setSettings(server, { ssl: 'on' });
}

/** Connects for replication; the caller's `await using` closes it. */
export async function replicate(
  server: TestServer,
  changes: Partial<ServerAddress> = {},
  options: ReplicationOptions = {},
) {
  return await connectReplication({ ...server.address, ...changes }, options, signal);
}
