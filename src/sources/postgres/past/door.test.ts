import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openDoor } from './door.ts';

/** Answers what it is sent with what it is sent. */
async function scene() {
  const stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'lifeboat-door-'));
  stack.defer(() => rmSync(folder, { recursive: true }));
  const server = createServer((socket) => void socket.on('error', () => undefined).pipe(socket));
  server.listen(join(folder, '.s.PGSQL.5432'));
  await once(server, 'listening');
  stack.defer(() => void server.close());
  const door = stack.use(await openDoor({ access: { host: folder, port: 5432, user: 'a:b\\c' }, folder }));
  const password = readFileSync(door.passwordFile, 'utf8').trim().split(':').at(-1) ?? '';
  return { door, password, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

function message(type: string, content: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(content.length + 4);
  return Buffer.concat([Buffer.from(type), head, content]);
}

const code = (number: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(number);
  return bytes;
};
const startup = message('', Buffer.concat([code(196_608), Buffer.from('user\0shop\0\0')]));

/** All that the door sends until `sizeBytes` of it are there or it closes. */
async function answer(socket: Socket, sizeBytes: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const look = (): void => {
    if (socket.closed || Buffer.concat(pieces).length >= sizeBytes) resolve(undefined);
  };
  socket.on('data', (piece: Buffer) => {
    pieces.push(piece);
    look();
  });
  socket.on('close', look);
  look();
  await promise;
  return Buffer.concat(pieces);
}

function enter(port: number): Socket {
  return connect(port, '127.0.0.1').on('error', () => undefined);
}

test('lets in who knows the password, whatever pieces it comes in, and hands on all that follows', async () => {
  await using made = await scene();
  const whole = Buffer.concat([
    message('', code(80_877_103)),
    startup,
    message('p', Buffer.from(`${made.password}\0`)),
    Buffer.from('what follows'),
  ]);
  const expected = Buffer.concat([
    Buffer.from('N'),
    Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]),
    startup,
    Buffer.from('what follows'),
  ]);
  for (const sizeBytes of [whole.length, 7, 1]) {
    const socket = enter(made.door.port).setNoDelay(true);
    const answered = answer(socket, expected.length);
    for (let at = 0; at < whole.length; at += sizeBytes) {
      socket.write(whole.subarray(at, at + sizeBytes));
      await new Promise(setImmediate);
    }
    expect(await answered).toEqual(expected);
    socket.destroy();
  }
});

test('hands nothing on of who does not know it, or speaks otherwise', async () => {
  await using made = await scene();
  const wrong = [
    Buffer.concat([startup, message('p', Buffer.from('wrong\0'))]),
    Buffer.concat([startup, message('p', Buffer.from(made.password))]), // Not ended.
    Buffer.concat([startup, message('Q', Buffer.from('select 1\0'))]),
    Buffer.concat([startup, startup, startup]),
    message('', code(2 << 16)),
    message('', Buffer.concat([code(196_608), Buffer.alloc(20_000)])),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.concat(Array.from({ length: 5 }, () => message('', code(80_877_104)))),
  ];
  for (const bytes of wrong) {
    const socket = enter(made.door.port);
    socket.write(bytes);
    const answered = await answer(socket, Infinity);
    expect(answered.includes(startup)).toBe(false);
    expect(answered.toString('latin1')).not.toContain(made.password);
  }
});

test('writes the name so that colons in it divide nothing, and ends all sessions when it closes', async () => {
  const made = await scene();
  const { door, password } = made;
  expect(readFileSync(door.passwordFile, 'utf8')).toBe(`127.0.0.1:${door.port}:*:a\\:b\\\\c:${password}\n`);
  const socket = enter(door.port);
  socket.write(Buffer.concat([startup, message('p', Buffer.from(`${password}\0`))]));
  await answer(socket, 9 + startup.length);
  const closed = once(socket, 'close');
  await made[Symbol.asyncDispose]();
  await closed;
  await answer(enter(door.port), Infinity);
});
