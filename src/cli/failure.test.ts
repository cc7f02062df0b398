import { describe, expect, test } from 'vitest';
import { AppError } from '../base/errors.ts';
import { interruptedWith } from '../base/interrupted.ts';
import { failureJson, failureOf, failureOrInterruption, failureText } from './failure.ts';
import { plainStyle } from './style.ts';

const locked = new AppError('REPOSITORY_LOCKED', 'the repository is locked by process 12', { hint: 'Wait for it.' });
const interrupted = new AppError('INTERRUPTED', 'interrupted by SIGINT', { hint: 'Run it again.' });

describe('an error of the world', () => {
  test('is a fact, a hint and a code, without a stack', () => {
    expect(failureText(failureOf(locked), plainStyle())).toMatchInlineSnapshot(`
      "error: the repository is locked by process 12
      hint: Wait for it.
      code: REPOSITORY_LOCKED"
    `);
    expect(failureOf(locked).exitCode).toBe(11);
  });

  test('fits the terminal it is shown on', () => {
    const style = plainStyle({ isTerminal: true, widthColumns: 30 });
    const lines = failureText(failureOf(locked), style).split('\n');
    expect(lines).toEqual(expect.arrayContaining(['error: the repository is', '  locked by process 12']));
    expect(lines.filter((line) => line.length > 30)).toEqual([]);
  });

  test('shows where it came from with --verbose only', () => {
    const outer = new AppError('SOURCE_FAILED', 'broke off', { hint: 'Try again.', cause: new Error('socket closed') });
    expect(failureText(failureOf(outer), plainStyle())).not.toContain('socket closed');
    expect(failureText(failureOf(outer), plainStyle({ isVerbose: true }))).toContain('socket closed');
  });

  test('is one line of JSON for programs', () => {
    expect(JSON.parse(failureJson(failureOf(locked), false))).toEqual({
      message_type: 'error',
      code: 'REPOSITORY_LOCKED',
      message: 'the repository is locked by process 12',
      hint: 'Wait for it.',
      exitCode: 11,
    });
  });
});

test('a defect of ours says that it is one, and shows its stack only where that was asked for', () => {
  const failure = failureOf(new TypeError('x is undefined'));
  expect(failure).toMatchObject({ code: 'DEFECT', exitCode: 1 });
  expect(failureText(failure, plainStyle())).not.toMatch(/^\s+at /m);
  expect(failureText(failure, plainStyle({ isVerbose: true }))).toMatch(/^\s+at /m);
});

describe('after an interruption', () => {
  const aborted = AbortSignal.abort(interrupted);

  test('whatever fails, fails because of it', () => {
    expect(failureOrInterruption(new Error('socket closed'), aborted)).toBe(interrupted);
  });

  test('who did the work says what is left of it, else the command does', () => {
    const leftover = { left: 'what was stored stays stored', hint: 'Run it again: it goes on.' };
    const telling = interruptedWith(aborted, { left: 'nothing was swapped', hint: 'Restore again.' });
    expect(failureOrInterruption(telling, aborted, leftover)).toBe(telling);
    expect(failureOrInterruption(new Error('socket closed'), aborted, leftover)).toMatchObject({
      message: 'interrupted by SIGINT: what was stored stays stored',
      hint: 'Run it again: it goes on.',
    });
  });

  test('a lost lock is still told, since it explains what others may have done', () => {
    const lost = new AppError('LOCK_LOST', 'gone', { hint: 'Run it again.' });
    expect(failureOrInterruption(lost, aborted)).toBe(lost);
  });

  test('and without one, errors stay what they are', () => {
    expect(failureOrInterruption(locked, new AbortController().signal)).toBe(locked);
  });
});
