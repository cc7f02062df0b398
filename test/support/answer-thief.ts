// A proxy before a PostgreSQL server that loses the answer to a swap: the connection that renamed databases breaks at its
// COMMIT, whose fate the test chooses.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

export interface AnswerThief extends AsyncDisposable {
  readonly port: number;
}

export interface Theft {
  /** Whether the server gets the COMMIT. */
  readonly passesCommit: boolean;
  /** Whether connections made after that reach the server. */
  readonly isAnswering: boolean;
  /** Before the connection breaks; the COMMIT that was passed on is carried out then. */
  readonly onTheft?: () => void;
}

export async function answerThief(
  server: { readonly host: string; readonly port: number },
  { passesCommit, isAnswering, onTheft }: Theft,
): Promise<AnswerThief> {
  const sockets = new Set<Socket>();
  let isDone = false;
  const proxy = createServer((client) => {
    if (isDone && !isAnswering) {
      client.destroy();
      return;
    }
    const upstream = connect(server.port, server.host);
    let hasRenamed = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        // What was sent still arrives; a reset could overtake it.
        upstream.end();
      });
    }
    client.on('data', (bytes: Buffer) => {
      hasRenamed ||= bytes.includes('RENAME TO');
      if (!hasRenamed || !bytes.includes('COMMIT')) {
        upstream.write(bytes);
        return;
      }
      isDone = true;
      const breakOff = (): void => {
        onTheft?.();
        client.destroy();
      };
      if (!passesCommit) {
        breakOff();
        return;
      }
      upstream.removeAllListeners('data').once('data', breakOff);
      upstream.write(bytes);
    });
    upstream.on('data', (bytes: Buffer) => client.write(bytes));
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return {
    port: (proxy.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      proxy.close();
      await once(proxy, 'close');
    },
  };
}
