// The value that a content check asks a restored database for.
import { AppError, messageOf } from '../../base/errors.ts';
import type { ContentCheck } from '../../model/content-check.ts';
import { connect } from './connection.ts';
import type { ServerAddress } from './server-address.ts';
import { sqlStateOf } from './server-errors.ts';

/** A check's query must not hang a proof. */
const checkMaxMs = 300_000;

/** `names`: the databases of the recovery point. Rejects with `USAGE` where the check itself is wrong. */
export async function contentValue(
  address: ServerAddress,
  { check, names }: { readonly check: ContentCheck; readonly names: readonly string[] },
  signal: AbortSignal,
): Promise<unknown> {
  if (!('sql' in check)) {
    throw new AppError('USAGE', 'a check of a database needs sql', { hint: 'Write sql: SELECT count(*) FROM …' });
  }
  // `postgres` is in every server, and nobody means it who does not name it.
  const database = check.database ?? names.find((name) => name !== 'postgres') ?? 'postgres';
  await using connection = await connect(address, database, signal);
  await connection.query(`SET statement_timeout = ${checkMaxMs}`);
  await connection.query('SET default_transaction_read_only = on');
  try {
    const [row] = await connection.query<Record<string, unknown>>(check.sql);
    return row === undefined ? undefined : Object.values(row)[0];
  } catch (error) {
    const isOfQuery = /^(?:42|25)/.test(sqlStateOf(error) ?? ''); // Wrong names or grammar, or it wants to write.
    if (!isOfQuery) throw error;
    throw new AppError('USAGE', messageOf(error), { hint: 'Correct the query of the check.', cause: error });
  }
}
