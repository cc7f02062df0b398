import { expect, test } from 'vitest';
import { findingsOf } from './redis-checks.ts';
import { factsOf, keysByDatabase, parseInfo } from './server-facts.ts';

const healthy = `# Server\r
redis_version:7.0.15\r
redis_mode:standalone\r
run_id:abc\r
# Persistence\r
aof_enabled:1\r
rdb_last_bgsave_status:ok\r
# Replication\r
role:master\r
maxmemory:0\r
maxmemory_policy:noeviction\r
used_memory:1000\r
# Keyspace\r
db0:keys=12,expires=3,avg_ttl=0\r
db11:keys=1,expires=0,avg_ttl=0\r
`;

const notPassed = (text: string) =>
  [...findingsOf(parseInfo(text))]
    .filter(({ outcome }) => outcome !== 'passed')
    .map(({ aspect, outcome }) => `${aspect} ${outcome}`);

test('what a server says of itself is read line by line', () => {
  const info = parseInfo(healthy);
  expect(keysByDatabase(info)).toEqual(
    new Map([
      [0, 12],
      [11, 1],
    ]),
  );
  expect(factsOf(info)).toMatchObject({ product: 'Redis 7.0.15', appendOnly: true, usedMemoryBytes: 1000 });
});

test('valkey is named by its own version, not by the one it shows old clients', () => {
  const info = parseInfo(healthy.replace('7.0.15', '7.2.4\r\nvalkey_version:8.1.0'));
  expect(factsOf(info)).toMatchObject({ product: 'Valkey 8.1.0', version: '8.1.0' });
});

test.each([
  ['nothing unusual', healthy, []],
  ['an old version', healthy.replace('7.0.15', '5.0.7'), ['server version failed']],
  ['a replica without its master', healthy.replace('role:master', 'role:slave'), ['role failed']],
  ['a connected replica', healthy.replace('role:master', 'role:slave\r\nmaster_link_status:up'), []],
  ['a failed save', healthy.replace('status:ok', 'status:err'), ['persistence warning']],
  ['a cluster node', `${healthy}cluster_enabled:1\r\n`, ['cluster warning']],
  [
    'eviction',
    healthy.replace('maxmemory:0', 'maxmemory:9').replace('noeviction', 'allkeys-lru'),
    ['eviction warning'],
  ],
])('%s yields just the findings it should', (_, text, expected) => {
  expect(notPassed(text)).toEqual(expected);
});
