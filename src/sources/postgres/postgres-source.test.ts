import { afterAll, beforeAll } from 'vitest';
import { startPostgres, describeWithPostgres, type TestServer } from '../../../test/support/postgres-server.ts';
import { everything } from '../../../test/support/postgres-samples.ts';
import { describeWith } from '../../../test/support/tools.ts';
import { describeSource } from '../source-contract.ts';
import { postgresSource } from './postgres-source.ts';

describeWith(['pg_dump'], 'with PostgreSQL programs', () => {
  describeWithPostgres(15, 'a server with two databases', () => {
    let server: TestServer;
    beforeAll(async () => {
      server = await startPostgres(15);
      await server.sql('postgres', 'CREATE DATABASE shop');
      await server.sql('shop', ...everything);
    });
    afterAll(() => server[Symbol.asyncDispose]());

    describeSource('postgres', () => postgresSource(server.options()), {
      unreachable: () => postgresSource(server.options({ port: 1 })),
    });
  });
});
