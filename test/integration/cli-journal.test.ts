// The real program receives the journal of a real server into a local repository and a bucket, is killed and stopped, and tells
// what it has.
import type { ChildProcess } from 'node:child_process';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { readJournals } from '../../src/operations/journal/reader.ts';
import { halfOpenProxy } from '../support/half-open-proxy.ts';
import { launcher, jsonLines, runHere, runLifeboat, type Ran } from '../support/lifeboat.ts';
import { until } from '../support/journal-events.ts';
import { alikeCluster, type Cluster } from '../support/postgres-cluster.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import { branchOf, currentLsn, expectSameBytes, fill, filledCluster, makeFilled, range } from '../support/receiving.ts';
import { createRepository, reopen } from '../support/repository.ts';
import { describeWithS3, startS3Server } from '../support/s3-server.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { lsnOf, parseLsn } from '../../src/sources/postgres/wal/lsn.ts';

const { signal } = new AbortController();

interface Status {
  readonly components: readonly {
    readonly spool?: { readonly usedBytes: number };
    readonly repositories: readonly {
      readonly repository: string;
      readonly receiver: string;
      readonly to?: string;
      readonly toTime?: string;
      readonly fromTime?: string;
      readonly lagMs?: number;
      readonly gaps: readonly unknown[];
      readonly problem?: string;
    }[];
    readonly server: readonly { readonly aspect: string; readonly outcome: string; readonly message: string }[];
  }[];
}

interface Scene extends AsyncDisposable {
  readonly folder: string;
  run(...args: string[]): Promise<Ran>;
  /** A receiver that runs until it is stopped or killed. */
  receive(...options: string[]): { readonly child: Promise<ChildProcess>; readonly ended: Promise<Ran> };
  status(): Promise<Status['components'][number]>;
  /** Waits until the repository has all that the server wrote. */
  untilShipped(): Promise<void>;
}

interface Elsewhere {
  readonly repositories: object;
  readonly variables: Record<string, string>;
}

async function scene(cluster: Cluster, journal: object, elsewhere?: Elsewhere): Promise<Scene> {
  const { repositories: more = {}, variables = {} } = elsewhere ?? {};
  const folder = await temporaryFolder();
  await createRepository(folder.path);
  const { host, port, user } = cluster.address;
  const database = { type: 'postgres', host, port, user, sslmode: 'disable', journal, objectives: { rpo: '1s' } };
  const repositories = { local: { location: './repository' }, ...more };
  // JSON is YAML.
  const text = JSON.stringify({ application: 'shop', repositories, components: { database } });
  await writeFile(join(folder.path, 'lifeboat.yaml'), text);
  const run = (...args: string[]): Promise<Ran> => runHere(args, { folder: folder.path, environment: variables });
  const running: { child: ChildProcess; ended: Promise<Ran> }[] = [];
  const status = async (): Promise<Status['components'][number]> => {
    const { stdout } = await run('journal', 'status', 'database', '--json');
    const [component] = (JSON.parse(stdout) as Status).components;
    if (component === undefined) throw new Error(stdout);
    return component;
  };
  return {
    folder: folder.path,
    run,
    status,
    receive(...options) {
      const started = Promise.withResolvers<ChildProcess>();
      const ended = runLifeboat(['journal', 'run', 'database', '--json', ...options], {
        folder: folder.path,
        environment: variables,
        onStart: (child) => started.resolve(child),
      });
      void started.promise.then((child) => running.push({ child, ended }));
      return { child: started.promise, ended };
    },
    async untilShipped() {
      const end = await currentLsn(cluster);
      await until(async () => {
        const { repositories: kept } = await status();
        return kept.every(({ to }) => to !== undefined && (parseLsn(to.split(' ')[0] ?? '') ?? 0n) >= end);
      });
    },
    async [Symbol.asyncDispose]() {
      for (const { child, ended } of running) {
        child.kill('SIGKILL');
        await ended;
      }
      await folder[Symbol.asyncDispose]();
    },
  };
}

// Programs are started dozens of times, on machines that do other work, too.
vi.setConfig({ testTimeout: 240_000 });

