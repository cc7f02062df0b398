// Data of every type and encoding in a Redis server, the same logical content on any version.
import type { RedisConnection } from '../../src/sources/redis/connection.ts';

const long = 'a long text that does not fit a packed encoding '.repeat(20);

/** Fills databases 0 and 3. Keys named `expiring:…` live until `expiresAtMs`. */
export async function fillRedis(connection: RedisConnection, expiresAtMs: number): Promise<void> {
  const call: RedisConnection['call'] = (command, ...parts) => connection.call(command, ...parts);
  await call('SELECT', 0);
  await call('SET', 'text', 'hello');
  await call('SET', 'number', '-12345678901');
  await call('SET', 'small', '7');
  await call('SET', 'compressible', long);
  await call('SET', Buffer.from([0, 255, 10, 13]), Buffer.from(Array.from({ length: 256 }, (_, index) => index)));
  await call('SET', 'big', 'x'.repeat(3_000_000));
  await call('SET', 'random', Buffer.from(Array.from({ length: 2_000_000 }, (_, index) => (index * 7919) % 251)));
  await call('RPUSH', 'list', 'a', '1', '-2', '70000', '3000000000', '9007199254740993', long, '');
  await call('SADD', 'numbers', '1', '2', '-3', '40000', '5000000000');
  await call('SADD', 'words', 'one', 'two', long);
  await call('HSET', 'hash', 'field', 'value', 'count', '42', 'negative', '-5');
  await call('HSET', 'wide hash', 'field', long, 'other', '1');
  await call('ZADD', 'scores', '1.5', 'a', '-2', 'b', 'inf', 'c', '-inf', 'd', '0', 'e', '3.0000000000000004', 'f');
  for (let index = 0; index < 600; index += 1) {
    await call('RPUSH', 'long list', `element ${index}`, index * 1_000_003);
    await call('HSET', 'large hash', `field ${index}`, index);
    await call('ZADD', 'large scores', index / 7, `member ${index}`);
    await call('SADD', 'large set', `member ${index}`);
  }
  await fillStream(connection);
  await call('SET', 'expiring:text', 'soon gone', 'PXAT', expiresAtMs);
  await call('HSET', 'expiring:hash', 'a', '1');
  await call('PEXPIREAT', 'expiring:hash', expiresAtMs);
  await call('SELECT', 3);
  await call('SET', 'in three', 'x');
  await call('SET', 'stays long', 'y', 'PXAT', expiresAtMs + 10 * 365 * 86_400_000);
  await call('SELECT', 0);
}

async function fillStream(connection: RedisConnection): Promise<void> {
  const call: RedisConnection['call'] = (command, ...parts) => connection.call(command, ...parts);
  for (let index = 1; index <= 300; index += 1)
    await call('XADD', 'events', `${index}-1`, 'kind', 'a', 'number', index);
  await call('XADD', 'events', '300-7', 'other', 'fields', 'than', 'before', 'are', 'here');
  await call('XDEL', 'events', '3-1', '4-1');
  await call('XGROUP', 'CREATE', 'events', 'readers', '0');
  await call('XREADGROUP', 'GROUP', 'readers', 'one', 'COUNT', 5, 'STREAMS', 'events', '>');
  await call('XREADGROUP', 'GROUP', 'readers', 'two', 'COUNT', 2, 'STREAMS', 'events', '>');
  await call('XACK', 'events', 'readers', '1-1');
  await call('XGROUP', 'CREATE', 'empty', 'nobody', '0', 'MKSTREAM');
}
