import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { parseByteSize } from '../../src/base/byte-size.ts';
import { AppError } from '../../src/base/errors.ts';
import { systemRandom } from '../../src/base/random.ts';
import { feedFrom } from '../../src/operations/restore/feed.ts';
import type { RecoveryTarget } from '../../src/model/recovery-target.ts';
import type { JournalReader } from '../../src/sources/journal.ts';
import { connect } from '../../src/sources/postgres/connection.ts';
import { freePort, serverAccount } from '../../src/sources/postgres/server-process.ts';
import { readControlFile } from '../../src/sources/postgres/wal/control-file.ts';
import { systemSleep } from '../../src/storage/interruption.ts';
import type { Cluster } from '../support/postgres-cluster.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import { dataIn, ledger, recoveryScene, silent, type RecoveryScene } from '../support/recovery-scene.ts';
import { noSignal } from '../support/repository.ts';
import { startRestored } from '../support/restored-server.ts';
import { isRoot } from '../support/unprivileged.ts';

const end: RecoveryTarget = { kind: 'end' };
const major = 15;

async function idsIn(dataFolder: string): Promise<number[]> {
  await using server = await startRestored(major, { dataFolder, workFolder: dirname(dataFolder) });
  const rows = await server.sql('postgres', 'SELECT id::int FROM ledger ORDER BY id');
  return rows.map(({ id }) => Number(id));
}

async function commit(cluster: Cluster, rows = 1): Promise<void> {
  await cluster.sql(`INSERT INTO ledger (note) SELECT md5(n::text) FROM generate_series(1, ${rows}) AS n`);
}

/** Three rows in the backup, one each in the next three segments. */
async function sceneOverSegments(...settings: readonly string[]): Promise<RecoveryScene> {
  const scene = await recoveryScene(major, ...settings);
  const { cluster } = scene;
  await cluster.sql(ledger);
  await scene.receiveFrom(cluster);
  await commit(cluster, 3);
  await scene.backUp();
  for (let at = 0; at < 3; at += 1) {
    await commit(cluster);
    await cluster.sql('SELECT pg_switch_wal()');
  }
  await commit(cluster);
  await scene.received();
  return scene;
}

/** The scene's journal with something wrong in it. */
async function withJournal(
  scene: RecoveryScene,
  change: (reader: JournalReader, middle: number) => Partial<JournalReader>,
) {
  const { bases, journal } = await scene.place();
  const [branch] = await journal.branches(noSignal);
  const segments = await journal.segments(branch?.lineage ?? '', noSignal);
  const middle = segments.at(-3)?.segment ?? 0;
  return { bases, journal: { ...journal, ...change(journal, middle) } };
}

const damaged = (text: string): AppError => new AppError('REPOSITORY_DAMAGED', text, { hint: 'Look.' });

/** As the failed recovery must leave it: not started from, not promoted. */
function expectUnfinished(folder: string): void {
  expect(readControlFile(readFileSync(join(folder, 'global/pg_control'))).timeline).toBe(1);
  expect(existsSync(join(folder, 'recovery.signal'))).toBe(true);
  expect(readdirSync(join(folder, 'pg_wal')).filter((name) => name.startsWith('00000002'))).toEqual([]);
}

