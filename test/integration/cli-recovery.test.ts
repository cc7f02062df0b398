// The real program brings a database back to an instant, from a repository that holds its backup and its journal.
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { backup } from '../../src/operations/backup/backup.ts';
import { SpooledJournal } from '../../src/operations/journal/spooled-journal.ts';
import { readJournals } from '../../src/operations/journal/reader.ts';
import { loadSnapshots } from '../../src/repository/snapshot.ts';
import { postgresSource } from '../../src/sources/postgres/postgres-source.ts';
import { receive } from '../../src/sources/postgres/receiver/receive.ts';
import { lsnOf, parseLsn } from '../../src/sources/postgres/wal/lsn.ts';
import { recordEvents, until } from '../support/journal-events.ts';
import { journalOptions } from '../support/journal-scene.ts';
import { jsonLines, runHere, runLifeboat, type Ran } from '../support/lifeboat.ts';
import { makeCluster, type Cluster } from '../support/postgres-cluster.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import { createRepository, noSignal, reopen, testPassword } from '../support/repository.ts';
import { startRestored } from '../support/restored-server.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';
import { findTool } from '../support/tools.ts';
import { isRoot } from '../support/unprivileged.ts';

const uidOf = (account: string): number => Number(execFileSync('id', ['-u', account], { encoding: 'utf8' }));
const segmentBytes = 16 * 2 ** 20;

