// `lifeboat postgres standby`: the real program follows a real server's journal, proves it on the way, and takes over.
import type { ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadProofs } from '../../src/cli/proofs.ts';
import type { Fingerprint } from '../../src/model/fingerprint.ts';
import type { Proof } from '../../src/model/proof.ts';
import { backup } from '../../src/operations/backup/backup.ts';
import { loadSnapshots } from '../../src/repository/snapshot.ts';
import { postgresSource } from '../../src/sources/postgres/postgres-source.ts';
import type { Source } from '../../src/sources/source.ts';
import type { Cluster } from '../support/postgres-cluster.ts';
import { connect } from '../../src/sources/postgres/connection.ts';
import { until } from '../support/journal-events.ts';
import { jsonLines, type Ran } from '../support/lifeboat.ts';
import { pastScene, type PastScene } from '../support/past-scene.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import { noSignal, reopen } from '../support/repository.ts';

interface Figures {
  readonly phase: string;
  readonly lagBytes?: number;
  readonly ageMs?: number;
  readonly connection?: string;
  readonly replayed?: { readonly position: string };
}

interface Standby {
  newest(): Figures | undefined;
  output(): string;
  /** Once its figures are so. */
  untilSo(isSo: (figures: Figures) => boolean): Promise<Figures>;
  rows(query: string): Promise<Record<string, unknown>[]>;
  stop(signalName: NodeJS.Signals): Promise<Ran>;
}

/** `connection` is the line for psql. */
async function ask(connection: string, query: string): Promise<Record<string, unknown>[]> {
  const [, host = '', port = '', user = ''] = / -h (\S+) -p (\d+) -U (\S+) /.exec(connection) ?? [];
  const address = { host, port: Number(port), user, ssl: { mode: 'disable' } } as const;
  await using session = await connect(address, 'postgres', noSignal);
  return await session.query(query);
}

/** A few rows at a time until it is closed. */
function writeOrders(cluster: Cluster): AsyncDisposable {
  const over = new AbortController();
  const write = async (): Promise<void> => {
    while (!over.signal.aborted) await cluster.sql("INSERT INTO orders (note) VALUES ('while')");
  };
  const writing = write();
  return {
    async [Symbol.asyncDispose]() {
      over.abort();
      await writing;
    },
  };
}

function keep(scene: PastScene, ...args: readonly string[]): Standby {
  let child: ChildProcess | undefined;
  let stdout = '';
  let ran: Ran | undefined;
  const all = ['postgres', 'standby', 'database', '--interval', '200ms', '--json', ...args];
  const ended = scene.run(all, {
    onStart(started) {
      child = started;
      started.stdout?.on('data', (bytes: Buffer) => (stdout += bytes.toString()));
    },
  });
  void ended.then((result) => (ran = result));
  const newest = (): Figures | undefined => {
    const line = stdout.split('\n').findLast((one) => one.startsWith('{"message_type":"standby"') && one.endsWith('}'));
    return line === undefined ? undefined : (JSON.parse(line) as Figures);
  };
  return {
    newest,
    output: () => stdout,
    async untilSo(isSo) {
      await until(() => {
        if (ran !== undefined) throw new Error(`it ended: ${ran.stdout} ${ran.stderr}`);
        const figures = newest();
        return figures !== undefined && isSo(figures);
      });
      return newest() as Figures;
    },
    rows: (query) => ask(newest()?.connection ?? '', query),
    async stop(signalName) {
      child?.kill(signalName);
      return ended;
    },
  };
}

/** What the repository knows of proofs, oldest first. */
async function proofsIn(scene: PastScene): Promise<Proof[]> {
  const { proofs } = await loadProofs(await reopen(scene.folder), noSignal);
  return proofs.toSorted((left, right) => Date.parse(left.time) - Date.parse(right.time));
}

async function snapshotsIn(scene: PastScene): Promise<string[]> {
  return (await loadSnapshots(await reopen(scene.folder), noSignal)).map(({ id }) => id);
}

/** As the program does it. Where it is tampered with, its fingerprint has one row more than was there. */
async function backUp(scene: PastScene, isTampered: boolean): Promise<void> {
  const source = postgresSource(scene.cluster.source({ method: 'physical' }));
  const tampered: Source = {
    ...source,
    async open(signal, request) {
      const session = await source.open(signal, request);
      return new Proxy(session, {
        get(target, name) {
          if (name === 'fingerprint') return async () => withOneMore(await target.fingerprint(signal));
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
        },
      });
    },
  };
  const repository = await reopen(scene.folder);
  const options = { component: 'database', host: 'shop', programVersion: 'test', signal: noSignal };
  await backup(repository, isTampered ? tampered : source, options);
}

function withOneMore(fingerprint: Fingerprint | undefined): Fingerprint | undefined {
  if (fingerprint === undefined) throw new Error('the backup has a fingerprint');
  const items = fingerprint.items.map((item) =>
    item.name === 'postgres.public.orders' ? { ...item, rows: item.rows + 1 } : item,
  );
  return { ...fingerprint, items };
}

