// What the shop keeps in Redis: sessions, carts, counters, leaderboards, of every common type, some of them expiring. No
// time to live is shorter than half an hour: nothing may vanish by itself while the demonstration counts.
import { seededRandom } from '../base/random.ts';
import type { CacheSession } from './parts.ts';

type CacheCommand = readonly [string, ...(string | number)[]];

const usualKeys = { sessions: 4_000, carts: 2_000, counters: 2_000, wishLists: 800 } as const;
const minuteSeconds = 60;
const daySeconds = 24 * 60 * minuteSeconds;
/** Commands that are under way at the same time. */
const pipelineMax = 1_000;

export async function fillCache(session: CacheSession, scale: number): Promise<void> {
  await sendAll(session, shopCommands(scale));
}

function* shopCommands(scale: number): Iterable<CacheCommand> {
  const random = seededRandom(20_261_120);
  const below = (limit: number): number => Math.floor(random() * limit);
  const many = (usual: number): number => Math.max(10, Math.round(usual * scale));
  for (let at = 1; at <= many(usualKeys.sessions); at += 1) {
    const key = `session:${(below(2 ** 31) + at * 2 ** 31).toString(36)}`;
    yield ['HSET', key, 'customer', below(20_000), 'language', at % 2 === 0 ? 'en' : 'de', 'pages', below(60)];
    yield ['EXPIRE', key, 30 * minuteSeconds + below(daySeconds)];
  }
  for (let at = 1; at <= many(usualKeys.carts); at += 1) {
    const key = `cart:${at * 7}`;
    for (let line = 0; line <= at % 4; line += 1) yield ['HSET', key, `SKU-${below(2_000)}`, 1 + below(3)];
    if (at % 2 === 0) yield ['EXPIRE', key, 14 * daySeconds];
    if (at % 3 === 0) yield ['RPUSH', `recent:${at * 7}`, ...Array.from({ length: 8 }, () => below(2_000))];
  }
  for (let at = 1; at <= many(usualKeys.counters); at += 1) yield ['SET', `views:product:${at}`, below(90_000)];
  for (let at = 1; at <= many(usualKeys.wishLists); at += 1)
    yield ['SADD', `wishes:${at}`, below(999), below(999), below(999)];
  for (const board of ['sales:today', 'sales:month', 'rating']) {
    for (let at = 0; at < many(500); at += 1) yield ['ZADD', `board:${board}`, below(100_000) / 10, `SKU-${at}`];
  }
  for (let at = 1; at <= many(500); at += 1) yield ['XADD', 'events:orders', `${at}-1`, 'order', at, 'state', 'paid'];
}

export async function goOnCaching(session: CacheSession, scale: number): Promise<void> {
  const count = Math.max(5, Math.round(200 * scale));
  const commands = Array.from({ length: count }, (_, at): CacheCommand[] => [
    ['INCRBY', `views:product:${at + 1}`, at % 9],
    ['ZINCRBY', 'board:sales:today', 1, `SKU-${at}`],
    ['SET', `voucher:${at}`, `W${at * 37}`, 'EX', 30 * daySeconds],
  ]);
  await sendAll(session, commands.flat());
}

/** A deployment script flushes the wrong server. */
export async function flushCache(session: CacheSession): Promise<void> {
  await session.call('FLUSHALL');
}

export async function countKeys(session: CacheSession): Promise<number> {
  return Number(await session.call('DBSIZE'));
}

async function sendAll(session: CacheSession, commands: Iterable<CacheCommand>): Promise<void> {
  let underWay: Promise<unknown>[] = [];
  for (const [command, ...parts] of commands) {
    underWay.push(session.call(command, ...parts));
    if (underWay.length < pipelineMax) continue;
    await Promise.all(underWay);
    underWay = [];
  }
  await Promise.all(underWay);
}
