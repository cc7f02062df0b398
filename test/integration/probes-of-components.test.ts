// Probes that ask components: queries and replication of PostgreSQL with a standby and slots, and Redis. Through the ports that
// the program itself uses.
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { parseConfiguration } from '../../src/config/load.ts';
import { probeSchema, type Observation } from '../../src/model/probe.ts';
import { probe } from '../../src/monitoring/probes/probe.ts';
import { judgeReplication, type ReplicationState } from '../../src/monitoring/probes/replication-probe.ts';
import { probePorts } from '../../src/probe-ports.ts';
import { alikeCluster } from '../support/postgres-cluster.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import { freePort, testRedis } from '../support/redis-server.ts';
import { describeWith } from '../support/tools.ts';

const never = new AbortController().signal;

/** Probes by a configuration with these components. */
function looker(components: string): (settings: object) => Promise<Observation> {
  const environment = { variables: {}, workingFolder: '/srv', homeFolder: '/root' };
  const text = `application: shop
repositories: { local: { location: /srv/backup, password: planted-repository } }
components:
${components}`;
  const configuration = parseConfiguration(text, { path: '/srv/lifeboat.yaml', environment });
  const ports = probePorts(environment, () => Promise.resolve(configuration));
  return async (settings) => {
    const observation = await probe(probeSchema.parse(settings), { signal: never, clock: systemClock, ports });
    expect(JSON.stringify(observation)).not.toContain('planted');
    return observation;
  };
}

describeWithPostgres(15, 'a PostgreSQL component', () => {
  test('is asked for values and for its replication, while a standby follows, lags, and slots are left behind', async () => {
    await using primary = await alikeCluster(
      15,
      'max_replication_slots = 4',
      'wal_level = replica',
      'hot_standby = on',
    );
    await primary.start();
    await primary.sql(
      'CREATE TABLE orders AS SELECT generate_series(1, 42) AS id',
      'CREATE ROLE watcher LOGIN',
      'GRANT SELECT ON orders TO watcher',
    );
    const { port, user } = primary.address;
    const standby = await primary.standby();
    const look = looker(`  database: { type: postgres, host: 127.0.0.1, port: ${port}, user: ${user}, sslmode: disable }
  watched: { type: postgres, host: 127.0.0.1, port: ${port}, user: watcher, sslmode: disable }
  standby: { type: postgres, host: 127.0.0.1, port: ${standby.address.port}, user: ${user}, sslmode: disable }
  gone: { type: postgres, url: 'postgres://me:planted-password@127.0.0.1:${await freePort()}/shop', sslmode: disable }
  unset: { type: postgres, host: "\${DATABASE_HOST}" }
`);
    const sql = { type: 'sql', component: 'database', database: 'postgres', sql: 'SELECT count(*) FROM orders' };
    expect(await look({ ...sql, min: 42, max: 42 })).toMatchObject({ outcome: 'up', message: 'the query gave 42' });
    expect(await look({ ...sql, min: 43 })).toMatchObject({
      outcome: 'down',
      message: 'the query gave 42, expected at least 43',
    });
    expect(await look({ ...sql, sql: 'SELECT id FROM orders WHERE false' })).toMatchObject({
      outcome: 'down',
      message: 'the query gave no row, expected something but 0 and false',
    });
    expect(await look({ ...sql, sql: 'DELETE FROM orders RETURNING id' })).toMatchObject({
      outcome: 'down',
      message: expect.stringContaining('read-only transaction') as string,
    });
    expect(await look({ ...sql, sql: 'SELECT pg_sleep(30)', timeout: '300ms' })).toMatchObject({
      outcome: 'down',
      message: 'no answer within 0.3 s',
    });
    expect(await look({ ...sql, component: 'gone' })).toMatchObject({ outcome: 'down' });
    expect(await look({ ...sql, component: 'unset' })).toMatchObject({
      outcome: 'unknown',
      message: expect.stringContaining('DATABASE_HOST') as string,
    });
    expect(await look({ ...sql, component: 'nowhere' })).toMatchObject({ outcome: 'unknown' });

    const replication = { type: 'replication', component: 'database', standbys: 1, lagMax: '1m', lagBytesMax: '8 KiB' };
    await expect
      .poll(() => look(replication), { timeout: 20_000 })
      .toMatchObject({
        outcome: 'up',
        message: 'primary, 1 standby, 0 slots',
        facts: { standbys: 1 },
      });
    const behind = { type: 'replication', component: 'standby', lagMax: '1m', lagBytesMax: '8 KiB' };
    await expect
      .poll(() => look(behind), { timeout: 20_000 })
      .toMatchObject({ outcome: 'up', message: 'standby, 0s behind' });
    expect(await look({ ...replication, component: 'watched' })).toMatchObject({
      outcome: 'unknown',
      hint: 'GRANT pg_monitor to the role of the component.',
    });

    await standby.sql('SELECT pg_wal_replay_pause()');
    await primary.sql(
      "SELECT pg_create_physical_replication_slot('left_behind', true)",
      'INSERT INTO orders SELECT generate_series(1, 10000)',
    );
    await expect
      .poll(() => look({ ...replication, inactiveSlots: 'ignore' }))
      .toMatchObject({
        outcome: 'degraded',
        message: expect.stringMatching(/^walreceiver is .* behind, more than 8 KiB$/) as string,
      });
    await expect
      .poll(() => look(behind))
      .toMatchObject({
        outcome: 'degraded',
        message: expect.stringMatching(/^the standby is .* behind, more than 8 KiB$/) as string,
      });
    const slots = { type: 'replication', component: 'database', retainedMax: '64 KiB' };
    expect(await look(slots)).toMatchObject({
      outcome: 'degraded',
      message: expect.stringMatching(
        /^nobody uses the slot left_behind; the slot left_behind keeps .* more than 64 KiB$/,
      ) as string,
      hint: expect.stringContaining("pg_drop_replication_slot('left_behind')") as string,
      facts: { slots: 1 },
    });
    await standby.stop('crash');
    await expect
      .poll(() => look({ ...replication, inactiveSlots: 'ignore' }))
      .toMatchObject({
        outcome: 'down',
        message: '0 standbys connected, expected at least 1',
      });
  });
});

