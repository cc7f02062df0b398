import { dirname } from 'node:path';
import { expect, test } from 'vitest';
import { connect } from '../../src/sources/postgres/connection.ts';
import { postgresSource } from '../../src/sources/postgres/postgres-source.ts';
import type { RecoveryReader, RestoreDecision, RestoreRequest } from '../../src/sources/source.ts';
import { damageFile } from '../support/damaged-packs.ts';
import type { Cluster } from '../support/postgres-cluster.ts';
import { dataIn, ledger, recoveryScene, silent } from '../support/recovery-scene.ts';
import { noSignal, reopen } from '../support/repository.ts';
import { describeWith, findTool } from '../support/tools.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';

const programFolders = [dirname(findTool('pg_dump') ?? '/none/none')];

function decide(cluster: Cluster, reader: RecoveryReader, request: RestoreRequest): Promise<RestoreDecision> {
  const { restore } = postgresSource({ ...cluster.source({ method: 'physical' }), programFolders });
  if (restore.kind !== 'service') throw new Error('not a service');
  return restore.decide(reader, request, noSignal);
}

describeWith(['pg_dump'], 'with the programs of PostgreSQL', () => {
  describeWithPostgres(15, 'the databases of a physical backup', () => {
    test('come back into the running server beside what is there, and roles of the copy stay out', async () => {
      await using scene = await recoveryScene(15);
      const { cluster } = scene;
      await cluster.sql(ledger, 'INSERT INTO ledger (note) SELECT md5(n::text) FROM generate_series(1, 500) AS n');
      const reader = await scene.reader(await scene.backUp());
      await cluster.sql('DELETE FROM ledger WHERE id > 10', 'CREATE ROLE newer');
      const decision = await decide(cluster, reader, { include: [] });
      expect(decision.findings.filter(({ outcome }) => outcome === 'failed')).toEqual([]);
      expect(decision.replaces).toMatch(/^postgres on 127\.0\.0\.1:\d+, kept under another name$/);
      const named = await decide(cluster, reader, { include: ['postgres'], to: 'brought' });
      expect(named.replaces).toBeUndefined();
      const outcome = await named.execute(silent, noSignal);
      expect(outcome.restored.join('\n')).toMatch(/brought/);
      await using brought = await connect(cluster.address, 'brought', noSignal);
      const [row] = await brought.query<{ rows: number }>('SELECT count(*)::int AS rows FROM ledger');
      expect(row).toEqual({ rows: 500 });
      const roles = await cluster.sql(
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'lifeboat%' OR rolname = 'newer' ORDER BY 1",
      );
      expect(roles.map(({ rolname }) => rolname)).toEqual(['lifeboat', 'newer']);
      const unknown = await decide(cluster, reader, { include: ['other'] });
      expect(unknown.findings).toContainEqual(
        expect.objectContaining({ outcome: 'failed', message: 'the backup has no database other' }),
      );

      // A server would take a table whose last segment is missing for a shorter one.
      const [place] = await cluster.sql("SELECT pg_relation_filepath('ledger') AS path");
      const pack = await damageFile(await reopen(scene.folder), `/pgdata/${String(place?.['path'])}`);
      const isDamage = { code: 'REPOSITORY_DAMAGED', message: expect.stringContaining(pack) };
      const into = await decide(cluster, reader, { include: ['postgres'], to: 'again' });
      await expect(into.execute(silent, noSignal)).rejects.toMatchObject(isDamage);
      const folder = await decide(cluster, reader, { include: [], to: dataIn(scene.folder, 'copy') });
      await expect(folder.execute(silent, noSignal)).rejects.toMatchObject(isDamage);
    });
  });
});
