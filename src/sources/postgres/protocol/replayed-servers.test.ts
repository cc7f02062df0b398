import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { goldenMajors, readGoldens } from '../../../../test/support/postgres-goldens.ts';
import { isAppError } from '../../../base/errors.ts';
import type { BaseBackupEvent } from './base-backup-decoder.ts';
import { connectReplication } from './connect-replication.ts';
import { formatLsn } from '../wal/lsn.ts';

const { signal } = new AbortController();

/** What a recorded server says after a login, as if it had asked for no password, and where its answer to the first query begins. */
function afterLogin(major: number, name: string): { welcome: Buffer; answer: Buffer } {
  const messages = readGoldens(major).get(name)?.messages ?? [];
  const query = messages.findIndex(({ from, bytes }) => from === 'us' && bytes.at(0) === 'Q'.charCodeAt(0));
  const said = (part: typeof messages) =>
    Buffer.concat(part.flatMap(({ from, bytes }) => (from === 'server' ? [bytes] : [])));
  const trusted = messages.findIndex(({ bytes }) => bytes.toString('hex') === '520000000800000000');
  return { welcome: said(messages.slice(trusted, query)), answer: said(messages.slice(query)) };
}

/** Says what it was told to, in the pieces it was told to, and hangs up. */
let script: { readonly welcome: Buffer; readonly answer: Buffer; readonly splits: readonly number[] };
const sockets = new Set<Socket>();
const server = createServer((socket) => {
  sockets.add(socket);
  socket.setNoDelay(true).on('error', () => undefined);
  socket.once('data', () => {
    socket.write(script.welcome);
    socket.once('data', () => {
      let from = 0;
      for (const at of [...script.splits, script.answer.length]) {
        socket.write(script.answer.subarray(from, at));
        from = at;
      }
      socket.end();
    });
  });
});

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  server.close();
  await once(server, 'close');
});

function address() {
  const { port } = server.address() as AddressInfo;
  return { host: '127.0.0.1', port, user: 'me', password: 'x', ssl: { mode: 'disable' } } as const;
}

async function readBackup(): Promise<BaseBackupEvent[]> {
  await using connection = await connectReplication(address(), {}, signal);
  return await Array.fromAsync(connection.baseBackup({ label: 'golden', manifestChecksums: 'NONE' }));
}

for (const major of goldenMajors) {
  test(`a backup as PostgreSQL ${major} gave it is read to its end from any pieces`, async () => {
    const { welcome, answer } = afterLogin(major, 'backup');
    const cuts = fc.array(fc.nat(answer.length), { maxLength: 10 });
    await fc.assert(
      fc.asyncProperty(cuts, async (splits) => {
        script = { welcome, answer, splits: splits.toSorted((left, right) => left - right) };
        const events = await readBackup();
        const [start, end] = [events[0], events.at(-1)];
        if (start?.kind !== 'start' || end?.kind !== 'end') throw new Error('another order');
        expect([formatLsn(start.lsn), start.timeline, end.timeline]).toEqual(['0/2000028', 1, 1]);
        expect(end.lsn > start.lsn).toBe(true);
      }),
      { numRuns: 30 },
    );
  });
}

test('a server that hangs up anywhere, or says anything else, makes an error of ours and no wait', async () => {
  const recordings = goldenMajors.map((major) => afterLogin(major, 'backup'));
  const change = fc.tuple(fc.nat(5_000), fc.nat(255));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...recordings),
      fc.array(change, { maxLength: 3 }),
      fc.option(fc.nat(5_000)),
      async ({ welcome, answer }, changes, end) => {
        const altered = Buffer.from(answer.subarray(0, end ?? answer.length));
        for (const [at, value] of changes) if (at < altered.length) altered[at] = value;
        script = { welcome, answer: altered, splits: [] };
        const outcome = await readBackup().catch((error: unknown) => error);
        const isCut = altered.length < answer.length;
        expect(isAppError(outcome) || (Array.isArray(outcome) && !isCut)).toBe(true);
      },
    ),
    { numRuns: 300 },
  );
});