describe('what a server says of its replication', () => {
  const settings = probeSchema.parse({ type: 'replication', component: 'x', lagMax: '1m' });
  const state: ReplicationState = {
    isStandby: true,
    mayRead: true,
    receivedBytesBehind: 0,
    replayedMsAgo: 3_600_000,
    isReceiving: true,
    standbys: null,
    slots: [],
  };
  const judge = (changes: Partial<ReplicationState>): string => {
    if (settings.type !== 'replication') throw new Error('replication');
    const { outcome, message } = judgeReplication({ ...state, ...changes }, settings);
    return `${outcome}: ${message}`;
  };

  test('counts no time in which nothing was written, unless nothing is received', () => {
    expect(judge({})).toBe('up: standby, 0s behind');
    expect(judge({ isReceiving: false })).toBe('degraded: it receives nothing; the standby is 1h behind, more than 1m');
    expect(judge({ receivedBytesBehind: 8 })).toBe('degraded: the standby is 1h behind, more than 1m');
  });

  test('is down where a slot has lost what it needs', () => {
    const slot = { name: 'copy', isActive: true, retainedBytes: null };
    expect(judge({ slots: [{ ...slot, walStatus: 'unreserved' }] })).toBe(
      'degraded: the slot copy is about to lose changes',
    );
    expect(judge({ slots: [{ ...slot, walStatus: 'lost' }] })).toBe(
      'down: the slot copy has lost changes that it needs',
    );
  });
});

describeWith(['redis-server'], 'a Redis component', () => {
  test('tells its role, its memory and its saves', async () => {
    await using redis = await testRedis({ password: 'planted-password', settings: ['requirepass planted-password'] });
    const { port } = redis.address;
    await using replica = await testRedis({ settings: [`replicaof 127.0.0.1 ${await freePort()}`] });
    const look = looker(`  cache: { type: redis, host: 127.0.0.1, port: ${port}, password: planted-password }
  closed: { type: redis, host: 127.0.0.1, port: ${port}, password: planted-wrong }
  replica: { type: redis, host: 127.0.0.1, port: ${replica.address.port} }
  gone: { type: redis, host: 127.0.0.1, port: ${await freePort()} }
`);
    const probed = { type: 'redis', component: 'cache', role: 'master', memoryMax: '1 GiB', saveAge: '1h' };
    expect(await look(probed)).toMatchObject({
      outcome: 'up',
      message: expect.stringMatching(/^master, version \d.*, .* used$/) as string,
      facts: { role: 'master' },
    });
    expect(await look({ ...probed, memoryMax: '1 KiB', role: 'slave' })).toMatchObject({
      outcome: 'down',
      message: expect.stringMatching(
        /^its role is master, expected slave; .* of memory used, more than 1 KiB$/,
      ) as string,
    });
    expect(await look({ ...probed, component: 'replica', role: 'slave' })).toMatchObject({
      outcome: 'degraded',
      message: 'it has lost its master',
    });
    expect(await look({ ...probed, component: 'closed' })).toMatchObject({ outcome: 'unknown' });
    expect(await look({ ...probed, component: 'gone' })).toMatchObject({ outcome: 'down' });
  });
});
