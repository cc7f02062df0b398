// One table of everything that can go wrong for reasons outside the program, and the one class that carries it.
// Exit status, HTTP status and the page docs/reference/errors.md derive from the table; a test holds them equal.

/** What a caller may do: `never` helps without a change, `later` may, `other-input` needs different arguments. */
export type Retry = 'never' | 'later' | 'other-input';

interface ErrorKind {
  readonly exitCode: number;
  readonly httpStatus: number;
  readonly retry: Retry;
  /** One sentence for the reference page. */
  readonly meaning: string;
}

export const errorKinds = {
  USAGE: { exitCode: 2, httpStatus: 400, retry: 'other-input', meaning: 'The command line is not valid.' },
  SECRET_IN_ARGUMENT: {
    exitCode: 2,
    httpStatus: 400,
    retry: 'other-input',
    meaning: 'An argument holds a password, which every user of the machine could see.',
  },
  CONFIG_INVALID: {
    exitCode: 2,
    httpStatus: 422,
    retry: 'other-input',
    meaning: 'lifeboat.yaml or an environment variable holds something that is not valid.',
  },
  CONFIG_MISSING: {
    exitCode: 2,
    httpStatus: 422,
    retry: 'other-input',
    meaning: 'The command needs a configuration file or an option that names the repository.',
  },
  CONFIRMATION_NEEDED: {
    exitCode: 2,
    httpStatus: 409,
    retry: 'other-input',
    meaning: 'The command would overwrite or delete something and was not confirmed.',
  },
  COMPLETED_WITH_WARNINGS: {
    exitCode: 3,
    httpStatus: 200,
    retry: 'later',
    meaning: 'The work was done, but some items were left out or need attention.',
  },
  NOT_SUPPORTED: {
    exitCode: 1,
    httpStatus: 501,
    retry: 'never',
    meaning: 'Lifeboat does not do that, for a reason that the message gives.',
  },
  NOT_FOUND: {
    exitCode: 4,
    httpStatus: 404,
    retry: 'other-input',
    meaning: 'What was named (a snapshot, a component, a path) does not exist.',
  },
  AMBIGUOUS: { exitCode: 4, httpStatus: 409, retry: 'other-input', meaning: 'A short id or name fits several things.' },
  REPOSITORY_MISSING: {
    exitCode: 10,
    httpStatus: 404,
    retry: 'other-input',
    meaning: 'There is no repository at the place named.',
  },
  REPOSITORY_EXISTS: {
    exitCode: 1,
    httpStatus: 409,
    retry: 'other-input',
    meaning: 'A repository is already there, so none was created.',
  },
  REPOSITORY_UNSUPPORTED: {
    exitCode: 1,
    httpStatus: 422,
    retry: 'never',
    meaning: 'The repository has a version or a setting that this program does not know.',
  },
  REPOSITORY_LOCKED: {
    exitCode: 11,
    httpStatus: 423,
    retry: 'later',
    meaning: 'Another process holds a lock that excludes this work.',
  },
  LOCK_LOST: {
    exitCode: 11,
    httpStatus: 423,
    retry: 'later',
    meaning: 'The own lock vanished or could not be refreshed, so the work was stopped before it could harm.',
  },
  PASSWORD_WRONG: {
    exitCode: 12,
    httpStatus: 403,
    retry: 'other-input',
    meaning: 'No key of the repository opens with the password given.',
  },
  PASSWORD_MISSING: {
    exitCode: 12,
    httpStatus: 403,
    retry: 'other-input',
    meaning: 'No password was given for the repository.',
  },
  REPOSITORY_DAMAGED: {
    exitCode: 20,
    httpStatus: 500,
    retry: 'never',
    meaning: 'A file of the repository is missing, cut short or altered; the message names it.',
  },
  HOSTILE_CONTENT: {
    exitCode: 20,
    httpStatus: 422,
    retry: 'never',
    meaning: 'The repository holds a name or link that would leave the restore target; nothing was written there.',
  },
  VERIFICATION_FAILED: {
    exitCode: 20,
    httpStatus: 422,
    retry: 'never',
    meaning: 'A verification or a proof found differences.',
  },
  PROOF_INCONCLUSIVE: {
    exitCode: 21,
    httpStatus: 422,
    retry: 'never',
    meaning: 'A proof of the service restored a recovery point and could not say whether it is right.',
  },
  INCONCLUSIVE: {
    exitCode: 21,
    httpStatus: 422,
    retry: 'later',
    meaning: 'A verification or a proof could not be carried through, so nothing is known.',
  },
  CATALOG_UNREACHABLE: {
    exitCode: 1,
    httpStatus: 503,
    retry: 'later',
    meaning: 'The catalog (the state of the service) cannot be opened.',
  },
  CATALOG_DAMAGED: {
    exitCode: 1,
    httpStatus: 503,
    retry: 'never',
    meaning: 'The file of the catalog (the state of the service) is damaged.',
  },
  CATALOG_NEWER: {
    exitCode: 1,
    httpStatus: 503,
    retry: 'never',
    meaning: 'The catalog was changed by a later Lifeboat, so this one leaves it alone.',
  },
  SERVICE_ALIVE: {
    exitCode: 11,
    httpStatus: 409,
    retry: 'later',
    meaning: 'The server whose state would be recovered seems to live.',
  },
  SERVICE_REPLACED: {
    exitCode: 13,
    httpStatus: 409,
    retry: 'never',
    meaning: 'The state of this server was recovered elsewhere, so this one may not act any more.',
  },
  SERVICE_RECOVERED: {
    exitCode: 1,
    httpStatus: 500,
    retry: 'never',
    meaning: 'The run was not at its end when the state of the service was backed up, of which it was recovered.',
  },
  KIT_INVALID: {
    exitCode: 12,
    httpStatus: 400,
    retry: 'other-input',
    meaning: 'A recovery kit cannot be read, or its key is not that of the repository.',
  },
  LISTEN_FAILED: {
    exitCode: 1,
    httpStatus: 500,
    retry: 'other-input',
    meaning: 'The server cannot listen where it should.',
  },
  SERVICE_MANAGER_FAILED: {
    exitCode: 1,
    httpStatus: 500,
    retry: 'other-input',
    meaning: 'The system could not be had to keep the server running.',
  },
  RUN_GIVEN_UP: {
    exitCode: 1,
    httpStatus: 500,
    retry: 'never',
    meaning: 'Every worker that took the run died with it.',
  },
  JOB_FAILED: {
    exitCode: 1,
    httpStatus: 500,
    retry: 'later',
    meaning: 'A job of the service ended without a result.',
  },
  REQUEST_INVALID: {
    exitCode: 2,
    httpStatus: 400,
    retry: 'other-input',
    meaning: 'A request to the API holds something that is not valid; the answer names each place.',
  },
  REQUEST_TOO_LARGE: {
    exitCode: 2,
    httpStatus: 413,
    retry: 'other-input',
    meaning: 'A request is longer than any needs to be.',
  },
  UNAUTHENTICATED: {
    exitCode: 1,
    httpStatus: 401,
    retry: 'other-input',
    meaning: 'The request carries no valid token or session, or the name or the password is wrong.',
  },
  FORBIDDEN: {
    exitCode: 1,
    httpStatus: 403,
    retry: 'other-input',
    meaning: 'The role or the scopes of whoever asks do not allow it.',
  },
  RATE_LIMITED: {
    exitCode: 1,
    httpStatus: 429,
    retry: 'later',
    meaning: 'There were too many requests, or too many failed logins, for now.',
  },
  NAME_TAKEN: { exitCode: 1, httpStatus: 409, retry: 'other-input', meaning: 'Something else has that name already.' },
  ALREADY_DONE: { exitCode: 1, httpStatus: 409, retry: 'never', meaning: 'What was asked for is so already.' },
  IDEMPOTENCY_CONFLICT: {
    exitCode: 1,
    httpStatus: 409,
    retry: 'other-input',
    meaning:
      'The idempotency key came with another request before, or with this one, which is still being carried out.',
  },
  PROVIDER_UNREACHABLE: {
    exitCode: 1,
    httpStatus: 503,
    retry: 'later',
    meaning: 'The OpenID provider through which users log in does not answer, or not as one.',
  },
  OBJECT_MISSING: { exitCode: 1, httpStatus: 404, retry: 'never', meaning: 'The store has no object of that name.' },
  STORE_UNREACHABLE: { exitCode: 1, httpStatus: 503, retry: 'later', meaning: 'The store does not answer.' },
  STORE_DENIED: {
    exitCode: 1,
    httpStatus: 403,
    retry: 'other-input',
    meaning: 'The store refuses the credentials or the operation.',
  },
  STORE_FULL: {
    exitCode: 1,
    httpStatus: 507,
    retry: 'later',
    meaning: 'There is no space left where the data should go.',
  },
  STORE_READ_ONLY: { exitCode: 1, httpStatus: 403, retry: 'never', meaning: 'The store was opened for reading only.' },
  STORE_FAILED: {
    exitCode: 1,
    httpStatus: 502,
    retry: 'later',
    meaning: 'The store answered with an error that fits no other code.',
  },
  SOURCE_UNREACHABLE: {
    exitCode: 1,
    httpStatus: 503,
    retry: 'later',
    meaning: 'The database, cache or folder to protect does not answer or does not exist.',
  },
  SOURCE_DENIED: {
    exitCode: 1,
    httpStatus: 403,
    retry: 'other-input',
    meaning: 'The source refuses the credentials, or the role lacks a right.',
  },
  SOURCE_UNSUPPORTED: {
    exitCode: 1,
    httpStatus: 422,
    retry: 'never',
    meaning: 'The source has a version or a setting that cannot be backed up this way.',
  },
  SOURCE_FAILED: {
    exitCode: 1,
    httpStatus: 502,
    retry: 'later',
    meaning: 'The source broke off while it was read; no snapshot was written.',
  },
  TOOL_MISSING: {
    exitCode: 1,
    httpStatus: 424,
    retry: 'other-input',
    meaning: 'A program that the work needs is not installed; the hint names the package.',
  },
  TARGET_UNSAFE: {
    exitCode: 1,
    httpStatus: 409,
    retry: 'other-input',
    meaning:
      'The restore target is the source itself, is in use, or holds data that was not confirmed for overwriting.',
  },
  TARGET_SPACE: {
    exitCode: 1,
    httpStatus: 507,
    retry: 'later',
    meaning: 'The restore target has too little space; no incomplete file was left there.',
  },
  RESTORE_FAILED: {
    exitCode: 1,
    httpStatus: 500,
    retry: 'later',
    meaning: 'The restore stopped at an error; what was there before is untouched or named.',
  },
  JOURNAL_FENCED: {
    exitCode: 11,
    httpStatus: 423,
    retry: 'later',
    meaning: 'Another receiver took over the journal, so this one stopped before it could harm.',
  },
  JOURNAL_FORKED: {
    exitCode: 20,
    httpStatus: 409,
    retry: 'never',
    meaning:
      'The server sends other changes than those kept for the same position: it is a copy that went its own way.',
  },
  JOURNAL_GAP: {
    exitCode: 21,
    httpStatus: 409,
    retry: 'never',
    meaning: 'Changes between two positions are not in the journal and can no longer be had; the message names them.',
  },
  SPOOL_FULL: {
    exitCode: 1,
    httpStatus: 507,
    retry: 'later',
    meaning: 'The spool may not grow further: the repositories take the journal too slowly or not at all.',
  },
  RECOVERY_TARGET_UNREACHABLE: {
    exitCode: 4,
    httpStatus: 404,
    retry: 'other-input',
    meaning: 'No recovery point leads to the instant asked for; the message names the window that can be reached.',
  },
  TIMED_OUT: { exitCode: 41, httpStatus: 504, retry: 'later', meaning: 'The work did not end within its time limit.' },
  INTERRUPTED: {
    exitCode: 130,
    httpStatus: 499,
    retry: 'later',
    meaning: 'The work was interrupted; the message says what is left of it.',
  },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorKinds;

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorKinds, text);
}

