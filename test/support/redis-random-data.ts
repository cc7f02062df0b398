// Random commands of every type, the same for the same seed: lists that were popped from, streams that were trimmed,
// numbers at the edges of encodings, keys that expire much later.
import type { Random } from '../../src/base/random.ts';
import type { RedisConnection } from '../../src/sources/redis/connection.ts';

type Part = string | number | Buffer;

const scores = ['inf', '-inf', '-0', '1e300', '-1e-320', '0.1', '123456789012345678', '3', '-70000'];

function randomValue(random: Random): Part {
  const kinds: readonly (() => Part)[] = [
    () => Math.floor(random() * 200 - 100),
    () => Math.floor((random() - 0.5) * 2 ** 33),
    () => String(BigInt(Math.floor((random() - 0.5) * 2 ** 62))),
    () => 'x'.repeat(Math.floor(random() * 300)),
    () => 'abc'.repeat(Math.floor(random() * 6000)),
    () => Buffer.from(Array.from({ length: Math.floor(random() * 70) }, () => random() * 256)),
    () => '',
    () => String(random() * 1e20),
  ];
  return kinds[Math.floor(random() * kinds.length)]?.() ?? '';
}

function randomCommand(random: Random): readonly [string, ...Part[]] {
  const number = Math.floor(random() * 40);
  const value = () => randomValue(random);
  const score = () => scores[Math.floor(random() * scores.length)] ?? random();
  const stream = `stream ${number}`;
  const commands: readonly (() => readonly [string, ...Part[]])[] = [
    () => ['SET', `string ${number}`, value()],
    () => ['APPEND', `string ${number}`, 'tail'],
    () => ['SETRANGE', `string ${number}`, 200, 'zz'],
    () => ['RPUSH', `list ${number}`, value(), value()],
    () => ['LPUSH', `list ${number}`, value()],
    () => ['LPOP', `list ${number}`],
    () => ['SADD', `set ${number}`, value()],
    () => ['SADD', `integers ${number}`, Math.floor((random() - 0.5) * 10 ** (number % 16))],
    () => ['HSET', `hash ${number}`, value(), value()],
    () => ['HINCRBY', `counters ${number}`, `field ${number % 7}`, 3],
    () => ['ZADD', `zset ${number}`, score(), value()],
    () => ['ZINCRBY', `sums ${number}`, '0.1', 'member'],
    () => ['XADD', stream, '*', 'a', value()],
    () => ['XADD', stream, '*', 'other', value(), 'fields', value()],
    () => ['XADD', stream, 'MAXLEN', 50, '*', 'a', value()],
    () => ['XTRIM', stream, 'MAXLEN', 20],
    () => ['XGROUP', 'CREATE', stream, `group ${number % 3}`, '0', 'MKSTREAM'],
    () => ['XREADGROUP', 'GROUP', `group ${number % 3}`, 'reader', 'COUNT', 3, 'STREAMS', stream, '>'],
    () => ['PEXPIRE', `hash ${number}`, Math.floor(1e7 + random() * 1e11)],
    () => ['PERSIST', `hash ${number}`],
  ];
  return commands[Math.floor(random() * commands.length)]?.() ?? ['PING'];
}

/** Runs `count` commands over three databases; those that do not fit what is there are refused, as with any client. */
export async function fillAtRandom(connection: RedisConnection, random: Random, count: number): Promise<void> {
  const sent: Promise<unknown>[] = [];
  for (let index = 0; index < count; index += 1) {
    if (index % 500 === 0) sent.push(connection.call('SELECT', Math.floor(random() * 3) * 2));
    sent.push(connection.call(...randomCommand(random)));
  }
  await Promise.allSettled(sent);
}
