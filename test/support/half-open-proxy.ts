// A TCP proxy that can make a connection half-open: both ends believe that it stands, and nothing passes any more. That is what a
// machine without power, a firewall that forgot, or a cut cable look like.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface HalfOpenProxy extends AsyncDisposable {
  readonly port: number;
  /** Swallows what comes from either side from now on, of new connections too. Nobody is told. */
  darken(): void;
  /** New connections pass again; those that were dark stay so. */
  lighten(): void;
  /** Breaks all connections at once, with a reset. */
  cut(): void;
  /** As `cut`, and lets nobody in any more, until `accept`. */
  refuse(): void;
  accept(): void;
}

export async function halfOpenProxy(target: { readonly host: string; readonly port: number }): Promise<HalfOpenProxy> {
  const sockets = new Set<Socket>();
  const dark = new Set<Socket>();
  let isDark = false;
  let isRefusing = false;
  const watch = (socket: Socket): void => {
    sockets.add(socket);
    if (isDark) dark.add(socket);
    socket.on('error', () => undefined); // The other side learns of it by the close.
    socket.on('close', () => sockets.delete(socket));
  };
  const pass = (from: Socket, to: Socket): void => {
    from.on('data', (bytes) => {
      if (dark.has(from)) return;
      if (!to.write(bytes)) from.pause();
    });
    to.on('drain', () => from.resume());
    from.on('end', () => {
      if (!dark.has(from)) to.end();
    });
    from.on('close', () => {
      if (!dark.has(from)) to.destroy();
    });
  };
  const cut = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  const server = createServer({ allowHalfOpen: true }, (client) => {
    if (isRefusing) {
      client.on('error', () => undefined);
      client.resetAndDestroy();
      return;
    }
    const upstream = connect({ ...target, allowHalfOpen: true });
    watch(client);
    watch(upstream);
    pass(client, upstream);
    pass(upstream, client);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  return {
    port: address.port,
    darken() {
      isDark = true;
      for (const socket of sockets) {
        dark.add(socket);
        socket.resume(); // It may have waited for the other side.
      }
    },
    lighten: () => void (isDark = false),
    cut,
    refuse() {
      isRefusing = true;
      cut();
    },
    accept: () => void (isRefusing = false),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
