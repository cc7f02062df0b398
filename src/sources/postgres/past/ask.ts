// Asks a server of the past whether a condition holds there.
import { AppError, messageOf } from '../../../base/errors.ts';
import type { PastQuestion, PastServer } from '../../explore.ts';
import { connect } from '../connection.ts';
import type { PostgresOptions } from '../options.ts';
import { sqlStateOf } from '../server-errors.ts';
import { pastDatabase } from './past-database.ts';

/** A condition must not hang the search. */
const answerMaxMs = 300_000;

/** Tables, columns, schemas, functions, types that are not there. */
const absent = new Set(['42P01', '42703', '3F000', '42883', '42704']);

export async function askPast(
  options: PostgresOptions,
  { server, question }: { readonly server: Pick<PastServer, 'access' | 'databases'>; readonly question: PastQuestion },
  signal: AbortSignal,
): Promise<boolean | undefined> {
  const { database, condition } = question;
  if (database !== undefined && !server.databases.includes(database)) return undefined;
  const address = { ...server.access, ssl: { mode: 'disable' } } as const;
  await using connection = await connect(address, pastDatabase(server, database, options), signal);
  await connection.query(`SET statement_timeout = ${answerMaxMs}; SET default_transaction_read_only = on`);
  try {
    const [row] = await connection.query<Record<string, unknown>>(queryFor(condition));
    return valueOf(row === undefined ? null : (Object.values(row)[0] ?? null));
  } catch (error) {
    const state = sqlStateOf(error) ?? '';
    if (absent.has(state)) return undefined;
    if (!/^(?:42|25|22)/.test(state)) throw error;
    throw new AppError('USAGE', `the condition can't be asked: ${messageOf(error)}`, {
      hint: 'Correct it: it must say true or false, and change nothing.',
      cause: error,
    });
  }
}

/** A query as it is; anything else is a condition. */
export function queryFor(condition: string): string {
  const text = condition.trim().replace(/;$/, '');
  return /^(?:select|with|values|table)\b/i.test(text) ? text : `SELECT (${text}\n)::boolean`;
}

function valueOf(value: unknown): boolean {
  if (value === null || typeof value === 'boolean') return value ?? false;
  throw new AppError('USAGE', 'the first value of the query is neither true nor false', {
    hint: 'Compare it with something: SELECT count(*) > 0 FROM orders.',
  });
}
