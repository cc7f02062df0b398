// Proofs through the journal: the rows of a backup that was taken while others wrote come back, to the row, from the backup before it
// and the journal; and a change that the journal does not hold is found.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { jsonLines } from '../support/lifeboat.ts';
import { pastScene } from '../support/past-scene.ts';
import { everything } from '../support/postgres-samples.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import { ledger, writeLedger } from '../support/recovery-scene.ts';

vi.setConfig({ testTimeout: 240_000 });

describeWithPostgres(15, 'a proof through the journal', () => {
  test('finds every row of a backup under load, and none that came behind it; and what the journal lacks', async () => {
    await using scene = await pastScene(15);
    const { cluster } = scene;
    await cluster.sql(ledger, 'CREATE TABLE orders (id int, customer text)');
    await cluster.sql("INSERT INTO orders SELECT n, 'customer number ' || n FROM generate_series(1, 50) AS n");
    await scene.begin();
    await cluster.sql(...everything, 'DELETE FROM orders WHERE id = 50');
    {
      // Commits come right behind the position at which the rows are counted.
      await using load = writeLedger(cluster);
      await expect.poll(load.count).toBeGreaterThan(100);
      await scene.succeed('backup', 'database');
    }
    const passed = await scene.succeed('prove', 'database', '--json');
    const proofs = jsonLines(passed).at(-1)?.['proofs'] ?? [];
    const [proof] = proofs as Record<string, unknown>[];
    expect(proof).toMatchObject({
      outcome: 'passed',
      message: expect.stringMatching(
        /came back as they were, and through the journal from base [0-9a-f]{8} as well \([\d.]+ MiB, to 0\//,
      ),
      throughJournal: { outcome: 'passed', message: expect.stringContaining('came back as they were') },
    });
    expect(proof?.['rows']).toBeGreaterThan(100);

    // A disk that keeps something else than was written: the server holds it, the backup copies it, no log tells of it.
    const [row] = await cluster.sql("SELECT pg_relation_filepath('orders') AS path");
    await cluster.stop('fast');
    const file = join(cluster.dataFolder, String(row?.['path']));
    const bytes = await readFile(file);
    bytes.write('Customer number 7', bytes.indexOf('customer number 7'));
    await writeFile(file, bytes);
    await cluster.start();
    expect(await cluster.sql('SELECT customer FROM orders WHERE id = 7')).toEqual([{ customer: 'Customer number 7' }]);
    await scene.succeed('backup', 'database');

    const failed = await scene.run(['prove', 'database']);
    expect(failed.exitCode).toBe(20);
    expect(failed.stdout.replaceAll(/\s+/g, ' ')).toMatch(
      /failed database.*through the journal from base [0-9a-f]{8}: 1 difference, the first: postgres\.public\.orders has 49 rows as it should, but not the same/,
    );
  });
});
