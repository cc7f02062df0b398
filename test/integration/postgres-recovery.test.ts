import { dirname } from 'node:path';
import { expect, test } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { freshSeed } from '../support/fresh-seed.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import { dataIn, idsCommittedBy, ledger, recoveryScene, writeLedger } from '../support/recovery-scene.ts';
import { startRestored } from '../support/restored-server.ts';

async function idsIn(major: number, dataFolder: string): Promise<{ ids: number[]; timeline: number }> {
  await using server = await startRestored(major, { dataFolder, workFolder: dirname(dataFolder) });
  const rows = await server.sql('postgres', 'SELECT id FROM ledger ORDER BY id');
  const [row] = await server.sql('postgres', 'SELECT timeline_id AS timeline FROM pg_control_checkpoint()');
  return { ids: rows.map(({ id }) => Number(id)), timeline: Number(row?.['timeline']) };
}

for (const major of [15, 18]) {
  describeWithPostgres(major, `recovery of PostgreSQL ${major}`, () => {
    test('to random instants under load brings back exactly what was committed by then', async () => {
      await using scene = await recoveryScene(major);
      const { cluster } = scene;
      await cluster.sql(ledger);
      await scene.receiveFrom(cluster);
      {
        await using load = writeLedger(cluster);
        await expect.poll(load.count, { timeout: 20_000 }).toBeGreaterThan(50);
        await scene.backUp();
        const before = load.count();
        await expect.poll(load.count, { timeout: 20_000 }).toBeGreaterThan(before + 300);
      }
      await scene.received();
      const commits = await cluster.sql(
        'SELECT (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint::text AS us FROM ledger ORDER BY id',
      );
      const random = seededRandom(freshSeed('instants'));
      const [first, last] = [Number(commits.at(-280)?.['us']), Number(commits.at(-2)?.['us'])];
      for (let at = 0; at < 2; at += 1) {
        const timeUs = Math.floor(first + random() * (last - first));
        const folder = dataIn(scene.folder, `copy-${at}`);
        const outcome = await scene.recover({ kind: 'time', timeUs, isInclusive: true }, folder);
        expect(outcome.restored.join('\n')).toMatch(/recovered to .*on timeline 2/s);
        expect(await idsIn(major, folder)).toEqual({ ids: await idsCommittedBy(cluster, timeUs), timeline: 2 });
      }
    });
  });
}
