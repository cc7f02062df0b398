// What no PostgreSQL server says: something else answers, or bytes were altered on the way.
import { AppError } from '../../../base/errors.ts';

/** The only error that decoders throw. `what` completes: the server sent … */
export function protocolError(what: string): AppError {
  return new AppError('SOURCE_FAILED', `the server sent ${what}`, {
    hint: 'Check that host and port belong to a PostgreSQL server and that nothing between alters what it sends.',
  });
}
