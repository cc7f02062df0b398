// What an errno of the spool's disk means, and what to do about it.
import { AppError, errnoOf, isAppError } from '../../base/errors.ts';

/** The disk or the quota is full: it passes once somebody makes room. */
export function isDiskFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes(errnoOf(error) ?? '') || isAppError(error, 'SPOOL_FULL', 'STORE_FULL');
}

/** Throws what is no error of the file system: a fault of the program is not one of the disk. */
export function spoolError(error: unknown, work: string): AppError {
  if (isAppError(error)) return error;
  const errno = errnoOf(error);
  if (errno === undefined || !(error instanceof Error) || !('syscall' in error)) throw error;
  if (isDiskFull(error)) {
    return new AppError('SPOOL_FULL', `could not ${work}: ${errno}`, {
      hint: 'Free space on the file system of the spool; what was acknowledged is kept.',
      cause: error,
    });
  }
  const isDenied = ['EACCES', 'EPERM', 'EROFS'].includes(errno);
  return new AppError(isDenied ? 'STORE_DENIED' : 'STORE_FAILED', `could not ${work}: ${errno}`, {
    hint: isDenied
      ? 'Give the user that runs lifeboat the right to read and write the folder of the spool.'
      : 'Look at the kernel log for disk errors; put the spool on another disk if this one fails.',
    cause: error,
  });
}
