// A server whose past can be looked at with the real program: physical backups and a received journal in a repository on the disk.
import { writeFile } from 'node:fs/promises';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import { readJournals } from '../../src/operations/journal/reader.ts';
import { SpooledJournal } from '../../src/operations/journal/spooled-journal.ts';
import { receive } from '../../src/sources/postgres/receiver/receive.ts';
import { lsnOf, parseLsn } from '../../src/sources/postgres/wal/lsn.ts';
import { systemSleep } from '../../src/storage/interruption.ts';
import { recordEvents, until } from './journal-events.ts';
import { lent } from './journal-scene.ts';
import { runLifeboat, type Ran, type RunOptions } from './lifeboat.ts';
import { makeCluster, type Cluster } from './postgres-cluster.ts';
import { createRepository, noSignal } from './repository.ts';
import { temporaryFolder } from './temporary-folder.ts';

const walSegmentBytes = 16 * 2 ** 20;

export interface PastScene extends AsyncDisposable {
  readonly folder: string;
  /** Where the program makes its throw-away folders. */
  readonly sandboxes: string;
  readonly cluster: Cluster;
  run(args: readonly string[], options?: Partial<RunOptions>): Promise<Ran>;
  succeed(...args: readonly string[]): Promise<Ran>;
  /** Backs up, and receives from then on. */
  begin(): Promise<void>;
  /** Where the log ends now. */
  position(): Promise<string>;
  /** All that was written so far is in the repository; nothing is received any more. */
  end(): Promise<void>;
}

export async function pastScene(major: number): Promise<PastScene> {
  const stack = new AsyncDisposableStack();
  const { path: folder } = stack.use(await temporaryFolder());
  const { path: sandboxes } = stack.use(await temporaryFolder());
  for (const one of [folder, sandboxes]) chmodSync(one, 0o755);
  const cluster = stack.use(await makeCluster(major, 'track_commit_timestamp = on', "wal_keep_size = '1GB'"));
  await cluster.start();
  const repository = await createRepository(folder);
  const { host, port, user } = cluster.address;
  const database = { type: 'postgres', host, port, user, sslmode: 'disable', method: 'physical' };
  const repositories = { local: { location: './repository' } };
  await writeFile(
    join(folder, 'lifeboat.yaml'),
    JSON.stringify({ application: 'shop', repositories, components: { database } }),
  );
  const environment = { TMPDIR: sandboxes };
  const run = (args: readonly string[], options: Partial<RunOptions> = {}): Promise<Ran> =>
    runLifeboat(args, { folder, environment, ...options });
  const succeed = async (...args: readonly string[]): Promise<Ran> => {
    const ran = await run(args);
    if (ran.exitCode !== 0) throw new Error(`lifeboat ${args.join(' ')}: ${ran.exitCode} ${ran.stdout} ${ran.stderr}`);
    return ran;
  };
  const receiving = new AsyncDisposableStack();
  stack.use(receiving);
  const position = async (): Promise<string> => {
    const [row] = await cluster.sql('SELECT pg_current_wal_insert_lsn()::text AS lsn');
    return String(row?.['lsn']);
  };
  return {
    folder,
    sandboxes,
    cluster,
    run,
    succeed,
    position,
    async begin() {
      const journal = receiving.use(
        await SpooledJournal.open({
          family: 'shop/database',
          spool: { folder: join(folder, 'spool'), maxBytes: 2 ** 30 },
          repositories: [{ name: 'local', open: () => Promise.resolve(lent(repository)) }],
          acknowledge: 'spool',
          intervalMs: 50,
          takesOver: true,
          events: recordEvents(),
          clock: systemClock,
          random: seededRandom(1),
          sleep: systemSleep,
        }),
      );
      const stop = new AbortController();
      const running = receive({ source: cluster.source(), target: journal, events: recordEvents() }, stop.signal);
      receiving.defer(async () => {
        stop.abort();
        await running;
      });
      await succeed('backup', 'database');
    },
    async end() {
      await cluster.sql('SELECT pg_switch_wal()');
      await cluster.sql('CREATE TABLE lifeboat_end_of_test ()');
      const end = parseLsn(await position()) ?? 0n;
      await until(async () =>
        (await readJournals(repository).branches(noSignal)).some((one) => lsnOf(one.end, walSegmentBytes) >= end),
      );
      await receiving.disposeAsync();
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
