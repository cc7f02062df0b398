import { expect, test } from 'vitest';
import { AppError } from '../base/errors.ts';
import { openPatiently, type PatientOpening } from './standby-opening.ts';

interface Opened extends AsyncDisposable {
  readonly name: string;
}

const opened: Opened = { name: 'main', [Symbol.asyncDispose]: async () => undefined };
const away = new AppError('STORE_UNREACHABLE', 'the store is away', { hint: 'Wait.' });

function scene(answers: readonly (() => Promise<Opened>)[], changes: Partial<PatientOpening<Opened>> = {}) {
  const told: boolean[] = [];
  const pausesMs: number[] = [];
  const left = [...answers];
  const opening = openPatiently({
    open: () => left.shift()?.() ?? Promise.resolve(opened),
    promotion: new AbortController().signal,
    onAway: (_error, isFirst) => void told.push(isFirst),
    sleep: async (delayMs, signal) => {
      signal?.throwIfAborted();
      pausesMs.push(delayMs);
    },
    signal: new AbortController().signal,
    ...changes,
  });
  return { opening, told, pausesMs };
}

const refuse = (): Promise<Opened> => Promise.reject(away);
const hang = (): Promise<Opened> => new Promise(() => undefined);

test('a repository that is away is waited for, with a word the first time', async () => {
  const { opening, told, pausesMs } = scene([refuse, refuse, refuse]);
  expect(await opening).toBe(opened);
  expect(told).toEqual([true, false, false]);
  expect(pausesMs).toEqual([1_000, 2_000, 4_000]);
});

test('what waiting does not mend ends it', async () => {
  const wrong = new AppError('PASSWORD_WRONG', 'no key fits', { hint: 'Look.' });
  await expect(scene([() => Promise.reject(wrong)]).opening).rejects.toBe(wrong);
});

test('whoever is to take over hears at once that it is away, and within seconds that it does not answer', async () => {
  const promotion = AbortSignal.abort();
  await expect(scene([refuse], { promotion }).opening).rejects.toBe(away);
  const { opening, told, pausesMs } = scene([hang], { promotion });
  await expect(opening).rejects.toThrow('no answer within 10 s');
  expect(told).toEqual([]);
  expect(pausesMs).toEqual([10_000]);
});
