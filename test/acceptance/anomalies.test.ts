// Odd backups end to end, with the real program on real files: eight usual ones, then most files go, then the rest is encrypted.
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { postgresSource } from '../../src/sources/postgres/postgres-source.ts';
import { acceptAnomaly, judgeBackups } from '../../src/cli/anomaly-notes.ts';
import { decideRetentionOf } from '../../src/cli/retention-run.ts';
import type { RetentionPolicy } from '../../src/model/retention.ts';
import { jsonLines, runHere, type Ran } from '../support/lifeboat.ts';
import { describeWithPostgres, startPostgres } from '../support/postgres-server.ts';
import { writeNote } from '../../src/repository/note.ts';
import { noSignal } from '../support/repository.ts';
import { describeWith } from '../support/tools.ts';
import { useScenes } from '../support/scene.ts';
import { startServerProcess } from '../support/server-process.ts';

const configurationOf = (location: string, data: string): string => `
application: shop
repositories: { local: { location: ${location} } }
policies: { few: { repositories: [local], retention: { keepLast: 9 } } }
components: { uploads: { type: files, paths: [${data}], policy: few } }
`;
const filesMany = 60;
const usualBackups = 8;

/** Text that compresses, another one for each number. */
const textOf = (number: number): string =>
  Array.from({ length: 3000 }, (_, line) => `line ${line} of order ${number * 7919 + line} is paid\n`).join('');

interface Backup {
  readonly result: {
    readonly snapshot: { readonly id: string };
    readonly anomalies: readonly { readonly facts: readonly { readonly measure: string }[] }[];
  };
}

const scene = useScenes();

test('S2-101 most files gone, then all encrypted: both are told, nothing is removed until a person accepts', async () => {
  const { repository, data } = scene;
  const write = (number: number, content: string | Buffer): void =>
    writeFileSync(join(data, `order-${number}`), content);
  const run = (...args: string[]): Promise<Ran> => runHere(args, { folder: scene.folder });
  const backUp = async (): Promise<{ readonly id: string; readonly odd: readonly string[] }> => {
    const ran = await run('backup', '--json');
    expect(ran.exitCode).toBe(3); // Done, and a person should look.
    const [backup] = (jsonLines(ran).at(-1) as unknown as { readonly backups: readonly [Backup] }).backups;
    const { snapshot, anomalies } = backup.result;
    return { id: snapshot.id, odd: anomalies.flatMap(({ facts }) => facts.map(({ measure }) => measure)) };
  };
  const goes = async (policy: RetentionPolicy): Promise<number> => {
    const request = { policyOf: () => policy, forgetProven: true };
    const decided = await decideRetentionOf(repository, request, { clock: repository.clock, signal: noSignal });
    return decided.filter(({ keep }) => !keep).length;
  };
  writeFileSync(join(scene.folder, 'lifeboat.yaml'), configurationOf(repository.store.properties.location, data));
  for (let number = 0; number < filesMany; number += 1) write(number, textOf(number));
  for (let round = 0; round < usualBackups; round += 1) {
    write(filesMany + round, textOf(filesMany + round));
    await scene.backUp({ component: 'uploads', host: 'shop' });
    expect(await judgeBackups(repository, { component: 'uploads', host: 'shop' }, noSignal)).toEqual([]);
  }
  expect(await goes({ keepLast: 5 })).toBe(usualBackups - 5);
  for (let number = 0; number < 40; number += 1) rmSync(join(data, `order-${number}`));
  const deleted = await backUp();
  expect(deleted.odd).toEqual(['deleted', 'size']);
  for (let number = 40; number < filesMany + usualBackups; number += 1) write(number, randomBytes(120_000));
  const encrypted = await backUp();
  expect(encrypted.odd).toEqual(expect.arrayContaining(['rewritten', 'deduplication', 'entropy']));
  const frozen = await run('retention', '--yes');
  expect(frozen.stdout).toContain('removed 0 snapshots, 10 stay');
  expect(frozen.stdout).toContain('frozen');
  expect(frozen.exitCode).toBe(3);
  expect(await goes({ keepLast: 1 })).toBe(0);
  expect(await run('status')).toMatchObject({
    exitCode: 3,
    stdout: expect.stringContaining('unlike those before') as string,
  });
  const catalogPath = join(scene.folder, '.local/state/lifeboat/catalog.sqlite');
  expect(existsSync(catalogPath)).toBe(false);
  expect((await run('anomalies', 'accept', deleted.id.slice(0, 8))).exitCode).toBe(0);
  expect(existsSync(catalogPath)).toBe(false);
  expect(await goes({ keepLast: 1 })).toBe(0);
  const listed = await run('anomalies', 'list');
  expect(listed.exitCode).toBe(3);
  expect(listed.stdout).toContain(encrypted.id.slice(0, 8));
  expect(listed.stdout).not.toContain(deleted.id.slice(0, 8));
  await acceptOverHttp(encrypted.id);
  // A job of that server may be at its end.
  expect(await run('retention', '--yes', '--retry-lock', '1m')).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('removed 1 snapshot, 9 stay') as string,
  });
  expect((await run('anomalies', 'accept', deleted.id.slice(0, 8))).exitCode).toBe(4);
});

