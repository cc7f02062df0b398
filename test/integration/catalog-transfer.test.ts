// The whole catalog into a backup and out of it, on both kinds of database and from either to the other: every table that travels, every
// column, more rows than a page; and what must not survive.
import { randomUUID } from 'node:crypto';
import { sql, type Kysely } from 'kysely';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { isAppError } from '../../src/base/errors.ts';
import { systemActor } from '../../src/access/audit-log.ts';
import type { Catalog } from '../../src/catalog/catalog.ts';
import { rowsOf, withFrozenCatalog, type CatalogRow } from '../../src/catalog/export-catalog.ts';
import { migrateCatalog, migrationNames, migrationsOf } from '../../src/catalog/migrate.ts';
import { connectCatalog } from '../../src/catalog/open-catalog.ts';
import { portableTables } from '../../src/catalog/portable-tables.ts';
import type { Tables } from '../../src/catalog/tables.ts';
import { endWorker, insertWorker } from '../../src/catalog/workers.ts';
import { backup } from '../../src/operations/backup/backup.ts';
import { recoveryReader } from '../../src/operations/restore/recovery-reader.ts';
import { fillCatalog } from '../../src/service/state/fill-catalog.ts';
import { lookAtCatalog, placeCatalog, refuseLiveWorkers } from '../../src/service/state/place-catalog.ts';
import { readManifest } from '../../src/service/state/read-state.ts';
import { stateSource } from '../../src/service/state/state-source.ts';
import type { RecoveryReader } from '../../src/sources/source.ts';
import { describeWithCatalogs, makeSqliteCatalog, openTestCatalog, type TestCatalog } from '../support/catalogs.ts';
import { noSignal } from '../support/repository.ts';
import { sampleRepository } from '../support/sample-repository.ts';

type AnyTable = Kysely<Record<string, Record<string, unknown>>>;

/** Two rows in every table that there is, of whatever columns it has. */
async function fillTables(catalog: Catalog): Promise<void> {
  const db = catalog.db as unknown as AnyTable;
  const tables = await catalog.db.introspection.getTables();
  const known = [...portableTables.map(({ name }) => name), ...stayingTables];
  for (const name of known.toReversed()) await db.deleteFrom(name).execute();
  for (const name of known) {
    const table = tables.find((one) => camelCase(one.name) === name);
    if (table === undefined) throw new Error(`there is no table ${name}`);
    const rows = [1, 2].map((nth) =>
      Object.fromEntries(table.columns.map((column) => [camelCase(column.name), valueFor(column.dataType, nth)])),
    );
    await db
      .insertInto(name)
      .values(oneRowed.includes(name) ? rows.slice(0, 1) : rows)
      .execute();
  }
  // The log ends with its last row, and no checkpoint is due, so that nothing needs a key.
  const head = { number: 2, checkpointNumber: 2, checkpointAtMs: await catalog.nowMs() };
  await catalog.db.updateTable('auditHead').set(head).execute();
}

const oneRowed = ['service', 'auditHead'];
const stayingTables = [
  'worker',
  'session',
  'loginFailure',
  'idempotencyKey',
  'seenRepository',
  'seenProof',
  'selfBackup',
];
const camelCase = (text: string): string => text.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

function valueFor(type: string, nth: number): unknown {
  if (/bool/i.test(type)) return nth === 1;
  return /int|bigint|numeric|real|double/i.test(type) ? nth : `{"text": "${nth} é\n\\"}`;
}

async function storedState(catalog: Catalog): Promise<RecoveryReader> {
  const sample = await sampleRepository();
  const facts = {
    clock: systemClock,
    host: 'old',
    program: 'test',
    configurations: [],
    describeConfiguration: () => Promise.reject(new Error('no configuration is described')),
    readConfigurationFile: () => Promise.reject(new Error('there is none')),
    auditKeyFile: '/nowhere/at-all',
  };
  const { snapshot } = await backup(sample.repository, stateSource({ catalog, ...facts }), {
    component: '_service',
    host: 'shop',
    programVersion: 'test',
    signal: noSignal,
    pool: sample.workers,
  });
  return recoveryReader({ indexed: await sample.indexed(), pool: sample.workers, snapshot });
}

const signer = (): never => expect.fail('nothing is to be signed');

async function fill(catalog: Catalog, reader: RecoveryReader): Promise<void> {
  const manifest = await readManifest(reader, noSignal);
  const filling = { reader, manifest, generation: 7, actor: systemActor, details: {}, signal: noSignal };
  await fillCatalog(catalog, { signer }, filling);
}

