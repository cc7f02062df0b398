import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { startPostgres, describeWithPostgres, type TestServer } from '../../../../test/support/postgres-server.ts';
import { everything } from '../../../../test/support/postgres-samples.ts';
import { describeSource } from '../../source-contract.ts';
import { postgresSource } from '../postgres-source.ts';

for (const major of [15, 18]) {
  describeWithPostgres(major, `a server of PostgreSQL ${major}, backed up physically`, () => {
    let server: TestServer;
    beforeAll(async () => {
      server = await startPostgres(major);
      await server.sql('postgres', 'CREATE DATABASE shop');
      await server.sql('shop', ...everything);
      await server.sql(
        'shop',
        'CREATE TABLE large AS SELECT g, repeat(md5(g::text), 20) FROM generate_series(1, 5000) g',
      );
    });
    afterAll(() => server[Symbol.asyncDispose]());

    describeSource('postgres', () => postgresSource(server.options({ method: 'physical' })), {
      unreachable: () => postgresSource(server.options({ method: 'physical', port: 1 })),
      isOfMoment: (path) => path.startsWith('/pgdata/pg_wal/'),
      restoreTo: join(tmpdir(), 'lifeboat-test-not-made'),
    });
  });
}
