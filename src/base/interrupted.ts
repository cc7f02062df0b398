// What an interruption leaves behind is known where the work is done, not where the signal comes in.
import { AppError, firstFailure, isAppError } from './errors.ts';

export interface Leftover {
  /** A fact that completes `interrupted by SIGINT: …`. */
  readonly left: string;
  readonly hint: string;
}

/** The interruption with what it leaves behind; undefined if the signal was not aborted by one. */
export function interruptedWith(signal: AbortSignal, { left, hint }: Leftover): AppError | undefined {
  const reason: unknown = signal.aborted ? signal.reason : undefined;
  if (!isAppError(reason, 'INTERRUPTED')) return undefined;
  return new AppError('INTERRUPTED', `${reason.message}: ${left}`, { hint, cause: reason });
}

/** The error of `interruptedWith` in what was thrown, if it is one. */
export function tellingInterruption(error: unknown, signal: AbortSignal): AppError | undefined {
  const first = firstFailure(error);
  const isTelling = signal.aborted && isAppError(first, 'INTERRUPTED') && first.cause === signal.reason;
  return isTelling ? first : undefined;
}
