// A Redis user with exactly the rights that our hint names, and users with fewer.
import { expect, test } from 'vitest';
import { compareFingerprints } from '../../src/model/fingerprint.ts';
import type { Finding } from '../../src/model/finding.ts';
import { redisSource } from '../../src/sources/redis/redis-source.ts';
import { summaryOf } from '../../src/sources/redis/redis-sandbox.ts';
import type { Source } from '../../src/sources/source.ts';
import { record } from '../support/recorded-reader.ts';
import { fillRedis } from '../support/redis-data.ts';
import { testRedis, type TestRedis } from '../support/redis-server.ts';
import { describeWith } from '../support/tools.ts';

const { signal } = new AbortController();
const quiet = { step: () => undefined, bytes: () => undefined };
const now = () => new Date().getTime();

async function checked(source: Source): Promise<Record<string, Finding>> {
  return Object.fromEntries((await Array.fromAsync(source.check(signal))).map((finding) => [finding.aspect, finding]));
}

const rulesIn = (hint: string): string[] => /'ACL SETUSER \S+ ([^']+)'/.exec(hint)?.[1]?.split(' ') ?? [];

async function userOf(redis: TestRedis, name: string, rules: readonly string[]): Promise<Source> {
  await redis.connection.call('ACL', 'SETUSER', name, 'reset', 'on', '>p', ...rules);
  return redisSource({ ...redis.address, username: name, password: 'p' });
}

describeWith(['redis-server'], 'Redis rights', () => {
  test('those of the hint suffice for check, backup, restore over present keys, and proof', async () => {
    await using redis = await testRedis();
    await fillRedis(redis.connection, now() + 86_400_000);
    const code = "#!lua name=mine\nredis.register_function('f', function() return 1 end)";
    await redis.connection.call('FUNCTION', 'LOAD', code);
    const poor = await checked(await userOf(redis, 'lifeboat', ['+ping', '+info']));
    expect(poor['access rights']).toMatchObject({ outcome: 'inconclusive' });

    const source = await userOf(redis, 'lifeboat', rulesIn(poor['access rights']?.hint ?? ''));
    const findings = await checked(source);
    expect(Object.values(findings).filter(({ outcome }) => outcome !== 'passed')).toEqual([]);
    expect(findings['access rights']?.message).toBe('user lifeboat may replicate');
    expect(findings['restore rights']?.message).toBe('user lifeboat may restore');

    const reader = await record(source, signal);
    if (source.restore.kind !== 'service') throw new Error('redis is a service');
    {
      await using sandbox = await source.restore.sandbox(reader, signal);
      await sandbox.restore(reader, signal);
      const found = await sandbox.fingerprint(signal);
      expect(compareFingerprints(reader.recordedFingerprint!, found, now())).toEqual([]);
    }
    await redis.connection.call('FUNCTION', 'FLUSH');
    await redis.connection.call('SET', 'stray', 'new');
    const decision = await source.restore.decide(reader, { include: [] }, signal);
    expect(decision.findings.filter(({ outcome }) => outcome !== 'passed')).toEqual([]);
    expect(decision.steps[0]).toContain('by way of db15');
    await decision.execute(quiet, signal);
    const { fingerprint } = await summaryOf(redis.address, signal, reader.recordedFingerprint);
    const found = { ...fingerprint!, items: fingerprint!.items.filter(({ name }) => !/^db1[0-9] /.test(name)) };
    expect(compareFingerprints(reader.recordedFingerprint!, found, now())).toEqual([]);
  });

  test('those for backups alone suffice for a backup, and the restore is refused before anything is touched', async () => {
    await using redis = await testRedis();
    await redis.connection.call('SET', 'key', 'value');
    const poor = await checked(await userOf(redis, 'keeper', ['+ping', '+info']));
    const rules = rulesIn(poor['access rights']?.hint ?? '');
    const source = await userOf(redis, 'keeper', rules.slice(0, rules.indexOf('~*')));
    const findings = await checked(source);
    expect(Object.values(findings).filter(({ outcome }) => outcome !== 'passed')).toEqual([]);
    expect(findings['restore rights']?.message).toContain('may not select');
    const reader = await record(source, signal);
    if (source.restore.kind !== 'service') throw new Error('redis is a service');
    const decision = await source.restore.decide(reader, { include: [] }, signal);
    expect(decision.findings).toContainEqual(
      expect.objectContaining({ aspect: 'access rights', outcome: 'failed', hint: expect.stringContaining('+swapdb') }),
    );
    await expect(decision.execute(quiet, signal)).rejects.toMatchObject({ code: 'TARGET_UNSAFE' });
    expect(await redis.connection.text('GET', 'key')).toBe('value');
  });
});
