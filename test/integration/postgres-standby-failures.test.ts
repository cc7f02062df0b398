// A standby whose repository goes away, whose primary fails over, and whose journal has a hole: the source itself, with a real server.
import { chown, mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemRandom } from '../../src/base/random.ts';
import { AppError } from '../../src/base/errors.ts';
import { followingFeedFrom } from '../../src/operations/standby/following-feed.ts';
import { connect } from '../../src/sources/postgres/connection.ts';
import { serverAccount } from '../../src/sources/postgres/server-process.ts';
import { keepStandby } from '../../src/sources/postgres/standby/keep-standby.ts';
import type { JournalReader } from '../../src/sources/journal.ts';
import type { StandbyEnd, StandbyFigures, StandbyRequest } from '../../src/sources/standby.ts';
import { systemSleep } from '../../src/storage/interruption.ts';
import { until } from '../support/journal-events.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import { noSignal } from '../support/repository.ts';
import { ledger, recoveryScene, type RecoveryScene } from '../support/recovery-scene.ts';

interface Kept extends AsyncDisposable {
  readonly notes: string[];
  figures(): StandbyFigures | undefined;
  rows(): Promise<number | undefined>;
  readonly end: Promise<StandbyEnd>;
}

const account = serverAccount();
const away = new AppError('STORE_UNREACHABLE', 'the store does not answer', { hint: 'Wait.' });

interface Weather {
  isAway: boolean;
  /** A segment that nobody has. */
  lost?: number;
  readonly promotion?: AbortSignal;
}

