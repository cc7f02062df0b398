// A restore whose last answer, that to the swap of databases, never comes: what is told is what is so, and nothing that may
// be the only copy is removed.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { AppError } from '../../src/base/errors.ts';
import { postgresSource } from '../../src/sources/postgres/postgres-source.ts';
import type { ServiceRestore } from '../../src/sources/source.ts';
import { answerThief, type Theft } from '../support/answer-thief.ts';
import { describeWithPostgres, startPostgres, type TestServer } from '../support/postgres-server.ts';
import { recordBackup, type RecordedBackup } from '../support/recorded-backup.ts';
import { describeWith } from '../support/tools.ts';

const never = new AbortController().signal;

describeWith(['pg_dump'], 'A swap without an answer', () => {
  describeWithPostgres(15, 'of a server of 15', () => {
    let server: TestServer;
    let backup: RecordedBackup;
    beforeAll(async () => {
      server = await startPostgres(15);
      await server.sql('postgres', 'CREATE DATABASE shop');
      await server.sql('shop', 'CREATE TABLE goods AS SELECT generate_series(1, 4) AS id');
      backup = await recordBackup(postgresSource(server.options({ databases: ['shop'] })));
    });
    afterAll(() => server[Symbol.asyncDispose]());
    afterEach(async () => {
      for (const name of [...(await named('_before_')), ...(await named('_lifeboat_new_'))])
        await server.sql('postgres', `DROP DATABASE "${name}"`);
    });

    async function named(part: string): Promise<string[]> {
      const rows = await server.sql('postgres', 'SELECT datname::text AS name FROM pg_database');
      return rows.map(({ name }) => String(name)).filter((name) => name.includes(part));
    }

    /** The live database is emptied first, so that it shows which one is in place. */
    async function restoreThrough(theft: Theft, signal = never) {
      await server.sql('shop', 'DELETE FROM goods');
      await using thief = await answerThief(server.address, theft);
      const source = postgresSource(server.options({ port: thief.port }));
      const decision = await (source.restore as ServiceRestore).decide(backup, { include: [] }, never);
      const outcome = await decision
        .execute({ step: () => undefined, bytes: () => undefined }, signal)
        .catch((error: unknown) => error);
      const [{ n: rows } = {}] = await server.sql('shop', 'SELECT count(*)::int AS n FROM goods');
      return { outcome, rows };
    }

    test('is looked up: done is done', async () => {
      const { outcome, rows } = await restoreThrough({ passesCommit: true, isAnswering: true });
      expect(outcome).toMatchObject({ kept: expect.stringContaining('shop_before_') });
      expect(rows).toBe(4);
      expect(await named('_lifeboat_new_')).toEqual([]);
    });

    test('is looked up: not done is told, and tidied up', async () => {
      const { outcome, rows } = await restoreThrough({ passesCommit: false, isAnswering: true });
      expect(outcome).toBeInstanceOf(AppError);
      expect(rows).toBe(0);
      expect([...(await named('_before_')), ...(await named('_lifeboat_new_'))]).toEqual([]);
    });

    test('is told as done to an interruption that came too late', async () => {
      const controller = new AbortController();
      const stop = () => controller.abort(new AppError('INTERRUPTED', 'interrupted by SIGINT', { hint: 'Run it.' }));
      const theft = { passesCommit: true, isAnswering: true, onTheft: stop };
      const { outcome, rows } = await restoreThrough(theft, controller.signal);
      expect(outcome).toMatchObject({
        code: 'INTERRUPTED',
        message: 'interrupted by SIGINT: the swap was done, the restored data is in place',
        hint: expect.stringContaining('shop as it was is now shop_before_'),
      });
      expect(rows).toBe(4);
    });

    test('of a server that is silent since is told as not known, and nothing is removed', async () => {
      const { outcome, rows } = await restoreThrough({ passesCommit: false, isAnswering: false });
      expect(outcome).toMatchObject({
        code: 'RESTORE_FAILED',
        message: expect.stringContaining('the server does not say which'),
        hint: expect.stringMatching(/^Look whether there is shop_before_\w+ and no shop_lifeboat_new_\w+: /),
      });
      expect(String(outcome)).not.toContain('untouched');
      expect(rows).toBe(0);
      expect(await named('_lifeboat_new_')).toHaveLength(1);
    });
  });
});
