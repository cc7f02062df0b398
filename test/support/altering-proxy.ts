// A TCP proxy that changes bytes on their way from the server: what bad memory in a router or a network card does.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface AlteringProxy extends AsyncDisposable {
  readonly port: number;
}

/** `alter` may change each piece that comes from the server. */
export async function alteringProxy(
  target: { readonly host: string; readonly port: number },
  alter: (bytes: Buffer) => void,
): Promise<AlteringProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect({ host: target.host, port: target.port });
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('error', () => undefined); // The other side learns of it by the close.
      from.on('close', () => to.destroy());
      from.on('end', () => to.end());
      from.on('data', (bytes: Buffer) => {
        if (from === upstream) alter(bytes);
        if (!to.write(bytes)) from.pause();
      });
      to.on('drain', () => from.resume());
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  return {
    port: address.port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
