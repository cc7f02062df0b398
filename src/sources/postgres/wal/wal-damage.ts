// How the readers of a server's own files say that bytes are not what they should be.
import { AppError } from '../../../base/errors.ts';

/** `what` names the file and the fact: `00000002.history: line 3 is no ancestor`. */
export function serverFileDamaged(what: string): AppError {
  return new AppError('SOURCE_FAILED', `a file of the PostgreSQL server is damaged: ${what}`, {
    hint: 'Take the backup again; if it happens again, look for disk errors on the server.',
  });
}
