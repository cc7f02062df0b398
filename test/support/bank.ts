// A bank as load for a server: transfers that touch several tables at once, so that a copy which mixes instants does not add up.
import { seededRandom } from '../../src/base/random.ts';
import { connect } from '../../src/sources/postgres/connection.ts';
import type { TestServer } from './postgres-server.ts';

const never = new AbortController().signal;

/** `tablespace`: where one of the tables lies. */
export async function openBank(server: Pick<TestServer, 'sql'>, database: string, tablespace?: string): Promise<void> {
  const place = tablespace === undefined ? '' : ` TABLESPACE ${tablespace}`;
  await server.sql(
    database,
    'CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL, filler text NOT NULL)',
    'INSERT INTO accounts SELECT g, 0, repeat(md5(g::text), 4) FROM generate_series(1, 20000) g',
    `CREATE TABLE history (id bigserial PRIMARY KEY, account int, delta bigint, note text)${place}`,
    `CREATE INDEX ON history (account)${place}`,
    'CREATE UNLOGGED TABLE visits (account int)',
  );
}

/** True of every instant. */
export const bankAddsUp =
  'SELECT (SELECT sum(balance) FROM accounts) = (SELECT coalesce(sum(delta), 0) FROM history) AS "addsUp", (SELECT count(*) FROM history)::int AS transfers';

export interface Load extends AsyncDisposable {
  readonly transfers: () => number;
}

/** Transfers money until it is closed. */
export function transferMoney(server: Pick<TestServer, 'address'>, database: string, seed: number): Load {
  const random = seededRandom(seed);
  const whole = (below: number): number => Math.floor(random() * below);
  const over = new AbortController();
  let transfers = 0;
  const clerk = async (): Promise<void> => {
    await using connection = await connect(server.address, database, never);
    while (!over.signal.aborted) {
      const [account, delta] = [1 + whole(20_000), whole(1000) - 500];
      await connection.query(
        `BEGIN; UPDATE accounts SET balance = balance + ${delta} WHERE id = ${account};
         INSERT INTO history (account, delta, note) VALUES (${account}, ${delta}, repeat('x', ${whole(400)}));
         INSERT INTO visits VALUES (${account}); COMMIT`,
      );
      transfers += 1;
    }
  };
  const clerks = [clerk(), clerk()];
  return {
    transfers: () => transfers,
    async [Symbol.asyncDispose]() {
      over.abort();
      await Promise.all(clerks);
    },
  };
}
