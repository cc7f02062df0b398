// The demonstration as a newcomer runs it, with less data: a process of its own, in a folder of its own, with a folder for
// temporary data of its own, so that whatever it would leave behind is seen.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DemoReport } from '../../src/demo/report.ts';
import { processesIn } from '../support/processes-in-folder.ts';
import { runLifeboat } from '../support/lifeboat.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';
import { describeWith, findTool } from '../support/tools.ts';

const program = join(import.meta.dirname, '../../bin/lifeboat.js');
const testMaxMs = 240_000;

interface Place {
  readonly work: string;
  readonly temporary: string;
}

function placeIn(folder: TemporaryFolder): Place {
  const place = { work: join(folder.path, 'work'), temporary: join(folder.path, 'temporary') };
  mkdirSync(place.work);
  mkdirSync(place.temporary);
  for (const path of [folder.path, place.temporary]) chmodSync(path, 0o711); // The server's account passes through.
  return place;
}

/** Of the place alone; Node's own cache of compiled code is no concern here. */
function environmentOf({ work, temporary }: Place, path = process.env['PATH']) {
  return { PATH: path, HOME: work, TMPDIR: temporary, NODE_DISABLE_COMPILE_CACHE: '1', LIFEBOAT_DEMO_SCALE: '0.02' };
}