/**
 * An error of the world, not of the program: shown to people as fact and hint, never with a stack.
 * The message is a lower-case fact with its values; the hint is an imperative sentence.
 */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  readonly hint: string;

  constructor(code: ErrorCode, message: string, options: { readonly hint: string; readonly cause?: unknown }) {
    super(message, { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }

  get exitCode(): number {
    return errorKinds[this.code].exitCode;
  }
}

/** Tells whether `error` is ours and carries one of `codes`; with no codes, whether it is ours at all. */
export function isAppError(error: unknown, ...codes: readonly ErrorCode[]): error is AppError {
  return error instanceof AppError && (codes.length === 0 || codes.includes(error.code));
}

/** The errno code (`ENOENT` …) of an error of Node's, if it has one. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** One line for people from whatever was thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

/** What a restore that failed for `error` is to be called: damage of the repository by its own name, whoever met it. */
export function restoreFailureCode(error: unknown): 'REPOSITORY_DAMAGED' | 'RESTORE_FAILED' {
  return isAppError(error, 'REPOSITORY_DAMAGED') ? 'REPOSITORY_DAMAGED' : 'RESTORE_FAILED';
}

/** For places that keep a failure to throw it later. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

/** Where closing something failed after the work had: the failure of the work, which is what people need to know. */
export function firstFailure(error: unknown): unknown {
  return error instanceof SuppressedError ? firstFailure(error.suppressed) : error;
}
