// Records what PostgreSQL 14 to 18 say on replication connections, for the tests of the decoders (test/fixtures/postgres-protocol).
// Run it after an update of the servers: `node scripts/record-postgres-goldens.ts`.
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect as connectTcp, createServer, type AddressInfo } from 'node:net';
import { connect } from '../src/sources/postgres/connection.ts';
import { startLocalServer } from '../src/sources/postgres/local-server.ts';
import { connectReplication } from '../src/sources/postgres/protocol/connect-replication.ts';
import type { ReplicationConnection } from '../src/sources/postgres/protocol/replication-connection.ts';
import type { ServerAddress } from '../src/sources/postgres/server-address.ts';
import { findServer } from '../src/sources/postgres/server-programs.ts';
import { goldenFile, goldenMajors, goldenPassword } from '../test/support/postgres-goldens.ts';

const { signal } = new AbortController();
/** Of the many messages of a base backup, those of such a length and the first few of an archive tell enough. */
const keptBytesMax = 1_024;
const keptDataMax = 3;

interface Message {
  readonly from: '<' | '>';
  readonly bytes: Buffer;
}

/** Has `work` talk through a proxy that listens, and returns what was said. */
async function record(
  address: ServerAddress,
  work: (connection: ReplicationConnection) => Promise<unknown>,
): Promise<Message[]> {
  const messages: Message[] = [];
  const proxy = createServer((client) => {
    const server = connectTcp(address.port, address.host);
    const split = { '<': new Splitter(1), '>': new Splitter(0) };
    const pass = (from: '<' | '>') => (bytes: Buffer) => {
      for (const message of split[from].push(bytes)) messages.push({ from, bytes: message });
      (from === '<' ? client : server).write(bytes);
    };
    client.on('data', pass('>')).on('close', () => server.end());
    server.on('data', pass('<')).on('close', () => client.end());
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  {
    await using connection = await connectReplication(
      { ...address, port: (proxy.address() as AddressInfo).port },
      {},
      signal,
    );
    await work(connection);
  }
  proxy.close();
  await once(proxy, 'close');
  return messages;
}

/** Cuts a stream into messages by their lengths; the first of a client has no type. */
class Splitter {
  #held = Buffer.alloc(0);
  #typeBytes: number;

  constructor(typeBytes: number) {
    this.#typeBytes = typeBytes;
  }

  push(bytes: Buffer): Buffer[] {
    this.#held = Buffer.concat([this.#held, bytes]);
    const messages: Buffer[] = [];
    while (this.#held.length >= this.#typeBytes + 4) {
      const length = this.#typeBytes + this.#held.readInt32BE(this.#typeBytes);
      if (this.#held.length < length) break;
      messages.push(this.#held.subarray(0, length));
      this.#held = this.#held.subarray(length);
      this.#typeBytes = 1;
    }
    return messages;
  }
}

/** Leaves out most of the data of archives. */
function shorten(messages: readonly Message[], major: number): Message[] {
  let data = 0;
  return messages.filter(({ bytes }) => {
    const isTyped = major >= 15 && /^d....[nmp]/s.test(bytes.toString('latin1', 0, 6)) && bytes.length < keptBytesMax;
    if (!bytes.toString('latin1', 0, 1).startsWith('d')) data = 0;
    else if (isTyped) data = 0;
    else data += 1;
    return data <= keptDataMax && (data === 0 || bytes.length <= keptBytesMax);
  });
}

async function recordMajor(major: number): Promise<string> {
  const programs = await findServer(major, [], signal);
  await using server = await startLocalServer(programs, { settings: ['wal_sender_timeout=2s'] }, signal);
  await using own = await connect(server.address, 'postgres', signal);
  await own.query(`ALTER ROLE ${server.address.user} PASSWORD '${goldenPassword}'`);
  const address = { ...server.address, password: goldenPassword };
  if (major >= 15) {
    await own.query('SET allow_in_place_tablespaces = on');
    await own.query("CREATE TABLESPACE inside LOCATION ''");
  }
  const parts = {
    commands: await record(address, async (connection) => {
      await connection.identifySystem();
      await connection.show('wal_level');
      await connection.show('nonsense.setting');
      await connection.createSlot('golden', { reservesWal: true });
      await connection.readSlot('golden');
      await connection.timelineHistory(1).catch(() => undefined);
      await connection.query("DO $$ BEGIN RAISE WARNING 'well' USING DETAIL = 'more', HINT = 'do'; END $$");
    }),
    backup: shorten(
      await record(address, (connection) =>
        Array.fromAsync(connection.baseBackup({ label: 'golden', manifestChecksums: 'NONE' })),
      ),
      major,
    ),
    wal: await record(address, async (connection) => {
      await own.query('SELECT pg_switch_wal()');
      await own.query("SELECT pg_create_restore_point('golden')");
      const { lsn, timeline } = await connection.identifySystem();
      const start = (lsn >> 24n) << 24n;
      const stream = await connection.startReplication({ slot: 'golden', start, timeline });
      for await (const event of stream) {
        if (event.kind === 'data') stream.report({ written: lsn, flushed: start, replyRequested: true });
        if (event.kind === 'keepalive') break;
      }
      await stream.finish();
    }),
  };
  const lines = Object.entries(parts).flatMap(([name, messages]) => [
    `## ${name}`,
    ...messages.map(({ from, bytes }) => `${from} ${bytes.toString('hex')}`),
  ]);
  return `# PostgreSQL ${server.version}; see scripts/record-postgres-goldens.ts\n${lines.join('\n')}\n`;
}

mkdirSync(new URL('.', goldenFile(0)), { recursive: true });
for (const major of goldenMajors) writeFileSync(goldenFile(major), await recordMajor(major));
