// Which database of a server of the past is meant.
import { AppError } from '../../../base/errors.ts';
import type { PastServer } from '../../explore.ts';
import type { PostgresOptions } from '../options.ts';

/** The named one, that of the component, or the only one; `postgres` is in every server, and nobody means it who does not name it. */
export function pastDatabase(
  { databases }: Pick<PastServer, 'databases'>,
  database: string | undefined,
  options: Pick<PostgresOptions, 'databases'>,
): string {
  const usual = databases.filter((name) => name !== 'postgres');
  const [only, ...others] = usual.length === 0 ? databases : usual;
  const named = database ?? (options.databases.length === 1 ? options.databases[0] : undefined);
  if (named !== undefined && databases.includes(named)) return named;
  if (named === undefined && only !== undefined && others.length === 0) return only;
  const what =
    named === undefined ? 'more than one database is there' : `there was no database '${named}' at that instant`;
  throw new AppError('USAGE', what, { hint: `Name one with --database: ${databases.join(', ')}.` });
}
