import { expect, test } from 'vitest';
import { AppError } from '../base/errors.ts';
import type { RecoveryReader, RestoreRequest, Source } from './source.ts';
import { unreachableSource } from './unreachable-source.ts';

const reason = new AppError('CONFIG_INVALID', 'found ${DATABASE_URL}, which is not set', { hint: 'Set it.' });
const { signal } = new AbortController();
// Never read: the decision below only tells where it would go.
const reader = {} as RecoveryReader;

const source: Source = {
  kind: 'postgres',
  async *check() {
    yield { aspect: 'connection', outcome: 'passed', message: 'a server that defaults named' };
  },
  open: () => Promise.reject(new Error('a server that defaults named')),
  restore: {
    kind: 'service',
    unitOf: () => ({ unit: 'row' }),
    decide: (_, { to }) =>
      Promise.resolve({
        target: to ?? 'a server that defaults named',
        steps: [],
        findings: [],
        execute: () => Promise.resolve({ restored: [] }),
      }),
    sandbox: () => Promise.reject(new Error('the sandbox')),
  },
};

test('its own server is neither checked nor read nor restored to', async () => {
  const unreachable = unreachableSource(source, reason);
  await expect(Array.fromAsync(unreachable.check(signal))).rejects.toBe(reason);
  await expect(unreachable.open(signal)).rejects.toBe(reason);
  const { restore } = unreachable;
  if (restore.kind !== 'service') throw new Error('the kind of restore changed');
  for (const to of [undefined, 'shop_copy', 'postgres:///shop_copy']) {
    const request: RestoreRequest = { to, include: [] };
    await expect(restore.decide(reader, request, signal)).rejects.toBe(reason);
  }
});

test('a place that is named and a sandbox still take the data', async () => {
  const { restore } = unreachableSource(source, reason);
  if (restore.kind !== 'service') throw new Error('the kind of restore changed');
  for (const to of ['./dump', 'postgres://me@other/shop', 'unix:///run/redis.sock']) {
    await expect(restore.decide(reader, { to, include: [] }, signal)).resolves.toMatchObject({ target: to });
  }
  await expect(restore.sandbox(reader, signal)).rejects.toThrow('the sandbox');
});
