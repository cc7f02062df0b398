// A data directory with a file that is not as it was is none: where a segment of a table is missing, a server finds the table shorter.
import { AppError } from '../../../base/errors.ts';
import type { WrittenFolder } from '../../source.ts';

/** Rejects with `REPOSITORY_DAMAGED` where that is why. */
export function requireWritten(problems: WrittenFolder['problems']): void {
  const first = problems.find(({ code }) => code === 'REPOSITORY_DAMAGED') ?? problems[0];
  if (first === undefined) return;
  const what = problems.length === 1 ? 'a file' : `${problems.length} files`;
  const fact = `${what} of the data directory could not be written: ${first.path}: ${first.message}`;
  if (first.code === 'REPOSITORY_DAMAGED')
    throw new AppError(first.code, fact, {
      hint: "See how far the repository is damaged with 'lifeboat verify --read-data', and restore another recovery point or from another repository.",
    });
  throw new AppError('RESTORE_FAILED', fact, { hint: 'Mend what the message names, and run the same restore again.' });
}
