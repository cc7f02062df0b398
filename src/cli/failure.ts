// The one place that turns whatever went wrong into text or JSON and an exit code: facts and hints for errors of the
// world, a short apology for our own, a stack only where it was asked for.
import { AppError, isAppError, messageOf } from '../base/errors.ts';
import { interruptedWith, tellingInterruption, type Leftover } from '../base/interrupted.ts';
import { factLines, wrap, type Style } from './style.ts';
import { toJson } from './terminal.ts';

export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly exitCode: number;
  /** Of defects, and of causes. */
  readonly stack?: string | undefined;
}

export function failureOf(error: unknown): Failure {
  if (isAppError(error)) {
    const { code, message, hint, exitCode } = error;
    return { code, message, hint, exitCode, stack: stackOf(error) };
  }
  return {
    code: 'DEFECT',
    message: `this is a defect of Lifeboat: ${messageOf(error)}`,
    hint: 'Run the command again with --verbose and report what it prints.',
    exitCode: 1,
    stack: stackOf(error),
  };
}

/** After an interruption everything that fails does so because of it; `leftover` is what it leaves behind in any case. */
export function failureOrInterruption(error: unknown, signal: AbortSignal, leftover?: Leftover): unknown {
  if (!signal.aborted || isAppError(error, 'LOCK_LOST')) return error;
  const telling = tellingInterruption(error, signal) ?? (leftover && interruptedWith(signal, leftover));
  return telling ?? (signal.reason instanceof AppError ? signal.reason : error);
}

function stackOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const own = error.stack ?? error.message;
  return error.cause === undefined ? own : `${own}\ncaused by ${stackOf(error.cause) ?? messageOf(error.cause)}`;
}

export function failureText({ code, message, hint, stack }: Failure, style: Style): string {
  const lines = [
    ...factLines(`error: ${message}`, style).map((line) => line.replace(/^error:/, style.paint('red', 'error:'))),
    ...wrap(`hint: ${hint}`, style.widthColumns),
    style.paint('dim', `code: ${code}`),
  ];
  if (style.isVerbose && stack !== undefined) lines.push(stack);
  return lines.join('\n');
}

export function failureJson({ code, message, hint, exitCode, stack }: Failure, isVerbose: boolean): string {
  return toJson({ message_type: 'error', code, message, hint, exitCode, ...(isVerbose && { stack }) });
}