function start(place: Place) {
  return spawn(process.execPath, [program, 'start', '--json'], {
    cwd: place.work,
    env: environmentOf(place),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

interface Ran {
  readonly code: number | null;
  readonly lines: readonly Record<string, unknown>[];
}

async function run(place: Place): Promise<Ran> {
  const child = start(place);
  const [text, [code]] = await Promise.all([textOf(child.stdout), once(child, 'close') as Promise<[number | null]>]);
  const lines = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { code, lines };
}

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  return Buffer.concat(await Array.fromAsync(stream)).toString();
}

function leftBehind({ temporary }: Place): { readonly files: string[]; readonly processes: number[] } {
  return { files: readdirSync(temporary), processes: processesIn(temporary) };
}

const nothing = { files: [], processes: [] };
const isStep = ({ message_type: type }: Record<string, unknown>): boolean => type === 'step';

describeWith(['redis-server', 'restic'], 'the demonstration', () => {
  let folder: TemporaryFolder;
  let place: Place;
  let ran: Ran;
  let report: DemoReport;

  beforeAll(async () => {
    folder = await temporaryFolder();
    place = placeIn(folder);
    ran = await run(place);
    const summary = ran.lines.at(-1) as unknown as { readonly mode: string; readonly report: DemoReport };
    expect(summary).toMatchObject({ message_type: 'summary', mode: 'demo' });
    ({ report } = summary);
  }, testMaxMs);

  afterAll(() => folder[Symbol.asyncDispose]());

  it('tells its ten steps in order and ends with 0', () => {
    const steps = ran.lines.filter(isStep).map(({ name }) => name);
    expect(steps.join(', ')).toBe(
      'create, back up, receive, go on, back up, prove, order on, disaster, restore, compare',
    );
    expect(report.failures).toEqual([]);
    expect(ran.code).toBe(0);
  });

  it('leaves no server out where the programs are there', () => {
    expect(report.leftOut).toEqual([]);
    expect(report.recoveries.map(({ component }) => component).toSorted()).toEqual([
      'cache',
      'configuration',
      'database',
      'uploads',
    ]);
  });

  it('loses some of every component and gets all of it back', () => {
    for (const recovery of report.recoveries) {
      expect(recovery.lost).toBeGreaterThan(0);
      expect(recovery.lost).toBeLessThanOrEqual(recovery.before);
      expect(recovery.compared).toBeGreaterThan(0);
      expect(recovery).toMatchObject({ back: recovery.lost, differences: [] });
    }
  });

  it('proves of the database the rows that it had at the second backup', () => {
    const step = ran.lines.filter(isStep).find(({ name }) => name === 'go on') as unknown as { readonly rows: number };
    expect(step.rows).toBeGreaterThan(4_000);
    expect(report.proofs.find(({ component }) => component === 'database')).toMatchObject({
      outcome: 'passed',
      rows: step.rows,
    });
  });

  it('brings back the orders that came in after the last backup', () => {
    const database = report.recoveries.find(({ component }) => component === 'database');
    const proven = report.proofs.find(({ component }) => component === 'database')?.rows ?? 0;
    expect(database?.before).toBeGreaterThan(proven);
    expect(report.journal).toMatchObject({ ordersSinceBackup: 20, ordersLost: 0 });
  });

  it('measures of each commit how long the server alone had it', () => {
    const { longestMs = 0, meanMs = 0, commits } = report.journal?.lossWindow ?? {};
    expect(commits).toBe(40);
    expect(meanMs).toBeGreaterThan(0);
    expect(longestMs).toBeGreaterThanOrEqual(meanMs);
  });

  it('backs up the database as it is, the second time what changed', () => {
    const types = [report.backups.first, report.backups.second].map(
      (backups) => backups.find(({ component }) => component === 'database')?.type,
    );
    expect(types).toEqual(['full', 'incremental']);
  });

  it('stores less in the second backup than in the first', () => {
    const stored = (backups: DemoReport['backups']['first']) =>
      backups.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
    expect(stored(report.backups.second)).toBeGreaterThan(0);
    expect(stored(report.backups.second)).toBeLessThan(stored(report.backups.first) / 4);
  });

  it('leaves no process and no temporary file behind', () => {
    expect(leftBehind(place)).toEqual(nothing);
  });

  it('keeps the password for its owner alone, and no password in lifeboat.yaml', () => {
    expect(statSync(report.repository.passwordFile).mode & 0o777).toBe(0o600);
    const text = readFileSync(join(report.folder, 'lifeboat.yaml'), 'utf8');
    expect(text).toContain('password: ${LIFEBOAT_DEMO_DATABASE_PASSWORD:-stopped}');
    expect(text).not.toContain(readFileSync(report.repository.passwordFile, 'utf8').trim());
  });

  it(
    'leaves a repository on which every command that it suggests works',
    async () => {
      expect(report.commands.length).toBeGreaterThan(5);
      const script = ['set -e', ...report.commands.map(({ command }) => command)].join('\n');
      const folders = [dirname(process.execPath), process.env['PATH'] ?? '', dirname(findTool('restic') ?? '')];
      const env = environmentOf(place, folders.join(delimiter));
      const { stdout } = await promisify(execFile)('sh', ['-c', script], { cwd: place.work, env, maxBuffer: 2 ** 24 });
      expect(stdout).toContain('no errors were found');
      expect(stdout).toMatch(/^passed {2}database, /m);
      const restored = join(report.folder, 'restored', report.folder, 'shop/uploads/videos/tour-1.mp4');
      expect(readFileSync(restored).equals(readFileSync(join(report.folder, 'shop/uploads/videos/tour-1.mp4')))).toBe(
        true,
      );
      expect(leftBehind(place)).toEqual(nothing);
    },
    testMaxMs,
  );

  it(
    'starts anew in its own folder, keeps what the user put there, and stops servers and receiver when it is interrupted',
    async () => {
      const notes = join(report.folder, 'notes.txt');
      writeFileSync(notes, 'mine');
      const password = readFileSync(report.repository.passwordFile, 'utf8');
      const child = start(place);
      const closed = once(child, 'close');
      for await (const line of createInterface(child.stdout)) {
        if (!line.includes('"receive"')) continue;
        expect(processesIn(place.temporary).length).toBeGreaterThan(2);
        child.kill('SIGINT');
      }
      expect(await closed).toEqual([130, null]);
      expect(leftBehind(place)).toEqual(nothing);
      expect(readFileSync(notes, 'utf8')).toBe('mine');
      expect(readFileSync(report.repository.passwordFile, 'utf8')).not.toBe(password);
    },
    testMaxMs,
  );
});

describe('the demonstration', () => {
  it('touches nothing in a folder of that name that it did not make', async () => {
    await using folder = await temporaryFolder();
    const place = placeIn(folder);
    mkdirSync(join(place.work, 'lifeboat-demo/repository'), { recursive: true });
    const { code, lines } = await run(place);
    expect(lines.at(-1)).toMatchObject({ message_type: 'error', code: 'TARGET_UNSAFE' });
    expect(code).toBe(1);
    expect(readdirSync(join(place.work, 'lifeboat-demo'))).toEqual(['repository']);
  });

  it('says where it works and what that takes before it touches anything', async () => {
    await using folder = await temporaryFolder();
    mkdirSync(join(folder.path, 'lifeboat-demo/repository'), { recursive: true });
    const ran = await runLifeboat(['start'], { folder: folder.path });
    expect(ran.exitCode).toBe(1);
    expect(ran.stderr).toMatch(
      /^A small shop is made.*\n.* in \.\/lifeboat-demo, which grows to about 180 MB.*\nerror: /,
    );
  });
});