/** As an approver of a running server does it. */
async function acceptOverHttp(id: string): Promise<void> {
  const made = await runHere(['token', 'create', 'anna', '--role', 'approver', '--json'], { folder: scene.folder });
  const { token } = JSON.parse(made.stdout) as { readonly token: string };
  await using server = await startServerProcess(scene.folder);
  const address = /answers at (http:\S+)/.exec(server.said())?.[1] ?? '';
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const list = async (): Promise<unknown> => (await fetch(`${address}/api/v1/anomalies`, { headers })).json();
  expect(await list()).toMatchObject({ items: [{ application: 'shop', component: 'uploads', snapshot: id }] });
  const body = JSON.stringify({ snapshot: id.slice(0, 8) });
  const accepted = await fetch(`${address}/api/v1/anomalies/accept`, { method: 'POST', headers, body });
  expect([accepted.status, await accepted.json()]).toMatchObject([200, { accepted: [{ component: 'uploads' }] }]);
  expect(await list()).toEqual({ items: [] });
  const all = await runHere(['anomalies', 'list', '--all', '--json'], { folder: scene.folder });
  expect(all.stdout).toContain('"by": "anna"');
  const entries = await acceptedEntries();
  expect(entries).toMatchObject([{ actor: { name: 'anna' }, target: id.slice(0, 8) }]);
}

async function acceptedEntries(): Promise<readonly object[]> {
  const args = ['audit', 'list', '--action', 'anomaly.accepted', '--json'];
  const { stdout } = await runHere(args, { folder: scene.folder });
  return (JSON.parse(stdout) as { readonly entries: readonly object[] }).entries;
}

test('who accepts by hand is in the audit log, where there is one', async () => {
  const { repository, folder } = scene;
  writeFileSync(join(folder, 'lifeboat.yaml'), configurationOf(repository.store.properties.location, scene.data));
  writeFileSync(join(scene.data, 'file'), 'content');
  const { snapshot } = await scene.backUp({ component: 'uploads', host: 'shop' });
  const facts = [{ measure: 'size', value: 1, usual: 0, limit: 0, message: 'it is small' }];
  const { id, tree, time } = snapshot;
  const json = { version: 1, kind: 'found', component: 'uploads', snapshot: id, tree, time, facts };
  await writeNote(repository, { purpose: 'anomaly', subject: tree, json }, noSignal);
  await runHere(['token', 'create', 'other'], { folder }); // Makes the state.
  const accepted = await runHere(['anomalies', 'accept', id.slice(0, 8), '--by', 'ben'], { folder });
  expect(accepted).toMatchObject({ exitCode: 0, stderr: '' });
  const details = { by: 'ben', component: 'uploads', repository: 'local' };
  expect(await acceptedEntries()).toMatchObject([
    { actor: { kind: 'machine' }, application: 'shop', target: id, outcome: 'done', details },
  ]);
});

test('a note that can not be read keeps everything, and says so', async () => {
  const { repository } = scene;
  writeFileSync(join(scene.data, 'file'), 'content');
  const { snapshot } = await scene.backUp({ component: 'uploads', host: 'shop' });
  await acceptAnomaly(repository, { tree: snapshot.tree, time: '2026-11-28T10:00:00Z', by: 'test' }, noSignal);
  const folder = join(repository.store.properties.location, 'notes/anomaly');
  const [name = ''] = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => path.includes('-'));
  chmodSync(join(folder, name), 0o600);
  writeFileSync(join(folder, name), 'damaged');
  const request = { policyOf: () => ({ keepLast: 1 }), forgetProven: true };
  await expect(
    decideRetentionOf(repository, request, { clock: repository.clock, signal: noSignal }),
  ).rejects.toMatchObject({ code: 'REPOSITORY_DAMAGED' });
});

describeWith(['pg_dump'], 'a database', () => {
  describeWithPostgres(15, 'of which a small table is emptied', () => {
    test('S2-101 is told of, by the table and its rows, though hardly a byte is missing', async () => {
      await using server = await startPostgres(15);
      await server.sql('postgres', 'CREATE DATABASE shop');
      const many = 'SELECT n, repeat(md5(n::text), 30) AS text FROM generate_series(1, 3000) n';
      const few = 'SELECT n, now() AS paid FROM generate_series(1, 150) n';
      await server.sql('shop', `CREATE TABLE log AS ${many}`, `CREATE TABLE invoice AS ${few}`);
      const series = { component: 'database', host: 'shop' };
      const backUp = async () => {
        await scene.backUpFrom(postgresSource(server.options({ databases: ['shop'] })), series);
        const found = await judgeBackups(scene.repository, series, noSignal);
        return found.flatMap(({ facts }) => facts.map(({ measure, message }) => [measure, message]));
      };
      for (let round = 0; round < usualBackups; round += 1) {
        await server.sql('shop', 'INSERT INTO invoice VALUES (0, now())', 'DELETE FROM log WHERE n = 1');
        expect(await backUp()).toEqual([]);
      }
      await server.sql('shop', 'TRUNCATE invoice');
      const message = 'shop.public.invoice lost 100 % of its rows (158 → 0), usually 0 %';
      expect(await backUp()).toEqual([['rows', message]]);
      expect(await backUp()).toEqual([]);
    });
  });
});