describeWithPostgres(15, 'lifeboat restore to an instant', () => {
  let home: TemporaryFolder;
  let cluster: Cluster;
  let after: { readonly time: string; readonly rows: number };

  const run = (...args: string[]): Promise<Ran> =>
    runHere([...args, '--repository', join(home.path, 'repository')], { folder: home.path });

  /** One backup, two rows behind it with a remembered moment in between, everything in the repository. */
  beforeAll(async () => {
    home = await temporaryFolder();
    chmodSync(home.path, 0o755);
    cluster = await makeCluster(15, "wal_keep_size = '1GB'");
    await cluster.start();
    await cluster.sql('CREATE TABLE orders (id int)', 'INSERT INTO orders VALUES (1)');
    const repository = await createRepository(home.path);
    const options = cluster.source({ method: 'physical' });
    const stop = new AbortController();
    const spool = { folder: join(home.path, 'spool'), maxBytes: 2 ** 30 };
    await using journal = await SpooledJournal.open(
      journalOptions(spool.folder, [await reopen(home.path)], { spool, closeMaxMs: 30_000 }),
    );
    const received = receive({ source: options, target: journal, events: recordEvents() }, stop.signal);
    await backup(repository, postgresSource(options), {
      component: 'database',
      host: 'shop',
      programVersion: 'test',
      signal: noSignal,
    });
    // A second repository that was copied now and stays behind, the first one in its lifeboat.yaml.
    cpSync(join(home.path, 'repository'), join(home.path, 'behind'), { recursive: true });
    const repositories = { behind: { location: './behind' }, ahead: { location: './repository' } };
    const { host, port, user } = cluster.address;
    const database = { type: 'postgres', host, port, user, sslmode: 'disable', method: 'physical' };
    const two = JSON.stringify({ application: 'shop', repositories, components: { database } });
    writeFileSync(join(home.path, 'two.yaml'), two);
    await cluster.sql('INSERT INTO orders VALUES (2)');
    const [row] = await cluster.sql("SELECT to_char(clock_timestamp(), 'YYYY-MM-DD HH24:MI:SS.USOF') AS time");
    after = { time: String(row?.['time']), rows: 2 };
    await cluster.sql('INSERT INTO orders VALUES (3)', 'SELECT pg_switch_wal()', 'INSERT INTO orders VALUES (4)');
    const [last] = await cluster.sql('SELECT pg_current_wal_flush_lsn()::text AS lsn');
    const end = parseLsn(String(last?.['lsn'])) ?? 0n;
    await until(async () => {
      const branches = await readJournals(repository).branches(noSignal);
      return branches.some((one) => lsnOf(one.end, segmentBytes) >= end);
    });
    stop.abort();
    await received;
  });
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  async function rowsIn(folder: string): Promise<number> {
    await using server = await startRestored(15, { dataFolder: folder, workFolder: dirname(folder) });
    const [row] = await server.sql('postgres', 'SELECT count(*)::int AS rows FROM orders');
    return Number(row?.['rows']);
  }

  test('shows the window, and a dry run that says how it would go and does nothing', async () => {
    const window = await run('window', 'database');
    expect(window).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/timeline 1, from .* to /s) });
    const folder = join(home.path, 'dry');
    const ran = await run('restore', 'database', '--at', after.time, '--to', folder, '--dry-run');
    expect(ran.exitCode).toBe(0);
    expect(ran.stdout.replaceAll(/\s+/g, ' ')).toMatch(
      /window .* on timeline 1 replays .*starts from the newest backup .*follows timeline 1, the only one.*stops before the commit of transaction \d+.*nothing was done: --dry-run/,
    );
    expect(existsSync(folder)).toBe(false);
  });

  test('brings back what was there at the instant', async () => {
    const folder = join(home.path, 'copies', 'at');
    mkdirSync(dirname(folder));
    const ran = await run('restore', 'database', '--at', after.time, '--to', folder, '--json');
    expect(ran).toMatchObject({ exitCode: 0 });
    expect(jsonLines(ran).at(-1)).toMatchObject({
      message_type: 'summary',
      target: `data directory ${folder}`,
      recovery: { timeline: '1', window: { branch: 'timeline 1' } },
      report: { restored: [expect.any(String), expect.stringMatching(/^recovered to /), expect.any(String)] },
    });
    expect(await rowsIn(folder)).toBe(after.rows);
  });

  test('where the password of its own server is not known, it is as able to go back, but for into that server', async () => {
    const database = { type: 'postgres', host: 'db.shop.example', password: '${DB_PASSWORD}', method: 'physical' };
    const repositories = { main: { location: './repository' } };
    const text = JSON.stringify({ application: 'shop', repositories, components: { database } });
    writeFileSync(join(home.path, 'elsewhere.yaml'), text);
    const there = (...args: string[]): Promise<Ran> =>
      runHere([...args, '--config', 'elsewhere.yaml'], { folder: home.path });
    const window = await there('window', 'database');
    expect(window).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/timeline 1, from .* to\s/s) });
    expect((await there('status')).stdout).toMatch(/journal of database in main: to /);
    const folder = join(home.path, 'copies', 'elsewhere');
    expect(await there('restore', 'database', '--at', after.time, '--to', folder)).toMatchObject({ exitCode: 0 });
    expect(await rowsIn(folder)).toBe(after.rows);
    const extract = await there('postgres', 'extract', 'database', '--at', after.time, '--table', 'orders');
    expect(extract).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('DB_PASSWORD') });
  });

  test('now means all that was received, by the repository that leads furthest, for whom is named', async () => {
    const folder = join(home.path, 'copies', 'end');
    const owner = isRoot ? ['--owner', 'daemon'] : [];
    const args = ['restore', 'database', '--at', 'now', '--to', folder, '--config', 'two.yaml', '--json', ...owner];
    const ran = await runHere(args, { folder: home.path });
    expect(ran).toMatchObject({ exitCode: 0 });
    expect(jsonLines(ran).at(-1)).toMatchObject({ repository: 'ahead' });
    const owners = new Set(
      [folder, join(folder, 'PG_VERSION'), join(folder, 'base')].map((path) => statSync(path).uid),
    );
    expect([...owners]).toEqual([isRoot ? uidOf('daemon') : process.getuid?.()]);
    expect(await rowsIn(folder)).toBe(4);
    const behind = await runHere([...args.slice(0, 6), '--dry-run', '-r', 'behind', ...args.slice(6)], {
      folder: home.path,
    });
    expect(jsonLines(behind).at(-1)).toMatchObject({ repository: 'behind' });
    const windows = await runHere(['window', 'database', '--config', 'two.yaml'], { folder: home.path });
    expect(windows.stdout).toMatch(/^behind: .*^ahead: /ms);
  });

  test.skipIf(findTool('restic') === undefined)(
    'brings it back although restic rewrote the snapshot and dropped what it does not know',
    async () => {
      execFileSync(findTool('restic') ?? '', ['--no-cache', 'tag', '--add', 'kept'], {
        env: { RESTIC_REPOSITORY: join(home.path, 'repository'), RESTIC_PASSWORD: testPassword },
      });
      const [snapshot] = await loadSnapshots(await reopen(home.path), noSignal);
      expect(snapshot).toMatchObject({ tags: ['component=database', 'kept'] });
      expect(snapshot).not.toHaveProperty('lifeboat');
      const window = await run('window', 'database');
      expect(window).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/timeline 1, from .* to /s) });
      const folder = join(home.path, 'copies', 'rewritten');
      expect(await run('restore', 'database', '--at', after.time, '--to', folder)).toMatchObject({ exitCode: 0 });
      expect(await rowsIn(folder)).toBe(after.rows);
    },
  );

  test.each(['recovery.signal', 'postmaster.pid'])(
    'killed as soon as there is a %s, it leaves no server, nothing that starts, and is finished by the next run',
    async (file) => {
      const folder = join(home.path, 'copies', `killed-${file}`);
      const args = [
        'restore',
        'database',
        '--at-end',
        '--to',
        folder,
        '--yes',
        '--repository',
        join(home.path, 'repository'),
      ];
      await runLifeboat(args, {
        folder: home.path,
        onStart(child) {
          const look = setInterval(() => existsSync(join(folder, file)) && child.kill('SIGKILL'), 2);
          child.once('exit', () => clearInterval(look));
        },
      });
      expect(existsSync(join(folder, 'lifeboat-restore.unfinished'))).toBe(true);
      await expect.poll(() => existsSync(join(folder, 'postmaster.pid')), { timeout: 15_000 }).toBe(false);
      await expect(rowsIn(folder)).rejects.toThrow(/did not start: .*FATAL|could not find the database system/s);
      const again = await runHere(args, { folder: home.path });
      expect(again).toMatchObject({ exitCode: 0 });
      expect(await rowsIn(folder)).toBe(4);
    },
  );

  test('a backup without an instant comes back as a data directory that starts', async () => {
    const folder = join(home.path, 'copies', 'plain');
    const ran = await run('restore', 'database', '--to', folder);
    expect(ran).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/start PostgreSQL 15 on it/) });
    expect(await rowsIn(folder)).toBe(1);
  });

  test('says what is wrong with the instant', async () => {
    const to = ['--to', join(home.path, 'none')];
    const refused: [string[], number, RegExp][] = [
      [['--at', '2020-01-01T00:00Z', ...to], 4, /before the oldest backup is consistent\n {2}reachable: /],
      [['--at', '2099-01-01T00:00Z', ...to], 4, /behind the end of what was received/],
      [['--restore-point', 'none', ...to], 4, /no restore points are kept/],
      [['--timeline', '9', '--at-end', ...to], 4, /timeline 9 is not known; those kept are 1/],
      [['--at', 'noon', ...to], 2, /'noon' is not a time/],
      [['--at-end', '--lsn', '0/1', ...to], 2, /more than one instant/],
      [['--at-end'], 2, /no folder is named/],
      [['--timeline', '2', ...to], 2, /--timeline goes with an instant/],
    ];
    for (const [args, exitCode, reason] of refused) {
      const ran = await run('restore', 'database', ...args);
      expect({ args, exitCode: ran.exitCode, stderr: ran.stderr }).toEqual({
        args,
        exitCode,
        stderr: expect.stringMatching(reason),
      });
    }
    mkdirSync(join(home.path, 'none'));
    writeFileSync(join(home.path, 'none/file'), '');
    const ran = await run('restore', 'database', '--at-end', ...to, '--yes');
    expect(ran).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/holds files, but is no data directory/) });
  });
});
