// How waiting ends early: one error for an aborted signal, and a sleep that a signal cuts short.
import { setTimeout as delay } from 'node:timers/promises';
import { AppError, isAppError } from '../base/errors.ts';

/** Waits; rejects with the signal's `interruption` as soon as it aborts. A parameter, so that tests need not wait. */
export type Sleep = (delayMs: number, signal?: AbortSignal) => Promise<void>;

export const systemSleep: Sleep = async (delayMs, signal) => {
  throwIfAborted(signal);
  const timer = new AbortController();
  try {
    await untilAborted(delay(delayMs, undefined, { signal: timer.signal }), signal);
  } finally {
    timer.abort();
  }
};

/** The error that an aborted signal stands for: its reason if that is ours, else that time ran out or a stop was asked for. */
export function interruption(signal: AbortSignal): AppError {
  const reason: unknown = signal.reason;
  if (isAppError(reason)) return reason;
  if (reason instanceof Error && reason.name === 'TimeoutError') {
    return new AppError('TIMED_OUT', 'the store did not answer within the time limit', {
      hint: 'Try again, or allow more time.',
      cause: reason,
    });
  }
  return new AppError('INTERRUPTED', 'interrupted before the store had answered', {
    hint: 'Run the command again; what was stored stays stored.',
    cause: reason,
  });
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw interruption(signal);
}

/** `work`, given up as soon as the signal aborts. For work that does not watch the signal at every place where it waits. */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(interruption(signal));
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
