// hasteCRM's database to any instant: its document asks for recovery in time by archived WAL or by streaming.
import type { ChildProcess } from 'node:child_process';
import { chmod, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../support/journal-events.ts';
import { contentOf, postgresMajor, startExample, type ExampleApplication } from '../support/example-application.ts';
import { launcher, type Ran } from '../support/lifeboat.ts';
import { describeWithPostgres } from '../support/postgres-server.ts';
import { startRestored } from '../support/restored-server.ts';
import { describeWithS3 } from '../support/s3-server.ts';
import { describeWith } from '../support/tools.ts';

interface Status {
  readonly components: readonly {
    readonly repositories: readonly { readonly to?: string; readonly gaps: unknown[] }[];
  }[];
}
interface Summary {
  readonly backups: readonly {
    readonly result: { readonly snapshot: { readonly id: string }; readonly storedBytes: number };
  }[];
}

let crm: ExampleApplication;

/** The data directory that a restore with these options makes, started for one query. */
async function contactsAfter(name: string, ...options: string[]): Promise<unknown> {
  const folder = join(crm.root, 'restored', name);
  await crm.succeed('restore', 'database', ...options, '--to', folder, '--config', 'continuous.yaml');
  await using server = await startRestored(postgresMajor, { dataFolder: folder, workFolder: dirname(folder) });
  return await contentOf(server, crm.database, 'contacts');
}

function startReceiver(): { readonly child: Promise<ChildProcess>; readonly ended: Promise<Ran> } {
  const { promise: child, resolve } = Promise.withResolvers<ChildProcess>();
  const ended = crm.run(['journal', 'run', 'database', '--config', 'continuous.yaml'], { onStart: resolve });
  return { child, ended };
}

async function stopReceiver({ child, ended }: ReturnType<typeof startReceiver>): Promise<void> {
  (await child).kill('SIGTERM');
  expect(await ended).toMatchObject({ exitCode: 0 });
}

async function positionOf(): Promise<bigint> {
  const [row] = await crm.postgres.sql('postgres', "SELECT (pg_current_wal_flush_lsn() - '0/0')::text AS bytes");
  return BigInt(String(row?.['bytes']));
}

async function untilKept(position: bigint): Promise<void> {
  await until(async () => {
    const [component] = (await crm.json<Status>('journal', 'status', 'database', '--config', 'continuous.yaml'))
      .components;
    const to = /^([\dA-F]+)\/([\dA-F]+)/.exec(component?.repositories[0]?.to ?? '0/0');
    return BigInt(`0x${to?.[1]}`) * 2n ** 32n + BigInt(`0x${to?.[2]}`) >= position;
  });
}

/** By the server's own clock, so that nothing depends on that of this machine. */
async function now(): Promise<string> {
  const [row] = await crm.postgres.sql(
    'postgres',
    'SELECT to_char(clock_timestamp() AT TIME ZONE \'UTC\', \'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\') AS now',
  );
  return String(row?.['now']);
}

/** These tests are one story: each goes on where the one before ended. */
function define(): void {
  beforeAll(async () => {
    crm = await startExample({
      name: 'hastecrm',
      database: 'crm_dev',
      postgresSettings: ['archive_mode=on', 'max_wal_senders=3'],
    });
    await mkdir(join(crm.root, 'restored'), { mode: 0o755 });
    await crm.succeed('repository', 'init', '--repository', 'local', '--config', 'continuous.yaml');
  });
  afterAll(() => crm[Symbol.asyncDispose]());

  test('S1-06 S1-80 with wal_level=replica and three senders, changes stream, and the database goes back to before a mistake', async () => {
    await crm.succeed('backup', 'database', '--config', 'continuous.yaml');
    const receiver = startReceiver();
    await crm.postgres.sql(crm.database, "UPDATE contacts SET note = 'moved' WHERE id <= 500");
    const before = await contentOf(crm.postgres, crm.database, 'contacts');
    const moment = await now();
    await crm.postgres.sql(crm.database, 'DELETE FROM contacts WHERE id % 2 = 0');
    const after = await contentOf(crm.postgres, crm.database, 'contacts');
    await untilKept(await positionOf());
    await stopReceiver(receiver);
    expect(await contactsAfter('before', '--at', moment)).toEqual(before);
    expect(await contactsAfter('end', '--at-end')).toEqual(after);
    expect(await contentOf(crm.postgres, crm.database, 'contacts')).toEqual(after);
  });

  test('S2-054 backups that bring only what changed go back in one step, with what came after the last of them', async () => {
    const ids: string[] = [];
    const contents: unknown[] = [];
    for (const note of ['first', 'second']) {
      await crm.postgres.sql(crm.database, `UPDATE contacts SET note = '${note}' WHERE id <= 300`);
      const summary = await crm.json<Summary>('backup', 'database', '--config', 'continuous.yaml');
      ids.push(summary.backups[0]?.result.snapshot.id ?? '');
      expect(summary.backups[0]?.result.storedBytes).toBeLessThan(4 * 2 ** 20);
      contents.push(await contentOf(crm.postgres, crm.database, 'contacts'));
    }
    expect(await contactsAfter('first', '--from', ids[0] ?? '')).toEqual(contents[0]);
    expect(await contactsAfter('second', '--from', ids[1] ?? '')).toEqual(contents[1]);
    await crm.succeed('prove', 'database', '--config', 'continuous.yaml');
  });

  test('S1-79 with archive_mode=on, archive_command hands the WAL over, and it leads to the same instants', async () => {
    await chmod(crm.folder, 0o755);
    const incoming = join(crm.folder, 'incoming');
    await mkdir(incoming, { mode: 0o777 });
    await chmod(incoming, 0o777); // The server runs as another user.
    crm.environment['JOURNAL_FROM'] = 'push';
    const push = `cd ${crm.folder} && JOURNAL_FROM=push ${process.execPath} ${launcher} journal push database $OLDPWD/%p --config continuous.yaml || exit 1`;
    await crm.postgres.sql('postgres', `ALTER SYSTEM SET archive_command = '${push}'`, 'SELECT pg_reload_conf()');
    await crm.succeed('backup', 'database', '--config', 'continuous.yaml');
    const receiver = startReceiver();
    await crm.postgres.sql(crm.database, "UPDATE contacts SET note = 'archived' WHERE id <= 500");
    const before = await contentOf(crm.postgres, crm.database, 'contacts');
    const moment = await now();
    await crm.postgres.sql(crm.database, 'TRUNCATE contacts CASCADE');
    const position = await positionOf();
    await crm.postgres.sql('postgres', 'SELECT pg_switch_wal()', 'CHECKPOINT');
    await untilKept(position);
    await stopReceiver(receiver);
    expect(await contactsAfter('archived', '--at', moment)).toEqual(before);
  }, 180_000);
}

await describeWithS3('hasteCRM to any instant', () =>
  describeWith(['redis-server'], 'with Redis', () => describeWithPostgres(postgresMajor, 'with PostgreSQL', define)),
);
