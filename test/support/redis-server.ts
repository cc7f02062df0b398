// A real Redis server for one test: in a temporary folder, on a loopback port the kernel chose, stopped by its pid.
import { createServer } from 'node:net';
import { once } from 'node:events';
import { connectRedis, type RedisAddress, type RedisConnection } from '../../src/sources/redis/connection.ts';
import { startLocalServer, type LocalServer, type LocalServerOptions } from '../../src/sources/redis/local-server.ts';
import { findTool } from './tools.ts';

export interface TestRedis extends AsyncDisposable {
  /** By loopback port, with the credentials given. */
  readonly address: RedisAddress & { readonly host: string; readonly port: number };
  readonly server: LocalServer;
  /** An open connection, closed with the server. */
  readonly connection: RedisConnection;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

export async function testRedis(options: LocalServerOptions = {}): Promise<TestRedis> {
  const { signal } = new AbortController();
  const port = await freePort();
  const settings = [...(options.settings ?? []), 'bind 127.0.0.1', `port ${port}`];
  const program = findTool('redis-server') ?? 'redis-server';
  const server = await startLocalServer({ ...options, program, settings }, signal);
  const { username, password } = options;
  const address = { host: '127.0.0.1', port, username, password };
  const connection = await connectRedis(server.address, signal);
  return {
    address,
    server,
    connection,
    async [Symbol.asyncDispose]() {
      await connection[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}
