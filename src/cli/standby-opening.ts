// Opens the repository of a standby, which may be away for as long as it takes; but whoever is to take over because all is away waits
// seconds for it, not the minutes for which a store is tried.
import { once } from 'node:events';
import { AppError, errorKinds, isAppError } from '../base/errors.ts';
import type { Sleep } from '../storage/interruption.ts';

export interface PatientOpening<Opened extends AsyncDisposable> {
  open(): Promise<Opened>;
  /** Somebody wants it to take over. */
  readonly promotion: AbortSignal;
  onAway(error: AppError, isFirst: boolean): void;
  readonly sleep: Sleep;
  readonly signal: AbortSignal;
}

const pauseFirstMs = 1_000;
const pauseMaxMs = 60_000;
const answerMaxMs = 10_000;

/** Rejects with what trying again would not mend; once it is to take over, with whatever keeps the repository away. */
export async function openPatiently<Opened extends AsyncDisposable>(wish: PatientOpening<Opened>): Promise<Opened> {
  const { promotion, sleep, signal } = wish;
  for (let pauseMs = pauseFirstMs; ; pauseMs = Math.min(pauseMaxMs, pauseMs * 2)) {
    try {
      return await answerOf(wish.open(), wish);
    } catch (error) {
      signal.throwIfAborted();
      if (!isAppError(error) || errorKinds[error.code].retry !== 'later' || promotion.aborted) throw error;
      wish.onAway(error, pauseMs === pauseFirstMs);
    }
    await sleep(pauseMs, AbortSignal.any([signal, promotion])).catch((error: unknown) => {
      signal.throwIfAborted();
      if (!promotion.aborted) throw error;
    });
  }
}

async function answerOf<Opened extends AsyncDisposable>(
  opening: Promise<Opened>,
  { promotion, sleep }: Pick<PatientOpening<Opened>, 'promotion' | 'sleep'>,
): Promise<Opened> {
  const done = new AbortController();
  const late = async (): Promise<never> => {
    if (!promotion.aborted) await once(promotion, 'abort', { signal: done.signal });
    await sleep(answerMaxMs, done.signal);
    opening.then((opened) => opened[Symbol.asyncDispose]()).catch(() => undefined); // Nobody waits for it any more.
    throw new AppError('STORE_UNREACHABLE', `no answer within ${answerMaxMs / 1000} s`, {
      hint: 'Look at the store of the repository.',
    });
  };
  try {
    return await Promise.race([opening, late()]);
  } finally {
    done.abort();
  }
}
