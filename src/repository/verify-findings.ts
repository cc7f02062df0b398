// What a verification found wrong. It goes on after each finding, so the list is long where all is lost, and bounded.
import { isAppError, messageOf } from '../base/errors.ts';

export interface VerifyFinding {
  /** A file of the repository (`data/ab/abcd…`), or the place of a tree: `a1b2c3d4:/srv/www`. */
  readonly where: string;
  readonly message: string;
  /** Notes are oddities that cost no data: leftovers, packs listed twice. */
  readonly severity: 'error' | 'note';
}

const findingsMax = 10_000;

export class VerifyFindings {
  readonly list: VerifyFinding[] = [];
  errors = 0;
  notes = 0;

  error(where: string, message: string): void {
    this.errors += 1;
    this.#add({ where, message, severity: 'error' });
  }

  note(where: string, message: string): void {
    this.notes += 1;
    this.#add({ where, message, severity: 'note' });
  }

  /** Something could not be read. Rethrows what says nothing about the repository: an unreachable store, an interruption. */
  unreadable(where: string, error: unknown): void {
    if (isAppError(error, 'STORE_UNREACHABLE', 'TIMED_OUT', 'INTERRUPTED', 'LOCK_LOST')) throw error;
    this.error(where, messageOf(error));
  }

  #add(finding: VerifyFinding): void {
    if (this.list.length < findingsMax) this.list.push(finding);
  }
}
