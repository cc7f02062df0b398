// What an errno of the local file system means for a store, and what to do about it.
import { AppError, errnoOf, isAppError, type ErrorCode } from '../base/errors.ts';

const codes: Record<string, ErrorCode> = {
  ENOSPC: 'STORE_FULL',
  EDQUOT: 'STORE_FULL',
  EACCES: 'STORE_DENIED',
  EPERM: 'STORE_DENIED',
  EROFS: 'STORE_DENIED',
  ESTALE: 'STORE_UNREACHABLE',
  ETIMEDOUT: 'STORE_UNREACHABLE',
  EHOSTDOWN: 'STORE_UNREACHABLE',
  EHOSTUNREACH: 'STORE_UNREACHABLE',
};

const hints: Record<string, string> = {
  ENOSPC: 'Free space on that file system, or remove old snapshots and prune.',
  EDQUOT: 'Raise the disk quota of the user that runs lifeboat, or remove old snapshots and prune.',
  EACCES: 'Give the user that runs lifeboat the right to read and write there.',
  EPERM: 'Give the user that runs lifeboat the right to read and write there; look for an immutable flag.',
  EROFS: 'Mount the file system for writing.',
  EIO: 'Look at the kernel log for disk errors, and replace a failing disk.',
  EMFILE: 'Raise the limit of open files.',
};

/**
 * Turns an error of the file system into ours; `work` says what was tried: `write /srv/repo/config`.
 * Throws what is no such error: a fault of the program must not be reported, or tried again, as one of the disk.
 */
export function storeErrorOfFile(error: unknown, work: string): AppError {
  if (isAppError(error)) return error;
  const errno = errnoOf(error);
  if (errno === undefined || !(error instanceof Error) || !('syscall' in error)) throw error;
  return new AppError(codes[errno] ?? 'STORE_FAILED', `could not ${work}: ${errno}`, {
    hint: hints[errno] ?? 'Look at the state of the file system that holds it.',
    cause: error,
  });
}

export function objectMissing(name: string, location: string, cause?: unknown): AppError {
  return new AppError('OBJECT_MISSING', `${location} has no object ${name}`, {
    hint: 'Check the address of the repository; if it is right, verify the repository.',
    cause,
  });
}
