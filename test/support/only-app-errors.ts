// For tests on arbitrary bytes: our own error is an answer, anything else is a fault.
import { isAppError } from '../../src/base/errors.ts';

export function onlyAppErrors(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    if (!isAppError(error)) throw error;
  }
}
