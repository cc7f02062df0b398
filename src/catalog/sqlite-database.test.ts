// Statements that are kept must not change what is read: not after a reader left in the middle, nor after tables were changed.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Kysely, sql } from 'kysely';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../test/support/temporary-folder.ts';
import { sqliteDialect } from './sqlite-database.ts';

interface Numbers {
  readonly numbers: { readonly value: number; readonly more?: string };
}

test('who asks much in a row lets others have their turn', async () => {
  await using folder = await temporaryFolder();
  const db = new Kysely<Numbers>({ dialect: sqliteDialect(join(folder.path, 'x.sqlite')) });
  await sql`select 1`.execute(db);
  let turns = 0;
  const beat = setInterval(() => (turns += 1), 1);
  const startMs = performance.now();
  while (performance.now() - startMs < 300) await sql`select 1`.execute(db);
  expect(turns).toBeGreaterThan(1);
  clearInterval(beat);
  await db.destroy();
});

test('a text that is used again, also after a reader left it in the middle or the table was changed, reads what is there', async () => {
  await using folder = await temporaryFolder();
  const db = new Kysely<Numbers>({ dialect: sqliteDialect(join(folder.path, 'x.sqlite')) });
  await db.schema.createTable('numbers').addColumn('value', 'integer').execute();
  await db
    .insertInto('numbers')
    .values([{ value: 1 }, { value: 2 }, { value: 3 }])
    .execute();
  const query = db.selectFrom('numbers').selectAll().orderBy('value');
  const read: number[] = [];
  for await (const { value } of query.stream()) if (read.push(value) === 2) break;
  for await (const { value } of query.stream()) read.push(value);
  expect(read).toEqual([1, 2, 1, 2, 3]);
  expect((await query.execute()).length).toBe(3);
  await db.schema
    .alterTable('numbers')
    .addColumn('more', 'text', (column) => column.defaultTo('x'))
    .execute();
  expect(await query.execute()).toEqual([1, 2, 3].map((value) => ({ value, more: 'x' })));
  await db.schema.alterTable('numbers').dropColumn('more').execute();
  expect(await query.execute()).toEqual([1, 2, 3].map((value) => ({ value })));
  // More texts than are kept.
  for (let at = 0; at < 600; at += 1) {
    const { rows } = await sql.raw<{ n: number }>(`select ${at} as n`).execute(db);
    expect(rows).toEqual([{ n: at }]);
  }
  await db.destroy();
});

test.each([
  ['header', 0],
  ['content', 4096],
])('a file whose %s was damaged is told by its name, as no defect', async (_, from) => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'x.sqlite');
  const first = new Kysely<Numbers>({ dialect: sqliteDialect(path) });
  await first.schema.createTable('numbers').addColumn('value', 'integer').execute();
  for (let value = 0; value < 2000; value += 1) await first.insertInto('numbers').values({ value }).execute();
  await first.destroy();
  const bytes = readFileSync(path);
  writeFileSync(path, bytes.fill(7, from, from + 4096 * 2));
  const second = new Kysely<Numbers>({ dialect: sqliteDialect(path) });
  const damaged = { code: 'CATALOG_DAMAGED', message: expect.stringContaining(path) as string };
  await expect(second.selectFrom('numbers').selectAll().execute()).rejects.toMatchObject(damaged);
  await expect(Array.fromAsync(second.selectFrom('numbers').selectAll().stream())).rejects.toMatchObject(damaged);
  await second.destroy();
});