const insert = 'INSERT INTO orders (note) SELECT repeat($$x$$, i) FROM generate_series(1, 100) AS i';
const count = 'SELECT count(*)::int AS n, sum(hashtext(note))::text AS sum FROM orders';

describeWithPostgres(15, 'a standby', () => {
  test('follows the journal, is compared on its way, goes on after a kill, and takes over', async () => {
    await using scene = await pastScene(15);
    const { cluster } = scene;
    await cluster.sql('CREATE TABLE orders (id serial PRIMARY KEY, note text)', insert);
    await scene.begin();
    const folder = join(scene.folder, 'elsewhere');
    let standby = keep(scene, '--to', folder);
    await standby.untilSo(({ phase, lagBytes }) => phase === 'following' && lagBytes === 0);
    const [first = ''] = await snapshotsIn(scene);
    expect(await proofsIn(scene)).toMatchObject([{ outcome: 'passed', snapshot: first, rows: 100 }]);
    await expect(standby.rows('DELETE FROM orders')).rejects.toThrow(/read-only/);
    expect((await scene.run(['postgres', 'standby', 'database'])).exitCode).toBe(11);

    // Backups that come later are compared at their very instants, while rows are written.
    const writing = writeOrders(cluster);
    await backUp(scene, true);
    await until(async () => (await proofsIn(scene)).length === 2);
    await backUp(scene, false);
    await until(async () => (await proofsIn(scene)).length === 3);
    await writing[Symbol.asyncDispose]();
    const [, second = '', third = ''] = await snapshotsIn(scene);
    expect((await proofsIn(scene)).slice(1)).toMatchObject([
      {
        outcome: 'failed',
        snapshot: first,
        differences: [{ name: 'postgres.public.orders', kind: 'changed' }],
        message: expect.stringContaining(`the instant of snapshot ${second.slice(0, 8)}`),
      },
      {
        outcome: 'passed',
        snapshot: first,
        message: expect.stringContaining(`the journal led from snapshot ${first.slice(0, 8)} to 0/`),
        throughJournal: { base: first, outcome: 'passed' },
      },
    ]);

    // From here on it is found where it was kept, without being told again.
    const killed = await standby.stop('SIGKILL');
    expect(killed.stdout).toContain(third.slice(0, 8));
    await cluster.sql(insert, 'SELECT pg_switch_wal()', insert);
    standby = keep(scene);
    const rows = await cluster.sql(count);
    await until(async () => JSON.stringify(await standby.rows(count).catch(() => [])) === JSON.stringify(rows));
    await standby.untilSo(({ lagBytes }) => lagBytes === 0);
    expect(standby.output()).not.toContain('writes the standby');

    // What it came from is no recovery point any more, so what it shows would prove nothing.
    // It may be reading there just now, under a lock of its own.
    const wait = ['--retry-lock', '1m'];
    await scene.succeed('repository', 'forget', first, second, '--yes', '--forget-proven', ...wait);
    await until(async () => (await proofsIn(scene)).some(({ snapshot }) => snapshot === third));
    expect(standby.output()).toContain('is not kept any more');
    expect((await proofsIn(scene)).at(-1)).toMatchObject({ outcome: 'passed', snapshot: third });
    await standby.untilSo(({ phase, lagBytes }) => phase === 'following' && lagBytes === 0);

    await cluster.sql(insert);
    const last = await cluster.sql(count);
    await scene.end();
    await cluster.stop('crash');
    const promoted = await scene.succeed('postgres', 'promote', 'database', '--json');
    const { connection } = jsonLines(promoted).at(-1) as unknown as { connection: string };
    try {
      expect(await ask(connection, count)).toEqual(last);
      expect(await ask(connection, `${insert} RETURNING 1 AS one`)).toHaveLength(100);
      const ended = await standby.stop('SIGTERM');
      expect(jsonLines(ended).at(-1)).toMatchObject({ end: { kind: 'promoted', connection } });
      const refused = await scene.run(['postgres', 'standby', 'database']);
      expect(refused.stderr).toContain('has taken over');
      // Asked again, with its repository gone, it tells the same.
      renameSync(join(scene.folder, 'repository'), join(scene.folder, 'lost'));
      const again = await scene.succeed('postgres', 'promote', 'database', '--json');
      expect(jsonLines(again).at(-1)).toMatchObject({ connection });
    } finally {
      const data = join(folder, 'data');
      const pid = Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0]);
      process.kill(pid, 'SIGINT');
      await until(() => !existsSync(join(data, 'postmaster.pid')));
    }
    expect(readdirSync(scene.sandboxes).filter((name) => /^lifeboat-(?!emergency)/.test(name))).toEqual([]);
  }, 180_000);
});