async function contentOf(catalog: Catalog): Promise<Record<string, CatalogRow[]>> {
  return withFrozenCatalog(catalog, async ({ db }) => {
    const content: Record<string, CatalogRow[]> = {};
    for (const table of portableTables) content[table.name] = await Array.fromAsync(rowsOf(db, table));
    return content;
  });
}

describeWithCatalogs('the state of the service', (make) => {
  const makers: readonly (readonly [string, () => Promise<TestCatalog>])[] = [
    ['the same kind', make],
    ['SQLite', makeSqliteCatalog],
  ];

  test.each(makers)(
    'comes back whole in a catalog of %s and from there again, but for what is over',
    async (_, makeOther) => {
      await using place = await make();
      await using catalog = await openTestCatalog(place);
      await fillTables(catalog);
      const texts = { kind: 'backup', input: '{}', labels: '[]', origin: '{}', worker: 'gone' };
      const numbers = { epoch: 4, priority: 0, crashes: 0, attempt: 0, attemptsMax: 1, leaseUntilMs: 9e12 };
      const runs = Array.from({ length: 1203 }, (__, createdAtMs) => {
        const id = `run-${String(createdAtMs).padStart(4, '0')}`;
        return { ...texts, ...numbers, id, createdAtMs, state: openOrNot[createdAtMs % 3] ?? ('failed' as const) };
      });
      for (let at = 0; at < runs.length; at += 100)
        await catalog.db
          .insertInto('run')
          .values(runs.slice(at, at + 100))
          .execute();
      // No checkpoint is due, so that nothing needs a key.
      const nowMs = await catalog.nowMs();
      await catalog.db
        .updateTable('auditHead')
        .set({ number: 2, checkpointNumber: 2, checkpointAtMs: nowMs })
        .execute();
      const events = Array.from({ length: 1001 }, (__, number) => {
        return { runId: `run-000${number % 3}`, number, atMs: number, kind: 'note', text: String(number) };
      });
      for (let at = 0; at < events.length; at += 100)
        await catalog.db
          .insertInto('runEvent')
          .values(events.slice(at, at + 100))
          .execute();
      const before = await contentOf(catalog);
      expect(before['run']).toHaveLength(1205);
      const stored = await storedState(catalog);
      await using otherPlace = await makeOther();
      await using other = await connectCatalog(otherPlace.location, systemClock);
      await fill(other, stored);
      const after = await contentOf(other);
      const changed = ['run', 'lease', 'schedule', 'service', 'auditEntry', 'auditHead'];
      const unchanged = portableTables.map(({ name }) => name).filter((name) => !changed.includes(name));
      for (const name of unchanged) expect([name, after[name]]).toEqual([name, before[name]]);
      const { run = [], lease = [], schedule = [], service = [], auditEntry = [] } = after;
      expect(run.filter(({ state }) => state === 'queued' || state === 'running')).toEqual([]);
      expect(run.find(({ id }) => id === 'run-0000')).toMatchObject({
        state: 'cancelled',
        epoch: 5,
        worker: null,
        leaseUntilMs: null,
        error: expect.stringContaining('SERVICE_RECOVERED') as string,
      });
      expect(run.find(({ id }) => id === 'run-0001')).toMatchObject({ state: 'failed', epoch: 5 });
      expect(run.find(({ id }) => id === 'run-0002')).toEqual(before['run']?.find(({ id }) => id === 'run-0002'));
      expect(lease).toMatchObject([
        { epoch: 2, holder: null, untilMs: 0 },
        { epoch: 3, told: null },
      ]);
      expect(schedule.map(({ firedUpToMs }) => Number(firedUpToMs) >= nowMs)).toEqual([true, true]);
      expect(service).toMatchObject([{ generation: 7, signedAtMs: null }]);
      expect(auditEntry.at(-1)).toMatchObject({ number: 3, action: 'service.recovered' });
      for (const name of stayingTables) {
        expect([
          name,
          await other.db
            .selectFrom(name as keyof Tables)
            .selectAll()
            .execute(),
        ]).toEqual([name, []]);
      }
      // And back into one of the first kind.
      const back = await storedState(other);
      await using thirdPlace = await make();
      await using third = await connectCatalog(thirdPlace.location, systemClock);
      await fill(third, back);
      for (const name of unchanged) expect([name, (await contentOf(third))[name]]).toEqual([name, before[name]]);
    },
  );

  test('of an earlier Lifeboat is put in as it was, and then brought to what this one knows', async () => {
    await using place = await make();
    await using old = await connectCatalog(place.location, systemClock);
    await migrateCatalog(old);
    await fillTables(old);
    const stored = await storedState(old);
    const manifest = await readManifest(stored, noSignal);
    await using nextPlace = await make();
    await using next = await connectCatalog(nextPlace.location, systemClock);
    // As if the newest change of the tables had come since: what it made is made after the rows were put in.
    const migrations = manifest.migrations.filter((name) => name !== '0006-run-order');
    const filling = { reader: stored, generation: 2, actor: systemActor, details: {}, signal: noSignal };
    await fillCatalog(next, { signer }, { ...filling, manifest: { ...manifest, migrations } });
    expect(await migrationsOf(next)).toEqual(migrationNames);
    const fromLater = { ...manifest, migrations: [...migrations, '9999-from-the-future'] };
    await using emptyPlace = await make();
    await using empty = await connectCatalog(emptyPlace.location, systemClock);
    await expect(fillCatalog(empty, { signer }, { ...filling, manifest: fromLater })).rejects.toMatchObject({
      code: 'CATALOG_NEWER',
    });
  });

  test('takes the place of another one only when it is whole, and that one is set aside', async () => {
    await using place = await make();
    const id = randomUUID();
    expect(await lookAtCatalog(place.location, systemClock)).toBe('nothing');
    {
      await using catalog = await openTestCatalog(place);
      expect(await lookAtCatalog(place.location, systemClock)).toBe('empty');
      await catalog.db
        .insertInto('apiToken')
        .values({ id, hash: id, name: id, role: 'viewer', applications: '[]', createdBy: '', createdAtMs: 0 })
        .execute();
    }
    expect(await lookAtCatalog(place.location, systemClock)).toBe('used');
    {
      await using catalog = await openTestCatalog(place);
      await insertWorker(catalog, { id, name: 'db-1', version: '1', labels: [] });
      // On one machine the lock of the folder says who works.
      const outcome = await refuseLiveWorkers(place.location, systemClock).catch((error: unknown) => error);
      expect(isAppError(outcome, 'SERVICE_ALIVE')).toBe(catalog.kind === 'postgres');
      await endWorker(catalog, id);
      await refuseLiveWorkers(place.location, systemClock);
    }
    const tokens = async (): Promise<unknown[]> => {
      await using catalog = await openTestCatalog(place);
      return await catalog.db.selectFrom('apiToken').select('id').execute();
    };
    const failing = placeCatalog(place.location, {
      clock: systemClock,
      async fill(catalog) {
        await migrateCatalog(catalog);
        throw new Error('the store went away');
      },
      beforeUse: () => Promise.resolve(),
    });
    await expect(failing).rejects.toThrow('the store went away');
    expect(await tokens()).toEqual([{ id }]);
    const placed = await placeCatalog(place.location, {
      clock: systemClock,
      fill: (catalog) => migrateCatalog(catalog),
      beforeUse: () => Promise.resolve(),
    });
    expect(placed.setAside).toContain('before');
    expect(await tokens()).toEqual([]);
  });

  test('is that of one instant, whoever writes meanwhile', async () => {
    await using place = await make();
    await using catalog = await openTestCatalog(place);
    await using writer = await openTestCatalog(place);
    const insert = (name: string): Promise<unknown> =>
      writer.db
        .insertInto('lease')
        .values({ name, holder: null, epoch: 1, untilMs: 0, told: null, toldAtMs: null })
        .execute();
    await insert('before');
    const table = portableTables.find(({ name }) => name === 'lease');
    if (table === undefined) throw new Error('leases stay');
    const seen = await withFrozenCatalog(catalog, async ({ db }) => {
      const first = await Array.fromAsync(rowsOf(db, table));
      await insert('meanwhile'); // Waits for nobody.
      return [first, await Array.fromAsync(rowsOf(db, table))].map((rows) => rows.map(({ name }) => name));
    });
    expect(seen).toEqual([['before'], ['before']]);
    const { rows } = await sql<{ count: number }>`select count(*) as count from ${sql.table('lease')}`.execute(
      catalog.db,
    );
    expect(String(rows[0]?.count)).toBe('2');
  });
});

const openOrNot = ['queued', 'running', 'succeeded'] as const;