describeWithPostgres(18, 'lifeboat journal', () => {
  test('receives, is killed and goes on without a hole, stops cleanly, and tells how far it is', async () => {
    await using cluster = await filledCluster(18, "wal_keep_size = '1GB'");
    await using at = await scene(cluster, { interval: '1s' });
    expect(await at.status()).toMatchObject({ repositories: [{ receiver: 'never', gaps: [] }] });
    for (let round = 0; round < 3; round += 1) {
      const receiver = at.receive();
      const child = await receiver.child;
      await cluster.sql(fill(20));
      await sleep(500 * round);
      child.kill('SIGKILL');
      await receiver.ended;
    }
    const receiver = at.receive();
    await cluster.sql(fill(20));
    await at.untilShipped();
    expect(await at.status()).toMatchObject({ repositories: [{ receiver: 'running', gaps: [] }] });

    const second = await at.run('journal', 'run', 'database');
    expect(second.exitCode).toBe(11);

    (await receiver.child).kill('SIGTERM');
    const ran = await receiver.ended;
    expect(ran.exitCode).toBe(0);
    expect(jsonLines(ran).at(-1)).toMatchObject({
      message_type: 'summary',
      repositories: [{ repository: 'local', isComplete: true, backlogBytes: 0 }],
    });
    const stopped = await at.status();
    expect(stopped).toMatchObject({ repositories: [{ receiver: 'stopped', gaps: [] }] });
    expect(stopped.server.map(({ outcome }) => outcome)).toContain('passed');

    const repository = await reopen(at.folder);
    const segments = await expectSameBytes(readJournals(repository), cluster);
    expect(segments).toEqual(range(segments[0] ?? 0, segments.length));
    expect(segments.length).toBeGreaterThan(5);
    expect(await at.run('journal', 'gaps')).toMatchObject({ exitCode: 0, stdout: 'no gaps\n' });
    const text = await at.run('journal', 'status');
    expect(Math.max(...text.stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test('the window that is told begins and ends with commits as the server knows them', async () => {
    await using cluster = await alikeCluster(18, 'track_commit_timestamp = on');
    await cluster.start();
    await using at = await scene(cluster, { interval: '1s' });
    const receiver = at.receive();
    await cluster.sql(makeFilled, fill(1));
    await at.untilShipped();
    await cluster.sql('CREATE TABLE last (n int)', 'INSERT INTO last VALUES (1)');
    const [row] = await cluster.sql('SELECT pg_xact_commit_timestamp(xmin)::text AS time FROM last');
    await at.untilShipped();
    (await receiver.child).kill('SIGTERM');
    await receiver.ended;
    const [kept] = (await at.status()).repositories;
    const told = Temporal.Instant.from(kept?.toTime ?? '').epochMilliseconds;
    expect(told).toBe(Math.floor(new Date(String(row?.['time'])).getTime()));
  });

  test('a gap is listed with its reason, ends with 21, and the next receiver takes the base that this one was told not to', async () => {
    await using cluster = await filledCluster(18);
    await using at = await scene(cluster, { interval: '1s' });
    const first = at.receive();
    expect((await at.run('backup', 'database')).exitCode).toBe(0);
    await cluster.sql(fill(1));
    await at.untilShipped();
    // What it has seen the receiver notes now and then.
    let before = '';
    await until(async () => {
      before = (await at.run('status', '--json')).stdout;
      return before.includes('"freshest": "journal"') && before.includes('"receiver": "here"');
    });
    expect(before).not.toContain('missing');
    (await first.child).kill('SIGTERM');
    await first.ended;
    await cluster.sql("SELECT pg_drop_replication_slot('lifeboat_database')");
    for (let round = 0; round < 3; round += 1) await cluster.sql(fill(20), 'SELECT pg_switch_wal()', 'CHECKPOINT');
    const receiver = at.receive('--no-new-base');
    await until(async () => (await at.status()).repositories[0]?.gaps.length === 1);
    await cluster.sql(fill(1));
    await at.untilShipped();
    // What comes behind the gap is there, and counts for nothing.
    const gap = await at.run('status', '--json');
    expect(gap.exitCode).toBe(30);
    expect(JSON.parse(gap.stdout)).toMatchObject({
      components: [{ rpo: 'breached', journal: { missing: expect.stringMatching(/^changes of timeline 1 from /) } }],
    });
    (await receiver.child).kill('SIGTERM');
    const ran = await receiver.ended;
    const reason = expect.stringContaining('no replication slot');
    expect(jsonLines(ran).at(-1)).toMatchObject({ needsBase: reason, newBases: [] });
    const listed = await at.run('journal', 'gaps', '--json');
    expect(listed.exitCode).toBe(21);
    expect(JSON.parse(listed.stdout)).toMatchObject({
      gaps: [{ component: 'database', repository: 'local', reason }],
    });
    expect((await at.run('journal', 'status')).exitCode).toBe(21);
    const next = at.receive();
    const child = await next.child;
    let said = '';
    child.stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await until(() => Promise.resolve(said.includes('what follows can be reached again')));
    child.kill('SIGTERM');
    expect(jsonLines(await next.ended).at(-1)).toMatchObject({ newBases: [{ repository: 'local', reason }] });
  });

  test('archive_command hands over what the receiver takes to the repository', async () => {
    await using cluster = await alikeCluster(18, 'archive_mode = on', "archive_command = ''");
    await cluster.start();
    await using at = await scene(cluster, { interval: '1s', from: 'push', incoming: './incoming' });
    await chmod(at.folder, 0o755);
    // The server is another user.
    await mkdir(join(at.folder, 'incoming'), { mode: 0o777 });
    await chmod(join(at.folder, 'incoming'), 0o777);
    const command = `${process.execPath} ${launcher} journal push database %p --config ${at.folder}/lifeboat.yaml || exit 1`;
    await cluster.configure(`archive_command = '${command}'`);
    await cluster.sql('SELECT pg_reload_conf()', makeFilled, fill(20), 'SELECT pg_switch_wal()', fill(20));
    await until(async () => {
      const [row] = await cluster.sql(
        'SELECT archived_count::int AS count, failed_count::int AS failed FROM pg_stat_archiver',
      );
      if (Number(row?.['failed']) > 0) throw new Error(cluster.messages());
      return Number(row?.['count']) >= 3;
    });
    const receiver = at.receive();
    await until(async () => (await at.status()).repositories[0]?.to !== undefined);
    await sleep(1500);
    expect((await at.status()).server).toEqual([
      { aspect: 'archiving', outcome: 'passed', message: expect.stringMatching(/^last handed over [0-9A-F]{24} at /) },
      expect.objectContaining({ aspect: 'incoming folder', outcome: 'passed' }),
    ]);
    (await receiver.child).kill('SIGTERM');
    expect((await receiver.ended).exitCode).toBe(0);
    const reader = readJournals(await reopen(at.folder));
    expect((await branchOf(reader, 1))?.about).toMatchObject({ timeline: 1, major: 18 });
    const segments = await reader.segments((await branchOf(reader, 1))?.lineage ?? '', signal);
    expect(segments.filter(({ isSealed }) => isSealed).length).toBeGreaterThan(1);
  });

  test('every failure of a push ends with 1', async () => {
    await using cluster = await alikeCluster(18);
    await using at = await scene(cluster, { from: 'push' });
    const file = join(at.folder, '000000010000000000000001');
    await writeFile(file, 'nonsense');
    for (const args of [
      ['database', file],
      ['database', join(at.folder, 'nowhere')],
      ['nobody', file],
    ])
      expect((await at.run('journal', 'push', ...args)).exitCode).toBe(1);
    await writeFile(join(at.folder, 'lifeboat.yaml'), 'application: [');
    expect((await at.run('journal', 'push', 'database', file)).exitCode).toBe(1);
  });
});

await describeWithS3('lifeboat journal in a bucket', () => {
  test('two repositories hold the same, and a copy of the server that went its own way is refused', async () => {
    await using s3 = await startS3Server();
    const bucket = await s3.makeBucket();
    const { credentials } = s3.client;
    const { hostname: host, port } = new URL(s3.client.endpoint);
    await using way = await halfOpenProxy({ host, port: Number(port) });
    const endpoint = `http://127.0.0.1:${way.port}`;
    const location = `s3://${bucket}/app?endpoint=${encodeURIComponent(endpoint)}&region=us-east-1`;
    const variables = {
      AWS_ACCESS_KEY_ID: credentials?.accessKeyId ?? '',
      AWS_SECRET_ACCESS_KEY: credentials?.secretAccessKey ?? '',
    };
    await using server = await filledCluster(15, "wal_keep_size = '1GB'");
    await server.stop('fast');
    await using clone = await server.copy();
    await server.start();
    await using at = await scene(server, { interval: '1s' }, { repositories: { remote: { location } }, variables });
    expect((await at.run('repository', 'init', '--repository', location)).exitCode).toBe(0);
    const receiver = at.receive();
    await server.sql(fill(20));
    await at.untilShipped();
    // The bucket is away for a while: the other repository and the spool go on, and it catches up by itself.
    way.refuse();
    await server.sql(fill(20));
    const end = await currentLsn(server);
    const local = readJournals(await reopen(at.folder));
    await until(async () => {
      const [branch] = await local.branches(signal);
      return branch !== undefined && lsnOf(branch.end, branch.segmentBytes) >= end;
    });
    way.accept();
    await at.untilShipped();
    (await receiver.child).kill('SIGTERM');
    expect((await receiver.ended).exitCode).toBe(0);
    const before = (await at.status()).repositories;
    expect(before.map(({ repository }) => repository)).toEqual(['local', 'remote']);
    expect(before[0]?.to).toBe(before[1]?.to);

    await server.stop('fast');
    await clone.start();
    await clone.sql('CREATE TABLE other (n int)', fill(40));
    // The same host name leads to the copy now, as after a restore of a machine.
    const moved = (await readFile(join(at.folder, 'lifeboat.yaml'), 'utf8')).replace(
      `"port":${server.address.port}`,
      `"port":${clone.address.port}`,
    );
    await writeFile(join(at.folder, 'lifeboat.yaml'), moved);
    const refused = await at.receive().ended;
    expect(refused.exitCode).toBe(20);
    expect(jsonLines(refused).at(-1)).toMatchObject({ message_type: 'error', code: 'JOURNAL_FORKED' });
    const ends = (repositories: typeof before) => repositories.map(({ to, gaps }) => ({ to, gaps }));
    expect(ends((await at.status()).repositories)).toEqual(ends(before));
    await expectSameBytes(readJournals(await reopen(at.folder)), server);
  });
});