/** As the repository of a command, without one. */
async function keep(scene: RecoveryScene, folder: string, weather: Weather): Promise<Kept> {
  const stop = new AbortController();
  const notes: string[] = [];
  let newest: StandbyFigures | undefined;
  const check = <T>(work: () => Promise<T>): Promise<T> => (weather.isAway ? Promise.reject(away) : work());
  const { reader } = scene.journal;
  const journal: JournalReader = {
    branches: (signal) => check(() => reader.branches(signal)),
    segments: (lineage, signal) =>
      check(async () => (await reader.segments(lineage, signal)).filter(({ segment }) => segment !== weather.lost)),
    facts: (lineage, segment, signal) => check(() => reader.facts(lineage, segment, signal)),
    read: (lineage, segment, signal) => check(() => reader.read(lineage, segment, signal)),
    readOn: (place, signal) => check(() => reader.readOn(place, signal)),
  };
  const request: StandbyRequest = {
    folder,
    owner: undefined,
    intervalMs: 100,
    repository: {
      journal,
      bases: () => check(async () => (await scene.place()).bases),
      reading: async (base, work, signal) => work(await scene.reader(base), signal),
    },
    openFeed: followingFeedFrom({ random: systemRandom, sleep: systemSleep, onFailure: () => undefined }),
    events: {
      note: (message) => void notes.push(message),
      warn: ({ message }) => void notes.push(message),
      figures: (figures) => void (newest = figures),
      restored: () => undefined,
    },
    prove: async ({ stand }, signal) => void notes.push(`${(await stand.fingerprint(signal)).items.length > 0}`),
    promotion: weather.promotion ?? new AbortController().signal,
  };
  const options = {
    ...scene.cluster.source({ method: 'physical' }),
    programFolders: (process.env['PATH'] ?? '').split(':'),
  };
  const running = keepStandby(options, request, stop.signal);
  running.catch((error: unknown) => notes.push(String(error)));
  return {
    notes,
    end: running,
    figures: () => newest,
    async rows() {
      return rowsAt(newest?.connection ?? '');
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

async function rowsAt(line: string): Promise<number | undefined> {
  const [, host = '', port = ''] = / -h (\S+) -p (\d+) /.exec(line) ?? [];
  if (host === '') return undefined;
  const address = { host, port: Number(port), user: 'lifeboat', ssl: { mode: 'disable' } } as const;
  await using session = await connect(address, 'postgres', noSignal);
  return Number((await session.query<{ n: string }>('SELECT count(*) AS n FROM ledger'))[0]?.n);
}

describeWithPostgres(15, 'a standby in bad weather', () => {
  test('waits for its repository, follows a failover, and is written anew where the journal leads no further', async () => {
    await using scene = await recoveryScene(15);
    const { cluster, folder } = scene;
    await cluster.sql(ledger, "INSERT INTO ledger (note) VALUES ('one')");
    await scene.receiveFrom(cluster);
    await scene.backUp();
    const weather: Weather = { isAway: false };
    await using standby = await keep(scene, join(folder, 'standby'), weather);
    await until(async () => (await standby.rows().catch(() => undefined)) === 1 && standby.figures()?.lagBytes === 0);

    weather.isAway = true;
    await cluster.sql("INSERT INTO ledger (note) VALUES ('two')");
    await scene.received();
    await until(() => standby.figures()?.problem === away.message);
    expect(await standby.rows()).toBe(1);
    weather.isAway = false;
    await until(async () => (await standby.rows()) === 2);

    // What would make a folder that the primary uses on this very machine is not replayed; a backup behind it leads on.
    const fast = join(folder, 'fast');
    await mkdir(fast);
    if (account !== undefined) await chown(fast, account.uid, account.gid);
    await cluster.sql(`CREATE TABLESPACE fast LOCATION '${fast}'`, 'CREATE TABLE quick (n int) TABLESPACE fast');
    await until(() => /^tablespace \d+: .* is in use$/.test(standby.figures()?.problem ?? ''));
    await scene.backUp();
    await until(async () => (await standby.rows().catch(() => undefined)) === 2 && standby.figures()?.lagBytes === 0);
    expect(await readdir(fast)).toHaveLength(1);

    // The primary is given more connections than the standby was started for.
    await cluster.configure('max_connections = 150');
    await cluster.stop('fast');
    await cluster.start();
    await cluster.sql("INSERT INTO ledger (note) VALUES ('two and a half')");
    await until(async () => (await standby.rows().catch(() => undefined)) === 3);
    expect(standby.notes.join()).toContain('insufficient parameter settings');
    await cluster.sql("DELETE FROM ledger WHERE note = 'two and a half'");

    // A failover on the way that it took: it goes on without being written anew.
    const replica = await cluster.standby();
    await scene.receiveFrom(undefined);
    await cluster.stop('fast');
    await replica.promote();
    await scene.receiveFrom(replica);
    await replica.sql("INSERT INTO ledger (note) VALUES ('three')");
    await until(async () => (await standby.rows().catch(() => undefined)) === 3);
    expect(standby.notes.filter((note) => note.startsWith('writes the standby'))).toHaveLength(2);
    expect(standby.notes).toContain('follows timeline 2 from now on');

    // A hole: it stands in front of it until there is a backup behind.
    const [row] = await replica.sql(
      "SELECT ('x' || right(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int AS n",
    );
    weather.lost = Number(row?.['n']) + 1;
    for (const note of ['four', 'five', 'six']) {
      await replica.sql('SELECT pg_switch_wal()', `INSERT INTO ledger (note) VALUES ('${note}')`);
    }
    await scene.received(replica);
    await until(() => /not in the journal/.test(standby.figures()?.problem ?? ''));
    expect(standby.figures()).toMatchObject({ phase: 'waiting' });
    expect(await standby.rows()).toBe(3);
    await scene.backUp(replica);
    await until(async () => (await standby.rows().catch(() => undefined)) === 6);
    expect(standby.notes.filter((note) => note.startsWith('writes the standby'))).toHaveLength(3);

    // All is lost but the standby, which does not run: it takes over with what it has.
    await standby[Symbol.asyncDispose]();
    await replica.stop('crash');
    const alone = { isAway: true, promotion: AbortSignal.abort() };
    await using last = await keep(scene, join(folder, 'standby'), alone);
    const end = await last.end;
    const rows = end.kind === 'promoted' ? await rowsAt(end.connection).catch(String) : undefined;
    const pid = Number((await readFile(join(folder, 'standby/data/postmaster.pid'), 'utf8')).split('\n')[0]);
    process.kill(pid, 'SIGQUIT');
    expect(end).toMatchObject({
      kind: 'promoted',
      notes: expect.arrayContaining([expect.stringContaining('did not answer')]),
    });
    expect(rows).toBe(6);
    expect(last.notes).toEqual([]);
    await until(async () => !(await readdir(join(folder, 'standby/data'))).includes('postmaster.pid'));
  }, 120_000);
});
