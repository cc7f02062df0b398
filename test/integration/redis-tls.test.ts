import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compareFingerprints } from '../../src/model/fingerprint.ts';
import { redisSource } from '../../src/sources/redis/redis-source.ts';
import { record } from '../support/recorded-reader.ts';
import { freePort, testRedis } from '../support/redis-server.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { describeWith } from '../support/tools.ts';

const { signal } = new AbortController();

describeWith(['redis-server', 'openssl'], 'an encrypted redis', () => {
  test('is backed up and restored when its certificate is trusted, and refused when not', async () => {
    await using folder = await temporaryFolder();
    const [key, certificate] = [join(folder.path, 'key.pem'), join(folder.path, 'certificate.pem')];
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const files = ['-keyout', key, '-out', certificate];
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
    execFileSync('openssl', ['req', '-x509', '-nodes', '-days', '2', ...kind, ...files, ...subject], {
      stdio: 'ignore',
    });
    const port = await freePort();
    const trust = `tls-ca-cert-file "${certificate}"`;
    const own = [`tls-cert-file "${certificate}"`, `tls-key-file "${key}"`, trust, 'tls-auth-clients no'];
    await using redis = await testRedis({ settings: [`tls-port ${port}`, ...own] });
    await redis.connection.call('SET', 'text', 'hello');

    const source = redisSource({ host: '127.0.0.1', port, tls: { ca: readFileSync(certificate, 'utf8') } });
    const reader = await record(source, signal);
    if (source.restore.kind !== 'service') throw new Error('redis is a service');
    const decision = await source.restore.decide(reader, { include: [], to: `rediss://127.0.0.1:${port}` }, signal);
    expect(decision.replaces).toBe('db0: 1 key');
    await decision.execute({ step: () => undefined, bytes: () => undefined }, signal);
    const again = await record(source, signal);
    const names = new Set(reader.recordedFingerprint?.items.map(({ name }) => name));
    const found = again.recordedFingerprint!;
    const items = found.items.filter(({ name }) => names.has(name));
    expect(compareFingerprints(reader.recordedFingerprint!, { ...found, items })).toEqual([]);

    const distrusting = redisSource({ host: '127.0.0.1', port, tls: {} });
    await expect(record(distrusting, signal)).rejects.toMatchObject({ code: 'SOURCE_UNREACHABLE' });
  });
});
