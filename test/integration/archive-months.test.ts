// Which months of an archive are read, and what is said where there is none.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { monthsBefore } from '../../src/model/archive.ts';
import { guardingProxy } from '../support/guarding-proxy.ts';
import { runHere, type Ran } from '../support/lifeboat.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';

const configuration = `
application: shop
repositories:
  local: { location: ./local, password: secret }
  archive: { location: ./archive, password: secret, archive: monthly }
components:
  uploads: { type: files, paths: [./data], policy: { repositories: [local] } }
  notes: { type: files, paths: [./notes], policy: { repositories: [local] } }
`;

let home: TemporaryFolder;
const lifeboat = (...args: string[]): Promise<Ran> => runHere(args, { folder: home.path });
async function done(...args: string[]): Promise<Ran> {
  const ran = await lifeboat(...args);
  expect([args.join(' '), ran.exitCode]).toEqual([args.join(' '), 0]);
  return ran;
}
const copied = (component: string) =>
  done('copy', 'latest', '--component', component, '--from', 'local', '--to', 'archive');
const [thisMonth = '2026-01', lastMonth = '2026-01'] = monthsBefore(systemClock.now(), 2);

beforeAll(async () => {
  home = await temporaryFolder();
  for (const folder of ['data', 'notes']) {
    mkdirSync(join(home.path, folder));
    writeFileSync(join(home.path, folder, 'a.txt'), `of ${folder}`);
  }
  writeFileSync(join(home.path, 'lifeboat.yaml'), configuration);
  await done('repository', 'init', '-r', 'local');
  await done('repository', 'init', '-r', 'archive', '--from', 'local');
  await done('backup');
}, 60_000);
afterAll(() => home[Symbol.asyncDispose]());

test('nothing was copied yet: no month is offered, and none is to be made by hand', async () => {
  const named = await lifeboat('snapshots', '-r', `archive/${lastMonth}`);
  expect(named.exitCode).not.toBe(0);
  expect(named.stderr).toContain('no month has a backup yet');
  expect(named.stderr).toContain("'lifeboat copy --to archive'");
  expect(named.stderr).not.toContain('repository init');
  const searched = await lifeboat('restore', 'notes', '-r', 'archive', '--to', './none');
  expect(searched.stderr).toContain("'lifeboat copy --to archive'");
  const made = await lifeboat('repository', 'init', '-r', `archive/${lastMonth}`);
  expect(made).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('its first copy makes') as string });
});

test(
  'a month that is still being filled says so, and what it lacks comes from the one before',
  { timeout: 60_000 },
  async () => {
    await copied('uploads');
    await copied('notes');
    const all = (await done('snapshots', '-r', 'archive')).stdout;
    expect(all).toContain(`of month ${thisMonth}, to which copies come until it is over\n`);
    // A month is whole by itself, so it may be any.
    renameSync(join(home.path, 'archive', thisMonth), join(home.path, 'archive', lastMonth));
    const over = (await done('snapshots', '-r', 'archive')).stdout;
    expect(over).toContain(`of month ${lastMonth}\n`);

    await copied('uploads');
    const filling = (await done('snapshots', '-r', 'archive')).stdout;
    expect(filling.replaceAll(/\s+/g, ' ')).toContain(
      `of month ${thisMonth}, to which copies come until it is over; before it -r archive/${lastMonth}`,
    );
    expect(filling).not.toContain('notes');
    const uploads = await done('restore', 'uploads', '-r', 'archive', '--to', './uploads');
    expect(uploads.stderr).toBe('');
    const notes = await done('restore', 'notes', '-r', 'archive', '--to', './back');
    expect(notes.stderr).toContain(`archive/${thisMonth} holds none, so it comes from archive/${lastMonth}`);
    expect(readFileSync(join(home.path, 'back', home.path, 'notes/a.txt'), 'utf8')).toBe('of notes');
    // By id, too.
    const listed = await done('snapshots', '-r', `archive/${lastMonth}`, '--component', 'notes', '--json');
    const { repositories } = JSON.parse(listed.stdout) as { repositories: { snapshots: { id: string }[] }[] };
    const id = repositories[0]?.snapshots[0]?.id.slice(0, 8) ?? '';
    expect((await done('ls', id, '-r', 'archive')).stdout).toContain('a.txt');
    expect(await lifeboat('restore', 'note', '-r', 'archive', '--to', './none')).toMatchObject({ exitCode: 4 });
    expect((await done('status', '-r', 'archive')).stdout.replaceAll(/\s+/g, '')).toContain(`archive/${thisMonth}`);
  },
);

test('a month that is not there is answered with those that are', async () => {
  for (const command of [
    ['snapshots', '-r'],
    ['restore', 'notes', '--to', './none', '-r'],
    ['copy', '--to', 'local', '--from'],
  ]) {
    const { exitCode, stderr } = await lifeboat(...command, 'archive/2001-02');
    expect([command[0], exitCode]).not.toEqual([command[0], 0]);
    expect(stderr.replaceAll(/\s+/g, ' ')).toContain('archive has no month 2001-02');
    expect(stderr).toContain(`archive/${thisMonth}`);
    expect(stderr).not.toContain('repository init');
  }
});

test('an archive that can not be read is told, and keeps nobody from the answer of the others', async () => {
  await using closed = await guardingProxy('http://127.0.0.1:1', () => true);
  const text = configuration
    .replace('location: ./archive,', `location: s3://closed/shop, s3: { endpoint: '${closed.endpoint}' },`)
    .replace('notes: { type', 'other: { type');
  writeFileSync(join(home.path, 'closed.yaml'), text);
  const { exitCode, stderr } = await runHere(['restore', 'other', '--to', './none', '--config', 'closed.yaml'], {
    folder: home.path,
    environment: { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test-secret' },
  });
  expect([exitCode, stderr.replaceAll(/\s+/g, ' ')]).toEqual([
    4,
    expect.stringMatching(/there is no snapshot of other for 'latest' in local; repository archive could not be read/),
  ]);
});
