// An abort ends a connection whatever it is at, also while it is being made.
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect } from './connection.ts';
import type { ServerAddress } from './server-address.ts';

/** Takes connections and says nothing. */
const server = createServer((socket) => {
  socket.on('error', () => undefined).resume();
  sockets.add(socket);
  socket.on('close', () => sockets.delete(socket));
});
const sockets = new Set<Socket>();
let address: ServerAddress;

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  address = { host: '127.0.0.1', port, user: 'nobody', password: 'x', ssl: { mode: 'disable' } };
});
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

test.each(['disable', 'prefer', 'require'] as const)(
  'a server that says nothing keeps nobody who gives up, with ssl %s',
  { timeout: 10_000 },
  async (mode) => {
    const abort = new AbortController();
    const reason = new Error('enough');
    const connecting = connect({ ...address, ssl: { mode } }, 'postgres', abort.signal);
    const giveUp = sleep(100).then(() => abort.abort(reason));
    const [outcome] = await Promise.allSettled([connecting, giveUp]);
    expect(outcome).toEqual({ status: 'rejected', reason });
    for (let tries = 0; sockets.size > 0 && tries < 50; tries += 1) await sleep(20);
    expect(sockets.size).toBe(0);
  },
);

test('who gives up before it begins asks nobody', { timeout: 10_000 }, async () => {
  const abort = new AbortController();
  const connecting = connect(address, 'postgres', abort.signal);
  abort.abort(new Error('at once'));
  await expect(connecting).rejects.toThrow('at once');
  expect(sockets.size).toBe(0);
});
