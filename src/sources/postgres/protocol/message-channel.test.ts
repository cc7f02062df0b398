import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { encodeCopyData } from './frontend-messages.ts';
import { MessageChannel } from './message-channel.ts';

const mebibyte = 1024 * 1024;

/** Both ends of a connection. */
async function connected() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [far] = (await once(server, 'connection')) as [Socket];
  far.on('error', () => undefined);
  return {
    near,
    far,
    async [Symbol.asyncDispose]() {
      near.destroy();
      far.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

test('reads ahead to a limit while nobody takes, and loses nothing', async () => {
  await using both = await connected();
  const channel = new MessageChannel(both.near);
  const messages = 64;
  for (let number = 0; number < messages; number += 1) both.far.write(encodeCopyData(Buffer.alloc(mebibyte, number)));
  while (!channel.isHeldBack) await sleep(5);
  await sleep(100);
  expect(both.near.bytesRead).toBeGreaterThan(8 * mebibyte);
  expect(both.near.bytesRead).toBeLessThan(8.5 * mebibyte);
  let [received, wrong] = [0, 0];
  while (received < messages * mebibyte) {
    const frame = await channel.next();
    if (frame.kind !== 'copy') throw new Error('no copy data was sent');
    const number = Math.floor(received / mebibyte);
    wrong += frame.bytes.at(0) === number && frame.bytes.at(-1) === number ? 0 : 1;
    received += frame.bytes.length;
  }
  expect(wrong).toBe(0);
});

test('gives what came before the connection ended, then says that it ended', async () => {
  await using both = await connected();
  const channel = new MessageChannel(both.near);
  both.far.end(encodeCopyData(Buffer.from('last words')));
  await once(both.near, 'close');
  expect(await channel.next()).toMatchObject({ kind: 'copy', bytes: Buffer.from('last words') });
  await expect(channel.next()).rejects.toThrow('Connection terminated by the server');
});

test('waits no longer than it may, and not at all once it was destroyed', async () => {
  await using both = await connected();
  const channel = new MessageChannel(both.near);
  channel.silenceMaxMs = 50;
  await expect(channel.next()).rejects.toMatchObject({ code: 'ETIMEDOUT' });
  await expect(channel.next()).rejects.toMatchObject({ code: 'ETIMEDOUT' });
  expect(channel.send(Buffer.from('x'))).toBe(true);
});

test('tells when the other side takes what is sent too slowly', async () => {
  await using both = await connected();
  const channel = new MessageChannel(both.near);
  both.far.pause();
  let sentBytes = 0;
  while (channel.send(Buffer.alloc(mebibyte))) sentBytes += mebibyte;
  both.far.resume();
  await channel.drained();
  while (channel.send(Buffer.alloc(mebibyte)) && sentBytes < 2 ** 30) sentBytes += mebibyte;
  const drained = channel.drained();
  both.far.resetAndDestroy();
  await expect(drained).rejects.toThrow(/ECONNRESET|EPIPE|terminated/);
});

test('keeps what follows passing frames for as long as its reader wants it', async () => {
  await using both = await connected();
  const channel = new MessageChannel(both.near);
  channel.passCopyData();
  const row = Buffer.from('D\0\0\0\x0alastly');
  both.far.write(Buffer.concat([encodeCopyData(Buffer.alloc(32 * 1024, 1)), Buffer.from('c\0\0\0\x04'), row]));
  let frame = await channel.next();
  let copied = 0;
  for (; frame.kind === 'copy'; frame = await channel.next()) copied += frame.bytes.filter((byte) => byte === 1).length;
  expect(copied).toBe(32 * 1024);
  const kept = await channel.next();
  both.far.write(Buffer.from('Z\0\0\0\x05I'));
  expect(await channel.next()).toMatchObject({ type: 'Z' });
  expect(kept).toMatchObject({ type: 'D', body: Buffer.from('lastly') });
});
