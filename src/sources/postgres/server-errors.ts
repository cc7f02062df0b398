// What PostgreSQL, the network or TLS answer, as a fact with a code and a hint.
import { AppError, type ErrorCode, errnoOf, isAppError, messageOf } from '../../base/errors.ts';
import type { ServerAddress } from './server-address.ts';

interface Reading {
  readonly code: ErrorCode;
  readonly hint: string;
}

/** SQLSTATE, or the errno of Node → what it means for a backup. */
const readings: Readonly<Record<string, Reading>> = {
  '28P01': { code: 'SOURCE_DENIED', hint: 'Check the user and the password of the component.' },
  '28000': {
    code: 'SOURCE_DENIED',
    hint: 'Check that the role exists and that pg_hba.conf has a line for this user, database and address.',
  },
  '42501': { code: 'SOURCE_DENIED', hint: 'Grant the role what the message names; `check` lists the statements.' },
  '3D000': { code: 'SOURCE_UNREACHABLE', hint: 'Check the names of the databases in the configuration.' },
  '57P03': { code: 'SOURCE_UNREACHABLE', hint: 'Wait until the server has started, then try again.' },
  '53300': { code: 'SOURCE_UNREACHABLE', hint: 'Free connections or raise max_connections, then try again.' },
  '55P03': {
    code: 'SOURCE_FAILED',
    hint: 'Try again when the schema change that holds the lock is over.',
  },
  '57P01': { code: 'SOURCE_FAILED', hint: 'Somebody ended the connection or stopped the server: try again.' },
  '57P02': { code: 'SOURCE_FAILED', hint: 'The server crashed: read its log, then try again.' },
  ECONNREFUSED: { code: 'SOURCE_UNREACHABLE', hint: 'Check host and port, and that the server runs.' },
  ENOTFOUND: { code: 'SOURCE_UNREACHABLE', hint: 'Check the host name.' },
  EAI_AGAIN: { code: 'SOURCE_UNREACHABLE', hint: 'Check the host name and the name server.' },
  ETIMEDOUT: { code: 'SOURCE_UNREACHABLE', hint: 'Check that a firewall lets this machine reach the server.' },
  EHOSTUNREACH: { code: 'SOURCE_UNREACHABLE', hint: 'Check that this machine can reach the server.' },
  ENETUNREACH: { code: 'SOURCE_UNREACHABLE', hint: 'Check that this machine can reach the server.' },
  ENOENT: { code: 'SOURCE_UNREACHABLE', hint: 'Check the folder of the socket and that the server runs.' },
};

/** Where one SQLSTATE stands for too much, the words decide. */
const readingsByWords: readonly (readonly [RegExp, Reading])[] = [
  [
    /client certificate|certificate authentication failed/i,
    {
      code: 'SOURCE_DENIED',
      hint: 'Give the component sslcert and sslkey: a certificate that the server trusts, whose common name is the role.',
    },
  ],
];

/** Node's driver has no codes for what happens before or after the protocol; its words are all there is. */
const readingsByText: readonly (readonly [RegExp, Reading])[] = [
  [
    /timeout expired|connect.*timed? ?out/i,
    { code: 'SOURCE_UNREACHABLE', hint: 'Check that the server can be reached.' },
  ],
  [/password must be a string/, { code: 'SOURCE_DENIED', hint: 'Give the component a password or a password file.' }],
  [/does not support SSL/, { code: 'SOURCE_UNREACHABLE', hint: 'Set sslmode to prefer or disable, or switch TLS on.' }],
  [/certificate|altnames/i, { code: 'SOURCE_DENIED', hint: 'Check the root certificate and the host name in it.' }],
  [
    /terminated|ended|not queryable|ECONNRESET|EPIPE/,
    { code: 'SOURCE_FAILED', hint: 'The connection broke: try again.' },
  ],
];

const otherwise: Reading = { code: 'SOURCE_FAILED', hint: 'Read the server log around this time.' };

export function sourceError(error: unknown, address: ServerAddress, database: string): AppError {
  if (isAppError(error)) return error;
  const inner = error instanceof AggregateError ? error.errors[0] : error;
  const text = lowerFirst(messageOf(inner));
  const inWords = (list: typeof readingsByText): Reading | undefined => list.find(([sign]) => sign.test(text))?.[1];
  const { code, hint } =
    inWords(readingsByWords) ?? readings[errnoOf(inner) ?? ''] ?? inWords(readingsByText) ?? otherwise;
  const where = `database ${database} at ${address.host}:${address.port} as ${address.user}`;
  return new AppError(code, `${where}: ${text}`, { hint, cause: error });
}

/** SQLSTATE of a server's error, also where it was wrapped. */
export function sqlStateOf(error: unknown): string | undefined {
  return errnoOf(isAppError(error) ? error.cause : error);
}

function lowerFirst(text: string): string {
  return /^[A-Z][a-z]/.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text;
}
