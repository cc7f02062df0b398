// `lifeboat postgres diff` and `bisect`: what changed between two instants, and when something went wrong.
import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { jsonLines } from '../support/lifeboat.ts';
import { pastScene } from '../support/past-scene.ts';
import { askPast } from '../../src/sources/postgres/past/ask.ts';
import { describeWithPostgres, startPostgres } from '../support/postgres-server.ts';
import { noSignal } from '../support/repository.ts';

describeWithPostgres(15, 'two instants of the past, PostgreSQL 15', () => {
  test('are told apart row by row, and a search among the commits finds the one that changed something', async () => {
    await using scene = await pastScene(15);
    const { cluster } = scene;
    await cluster.sql(
      'CREATE TABLE accounts (id int PRIMARY KEY, owner text, balance numeric NOT NULL)',
      'CREATE TABLE "Odd; table" (a int, b text)',
      'CREATE TABLE untouched AS SELECT generate_series(1, 100) AS id',
      "INSERT INTO accounts SELECT n, 'owner ' || n, 100 FROM generate_series(1, 12000) n",
      `INSERT INTO "Odd; table" VALUES (1, 'one'), (1, 'one'), (2, null)`,
    );
    await scene.begin();
    await cluster.sql('UPDATE accounts SET balance = balance + 1 WHERE id % 100 = 0');
    const first = await scene.position();
    const spend = async (id: number, amount: number): Promise<string> => {
      const [row] = await cluster.sql(
        `UPDATE accounts SET balance = balance - ${amount} WHERE id = ${id} RETURNING xmin::text AS xid`,
      );
      return String(row?.['xid']);
    };
    for (let at = 1; at <= 20; at += 1) await spend(7, 1);
    await cluster.sql('SELECT pg_switch_wal()');
    for (let at = 1; at <= 15; at += 1) await spend(8, 1);
    const culprit = await spend(7, 1000);
    for (let at = 1; at <= 15; at += 1) await spend(9, 1);
    await cluster.sql(
      'DELETE FROM accounts WHERE id > 11990',
      "INSERT INTO accounts VALUES (20000, E'new\\u001b[31m', 5)",
      `DELETE FROM "Odd; table" WHERE ctid = (SELECT min(ctid) FROM "Odd; table" WHERE a = 1)`,
      'CREATE TABLE later (id int)',
      'CREATE INDEX ON accounts (owner)',
    );
    await scene.end();

    const wish = ['--at', first, '--at', 'now', '--table', 'accounts', '--table', 'Odd; table', '--limit', '50'];
    const json = jsonLines(await scene.succeed('postgres', 'diff', 'database', ...wish, '--json')).at(-1);
    const tables = json?.['tables'] as {
      readonly table: string;
      readonly rows: { readonly second?: { readonly id: string } }[];
    }[];
    expect(json).toMatchObject({ structure: ['columns', 'indexes', 'relations'] });
    const [accounts, later, odd, untouched] = ['accounts', 'later', '"Odd; table"', 'untouched'].map((name) =>
      tables.find(({ table }) => table === `public.${name}`),
    );
    expect(accounts).toMatchObject({ state: 'differs', onlyInFirst: 10, onlyInSecond: 1, changed: 3, key: ['id'] });
    expect(accounts?.rows).toHaveLength(14);
    expect(accounts?.rows).toContainEqual({
      first: { id: '7', owner: 'owner 7', balance: '100' },
      second: { id: '7', owner: 'owner 7', balance: '-920' },
    });
    expect(odd).toMatchObject({ onlyInFirst: 1, onlyInSecond: 0, changed: 0, rowsFirst: 3, rowsSecond: 2 });
    expect(odd?.rows).toEqual([{ first: { a: '1', b: 'one' } }]);
    expect(later).toMatchObject({ state: 'only in second' });
    expect(untouched).toMatchObject({ state: 'equal', rowsFirst: 100, rows: [] });
    const shown = await scene.succeed('postgres', 'diff', 'database', ...wish);
    expect(shown.stdout).toContain('M id=7  balance: 100 -> -920');
    expect(shown.stdout).toContain('+ id=20000 balance=5 owner=new?[31m');

    const condition = 'SELECT min(balance) >= 0 FROM accounts';
    const bisected = await scene.succeed('postgres', 'bisect', 'database', '--where', condition, '--json');
    const found = jsonLines(bisected).at(-1);
    expect(found).toMatchObject({ firstFailed: { xid: Number(culprit) }, isExact: true });
    const { position } = (found?.['firstFailed'] ?? {}) as { position?: string };
    expect(found?.['restore']).toBe(`lifeboat restore database --lsn ${position} --exclusive --to <folder>`);
    // About 60 commits: the two ends, and six in between.
    expect(Number(found?.['probes'])).toBeLessThanOrEqual(9);

    expect(readdirSync(scene.sandboxes).filter((name) => name.startsWith('lifeboat-'))).toEqual([]);
  }, 180_000);

  test('are asked in words of SQL that change nothing', async () => {
    await using server = await startPostgres(15);
    await server.sql('postgres', 'CREATE TABLE accounts (id int)');
    const { host, port, user, password } = server.address;
    // As a server of the past, which asks nobody for a password.
    const past = { databases: ['postgres'], access: { host, port, user, password } };
    const ask = (condition: string, database?: string) =>
      askPast(server.options(), { server: past, question: { condition, database } }, noSignal);
    expect(await ask('EXISTS (SELECT FROM accounts)')).toBe(false);
    expect(await ask('  (SELECT count(*) FROM accounts) = 0 -- none;')).toBe(true);
    expect(await ask('SELECT count(*) = 0 FROM accounts;')).toBe(true);
    expect(await ask('with a as (values (null::boolean)) select * from a')).toBe(false);
    expect(await ask('EXISTS (SELECT FROM acounts)')).toBeUndefined();
    expect(await ask('SELECT nothing FROM accounts')).toBeUndefined();
    expect(await ask('true', 'elsewhere')).toBeUndefined();
    const wrong = [
      'DELETE FROM accounts',
      'SELECT 1',
      'WITH a AS (DELETE FROM accounts RETURNING id) SELECT true',
      '1/0 = 1',
    ];
    for (const condition of wrong) await expect(ask(condition)).rejects.toMatchObject({ code: 'USAGE' });
  });
});
