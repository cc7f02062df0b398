// The lecture platform of `examples/`, set up as its README says: one folder with the template and the files of two customers, real
// servers with its fixtures, and receivers for what it tells people.
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { expect } from 'vitest';
import { initRepository } from '../../src/repository/open-repository.ts';
import type { Repository } from '../../src/repository/repository.ts';
import { loadSnapshots, saveSnapshot, withoutId, type Snapshot } from '../../src/repository/snapshot.ts';
import { localStore } from '../../src/storage/local/store.ts';
import { s3Store } from '../../src/storage/s3/store.ts';
import { mailReceiver, webReceiver, type MailReceiver, type WebReceiver } from './alert-receivers.ts';
import { jsonLines, runHere, type Ran } from './lifeboat.ts';
import { startPostgres, type TestServer } from './postgres-server.ts';
import { cheapScrypt, noSignal } from './repository.ts';
import { startS3Server } from './s3-server.ts';
import { temporaryFolder } from './temporary-folder.ts';

export const customers = ['acme', 'globex'] as const;
export type Customer = (typeof customers)[number];

export const postgresMajor = 15;
const secondaryBucket = 'lecture-backups-us';

export interface LectureScene extends AsyncDisposable {
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly postgres: TestServer;
  readonly web: WebReceiver;
  readonly mail: MailReceiver;
  readonly repositories: Readonly<Record<Customer, { readonly primary: Repository; readonly secondary: Repository }>>;
  /** On one of the customers. */
  run(customer: Customer, ...args: readonly string[]): Promise<Ran>;
  /** The document, or the last line, that the program prints; with its exit code. */
  json<Data>(customer: Customer, ...args: readonly string[]): Promise<Data & { readonly exitCode: number }>;
  /** Changes the newest snapshot of a component, as if it had been taken then; `stays` leaves the newest beside it. */
  age(customer: Customer, component: string, wish: { readonly atMs: number; readonly stays?: boolean }): Promise<void>;
}

export async function startLecture(): Promise<LectureScene> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder()).path;
  await cp(fileURLToPath(new URL('../../examples/lecture/', import.meta.url)), folder, { recursive: true });
  const postgres = stack.use(await startPostgres(postgresMajor));
  const s3 = stack.use(await startS3Server());
  const web = stack.use(await webReceiver());
  const mail = stack.use(await mailReceiver({ authOptional: true, disabledCommands: ['STARTTLS'] }));
  await mkdir(join(folder, 'passwords'));
  for (const customer of customers) {
    await cp(join(folder, 'fixtures/files'), join(folder, 'files', customer), { recursive: true });
    await writeFile(join(folder, 'passwords', customer), `planted-password-of-${customer}`);
    for (const database of ['lecture', 'auth']) {
      const fixture = database === 'auth' ? 'auth' : 'database';
      await postgres.sql('postgres', `CREATE DATABASE ${database}_${customer}`);
      const name = `${database}_${customer}`;
      await postgres.sql(name, await readFile(join(folder, `fixtures/${fixture}.sql`), 'utf8'));
    }
  }
  const client = s3.inspector();
  await client.send(new CreateBucketCommand({ Bucket: secondaryBucket }));
  client.destroy();
  const [acme, globex] = await Promise.all(
    customers.map(async (customer) => {
      const options = { password: `planted-password-of-${customer}`, signal: noSignal, scryptCost: cheapScrypt };
      const store = localStore(join(folder, 'backups', customer));
      const primary = await initRepository(store, { ...options, chunkerDefault: 'gear' });
      const place = { kind: 's3', bucket: secondaryBucket, prefix: customer, client: s3.client } as const;
      const { chunker, chunkerDefault } = primary.config;
      return { primary, secondary: await initRepository(s3Store(place), { ...options, chunker, chunkerDefault }) };
    }),
  );
  if (acme === undefined || globex === undefined) throw new Error('there are two customers');
  const repositories = { acme, globex };
  const { host, port, user, password = '' } = postgres.address;
  const url = `postgres://${user}:${encodeURIComponent(password)}@${host}:${port}/postgres`;
  const environment = {
    LIFEBOAT_PASSWORD: '',
    ACME_DATABASE_URL: url,
    GLOBEX_DATABASE_URL: url,
    BACKUPS: join(folder, 'backups'),
    PASSWORDS: join(folder, 'passwords'),
    AWS_ENDPOINT_URL: s3.client.endpoint,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test-secret',
    SLACK_INCIDENT_RESPONSE: `${web.url}/slack`,
    TEAMS_INCIDENT_ROOM: `${web.url}/teams`,
    TWILIO_ACCOUNT: 'AC17',
    TWILIO_TOKEN: 'planted-token',
    TWILIO_URL: web.url,
    SMTP_HOST: '127.0.0.1',
    SMTP_PORT: String(mail.port),
    SMTP_SECURITY: 'none',
  };
  for (const customer of customers) await placeFiles(folder, customer, web.url);
  const run: LectureScene['run'] = (customer, ...args) =>
    runHere([...args, '--config', `customers/${customer}.yaml`], { folder, environment });
  const owned = stack.move();
  return {
    folder,
    environment,
    postgres,
    web,
    mail,
    repositories,
    run,
    async json<Data>(customer: Customer, ...args: readonly string[]) {
      const ran = await run(customer, ...args, '--json');
      expect(ran.stdout, `${args.join(' ')}: ${ran.stderr}`).not.toBe('');
      const data = ran.stdout.startsWith('{\n') ? (JSON.parse(ran.stdout) as object) : jsonLines(ran).at(-1);
      return { ...data, exitCode: ran.exitCode } as Data & { exitCode: number };
    },
    async age(customer, component, { atMs, stays = false }) {
      const { primary } = repositories[customer];
      const all = await loadSnapshots(primary, noSignal);
      const newest = all.findLast(({ lifeboat }) => lifeboat?.component === component);
      if (newest === undefined) throw new Error(`there is no backup of ${component}`);
      const aged: Snapshot = { ...withoutId(newest), time: new Date(atMs).toISOString() };
      await saveSnapshot(primary, aged, noSignal);
      if (!stays) await primary.store.remove(`snapshots/${newest.id}`);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** The parameters of a customer that this machine gives others: where files lie, and where the platform answers. */
async function placeFiles(folder: string, customer: Customer, url: string): Promise<void> {
  const path = join(folder, 'customers', `${customer}.yaml`);
  const own = `FILES: '${join(folder, 'files', customer)}', API_URL: '${url}/${customer}', APP_URL: '${url}/${customer}'`;
  const text = await readFile(path, 'utf8');
  await writeFile(path, text.replace('parameters: {', `parameters: { ${own},`));
}