describeWithPostgres(major, 'a recovery that can not be', () => {
  test('because segments are missing is refused before anything is written', async () => {
    await using scene = await sceneOverSegments();
    const place = await withJournal(scene, (reader, middle) => ({
      segments: async (...given) => (await reader.segments(...given)).filter(({ segment }) => segment !== middle),
    }));
    const [row] = await scene.cluster.sql('SELECT pg_current_wal_lsn()::text AS lsn');
    const target: RecoveryTarget = { kind: 'lsn', lsn: String(row?.['lsn']), isInclusive: true };
    await expect(scene.choose(target, { place })).rejects.toMatchObject({
      code: 'RECOVERY_TARGET_UNREACHABLE',
      message: expect.stringMatching(
        /in or behind a hole: changes of timeline 1 from .* are not kept\n {2}reachable: /,
      ),
    });
  });

  test.each(['altered bytes in a segment', 'a segment that can not be read', 'nobody who fetches'])(
    'because of %s fails closed, and is finished when it is asked for again',
    async (what) => {
      await using scene = await sceneOverSegments();
      const folder = dataIn(scene.folder, 'copy');
      const place = await withJournal(scene, (reader, middle) => ({
        async read(lineage, segment, signal) {
          const bytes = await reader.read(lineage, segment, signal);
          if (segment !== middle || what === 'nobody who fetches') return bytes;
          if (what !== 'altered bytes in a segment') throw damaged('a pack is gone');
          const altered = Buffer.from(bytes);
          altered.fill(7, 100, 200);
          return altered;
        },
      }));
      const feed = feedFrom({ clock: systemClock, random: systemRandom, sleep: systemSleep, silenceMaxSeconds: 1 });
      const decision = await scene.decide(await scene.choose(end, { place }), folder, {
        async openFeed(request, signal) {
          const opened = await feed(request, signal);
          if (what === 'nobody who fetches') await opened[Symbol.asyncDispose]();
          return opened;
        },
      });
      await expect(decision.execute(silent, noSignal)).rejects.toMatchObject({
        code: what === 'a segment that can not be read' ? 'REPOSITORY_DAMAGED' : 'RESTORE_FAILED',
        message: expect.stringMatching(
          /(?:before configured recovery target was reached|a pack is gone|exit code 200).*holds a restore that did not end/s,
        ),
        hint: expect.stringMatching(/Run the same restore again/),
      });
      expectUnfinished(folder);
      // Not by hand either, and it says why: what was replayed may not be on the disk yet.
      await expect(idsIn(folder)).rejects.toThrow(/restore-did-not-end/);
      await scene.recover(end, folder);
      expect(await idsIn(folder)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    },
  );

  test('because the folder is not surely that of a stopped server of the same system leaves it as it is', async () => {
    await using scene = await sceneOverSegments();
    const { cluster } = scene;
    const choice = await scene.choose(end);
    const files = dataIn(scene.folder, 'files');
    mkdirSync(files);
    writeFileSync(join(files, 'mine.txt'), 'mine');
    await using other = await recoveryScene(major);
    await other.cluster.stop('fast');
    const refused: [string, RegExp][] = [
      [files, /holds files, but is no data directory/],
      [join(files, 'mine.txt'), /is no folder/],
      [cluster.dataFolder, /a server runs on .*process \d+/],
      [other.cluster.dataFolder, /is a data directory of another system/],
    ];
    for (const [folder, reason] of refused) {
      const decision = await scene.decide(choice, folder);
      expect(decision.findings.filter(({ outcome }) => outcome === 'failed')).toMatchObject([
        { message: expect.stringMatching(reason) },
      ]);
      await expect(decision.execute(silent, noSignal)).rejects.toMatchObject({ code: 'TARGET_UNSAFE' });
    }
    expect(readFileSync(join(files, 'mine.txt'), 'utf8')).toBe('mine');
    expect(readdirSync(files)).toEqual(['mine.txt']);
    await commit(cluster);
    await other.cluster.start();
  });
});

describeWithPostgres(major, 'a recovery into a folder', () => {
  test('over a stale copy rewrites what differs and removes what is not in the backup', async () => {
    await using scene = await sceneOverSegments();
    const folder = dataIn(scene.folder, 'copy');
    await scene.recover(end, folder);
    expect(await idsIn(folder)).toHaveLength(7);
    writeFileSync(join(folder, 'base/leftover'), 'x');
    const decision = await scene.decide(await scene.choose(end), folder);
    expect(decision.replaces).toMatch(/the data directory .*; what is not in the backup is removed/);
    const outcome = await decision.execute(silent, noSignal);
    expect(outcome.restored[0]).toMatch(/entr(?:y|ies) that were not in the backup removed/);
    const [, all = '', written = ''] = /\((.*?)\), (.*?) of them written/.exec(outcome.restored[0] ?? '') ?? [];
    expect((parseByteSize(written) ?? 0) * 4).toBeLessThan(parseByteSize(all) ?? 0);
    expect(existsSync(join(folder, 'base/leftover'))).toBe(false);
    expect(await idsIn(folder)).toHaveLength(7);
  });

  test('waits for somebody who looks at it, and is promoted or not as he says', async () => {
    await using scene = await sceneOverSegments();
    for (const answer of ['promote', 'shutdown'] as const) {
      let seen = 0;
      const outcome = await scene.recover(end, dataIn(scene.folder, answer), {
        action: 'pause',
        async inspect(connection) {
          const [, host = '', port = '', user = ''] = /-h (\S+) -p (\d+) -U (\S+)/.exec(connection) ?? [];
          const address = { host, port: Number(port), user, ssl: { mode: 'disable' } } as const;
          await using session = await connect(address, 'postgres', noSignal);
          const [row] = await session.query<{ rows: number }>('SELECT count(*)::int AS rows FROM ledger');
          seen = row?.rows ?? 0;
          return answer;
        },
      });
      expect(seen).toBe(7);
      expect(outcome.restored.at(-1)).toMatch(answer === 'promote' ? /on timeline 2/ : /stopped within the recovery/);
    }
    expect(await idsIn(dataIn(scene.folder, 'promote'))).toHaveLength(7);
  });

  test('stops at the instant without a promotion and says which it is, but for the end of a backup', async () => {
    await using scene = await sceneOverSegments();
    const [row] = await scene.cluster.sql('SELECT pg_current_wal_flush_lsn()::text AS lsn');
    const lsn = String(row?.['lsn']);
    await commit(scene.cluster);
    await scene.received();
    const target: RecoveryTarget = { kind: 'lsn', lsn, isInclusive: false };
    const outcome = await scene.recover(target, dataIn(scene.folder, 'stopped'), { action: 'shutdown' });
    expect(outcome.restored.slice(1)).toEqual([
      `recovered up to the record at ${lsn}, without it`,
      'it is stopped within the recovery, on timeline 1: as --action shutdown asks',
    ]);
    const { bases } = await scene.place();
    const facts = await bases[0]?.facts(noSignal);
    const base: RecoveryTarget = { kind: 'lsn', lsn: facts?.['consistentLsn'] as string, isInclusive: false };
    const decision = await scene.decide(await scene.choose(base), dataIn(scene.folder, 'base'), { action: 'shutdown' });
    expect(decision.findings).toContainEqual(
      expect.objectContaining({ outcome: 'warning', message: expect.stringContaining('it is promoted there') }),
    );
    expect(decision.steps).toContain('promote it to a timeline of its own, and stop it cleanly');
  });

  test('leaves a server running on it where that is asked for, or says why it did not start', async () => {
    await using scene = await sceneOverSegments();
    await scene.cluster.sql(`ALTER SYSTEM SET port = ${scene.cluster.address.port}`);
    await scene.backUp();
    await expect(scene.recover(end, dataIn(scene.folder, 'beside'), { isStarted: true })).rejects.toThrow(
      /no server started on it: .*could not bind .*; .*could not create any TCP\/IP sockets/,
    );
    const port = await freePort();
    await scene.cluster.sql(`ALTER SYSTEM SET port = ${port}`);
    await scene.backUp();
    const folder = dataIn(scene.folder, 'copy');
    const outcome = await scene.recover(end, folder, { isStarted: true });
    expect(outcome.restored.join('\n')).not.toMatch(/stopped|start PostgreSQL/);
    const [pid] = readFileSync(join(folder, 'postmaster.pid'), 'utf8').split('\n');
    try {
      expect(outcome.restored.at(-1)).toMatch(/^a server runs on it; its log is /);
      await using session = await connect({ ...scene.cluster.address, port }, 'postgres', noSignal);
      const [row] = await session.query<{ rows: number }>('SELECT count(*)::int AS rows FROM ledger');
      expect(row).toEqual({ rows: 7 });
    } finally {
      process.kill(Number(pid), 'SIGQUIT');
      await expect.poll(() => existsSync(join(folder, 'postmaster.pid')), { timeout: 10_000 }).toBe(false);
    }
  });

  test('can be prepared for a start by hand', async () => {
    await using scene = await sceneOverSegments();
    const folder = dataIn(scene.folder, 'copy');
    const outcome = await scene.recover(end, folder, { isOnlyPrepared: true });
    expect(outcome.restored.join('\n')).toMatch(/start PostgreSQL 15 on it/);
    expect(readFileSync(join(folder, 'postgresql.auto.conf'), 'utf8')).toMatch(
      /recovery_target_lsn = '.*archive_mode = 'off'/s,
    );
    expect(await idsIn(folder)).toHaveLength(7);
  });

  test.runIf(isRoot)('makes what leads there open to its server, and is refused where that may not enter', async () => {
    await using scene = await recoveryScene(major);
    await scene.cluster.sql(ledger);
    await scene.receiveFrom(scene.cluster);
    await commit(scene.cluster);
    await scene.backUp();
    await commit(scene.cluster);
    await scene.received();
    await scene.recover(end, dataIn(scene.folder, 'new/folders/data'));
    expect(await idsIn(dataIn(scene.folder, 'new/folders/data'))).toEqual([1, 2]);

    const closed = dataIn(scene.folder, 'closed');
    mkdirSync(closed, { mode: 0o700 });
    const { findings } = await scene.decide(await scene.choose(end), join(closed, 'folders/data'));
    expect(findings.filter(({ outcome }) => outcome === 'failed')).toEqual([
      expect.objectContaining({
        message: expect.stringContaining(`may not enter ${closed}`),
        hint: expect.stringContaining(`chmod a+x ${closed}`),
      }),
    ]);
  });

  test('never touches the tablespaces of the original', async () => {
    await using scene = await recoveryScene(major);
    const { cluster } = scene;
    const place = (name: string): string => {
      const path = join(scene.folder, name);
      mkdirSync(path, { mode: 0o700 });
      const account = serverAccount();
      if (account !== undefined) chownSync(path, account.uid, account.gid);
      return path;
    };
    const fast = place('fast');
    await cluster.sql(`CREATE TABLESPACE fast LOCATION '${fast}'`, `${ledger} TABLESPACE fast`);
    await scene.receiveFrom(cluster);
    await commit(cluster, 3);
    await scene.backUp();
    await commit(cluster, 2);
    await scene.received();
    await cluster.sql('CHECKPOINT');
    const before = filesIn(fast);
    const moved = join(scene.folder, 'moved');
    await scene.recover(end, dataIn(scene.folder, 'inner'));
    await scene.recover(end, dataIn(scene.folder, 'outer'), { places: [{ from: fast, to: moved }] });
    for (const name of ['inner', 'outer']) expect(await idsIn(dataIn(scene.folder, name))).toHaveLength(5);
    expect(readdirSync(moved)).toEqual([expect.stringMatching(/^PG_15_/)]);
    expect(filesIn(fast)).toEqual(before);
    const unsafe = await scene.decide(await scene.choose(end), dataIn(scene.folder, 'third'), {
      places: [{ from: fast, to: fast }],
    });
    expect(unsafe.findings).toContainEqual(
      expect.objectContaining({ outcome: 'failed', message: `${fast} is not empty` }),
    );

    const late = place('late');
    await cluster.sql(`CREATE TABLESPACE late LOCATION '${late}'`, 'CREATE TABLE elsewhere (id int) TABLESPACE late');
    await scene.received();
    const made = await scene.decide(await scene.choose(end), dataIn(scene.folder, 'fourth'));
    expect(made.findings).toContainEqual(
      expect.objectContaining({
        outcome: 'failed',
        message: `it was made after the backup, and the replay makes it again at ${late}, which is in use`,
      }),
    );
  });
});

function filesIn(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(
    names.map(({ parentPath, name }) => [
      join(parentPath, name),
      readFileSync(join(parentPath, name)).toString('base64'),
    ]),
  );
}
