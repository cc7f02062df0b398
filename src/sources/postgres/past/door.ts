// A way into a throw-away server for other programs of this machine: a port on loopback, behind a password made for it. A server that
// recovers takes no new roles, and the passwords of its own are production's; so the server itself lets in whoever reaches its
// private socket, and this door asks for the password before it connects anybody there.
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { PastAccess, PastDoor } from '../../explore.ts';
import { readGreeting, readPassword, passwordRequest, refusal, type Greeting } from './door-messages.ts';

/** Whoever does not say the password by then is no program that knows it. */
const patienceMs = 60_000;
const connectionsMax = 200;

export interface DoorOptions {
  /** The private socket. */
  readonly access: PastAccess;
  /** Where the password is written down. */
  readonly folder: string;
}

export async function openDoor({ access, folder }: DoorOptions): Promise<PastDoor> {
  const password = randomBytes(24).toString('base64url');
  const open = new Set<Socket>();
  const track = (socket: Socket): Socket => {
    open.add(socket);
    // What is wrong with one end shows at the other.
    return socket.on('error', () => socket.destroy()).once('close', () => open.delete(socket));
  };
  const server = createServer((socket) => {
    track(socket).setNoDelay(true);
    void letIn(socket, { password, upstream: () => track(connect(join(access.host, `.s.PGSQL.${access.port}`))) });
  });
  server.maxConnections = connectionsMax;
  const port = await listen(server);
  const passwordFile = join(folder, 'pgpass');
  await writeFile(passwordFile, passwordLine({ host: '127.0.0.1', port, user: access.user }, password), {
    mode: 0o600,
    flag: 'wx',
  });
  return {
    host: '127.0.0.1',
    port,
    user: access.user,
    passwordFile,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of open) socket.destroy();
      await closed;
      await rm(passwordFile, { force: true });
    },
  };
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** As `~/.pgpass` has them: colons and backslashes of a name must not divide it. */
function passwordLine({ host, port, user }: PastAccess, password: string): string {
  return `${host}:${port}:*:${user.replaceAll(/[\\:]/g, String.raw`\$&`)}:${password}\n`;
}

interface Way {
  readonly password: string;
  readonly upstream: () => Socket;
}

/** Never rejects: whatever goes wrong ends the connection. */
async function letIn(socket: Socket, { password, upstream }: Way): Promise<void> {
  socket.setTimeout(patienceMs, () => socket.destroy());
  try {
    const greeting = await greet(socket);
    if (greeting === undefined) return void socket.destroy();
    if (greeting.kind === 'startup') {
      socket.write(passwordRequest());
      const said = await nextMessage(socket, readPassword);
      if (said === undefined) return void socket.destroy();
      if (!isEqual(said, password))
        return void socket.end(refusal('the password of this throw-away server is another'));
    }
    socket.setTimeout(0);
    pipe(socket, upstream(), greeting.bytes);
  } catch {
    socket.destroy(); // It ended in the middle of a message.
  }
}

/** Encryption is declined: nothing leaves this machine. */
async function greet(socket: Socket): Promise<Exclude<Greeting, { kind: 'encryption' }> | undefined> {
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const greeting = await nextMessage(socket, readGreeting);
    if (greeting?.kind !== 'encryption') return greeting;
    socket.write('N');
  }
  return undefined;
}

/** The next whole message, read by `read`; undefined if it is none. What follows it stays in the socket. */
async function nextMessage<Message>(
  socket: Socket,
  read: (bytes: Buffer) => { readonly message: Message; readonly sizeBytes: number } | 'more' | undefined,
): Promise<Message | undefined> {
  let bytes: Buffer = Buffer.alloc(0);
  for (;;) {
    const piece = socket.read() as Buffer | null;
    if (piece === null) {
      if (socket.readableEnded || socket.destroyed) return undefined;
      await readableOrClosed(socket);
      continue;
    }
    bytes = Buffer.concat([bytes, piece]);
    const found = read(bytes);
    if (found === 'more') continue;
    if (found !== undefined && found.sizeBytes < bytes.length) socket.unshift(bytes.subarray(found.sizeBytes));
    return found?.message;
  }
}

function readableOrClosed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('readable', done).off('close', done);
      resolve();
    };
    socket.on('readable', done).on('close', done);
  });
}

/** Of hashes, which are equally long. */
function isEqual(said: string, password: string): boolean {
  return timingSafeEqual(hash('sha256', said, 'buffer'), hash('sha256', password, 'buffer'));
}

function pipe(socket: Socket, upstream: Socket, first: Buffer): void {
  upstream.write(first);
  socket.pipe(upstream).pipe(socket);
  socket.once('close', () => upstream.destroy());
  upstream.once('close', () => socket.destroySoon());
}
