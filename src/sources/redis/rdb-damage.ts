// How the readers of Redis data say that bytes are not what they should be.
import { AppError } from '../../base/errors.ts';

/** The bytes break the format: cut short, altered, or never of this format. */
export function rdbDamaged(message: string): AppError {
  return new AppError('SOURCE_FAILED', `redis data is damaged: ${message}`, {
    hint: 'Take the backup again; if it happens again, run redis-check-rdb on a dump of the server.',
  });
}

/** The bytes may be well, but this program doesn't know their kind: a newer server, a module of old. */
export function rdbUnknown(message: string): AppError {
  return new AppError('SOURCE_UNSUPPORTED', `redis data of an unknown kind: ${message}`, {
    hint: 'Update this program to one that knows the version of the server.',
  });
}
