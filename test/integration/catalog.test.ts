// The catalog on both kinds of database: created by many at once, refused where it is newer, all or nothing.
import { execFile } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { sql } from 'kysely';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { migrateCatalog, migrationNames } from '../../src/catalog/migrate.ts';
import { connectCatalog, openCatalog } from '../../src/catalog/open-catalog.ts';
import { claimableRuns, claimRun, findRun, insertRun, type NewRun } from '../../src/catalog/runs.ts';
import { describeWithCatalogs, openTestCatalog } from '../support/catalogs.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const run = promisify(execFile);
const newRun: NewRun = { kind: 'test', input: {}, origin: { kind: 'test' } };
const claim = { worker: 'worker-1', leaseMs: 60_000, kinds: ['test'] };

describeWithCatalogs('a catalog', (make) => {
  test('is made once by all who open it at the same moment', async () => {
    await using place = await make();
    const child = join(import.meta.dirname, '../support/catalog-child.ts');
    const opened = Array.from({ length: 5 }, () => run(process.execPath, [child, JSON.stringify(place.location)]));
    await Promise.all(opened);
    await using catalog = await openTestCatalog(place);
    expect(await claimableRuns(catalog, 10)).toHaveLength(5);
  });

  test('that a later Lifeboat changed is left alone', async () => {
    await using place = await make();
    {
      await using catalog = await openTestCatalog(place);
      const table = catalog.kind === 'postgres' ? 'lifeboat.kysely_migration' : 'kysely_migration';
      const values = `('9999-from-the-future', '2999-01-01T00:00:00.000Z')`;
      await sql.raw(`insert into ${table} (name, timestamp) values ${values}`).execute(catalog.db);
    }
    await expect(openTestCatalog(place)).rejects.toMatchObject({ code: 'CATALOG_NEWER' });
  });

  test.each(migrationNames)(
    'as an earlier Lifeboat left it after %s is brought to what this one knows',
    async (name) => {
      await using place = await make();
      {
        await using old = await connectCatalog(place.location, systemClock);
        await migrateCatalog(old, name);
        const times = { createdAtMs: 1, epoch: 0, priority: 0, crashes: 0, attempt: 0, attemptsMax: 1 };
        const texts = { id: 'old', kind: 'test', input: '{}', labels: '[]', state: 'queued' as const, origin: '{}' };
        await old.db
          .insertInto('run')
          .values({ ...times, ...texts })
          .execute();
      }
      await using catalog = await openTestCatalog(place);
      expect(await findRun(catalog, 'old')).toMatchObject({ state: 'queued', progress: null });
      expect(await insertRun(catalog, newRun)).toHaveLength(36);
    },
  );

  test('undoes a transaction that fails, also while others write', async () => {
    await using place = await make();
    await using catalog = await openTestCatalog(place);
    const failing = catalog.transaction(async (trx) => {
      await insertRun(catalog, newRun, trx);
      throw new Error('in the middle');
    });
    await Promise.all([
      expect(failing).rejects.toThrow('in the middle'),
      insertRun(catalog, newRun),
      insertRun(catalog, newRun),
    ]);
    expect(await claimableRuns(catalog, 10)).toHaveLength(2);
  });

  test('gives a run to one of many who ask, and one of a key at a time', async () => {
    await using place = await make();
    await using first = await openTestCatalog(place);
    // Two of one SQLite file in one process would wait for each other.
    await using second = first.kind === 'sqlite' ? undefined : await openTestCatalog(place);
    const ids = [
      await insertRun(first, { ...newRun, concurrencyKey: 'database' }),
      await insertRun(first, { ...newRun, concurrencyKey: 'database' }),
      await insertRun(first, newRun),
    ];
    const asked = ids.flatMap((id) =>
      [first, second ?? first, first, second ?? first].map((catalog) => claimRun(catalog, id, claim)),
    );
    const had = (await Promise.all(asked)).filter((row) => row !== undefined);
    expect(had.map(({ id }) => id).toSorted()).toHaveLength(2);
    expect(new Set(had.map(({ concurrencyKey }) => concurrencyKey))).toEqual(new Set(['database', null]));
    expect(await claimableRuns(first, 10)).toEqual([]); // The other one of the key waits.
    expect((await findRun(first, ids[2] ?? ''))?.epoch).toBe(1);
  });
});

describe('a catalog that can not be had', () => {
  test('is a file of something else, and is left as it is', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'catalog.sqlite');
    writeFileSync(
      path,
      'something else that is longer than a header of SQLite would be, by some words at least'.repeat(9),
    );
    const before = readFileSync(path);
    await expect(openCatalog({ path, url: undefined }, systemClock)).rejects.toMatchObject({
      code: 'CATALOG_DAMAGED',
    });
    expect(readFileSync(path)).toEqual(before);
  });

  test('or a server that is not there, whose password is in no error', async () => {
    const opened = openCatalog({ path: '', url: 'postgres://me:pa55w0rd@127.0.0.1:1/x' }, systemClock);
    const error: Error = await opened.then(
      () => expect.fail('it opened'),
      (reason: Error) => reason,
    );
    expect(error).toMatchObject({
      code: 'CATALOG_UNREACHABLE',
      message: expect.stringMatching(
        /^the catalog at LIFEBOAT_DATABASE_URL can't be reached: .*ECONNREFUSED/,
      ) as string,
    });
    expect(JSON.stringify(error) + error.stack).not.toContain('pa55w0rd');
    await expect(openCatalog({ path: '', url: 'mysql://me:pa55w0rd@x/y' }, systemClock)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.not.stringContaining('pa55w0rd') as string,
    });
  });

  test('of this machine is for its owner alone', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'state', 'catalog.sqlite');
    await using catalog = await openCatalog({ path, url: undefined }, systemClock);
    await insertRun(catalog, newRun);
    expect(statSync(path).mode & 0o077).toBe(0);
    expect(statSync(join(folder.path, 'state')).mode & 0o077).toBe(0);
  });
});
