import { expect, test } from 'vitest';
import { AppError } from '../base/errors.ts';
import { interruption, systemSleep, untilAborted } from './interruption.ts';

test('the reason of an abort decides its error', () => {
  const own = new AppError('LOCK_LOST', 'the lock is gone', { hint: 'Look who took it.' });
  const timeout = new DOMException('too late', 'TimeoutError');
  expect(interruption(AbortSignal.abort(own))).toBe(own);
  expect(interruption(AbortSignal.abort(timeout))).toMatchObject({ code: 'TIMED_OUT', cause: timeout });
  expect(interruption(AbortSignal.abort())).toMatchObject({ code: 'INTERRUPTED' });
});

test('a sleep ends with the signal, before and in the middle', async () => {
  const stop = new AbortController();
  const sleeping = systemSleep(1e9, stop.signal);
  stop.abort();
  await expect(sleeping).rejects.toMatchObject({ code: 'INTERRUPTED' });
  await expect(systemSleep(1e9, stop.signal)).rejects.toMatchObject({ code: 'INTERRUPTED' });
  await expect(systemSleep(1)).resolves.toBeUndefined();
});

test('work that ends first decides; work that is given up may fail unheard', async () => {
  const stop = new AbortController();
  expect(await untilAborted(Promise.resolve('done'), stop.signal)).toBe('done');
  await expect(untilAborted(Promise.reject(new Error('failed')), stop.signal)).rejects.toThrow('failed');
  const { promise, reject } = Promise.withResolvers<void>();
  const given = untilAborted(promise, stop.signal);
  stop.abort();
  await expect(given).rejects.toMatchObject({ code: 'INTERRUPTED' });
  reject(new Error('later'));
  await new Promise((resolve) => setImmediate(resolve));
});
